"""Corrects times for the drift between a device's sample clock and the clock of the machine."""

import math
import time
from bisect import bisect_right
from typing import NamedTuple

from streamer.types import SAMPLE_RATE

WINDOW_S = 10.0
"""Length of a window, in seconds: its least delayed block shows the drift."""

MAX_SLEW = 0.01
"""Largest change by the correction, in seconds a second, so that time never runs backwards."""

MAX_KNOTS = 10_000
"""Windows that are kept: a day of them. Rows of earlier utterances have long been written."""


def uptime() -> float:
    """Seconds of a clock that also runs during sleep, unlike Linux's monotonic clock."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


class _Knot(NamedTuple):
    """For a window from ``at_s`` on, the correction is ``value_s`` and changes by ``slope``."""

    at_s: float
    value_s: float
    slope: float

    def value_at(self, seconds: float) -> float:
        return self.value_s + self.slope * min(max(0.0, seconds - self.at_s), WINDOW_S)


class DriftCorrection:
    """Gives the seconds between the sample clock and the machine's clock, to be added to a time.

    The least delayed block of each window shows the offset of the sample clock, to which the
    correction moves during the next window. So the correction at a time of the stream is known
    before that time comes, and every caller gets the same one.

    A window that did not come at real-time pace after the one before changes nothing: a pipe may be
    faster, and after missing samples the time is an estimate.

    Args:
        started: By the machine's clock, `uptime`: when sample 0 was.
    """

    def __init__(self, started: float) -> None:
        self._started = started
        self._least = math.inf
        self._before: float | None = None  # the least of the window before
        self._ends_s = WINDOW_S
        self._knots = [_Knot(0.0, 0.0, 0.0)]

    def observe(self, position: int, at: float) -> None:
        """Take in when a block was there. On the capture thread.

        Args:
            position: Where it ends, in samples.
            at: When it was there to be read, as `uptime` says.
        """
        seconds = position / SAMPLE_RATE
        self._least = min(self._least, at - self._started - seconds)
        if seconds >= self._ends_s:
            self._end_window(seconds)

    def __call__(self, seconds: float) -> float:
        """The correction at a time of the stream. On any thread."""
        knots = self._knots
        return knots[max(0, bisect_right(knots, seconds, key=_at) - 1)].value_at(seconds)

    def _end_window(self, seconds: float) -> None:
        target, before = self._least, self._before
        value = self._knots[-1].value_at(seconds)
        slope = 0.0
        if before is not None and abs(target - before) <= MAX_SLEW * WINDOW_S:
            slope = max(-MAX_SLEW, min(MAX_SLEW, (target - value) / WINDOW_S))
        if len(self._knots) >= 2 * MAX_KNOTS:
            self._knots = self._knots[-MAX_KNOTS:]  # whoever reads has the old list
        self._knots.append(_Knot(seconds, value, slope))
        self._least, self._before = math.inf, target
        self._ends_s = seconds + WINDOW_S


def _at(knot: _Knot) -> float:
    return knot.at_s
