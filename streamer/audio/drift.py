"""How far a device's sample clock has drifted from the machine's clock: seconds in a day."""

import math
import time
from bisect import bisect_right
from typing import NamedTuple

from streamer.types import SAMPLE_RATE

WINDOW_S = 10.0
"""Over so much sound the least delayed block is looked for: the others say nothing about clocks."""

MAX_SLEW = 0.01
"""The correction changes by no more than this a second, so that time never runs backwards."""

MAX_KNOTS = 10_000
"""Windows that are remembered: a day. Rows of what was heard before have long been written."""


def uptime() -> float:
    """Seconds that also pass while the machine sleeps: in Linux, monotonic ones do not."""
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
    """Seconds to be added to a time by the sample clock to get one by the machine's clock.

    Of each window the least delayed block says where the sample clock stands; the correction moves
    there during the next window. What it is at some time of the stream is settled before that has
    come, so that all who ask get the same answer.

    A window that is not at real-time pace, compared with the one before, changes nothing: a pipe
    may be faster, and behind a hole the time is an estimate.

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
