"""The ring buffer carries samples from the capture thread, which never waits, to the segmenter."""

import threading
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamer.types import Pcm


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """What one read takes out of the ring.

    Attributes:
        start: Stream position of the first sample, holes counted in.
        pcm: Shape (samples, channels), a copy.
        crosstalk: True where a sample is another channel's sound, shape (samples, channels).
        lost: Samples missing just before ``start``: a hole in the stream, or overwritten here.
    """

    start: int
    pcm: Pcm
    crosstalk: NDArray[np.bool_]
    lost: int


@dataclass(frozen=True, slots=True)
class _Hole:
    at: int  # in stored samples: the hole lies just before this one
    lost: int


class RingBuffer:
    """A preallocated ring of samples and their crosstalk mask, for one writer and one reader.

    A writer that is faster than the reader overwrites the oldest samples; the reader learns how
    many are gone. Both sides only ever hold the lock for a copy of a few kilobytes.

    Args:
        capacity: In samples per channel.
        channels: Samples per instant.
    """

    def __init__(self, capacity: int, channels: int) -> None:
        self._samples = np.zeros((capacity, channels), dtype=np.int16)
        self._crosstalk = np.zeros((capacity, channels), dtype=np.bool_)
        self._changed = threading.Condition()
        self._holes: deque[_Hole] = deque()
        self._written = 0  # stored samples, ever
        self._holes_written = 0  # samples in holes, ever
        self._read = 0
        self._skipped = 0  # samples in holes that the reader has passed
        self._closed = False
        self.overruns = 0
        """How often samples were overwritten before they were read."""

    @property
    def capacity(self) -> int:
        """How many samples per channel fit."""
        return len(self._samples)

    @property
    def ended(self) -> bool:
        """True once the writer has closed the ring and everything in it was read."""
        with self._changed:
            return self._closed and self._read == self._written

    @property
    def position(self) -> int:
        """Stream position one past the last sample written. On the capture thread."""
        return self._written + self._holes_written

    def write(self, pcm: Pcm, crosstalk: NDArray[np.bool_] | None = None, *, lost: int = 0) -> None:
        """Append samples. On the capture thread. Never waits for the reader.

        Args:
            pcm: Shape (samples, channels).
            crosstalk: Its crosstalk mask, shape (samples, channels); None for nowhere.
            lost: Samples that are missing just before them.
        """
        marks = np.zeros(pcm.shape, np.bool_) if crosstalk is None else crosstalk
        with self._changed:
            if lost:
                self._holes.append(_Hole(self._written, lost))
                self._holes_written += lost
            for begin in range(0, len(pcm), self.capacity):
                piece = slice(begin, begin + self.capacity)
                self._store(pcm[piece], marks[piece])
            self._changed.notify_all()

    def wait_for_room(self, samples: int, timeout: float) -> bool:
        """Wait until ``samples`` fit without overwriting any; False when the time is up.

        On the capture thread, for sources that can wait: a recording, a pipe.
        """
        with self._changed:
            return self._changed.wait_for(
                lambda: self._written + samples - self._read <= self.capacity, timeout
            )

    def close(self) -> None:
        """Mark the end: nothing more will be written. On the capture thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def read(self, timeout: float) -> Chunk | None:
        """Take out all that is there, up to the next hole; None when nothing came in time.

        On the segmenter thread.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._read < self._written, timeout)
            if self._read == self._written:
                return None
            overwritten = max(0, self._written - self.capacity - self._read)
            self.overruns += overwritten > 0
            self._read += overwritten
            lost = overwritten
            while self._holes and self._holes[0].at <= self._read:
                hole = self._holes.popleft()
                self._skipped += hole.lost
                lost += hole.lost
            end = self._holes[0].at if self._holes else self._written
            which = range(self._read, end)
            pcm = self._samples.take(which, axis=0, mode="wrap")
            crosstalk = self._crosstalk.take(which, axis=0, mode="wrap")
            start = self._read + self._skipped
            self._read = end
            self._changed.notify_all()
            return Chunk(start, pcm, crosstalk, lost)

    def _store(self, pcm: Pcm, crosstalk: NDArray[np.bool_]) -> None:
        at = self._written % self.capacity
        head = min(len(pcm), self.capacity - at)
        for ring, piece in ((self._samples, pcm), (self._crosstalk, crosstalk)):
            ring[at : at + head] = piece[:head]
            ring[: len(piece) - head] = piece[head:]
        self._written += len(pcm)
