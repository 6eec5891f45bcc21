"""Measures how soon an alert is raised when somebody becomes angry.

An episode is what a desk meets: somebody speaks neutrally for a while, then angrily. The program's
own alert rule watches all of it, and speaker adaptation learns as it goes.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice

import numpy as np

from streamer.analysis.alerts import RuleState
from streamer.config import AlertRule
from streamer.config.alert_rules import SENSITIVITIES, default_rules
from streamer.model.speaker.adaptation import NEUTRAL
from streamer.training.data.extraction import EmbeddedClips
from streamer.training.data.manifest import Clip
from streamer.training.evaluation.metrics import Probabilities
from streamer.training.heads.recipe import Calibrated
from streamer.types import SAMPLE_RATE, EndReason, Prediction, Utterance

ANGRY = "angry"
NEUTRAL_BEFORE = 8
ANGRY_AFTER = 5
MIN_NEUTRAL = 2
"""A voice with fewer neutral clips has no episodes."""

MAX_EPISODES = 60
"""Maximum number of episodes of one corpus; its voices take turns."""

PACE_S = 6
"""From the beginning of an utterance to the next; the default rule does not depend on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodesFound:
    """In how many episodes of a corpus an alert is raised.

    Attributes:
        episodes: How many there are.
        raised: By sensitivity of the default rule, the share of the episodes with an alert by the
            first, second … angry utterance, shape (ANGRY_AFTER,).
        early: By sensitivity, the share with an alert before the first.
    """

    episodes: int
    raised: Mapping[str, tuple[float, ...]]
    early: Mapping[str, float]


def measure_episodes(
    model: Calibrated, clips: Sequence[Clip], embed: EmbeddedClips
) -> EpisodesFound | None:
    """Measure one corpus; None where no voice has enough neutral and angry clips.

    Args:
        model: The model, under its natural prior.
        clips: Of speakers that it does not know.
        embed: Turns them into vectors.
    """
    episodes = _episodes(clips)
    if not episodes or ANGRY not in model.labels:
        return None
    probabilities = _classified(model, clips, embed, episodes)
    raised: dict[str, tuple[float, ...]] = {}
    early: dict[str, float] = {}
    for sensitivity in SENSITIVITIES:
        (rule,) = default_rules(["mono"], sensitivity)
        firsts = [
            _first_alert(rule, model, answers, neutral=len(episode) - ANGRY_AFTER)
            for episode, answers in zip(episodes, probabilities, strict=True)
        ]
        by = [sum(0 < first <= number for first in firsts) for number in range(1, ANGRY_AFTER + 1)]
        raised[sensitivity] = tuple(count / len(episodes) for count in by)
        early[sensitivity] = sum(first == 0 for first in firsts) / len(episodes)
    return EpisodesFound(episodes=len(episodes), raised=raised, early=early)


def _episodes(clips: Sequence[Clip]) -> list[list[int]]:
    """Rows of the clips of each episode, in their order; the same ones at each call."""
    neutral, angry = defaultdict(list), defaultdict(list)
    for row, clip in enumerate(clips):
        if clip.emotion in NEUTRAL:
            neutral[clip.voice].append(row)
        elif clip.emotion == ANGRY:
            angry[clip.voice].append(row)
    voices = [
        voice
        for voice, rows in neutral.items()
        if len(rows) >= MIN_NEUTRAL and len(angry[voice]) >= ANGRY_AFTER
    ]
    rng = np.random.default_rng(0)
    return [
        [
            *rng.permutation(neutral[voice])[:NEUTRAL_BEFORE].tolist(),
            *rng.permutation(angry[voice])[:ANGRY_AFTER].tolist(),
        ]
        for voice in islice(cycle(voices), MAX_EPISODES)
    ]


def _classified(
    model: Calibrated, clips: Sequence[Clip], embed: EmbeddedClips, episodes: Sequence[list[int]]
) -> list[Probabilities]:
    """Classify each episode as a session: shape (utterances, labels) each."""
    order = [row for episode in episodes for row in episode]
    longest = max(map(len, episodes))
    past, begin = [], 0
    for episode in episodes:
        for place in range(len(episode)):
            before = list(range(begin, begin + place))
            past.append(before + [-1] * (longest - place))
        begin += len(episode)
    probabilities = model.adapted_probabilities(
        embed(clips, "plain")[order],
        embed.seconds(clips, "plain")[order],
        np.array(past),
        prior="natural",
    )
    return np.split(probabilities, np.cumsum([len(episode) for episode in episodes])[:-1])


def _first_alert(
    rule: AlertRule, model: Calibrated, answers: Probabilities, *, neutral: int
) -> int:
    """By which angry utterance the alert is raised; 0 for one before these, -1 for none."""
    state = RuleState(rule)
    for place, shares in enumerate(answers):
        prediction = Prediction(
            model.labels, tuple(shares.tolist()), 0.0, bool(shares.max() < model.threshold)
        )
        if state.add(_utterance(place, prediction), mood=0.0) is not None:
            return max(0, place - neutral + 1)
    return -1


def _utterance(number: int, prediction: Prediction) -> Utterance:
    start = number * PACE_S * SAMPLE_RATE
    return Utterance(
        number=number + 1,
        channel="mono",
        start=start,
        end=start + PACE_S * SAMPLE_RATE // 2,
        prediction=prediction,
        level_dbfs=-20.0,
        end_reason=EndReason.SILENCE,
        latency_ms=None,
        compute_ms=0.0,
    )
