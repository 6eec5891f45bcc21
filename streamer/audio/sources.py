"""Audio sources deliver blocks of int16 PCM: this is their protocol, and the one of recordings."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np

from streamer.audio.recording import Recording
from streamer.text import one_line
from streamer.types import Block, SourceInfo

POLL_S = 0.1
"""Seconds after which a read returns without samples, so that threads notice a stop."""

MIN_SILENT_S = 1.0
MIN_SILENT_BLOCKS = 10
"""A device is lost when it delivers nothing for the longer of these two times."""


class Source(Protocol):
    """A source of sound. It is opened, read and closed on the capture thread."""

    def open(self) -> SourceInfo | None:
        """Start delivering; may be called again after `close`, for the same device.

        Returns:
            What it is; None where that is not known yet: call it again.

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
    """Plays a recording at real-time pace, through the same pipeline as a microphone."""

    def __init__(self, path: Path, *, block_s: float, name: str | None = None) -> None:
        self._path = path
        self._block_s = block_s
        self._name = name or one_line(str(path))

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
        warnings = tuple(self._recording.drain_warnings())
        if pcm is None:
            nothing = empty_block(self._recording.info.channels)
            return replace(nothing, warnings=warnings) if warnings else None
        self._delivered += len(pcm)
        due = self._started + self._delivered / self._recording.info.sample_rate
        time.sleep(max(0.0, due - time.monotonic()))
        return Block(pcm, due, warnings=warnings)

    def close(self) -> None:
        """Close the recording."""
        if hasattr(self, "_recording"):
            self._recording.close()
