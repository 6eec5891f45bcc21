"""This is a source of PCM that the caller feeds piece by piece."""

import threading
import time
from collections import deque

from streamer.audio.pcm import check_format
from streamer.audio.sources import POLL_S, empty_block
from streamer.errors import InputError
from streamer.types import Block, Pcm, SourceInfo

MAX_WAITING_S = 10.0
"""Seconds of PCM in the queue, above which `FedSource.feed` waits."""


class FedSource:
    """A queue of PCM between the thread that feeds it and the capture thread.

    It is bounded: a caller who feeds faster than the analysis waits, and nothing is lost.

    Args:
        sample_rate: In Hz.
        channels: How many channels each piece has.
        block_s: How much is delivered at once, in seconds.
        name: What it is called in events and errors.

    Raises:
        InputError: The rate or the number of channels is not possible.
    """

    def __init__(
        self, *, sample_rate: int, channels: int, block_s: float, name: str = "fed PCM"
    ) -> None:
        self._info = check_format(SourceInfo(name, sample_rate, channels, live=False))
        self._block = max(1, round(block_s * sample_rate))
        self._changed = threading.Condition()
        self._waiting: deque[Pcm] = deque()
        self._samples = 0  # in `_waiting`
        self._finished = False  # by whoever feeds
        self._closed = False  # by the capture thread, which takes nothing more

    def feed(self, pcm: Pcm) -> None:
        """Take a piece, shape (samples, channels); wait while `MAX_WAITING_S` wait already.

        Raises:
            InputError: The stream was finished, or has ended.
        """
        limit = MAX_WAITING_S * self._info.sample_rate
        with self._changed:
            self._changed.wait_for(lambda: self._samples < limit or self._finished or self._closed)
            if self._finished or self._closed:
                raise InputError(f"{self._info.name}: got PCM after the end of the stream")
            self._waiting.append(pcm)
            self._samples += len(pcm)
            self._changed.notify_all()

    def finish(self) -> None:
        """Say that no more PCM comes; what waits is still delivered."""
        with self._changed:
            self._finished = True
            self._changed.notify_all()

    def open(self) -> SourceInfo:
        """Nothing to open."""
        return self._info

    def read(self) -> Block | None:
        """Take at most one block; an empty one where nothing came within `POLL_S`."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._finished, POLL_S)
            if not self._waiting:
                return None if self._finished else empty_block(self._info.channels)
            piece = self._waiting.popleft()
            if len(piece) > self._block:
                self._waiting.appendleft(piece[self._block :])
                piece = piece[: self._block]
            self._samples -= len(piece)
            self._changed.notify_all()
        return Block(piece, time.monotonic())

    def close(self) -> None:
        """Take nothing more; a waiting `feed` raises."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
