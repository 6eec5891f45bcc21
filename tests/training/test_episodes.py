"""How soon an alert is raised when somebody becomes angry."""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from streamer.training.data.extraction import EmbeddedClips
from streamer.training.data.manifest import Clip
from streamer.training.evaluation.episodes import (
    ANGRY_AFTER,
    MAX_EPISODES,
    NEUTRAL_BEFORE,
    EpisodesFound,
    measure_episodes,
)
from streamer.training.heads.recipe import Calibrated

LABELS = ("neutral", "angry")


@dataclass
class Scripted:
    """A model that finds the anger that is written into a clip's vector."""

    labels: tuple[str, ...] = LABELS
    threshold: float = 0.9
    pasts: NDArray[np.int64] | None = None

    def adapted_probabilities(
        self,
        embeddings: NDArray[np.float64],
        seconds: NDArray[np.float64],
        past: NDArray[np.int64],
        *,
        prior: str,
    ) -> NDArray[np.float64]:
        """As `Calibrated` has it."""
        assert prior == "natural"
        assert len(embeddings) == len(seconds) == len(past)
        self.pasts = past
        return np.column_stack((1 - embeddings[:, 0], embeddings[:, 0]))


class Embedded:
    """The anger of a clip is its only feature."""

    def __init__(self, angry: float, neutral: float = 0.0) -> None:
        self._anger = {"angry": angry, "neutral": neutral}

    def __call__(self, clips: list[Clip], form: str) -> NDArray[np.float64]:
        """The vectors."""
        assert form == "plain"
        return np.array([[self._anger[clip.emotion]] for clip in clips])

    def seconds(self, clips: list[Clip], form: str) -> NDArray[np.float64]:
        """All alike."""
        assert form == "plain"
        return np.full(len(clips), 2.0)


def clips(speakers: str, *, neutral: int = 9, angry: int = 6) -> list[Clip]:
    """Of these speakers, one letter each."""
    return [
        Clip(path=Path("x"), name=f"{who}{emotion}{i}", corpus="c", speaker=who, emotion=emotion)
        for who in speakers
        for emotion, count in (("neutral", neutral), ("angry", angry))
        for i in range(count)
    ]


def measured(model: Scripted, of: list[Clip], embed: Embedded) -> EpisodesFound | None:
    """What is found of these."""
    return measure_episodes(cast("Calibrated", model), of, cast("EmbeddedClips", embed))


@pytest.mark.parametrize(
    ("angry", "low", "normal", "high"),
    [(0.95, 2, 2, 1), (0.7, 3, 2, 2), (0.5, 0, 3, 2), (0.35, 0, 0, 3), (0.2, 0, 0, 0)],
)
def test_alerts_come_the_sooner_the_surer(angry: float, low: int, normal: int, high: int):
    """By the default rule of each sensitivity; 0: never, though none of them is certain."""
    found = measured(Scripted(threshold=0.96), clips("ab"), Embedded(angry))
    assert found is not None
    assert found.episodes == MAX_EPISODES
    for name, first in (("low", low), ("normal", normal), ("high", high)):
        by = [1.0 if 0 < first <= number else 0.0 for number in range(1, ANGRY_AFTER + 1)]
        assert list(found.raised[name]) == by, name
        assert found.early[name] == 0


def test_an_alert_before_the_anger_is_none_of_it():
    """It is counted apart, and finds nothing."""
    found = measured(Scripted(), clips("a"), Embedded(0.9, neutral=0.5))
    assert found is not None
    assert found.early == {"low": 0.0, "normal": 1.0, "high": 1.0}
    assert found.raised["normal"] == (0.0,) * ANGRY_AFTER
    assert found.raised["low"][0] == 1.0  # 0.5, 0.5, 0.9


def test_an_utterance_is_classified_after_those_before_it():
    """Of its own episode: neutral ones first, none twice."""
    model = Scripted()
    measured(model, clips("abc"), Embedded(0.9))
    length = NEUTRAL_BEFORE + ANGRY_AFTER
    assert model.pasts is not None
    assert len(model.pasts) == MAX_EPISODES * length
    for row in (0, 5, length, 3 * length + 12):
        before = model.pasts[row][model.pasts[row] >= 0]
        assert before.tolist() == list(range(row - row % length, row))


def test_voices_without_enough_clips_have_no_episodes():
    """One neutral clip, or four angry ones, are too few."""
    assert measured(Scripted(), clips("ab", neutral=1), Embedded(0.9)) is None
    assert measured(Scripted(), clips("ab", angry=4), Embedded(0.9)) is None
    assert measured(Scripted(labels=("neutral", "sad")), clips("ab"), Embedded(0.9)) is None
    assert measured(Scripted(), clips("a", neutral=2), Embedded(0.9)) is not None
