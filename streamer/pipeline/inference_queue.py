"""The queue to the inference worker, and what it gives up when the worker is late."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeAlias, TypeVar

from streamer.events import CallStarted
from streamer.types import Excerpt, PossibleEnd, Segment

MAX_SEGMENTS = 64
"""Maximum number of utterances that wait, of up to 12 s each (25 MB). Beyond that, the oldest is
logged without a prediction."""


Channel = TypeVar("Channel")
"""Identifies a channel: its name, or the worker's state of it."""


@dataclass(frozen=True, slots=True)
class VoiceReset:
    """Somebody else speaks on the channel from here on.

    Attributes:
        call: Running number of the call that goes on or begins here.
    """

    call: int


Piece: TypeAlias = Segment | Excerpt | PossibleEnd | VoiceReset | CallStarted


@dataclass(frozen=True, slots=True, eq=False)
class Task(Generic[Channel]):
    """A piece of speech for the worker.

    Attributes:
        channel: Where it comes from.
        piece: What is to be classified; or a change that applies to what follows.
        classify: False where the worker is late: the utterance gets a row without a prediction.
    """

    channel: Channel
    piece: Piece
    classify: bool = True


class InferenceQueue(Generic[Channel]):
    """The worker's queue, filled by segmenter threads.

    Utterances come first, then utterances that may end, then excerpts for partial results. An
    excerpt or a possible end replaces an older one of its channel, at the same place in the queue,
    and is dropped when its utterance has ended.
    The reset of a voice and the beginning of a call keep their place among the utterances.
    Utterances are never dropped: when more than `MAX_SEGMENTS` wait because the worker is late,
    the oldest is handed out with ``classify=False``, and gets a row without a prediction.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._ordered: deque[Task[Channel]] = deque()  # utterances, resets and beginnings of calls
        self._excerpts: dict[Channel, Task[Channel]] = {}
        self._possible_ends: dict[Channel, Task[Channel]] = {}
        self._current: Task[Channel] | None = None  # the worker's, until it is done
        self._closed = False
        self.dropped_partials = 0
        """Excerpts that a newer one replaced before they were classified."""

    def __len__(self) -> int:
        """How many utterances wait."""
        with self._changed:
            return sum(isinstance(task.piece, Segment) for task in self._ordered)

    def put(self, channel: Channel, piece: Piece) -> None:
        """Add a piece. On a segmenter thread; never waits for the worker."""
        with self._changed:
            if isinstance(piece, Excerpt):
                self.dropped_partials += channel in self._excerpts
                self._excerpts[channel] = Task(channel, piece)  # where an older one stood in line
                self._possible_ends.pop(channel, None)  # somebody speaks on
            elif isinstance(piece, PossibleEnd):
                self._possible_ends[channel] = Task(channel, piece)
            else:
                if isinstance(piece, Segment):
                    self._excerpts.pop(channel, None)
                    self._possible_ends.pop(channel, None)
                self._ordered.append(Task(channel, piece))
            self._changed.notify_all()

    def wait_for_room(self, timeout: float) -> bool:
        """Wait until there is room for an utterance; False when the time is up.

        On a segmenter thread, for sources that can wait: a recording, a pipe.
        """
        with self._changed:
            return self._changed.wait_for(lambda: len(self._ordered) < MAX_SEGMENTS, timeout)

    def close(self) -> None:
        """Mark the end: nothing more will come. On a segmenter thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def get(self) -> Task[Channel] | None:
        """The next task; waits for one. None once it is closed and empty. On the worker."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._ordered or self._possible_ends or self._excerpts or self._closed
            )
            self._changed.notify_all()
            self._current = self._next()
            return self._current

    def finish(self, task: Task[Channel], deliver: Callable[[], None]) -> None:
        """Deliver the result of a task, unless that was abandoned meanwhile. On the worker.

        Args:
            task: The one that `get` returned last.
            deliver: Called under the queue's lock: it must not wait.
        """
        with self._changed:
            wanted, self._current = self._current is task, None
            if wanted:
                deliver()

    def abandon(self) -> list[Task[Channel]]:
        """Close the queue and take out all but excerpts, what is being classified first.

        On the main thread, when a stop can wait no longer or the worker failed: each utterance
        still gets a row.
        """
        with self._changed:
            current = [] if self._current is None else [self._current]
            left = [*current, *self._ordered]
            self._current = None
            self._ordered.clear()
            self._excerpts.clear()
            self._possible_ends.clear()
            self._closed = True
            self._changed.notify_all()
        return [
            replace(task, classify=False)
            for task in left
            if not isinstance(task.piece, Excerpt | PossibleEnd)
        ]

    def _next(self) -> Task[Channel] | None:
        if self._ordered:
            utterances = sum(isinstance(task.piece, Segment) for task in self._ordered)
            crowded = utterances > MAX_SEGMENTS  # a call that begins costs nobody a prediction
            task = self._ordered.popleft()
            return replace(task, classify=False) if crowded else task
        for waiting in (self._possible_ends, self._excerpts):
            if waiting:
                return waiting.pop(next(iter(waiting)))
        return None
