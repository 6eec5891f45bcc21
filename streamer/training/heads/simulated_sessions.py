"""Simulated sessions: gives each clip a past, and classifies it adapted to that."""

from collections import defaultdict
from collections.abc import Sequence
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from streamer.model.priors import LogPrior
from streamer.model.speaker.adaptation import NEUTRAL, Scores, VoiceModel, neutral_weight
from streamer.model.speaker.clustering import Register, SpeakerModel, VoicePoint
from streamer.training.data.extraction import Embeddings
from streamer.training.data.manifest import Clip

PAST = 10
"""Utterances that went before the tested one in a simulated session."""

NEUTRAL_PAST = 8
"""How many of these are neutral in a session of people who mostly just talk."""

Sessions = NDArray[np.int64]
"""For each clip the clips that go before it, -1 where there are no more: shape (clips, PAST)."""


class SimulatedPast(StrEnum):
    """What went before the tested clip, as far as there is so much of its corpus.

    Attributes:
        EIGHT_NEUTRAL: Clips of its speaker, eight neutral (or calm) and two of other emotions: what
            a program meets. Parameters are chosen by it.
        NEUTRAL: Eight neutral (or calm) clips of its speaker: what is found is measured after it.
        MIXED: Clips of its speaker, in all emotions.
        ONE_EMOTION: Clips of its speaker in its emotion: a mood that stays is no voice.
        IN_TURN: Clips of its speaker and of another one in turn, the other one last.
        ANOTHER: Clips of another speaker alone.
    """

    EIGHT_NEUTRAL = "eight neutral in ten"
    NEUTRAL = "eight neutral"
    MIXED = "mixed"
    ONE_EMOTION = "one emotion"
    IN_TURN = "two voices in turn"
    ANOTHER = "another voice"


def sessions(clips: Sequence[Clip], kind: SimulatedPast, *, seed: int) -> Sessions:
    """Give every clip a past: clips before it, in random order, without repeats.

    Args:
        clips: All clips.
        kind: The kind of past. Where a corpus has no other speaker, there is no other voice.
        seed: Seed of the order.
    """
    rng = np.random.default_rng(seed)
    by_voice: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for row, clip in enumerate(clips):
        by_voice[clip.voice].append(row)
    past = np.full((len(clips), PAST), -1)
    for row, clip in enumerate(clips):
        group = [other for other in by_voice[clip.voice] if other != row]
        if kind is SimulatedPast.ONE_EMOTION:
            group = [other for other in group if clips[other].emotion == clip.emotion]
        own = rng.permutation(group)[:PAST]
        others_here = [v for v in by_voice if v[0] == clip.corpus and v != clip.voice]
        theirs = by_voice[others_here[rng.integers(len(others_here))]] if others_here else []
        match kind:
            case SimulatedPast.MIXED | SimulatedPast.ONE_EMOTION:
                chosen = own
            case SimulatedPast.EIGHT_NEUTRAL | SimulatedPast.NEUTRAL:
                neutral = [i for i in group if clips[i].emotion in NEUTRAL]
                others = [i for i in group if clips[i].emotion not in NEUTRAL]
                extra = PAST - NEUTRAL_PAST if kind is SimulatedPast.EIGHT_NEUTRAL else 0
                chosen = rng.permutation(
                    [
                        *rng.permutation(neutral)[:NEUTRAL_PAST],
                        *rng.permutation(others)[:extra],
                    ]
                )
            case SimulatedPast.ANOTHER:
                chosen = rng.permutation(theirs)[:PAST]
            case SimulatedPast.IN_TURN:
                half = PAST // 2
                pairs = zip(own[:half], rng.permutation(theirs)[:half], strict=False)
                chosen = np.array([row for pair in pairs for row in pair]) if others_here else own
        past[row, : len(chosen)] = chosen
    return past


def classify_sessions(  # noqa: PLR0913 - as many things meet here
    embeddings: Embeddings,
    unadapted: Scores,
    past: Sessions,
    model: VoiceModel,
    *,
    log_natural: LogPrior,
    labels: Sequence[str],
) -> tuple[Scores, NDArray[np.float64]]:
    """Classify every clip after its past, as `SpeakerAdaptation` does, all at once.

    Args:
        embeddings: Shape (clips, features).
        unadapted: Scores of the unadapted head, shape (clips, labels).
        past: From `sessions`.
        model: What is known about voices.
        log_natural: Logarithm of the natural prior, shape (labels,).
        labels: The emotions that are told apart.

    Returns:
        Scores, shape (clips, labels), and how far each voice was known, from 0 to 1, (clips,).
    """
    logits = model.logits(embeddings)
    same, probability = _same_voice(model.speakers.mark(embeddings), past, model.speakers)
    neutral = [i for i, label in enumerate(labels) if label in NEUTRAL]
    weight = neutral_weight(unadapted, log_natural, neutral)[past] * same  # -1 is in no voice
    trust = probability * model.trust(weight.sum(-1))
    offset = model.offset(logits[past], weight)
    return model.mix(unadapted, logits, offset, trust), trust


def _same_voice(
    marks: VoicePoint, past: Sessions, model: SpeakerModel
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Match each clip's voice among its past: shape (clips, PAST), and its probability.

    Args:
        marks: Of the clips, shape (clips, directions).
        past: From `sessions`.
        model: Tells voices apart.
    """
    register = Register(model, len(past))
    places = np.full(past.shape, -1)
    for turn, rows in enumerate(past.T):
        heard = rows >= 0
        place, new = register.add(marks[rows], heard)
        places[(places == place[:, None]) & (new & heard)[:, None]] = -1  # they made room
        places[heard, turn] = place[heard]
    place, probability = register.match(marks)
    return (places == place[:, None]).astype(np.float64), probability
