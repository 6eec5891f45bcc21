"""Computes a logged session's figures: shares of speaking time, mood and its trend."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from streamer.logs.sessions import LoggedSession, LoggedUtterance
from streamer.types import NO_SPEECH

MIN_UTTERANCES = 8
"""Least classified utterances for a trend."""

SURE = 2.0
"""Standard errors from which on a slope is a trend; less may be chance."""

MIN_CHANGE = 0.1
"""Least change of mood from the first to the last utterance that counts as a trend."""

POINTS = 200
"""How many points a smoothed curve has."""

WINDOW = 0.06
"""Width (standard deviation) of the smoothing, as part of the session..."""

MIN_WINDOW_S = 10.0
"""...but at least this, in seconds."""


@dataclass(frozen=True, slots=True)
class Trend:
    """The straight line through the moods, by least squares weighted as the mood is.

    Attributes:
        start: Mood on the line at the first utterance.
        end: Mood on the line at the last one.
        clear: True where the line rises or falls more than chance explains.
    """

    start: float
    end: float
    clear: bool

    @classmethod
    def through(cls, utterances: Sequence[LoggedUtterance]) -> Self | None:
        """The trend of classified utterances; None where they are too few or at one time."""
        if len(utterances) < MIN_UTTERANCES:
            return None
        times, moods, weights = _weighted(utterances)
        centred = times - np.average(times, weights=weights)
        spread = float(weights @ centred**2)
        if spread == 0:
            return None
        mean = float(np.average(moods, weights=weights))
        slope = float(weights @ (centred * moods)) / spread
        left = moods - mean - slope * centred
        # the robust (sandwich) standard error: weights here are importance, not precision
        error = math.sqrt(float((weights * centred) ** 2 @ left**2)) / spread
        start, end = np.clip(mean + slope * centred[[0, -1]], -1, 1).tolist()
        clear = abs(slope) > SURE * error and abs(end - start) >= MIN_CHANGE
        return cls(start, end, clear)


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of some utterances. Non-speech counts only in ``no_speech``.

    Attributes:
        utterances: How many are speech.
        no_speech: How many are not.
        speech_s: Speaking time, in seconds.
        shares: Speaking time by verdict, in seconds.
        mood: Mean weighted by length and confidence, from -1 to 1; None if nothing was classified.
        trend: The trend of the mood; None without enough utterances.
        curve: The mood smoothed over time: pairs of a time in seconds and a mood.
    """

    utterances: int
    no_speech: int
    speech_s: float
    shares: Mapping[str, float]
    mood: float | None
    trend: Trend | None
    curve: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, utterances: Sequence[LoggedUtterance], *, brief: bool = False) -> Self:
        """The figures of utterances in the order of their start; briefly, without the curve."""
        spoken = [u for u in utterances if u.verdict != NO_SPEECH]
        classified = [u for u in spoken if u.mood is not None]
        shares: Counter[str] = Counter()
        for utterance in spoken:
            shares[utterance.verdict] += utterance.duration_s  # type: ignore[assignment]
        return cls(
            utterances=len(spoken),
            no_speech=len(utterances) - len(spoken),
            speech_s=sum(u.duration_s for u in spoken),
            shares=dict(shares),
            mood=_mean(classified),
            trend=Trend.through(classified),
            curve=() if brief else _smoothed(classified),
        )

    def share(self, verdict: str) -> float:
        """Part of the speaking time, from 0 to 1."""
        return self.shares.get(verdict, 0.0) / self.speech_s if self.speech_s else 0.0


def channels(session: LoggedSession) -> dict[str, Figures]:
    """The figures of each channel, in the order in which they first speak."""
    names = dict.fromkeys(u.channel for u in session.utterances)
    return {
        name: Figures.of([u for u in session.utterances if u.channel == name]) for name in names
    }


def mood(utterances: Iterable[LoggedUtterance]) -> float | None:
    """The mean mood, as `Figures` has it."""
    return _mean([u for u in utterances if u.verdict != NO_SPEECH and u.mood is not None])


def _mean(classified: Sequence[LoggedUtterance]) -> float | None:
    if not classified:
        return None
    _, moods, weights = _weighted(classified)
    return float(np.average(moods, weights=weights))


def _weighted(
    utterances: Sequence[LoggedUtterance],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Starts in seconds, rising, moods, and length times confidence; shape (utterances,) each."""
    times = np.array([u.start_s for u in utterances])
    moods = np.array([u.mood for u in utterances], dtype=np.float64)
    # a weight above 0 also for what a spreadsheet has rounded to no length at all
    weights = np.array([max(u.duration_s * (u.confidence or 0), 1e-3) for u in utterances])
    return times, moods, weights


def _smoothed(utterances: Sequence[LoggedUtterance]) -> tuple[tuple[float, float], ...]:
    """The kernel regression of Nadaraya and Watson (1964), Gaussian, weighted by speaking time."""
    if not utterances:
        return ()
    times, moods, weights = _weighted(utterances)
    first, last = float(times[0]), float(times[-1])
    width = max(MIN_WINDOW_S, WINDOW * (last - first))
    at = np.linspace(first, last, POINTS if last > first else 1)
    away = ((at[:, None] - times) / width) ** 2 / 2
    away -= away.min(axis=1, keepdims=True)  # in a long silence the nearest one still counts
    near = weights * np.exp(-away)
    curve = near @ moods / near.sum(axis=1)
    return tuple(zip(at.tolist(), curve.tolist(), strict=True))
