"""The bounded event queue to the main thread drops superseded events first."""

import queue
import threading
from collections import deque

from streamer.events import Counters, Event, LevelMeasured, PartialResult

MAX_EVENTS = 1000
"""How many events may wait; the main thread takes hundreds a second."""

SUPERSEDED = (LevelMeasured, PartialResult, Counters)
"""Kinds of events of which a newer one of the same channel replaces an older one."""


class EventQueue:
    """A queue of events from any number of threads to one.

    It holds `MAX_EVENTS`. When it is full, of the events that a newer one supersedes only the
    newest of each kind and channel stays; where that makes no room, the oldest event goes, and is
    counted in ``dropped``. No caller of `put` ever waits.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._events: deque[Event] = deque()
        self._closed = False
        self.dropped = 0
        """How many events were dropped without being superseded."""

    def put(self, event: Event) -> None:
        """Add an event; nothing happens once the queue is closed. On any thread."""
        with self._changed:
            if self._closed:
                return
            if len(self._events) >= MAX_EVENTS:
                self._make_room()
            self._events.append(event)
            self._changed.notify()

    def get(self, timeout: float | None = None) -> Event | None:
        """Take the next event; None once the queue is closed and empty.

        Args:
            timeout: How long to wait for one, in seconds; None for ever.

        Raises:
            queue.Empty: None came in time.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._events or self._closed, timeout):
                raise queue.Empty
            return self._events.popleft() if self._events else None

    def close(self) -> None:
        """Say that nothing more comes; what waits can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def qsize(self) -> int:
        """How many events wait."""
        return len(self._events)

    def _make_room(self) -> None:
        newest: set[tuple[type, str]] = set()
        kept: deque[Event] = deque()
        for event in reversed(self._events):
            if isinstance(event, SUPERSEDED):
                kind = (type(event), getattr(event, "channel", ""))
                if kind in newest:
                    continue
                newest.add(kind)
            kept.appendleft(event)
        while len(kept) >= MAX_EVENTS:
            kept.popleft()
            self.dropped += 1
        self._events = kept
