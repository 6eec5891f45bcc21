"""Calls: this module finds where one ends and the next begins, and computes their figures."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from streamer.events import CallStarted
from streamer.types import SAMPLE_RATE

MAX_PAUSE_S = 2.0
"""The longest pause within a monologue, in seconds."""


class CallBoundaries:
    """Numbers the calls of one stream, from 1.

    A call ends when somebody says so, or when nobody speaks on any channel for some time. After
    such a silence the next call begins with the first speech.

    Args:
        gap_s: Length of that silence, in seconds; None where silence ends no call.
    """

    def __init__(self, gap_s: float | None) -> None:
        self.number = 1
        self._gap = math.inf if gap_s is None else gap_s * SAMPLE_RATE
        self._speaking: set[str] = set()
        self._silent_from: int | None = None  # None before anybody has spoken in this call

    def started(self, channel: str, start: int) -> CallStarted | None:
        """Report that an utterance begins; return the call that it begins, if any.

        Args:
            channel: The channel's name.
            start: Where its speech begins, in samples.

        Returns:
            The call that it is the first utterance of; None within a call.
        """
        silent_from = self._silent_from
        silent = not self._speaking and silent_from is not None
        self._speaking.add(channel)
        if silent and silent_from is not None and start - silent_from >= self._gap:
            return self.begin(start)
        return None

    def ended(self, channel: str, end: int) -> None:
        """Report that an utterance ends; its speech ends at sample ``end``."""
        self._speaking.discard(channel)
        self._silent_from = max(end, self._silent_from or 0)

    def begin(self, position: int) -> CallStarted:
        """Begin the next call at a position, in samples."""
        self.number += 1
        self._silent_from = None
        return CallStarted(self.number, position)


@dataclass(frozen=True, slots=True)
class Spoken:
    """What the figures of a call need to know of an utterance.

    Attributes:
        channel: The channel's name.
        start_s: Where its speech begins, in seconds from the start of the stream.
        end_s: Where its speech ends.
        mood: From -1 to 1; None where it was not classified.
        weight: How much its mood counts for each second of it: the confidence.
    """

    channel: str
    start_s: float
    end_s: float
    mood: float | None = None
    weight: float = 0.0


@dataclass(frozen=True, slots=True)
class ChannelFigures:
    """The figures of one channel of a call.

    Attributes:
        talk_s: How long somebody speaks on it, in seconds.
        interruptions: How often it takes the floor while another channel speaks.
        longest_s: Its longest monologue, in seconds.
        first_alert_s: From the first word of the call to its first alert; None without one.
        mood_start: Mean mood of the first quarter of its speech; None where there is none.
        mood_end: Mean mood of the last quarter; None where there is none.
    """

    talk_s: float
    interruptions: int
    longest_s: float
    first_alert_s: float | None
    mood_start: float | None
    mood_end: float | None


@dataclass(frozen=True, slots=True)
class CallFigures:
    """The figures of a call, from its first word to its last.

    Attributes:
        length_s: From the first word to the last, in seconds.
        silence_s: How long nobody speaks.
        overlap_s: How long several channels speak at once.
        channels: The figures of each channel, by its name.
    """

    length_s: float
    silence_s: float
    overlap_s: float
    channels: Mapping[str, ChannelFigures]

    def talk_share(self, channel: str) -> float | None:
        """A channel's share of the speech of all channels, 0 to 1; None where nobody speaks."""
        total = sum(one.talk_s for one in self.channels.values())
        return self.channels[channel].talk_s / total if total else None


def call_figures(
    spoken: Iterable[Spoken], alerts: Iterable[tuple[str, float]], channels: Iterable[str]
) -> CallFigures:
    """The figures of a call.

    Args:
        spoken: Its utterances, in any order, without those that hold no speech.
        alerts: The channel of each alert, and when it was raised, in seconds from the start of the
            stream.
        channels: All channels, also those on which nobody speaks.
    """
    utterances = sorted(spoken, key=lambda one: (one.start_s, one.end_s))
    by_channel: dict[str, list[Spoken]] = {name: [] for name in channels}
    for one in utterances:
        by_channel.setdefault(one.channel, []).append(one)
    begin = utterances[0].start_s if utterances else 0.0
    raised: dict[str, float] = {}
    for name, at_s in alerts:
        raised[name] = min(at_s, raised.get(name, math.inf))
    spans = {name: _merged(own) for name, own in by_channel.items()}
    time_by_count = _time_by_count(spans.values())
    longest = _longest_monologues(utterances)
    return CallFigures(
        length_s=max((one.end_s for one in utterances), default=0.0) - begin,
        silence_s=time_by_count[0],
        overlap_s=sum(seconds for count, seconds in time_by_count.items() if count > 1),
        channels={
            name: ChannelFigures(
                talk_s=sum(end - start for start, end in spans[name]),
                interruptions=_interruptions(name, by_channel),
                longest_s=longest.get(name, 0.0),
                first_alert_s=max(0.0, raised[name] - begin) if name in raised else None,
                mood_start=_mood_of_quarter(own),
                mood_end=_mood_of_quarter(own[::-1]),
            )
            for name, own in by_channel.items()
        },
    )


