"""What waits for the inference worker: every utterance, and the newest window of each channel."""

import threading
from collections import deque
from dataclasses import dataclass

from streamer.types import Segment, Window

MAX_SEGMENTS = 64
"""Whole utterances that may wait, 12 s each: 25 MB at most."""


@dataclass(frozen=True, slots=True)
class Job:
    """A piece of speech for the worker.

    Attributes:
        channel: The channel's name.
        piece: What is to be judged.
        judged: False where too much waits: its row is owed, its prediction no more.
    """

    channel: str
    piece: Segment | Window
    judged: bool = True


class Backlog:
    """The worker's queue, filled by the segmenter thread.

    Utterances go before windows. A window takes the place of an older one of its channel, also in
    the line of the channels, and goes when its utterance has ended. Utterances are never dropped:
    when more than `MAX_SEGMENTS` wait, the oldest is handed out to be written down without a
    prediction.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._segments: deque[Job] = deque()
        self._windows: dict[str, Job] = {}
        self._closed = False
        self.late_windows = 0
        """Windows that a newer one replaced before they were judged."""

    def __len__(self) -> int:
        """How many utterances wait."""
        return len(self._segments)

    def put(self, channel: str, piece: Segment | Window) -> None:
        """Add a piece. On the segmenter thread; never waits for the worker."""
        with self._changed:
            if isinstance(piece, Segment):
                self._windows.pop(channel, None)
                self._segments.append(Job(channel, piece))
            else:
                self.late_windows += channel in self._windows
                self._windows[channel] = Job(channel, piece)  # where an older one stood in line
            self._changed.notify_all()

    def wait_for_room(self, timeout: float) -> bool:
        """Wait until an utterance more may wait; False when the time is up.

        On the segmenter thread, for sources that can wait: a recording, a pipe.
        """
        with self._changed:
            return self._changed.wait_for(lambda: len(self._segments) < MAX_SEGMENTS, timeout)

    def close(self) -> None:
        """Say that nothing more will come. On the segmenter thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def get(self) -> Job | None:
        """The next piece; waits for one. None once it is closed and empty. On the worker."""
        with self._changed:
            self._changed.wait_for(lambda: self._segments or self._windows or self._closed)
            self._changed.notify_all()
            if self._segments:
                crowded = len(self._segments) > MAX_SEGMENTS
                job = self._segments.popleft()
                return Job(job.channel, job.piece, judged=False) if crowded else job
            if self._windows:
                return self._windows.pop(next(iter(self._windows)))
            return None
