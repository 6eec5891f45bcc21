"""Calls: where one ends and the next begins, by request or after a long silence."""

import math

from streamer.events import CallStarted
from streamer.types import SAMPLE_RATE


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
        """Take in that an utterance begins.

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
        """Take in that an utterance ends; ``end`` is where its speech does, in samples."""
        self._speaking.discard(channel)
        self._silent_from = max(end, self._silent_from or 0)

    def begin(self, position: int) -> CallStarted:
        """Begin the next call at a position, in samples."""
        self.number += 1
        self._silent_from = None
        return CallStarted(self.number, position)
