"""Infers from the clock how much sound a device has lost."""

from streamer.audio.sources import MIN_SILENT_S, POLL_S

PACED_BLOCKS = 3
"""Sound missing after a pause counts as lost once this many blocks came at their usual pace."""


class LossEstimator:
    """Infers how many samples were lost, since PortAudio does not say it.

    Samples that do not come in time are owed. They may still come, all at once: a sound server
    keeps them while this process is stopped. They count as lost once `PACED_BLOCKS` blocks have
    come at their usual pace. Only used on PortAudio's thread.
    """

    def __init__(self) -> None:
        self._last_up = 0.0  # when a block last came, by the clock that does not stop; 0: never
        self._owed = 0  # samples
        self._paced = 0  # how many blocks have come at their usual pace since

    def missing(self, samples: int, rate: int, up: float) -> int:
        """How many samples fewer have come than time has gone by; below 0 where they are more.

        Args:
            samples: How many have come now.
            rate: In Hz.
            up: Now, in seconds, by a clock that goes on while the machine sleeps.
        """
        missing = round((up - self._last_up) * rate) - samples if self._last_up else 0
        self._last_up = up
        return missing

    def after_loss(self, missing: int) -> int:
        """How many samples are lost, at least one, with the first block of a reopened device."""
        lost, self._owed = max(1, self._owed + missing), 0
        return lost

    def lost(self, missing: int, samples: int, rate: int, *, overrun: bool) -> int:
        """How many samples are known to be lost, now that a block has come.

        Args:
            missing: From `missing`.
            samples: Length of the block.
            rate: In Hz.
            overrun: PortAudio says that something was lost, but not how much.
        """
        if overrun and not self._owed and missing <= MIN_SILENT_S * rate:
            return max(1, missing)
        if missing > MIN_SILENT_S * rate:
            self._owed, self._paced = self._owed + missing, 0
        elif self._owed:
            self._owed += missing
            self._paced = 0 if missing < -samples // 2 else self._paced + 1
            if self._paced == PACED_BLOCKS:
                lost, self._owed = self._owed, 0
                return lost if lost > POLL_S * rate else 0
        return 0
