"""What a source of audio is; a recording and a pipe as sources. All deliver blocks of int16 PCM."""

import os
import select
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from streamer.audio.pcm import check_format
from streamer.audio.recording import Recording
from streamer.types import Block, SourceInfo

POLL_S = 0.1
"""How long a read waits before it comes back with nothing: every thread looks up this often."""

MIN_SILENT_S = 1.0
MIN_SILENT_BLOCKS = 10
"""A device that delivers nothing for the longer of these two is lost."""


class Source(Protocol):
    """Something that can be listened to. Opened, read and closed on the capture thread."""

    def open(self) -> SourceInfo:
        """Start delivering; may be called again after `close`, for the same device.

        Raises:
            InputError: It cannot be opened; the message says why and names the cure.
        """

    def read(self) -> Block | None:
        """The next block; an empty one where nothing came within `POLL_S`; None at the end.

        Raises:
            DeviceLostError: A device stopped delivering.
            InputError: A recording cannot be read on.
        """

    def close(self) -> None:
        """Stop delivering. Never raises, never waits long."""


def empty_block(channels: int) -> Block:
    """A block without samples: nothing came in time."""
    return Block(np.zeros((0, channels), dtype=np.int16), time.monotonic())


class FileSource:
    """A recording played at real-time pace, through the very same pipeline as a microphone."""

    def __init__(self, path: Path, *, block_s: float, name: str | None = None) -> None:
        self._path = path
        self._block_s = block_s
        self._name = name or str(path)

    def open(self) -> SourceInfo:
        """Open the recording and start its clock."""
        self._recording = Recording(self._path)
        self._blocks = self._recording.blocks(self._block_s)
        self._started = time.monotonic()
        self._delivered = 0
        return replace(self._recording.info, name=self._name)

    def read(self) -> Block | None:
        """The next block, once the time for it has come."""
        pcm = next(self._blocks, None)
        if pcm is None:
            return None
        self._delivered += len(pcm)
        due = self._started + self._delivered / self._recording.info.sample_rate
        time.sleep(max(0.0, due - time.monotonic()))
        return Block(pcm, due)

    def close(self) -> None:
        """Close the recording."""
        if hasattr(self, "_recording"):
            self._recording.close()


class PipeSource:
    """Raw signed 16-bit little-endian PCM, channels interleaved, from a pipe.

    Raises:
        InputError: Nobody can have recorded such a rate or so many channels.
    """

    def __init__(self, pipe: BinaryIO, *, sample_rate: int, channels: int, block_s: float) -> None:
        self._pipe = pipe
        self._info = check_format(SourceInfo("standard input", sample_rate, channels, live=False))
        self._block_bytes = round(block_s * sample_rate) * channels * 2
        self._rest = b""  # of a sample that the last read cut

    def open(self) -> SourceInfo:
        """Nothing to open: the pipe is there."""
        return self._info

    def read(self) -> Block | None:
        """What the pipe holds now, at most one block."""
        if sys.platform != "win32" and not select.select([self._pipe], [], [], POLL_S)[0]:
            return empty_block(self._info.channels)
        data = os.read(self._pipe.fileno(), self._block_bytes)
        if not data:
            return None
        data = self._rest + data
        whole = len(data) - len(data) % (2 * self._info.channels)
        self._rest = data[whole:]
        pcm = np.frombuffer(data[:whole], dtype="<i2").astype(np.int16)
        return Block(pcm.reshape(-1, self._info.channels), time.monotonic())

    def close(self) -> None:
        """Leave the pipe to whoever opened it."""
