"""Speaker clustering assigns each utterance to a known voice or to a new one.

Embeddings are projected onto the few directions in which voices differ most, compared with how much
one voice varies in all its moods (linear discriminant analysis). There, the variance of a voice
around its own mean is 1, and that of the means of voices is `SpeakerModel.spread`; this gives the
odds that two utterances are of one voice (Brümmer & de Villiers 2010, "The speaker partitioning
problem"). Only the difference of two utterances is used, because what all voices on a channel
share, its room and its microphone, says nothing about who speaks.
"""

from dataclasses import dataclass
from itertools import combinations
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

VoicePoint: TypeAlias = NDArray[np.float64]
"""The place of an utterance in the space of voices: one number per direction in the last axis."""

VOICES = 4
"""Voices that are kept per channel; a new one replaces that which was silent for longest."""

SECOND_RATIO = 4.3
"""From this ratio on, see `second_voice`, there are two voices.

Chosen on 198 voices of six corpora. Of 188 others, 4 % are refused alone; of 376 recordings of two
of them, 83 % of those of a woman and a man are, and 29 % of those of two women or two men.
"""

SURE_PIECES = 6
"""More pieces of a voice than these make a difference no surer: a voice has moods, too."""

MIN_PIECES = 2
"""Least pieces of a second voice: a single one may be the same voice, laughing."""

MAX_ROUNDS = 10

MEMORY = 32
"""Utterances of a voice that are kept; older ones are forgotten."""


@dataclass(frozen=True, slots=True, eq=False)
class SpeakerModel:
    """How voices differ in general; it travels in the bundle.

    Attributes:
        projection: Onto the directions in which voices differ, shape (directions, features).
        spread: Variance of the voices' means along each, shape (directions,).
        caution: Log odds that are asked for before two utterances are taken for one voice.
    """

    projection: NDArray[np.float32]
    spread: NDArray[np.float32]
    caution: float

    @classmethod
    def indifferent(cls, features: int) -> Self:
        """A model that treats everybody as the same voice."""
        return cls(np.zeros((0, features), np.float32), np.zeros(0, np.float32), -np.inf)

    def mark(self, embedding: NDArray[np.float32]) -> VoicePoint:
        """Project utterances into the space of voices, shape (..., directions).

        Args:
            embedding: Shape (..., features).
        """
        mark: VoicePoint = (embedding @ self.projection.T).astype(np.float64)
        return mark

    def odds(
        self, mark: VoicePoint, mean: VoicePoint, count: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Log odds, less `caution`, that a mark is of a voice; -inf for one never heard.

        Args:
            mark: Shape (..., directions).
            mean: Mean of the voice's marks, shape (..., directions).
            count: How many these are, shape (...).
        """
        same = 1 + 1 / np.maximum(count, 1)[..., None]
        different = same + 2 * self.spread
        square = np.square(mark - mean)
        ratio = square / different - square / same + np.log(different / same)
        return np.where(count > 0, ratio.sum(-1) / 2 - self.caution, -np.inf)


def second_voice(marks: VoicePoint) -> NDArray[np.bool_]:
    """Which pieces of speech are of a second voice, where there surely is one.

    They are divided in two by k-means, starting from each pair of them. For each division, the
    squared distance of the two means is divided by what is expected of one voice that varies as
    much as the pieces do within their group; the largest mean over the directions decides. So a
    voice that varies a lot, or a bad line, is not taken for two.

    Args:
        marks: Of the pieces, shape (pieces, directions).

    Returns:
        Shape (pieces,); nowhere True where there seems to be one voice.
    """
    found, most = np.zeros(len(marks), bool), SECOND_RATIO
    for pair in combinations(range(len(marks)), 2) if marks.shape[1] else ():
        second = _parted(marks, marks[list(pair)])
        counts = np.array([np.count_nonzero(second), np.count_nonzero(~second)])
        if counts.min() < MIN_PIECES:
            continue
        means = np.where(second[:, None], marks[second].mean(axis=0), marks[~second].mean(axis=0))
        within = np.square(marks - means).sum(axis=0).mean() / (len(marks) - 2)
        between = np.square(means[second][0] - means[~second][0]).mean()
        expected = within * (1 / np.minimum(counts, SURE_PIECES)).sum()
        ratio = between / max(expected, np.finfo(float).tiny)
        if ratio > most:
            found, most = second if counts[0] <= counts[1] else ~second, ratio
    return found


def _parted(marks: VoicePoint, centres: VoicePoint) -> NDArray[np.bool_]:
    """Divide marks into two groups by k-means; True for the second."""
    second = np.zeros(len(marks), bool)
    for _ in range(MAX_ROUNDS):
        away = np.square(marks[:, None] - centres).sum(axis=-1)
        before, second = second, away[:, 1] < away[:, 0]
        if second.all() or not second.any() or np.array_equal(before, second):
            break
        centres = np.stack((marks[~second].mean(axis=0), marks[second].mean(axis=0)))
    return second


class Register:
    """The voices heard so far, in any number of sessions at once.

    Args:
        model: Tells them apart.
        sessions: How many sessions there are; each has voices of its own.
    """

    def __init__(self, model: SpeakerModel, sessions: int = 1) -> None:
        self._model = model
        self._rows = np.arange(sessions)
        self._mean = np.zeros((sessions, VOICES, len(model.spread)))
        self._count = np.zeros((sessions, VOICES))
        self._heard_at = np.full((sessions, VOICES), -1)
        self._now = 0

    def enrol(self, marks: VoicePoint) -> None:
        """Add an enrolled voice; it keeps the first place.

        Args:
            marks: Of its utterances, shape (utterances, directions).
        """
        self._mean[:, 0] = marks.mean(axis=0)
        self._count[:, 0] = min(len(marks), MEMORY)
        self._heard_at[:, 0] = np.iinfo(np.int64).max

    def match(self, mark: VoicePoint) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The likeliest voice of each session, and how likely it is that it speaks.

        Args:
            mark: Of an utterance in each session, shape (sessions, directions).

        Returns:
            Its place among `VOICES`, and a probability that is 0 where nobody was heard before:
            shape (sessions,) both.
        """
        odds = self._model.odds(mark[:, None], self._mean, self._count)
        place = odds.argmax(axis=1)
        return place, 1 / (1 + np.exp(-np.maximum(odds[self._rows, place], -500)))

    def add(
        self, mark: VoicePoint, heard: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Learn from an utterance in each session.

        Args:
            mark: As for `match`.
            heard: In which sessions there was one, shape (sessions,); None: in all.

        Returns:
            The place that its voice has, and whether that is a new voice, which may have taken the
            place of another: shape (sessions,) both.
        """
        place, probability = self.match(mark)
        new = probability < 0.5  # noqa: PLR2004 - likelier somebody else
        place = np.where(new, self._heard_at.argmin(axis=1), place)
        heard = np.ones(len(mark), bool) if heard is None else heard
        self._count[self._rows[new & heard], place[new & heard]] = 0
        rows, places = self._rows[heard], place[heard]
        count = np.minimum(self._count[rows, places] + 1, MEMORY)
        self._count[rows, places] = count
        step = (mark[heard] - self._mean[rows, places]) / count[:, None]
        self._mean[rows, places] += step
        self._heard_at[rows, places] = np.maximum(self._heard_at[rows, places], self._now)
        self._now += 1
        return place, new