def joined(calls: Sequence[CallFigures]) -> CallFigures:
    """Combine the figures of several calls of one stream; the time between them does not count.

    Times and interruptions are added up, of monologues the longest counts, the alert is that of
    the first call with one, the mood at the start that of the first call with one, and at the end
    that of the last.
    """
    if len(calls) == 1:
        return calls[0]
    names = dict.fromkeys(name for call in calls for name in call.channels)
    by_channel = {name: [c.channels[name] for c in calls if name in c.channels] for name in names}
    return CallFigures(
        length_s=sum(call.length_s for call in calls),
        silence_s=sum(call.silence_s for call in calls),
        overlap_s=sum(call.overlap_s for call in calls),
        channels={
            name: ChannelFigures(
                talk_s=sum(one.talk_s for one in own),
                interruptions=sum(one.interruptions for one in own),
                longest_s=max(one.longest_s for one in own),
                first_alert_s=_first(one.first_alert_s for one in own),
                mood_start=_first(one.mood_start for one in own),
                mood_end=_first(one.mood_end for one in reversed(own)),
            )
            for name, own in by_channel.items()
        },
    )


def _first(values: Iterable[float | None]) -> float | None:
    return next((value for value in values if value is not None), None)


def _merged(utterances: Sequence[Spoken]) -> list[tuple[float, float]]:
    """Where somebody speaks on a channel: spans that do not touch each other, by start."""
    spans: list[tuple[float, float]] = []
    for one in utterances:
        if spans and one.start_s <= spans[-1][1]:
            spans[-1] = spans[-1][0], max(spans[-1][1], one.end_s)
        else:
            spans.append((one.start_s, one.end_s))
    return spans


def _time_by_count(channels: Iterable[Sequence[tuple[float, float]]]) -> Counter[int]:
    """Seconds between first and last word, by the number of channels that speak at once."""
    edges = sorted(
        (at, step)
        for spans in channels
        for span in spans
        for at, step in zip(span, (1, -1), strict=True)
    )
    seconds: Counter[int] = Counter()
    speaking = 0
    for (at, step), (until, _) in pairwise(edges):
        speaking += step
        seconds[speaking] += until - at  # type: ignore[assignment]  # typeshed knows whole counts
    return seconds


def _interruptions(name: str, by_channel: Mapping[str, Sequence[Spoken]]) -> int:
    """Utterances that begin within one of another channel and go on beyond its end."""
    ends: list[tuple[float, float]] = sorted(
        (one.start_s, one.end_s)
        for other, own in by_channel.items()
        if other != name
        for one in own
    )
    count = 0
    open_ends: list[float] = []
    waiting = iter([*ends, (math.inf, math.inf)])
    start, end = next(waiting)
    for one in by_channel[name]:
        while start < one.start_s:
            open_ends.append(end)
            start, end = next(waiting)
        open_ends = [other for other in open_ends if other > one.start_s]
        count += any(other < one.end_s for other in open_ends)
    return count


def _longest_monologues(utterances: Sequence[Spoken]) -> dict[str, float]:
    """By channel, the longest run of utterances with short pauses in which no other begins one."""
    longest: dict[str, float] = {}
    channel, start, end = "", 0.0, -math.inf
    for one in utterances:
        if one.channel != channel or one.start_s - end > MAX_PAUSE_S:
            channel, start, end = one.channel, one.start_s, one.end_s
        end = max(end, one.end_s)
        longest[channel] = max(longest.get(channel, 0.0), end - start)
    return longest


def _mood_of_quarter(utterances: Sequence[Spoken]) -> float | None:
    """The mean mood of the first quarter of the speech whose mood is known, by weight and time."""
    known = [one for one in utterances if one.mood is not None and one.weight > 0]
    left_s = sum(one.end_s - one.start_s for one in known) / 4
    total = weight = 0.0
    for one in known:
        taken_s = min(left_s, one.end_s - one.start_s)
        total += taken_s * one.weight * (one.mood or 0.0)
        weight += taken_s * one.weight
        left_s -= taken_s
    return total / weight if weight else None
