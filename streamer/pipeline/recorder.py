"""The recorder applies alert rules, writes rows to disk, then reports the events.

It has two threads, so that a disk that hangs delays no alert for long: the recorder thread applies
the rules, the log thread writes. Events are shown in order once their rows are on disk; an alert
whose row has waited for `MAX_ALERT_WAIT_S` is shown earlier, and says that it is not on disk yet.
"""

import queue
import threading
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from streamer.analysis.alerts import AlertEngine
from streamer.config import Config
from streamer.events import (
    Alert,
    CallStarted,
    Counters,
    Event,
    ModelLoaded,
    SourceOpened,
    ThreadFailed,
)
from streamer.pipeline.event_queue import EventQueue
from streamer.sinks.audio_files import AudioSink
from streamer.sinks.base import FanOut, Sink
from streamer.sinks.row import Session, new_session_id
from streamer.sinks.summary import Summary
from streamer.types import Mark, Segment, Utterance

MAX_WAITING = 10_000
"""Utterances and marks that may wait for the disk: 10 MB, and hours of a busy desk."""

MAX_ALERT_WAIT_S = 2.0
"""Seconds that an alert waits until its row is on disk; then it is shown without."""

POLL_S = 0.1
"""Seconds between two attempts of the sinks to write what could not be written."""

Row: TypeAlias = Utterance | Mark
Input: TypeAlias = Row | CallStarted | ModelLoaded | SourceOpened | Counters | None
"""What a stream has for the recorder; None when no more results come."""


class RecordedStream:
    """Takes the results of one stream for the recorder.

    Rows go to the recorder, and to ``events`` when they are durable. All other events go to
    ``events`` at once: a slow disk holds up no level meter.

    Args:
        recorder: The thread that writes; shared by all streams.
        events: Where all events come out.
        config: For the channels, their mood and the alerts.
        audio: Keeps the sound of each utterance; None for none.
    """

    def __init__(
        self,
        recorder: "Recorder",
        events: EventQueue,
        config: Config,
        *,
        audio: AudioSink | None = None,
    ) -> None:
        self._recorder = recorder
        self._events = events
        self._audio = audio
        self._id = new_session_id()
        self._model: ModelLoaded | None = None  # the recorder thread's, as all that follow
        self._alert_engine = AlertEngine(config)
        self._call_starts: list[int] = []  # positions, of all calls but the first
        self.summary = Summary(config.audio.streams)
        """Statistics of the stream so far; complete when the recorder has stopped."""
        self.session: Session | None = None
        """Set before the first row comes out of ``events``."""

    # --- any thread -----------------------------------------------------------------------------

    def put(self, event: Event) -> None:
        """Take an event; never waits."""
        match event:
            case Utterance() | Mark() | CallStarted():
                self._recorder.put(self, event)
            case ModelLoaded() | SourceOpened() | Counters():
                self._recorder.put(self, event)
                self._events.put(event)
            case _:
                self._events.put(event)

    def keep(self, channel: str, segment: Segment) -> None:
        """Take the sound of an utterance whose row follows; never waits."""
        if self._audio is not None:
            self._audio.keep(self._id, channel, segment)

    def close(self) -> None:
        """Say that no more results come: ``events`` ends when those before are recorded."""
        self._recorder.put(self, None)

    # --- recorder thread ------------------------------------------------------------------------

    def apply(self, event: Input) -> list[Event]:
        """Apply mood and rules to an event; return the events to show once its row is on disk."""
        match event:
            case ModelLoaded():
                self._model = event
            case SourceOpened():
                self._open(event)
            case Counters():
                self.summary.add(event)
            case CallStarted():
                self._call_starts.append(event.position)
                self._alert_engine.begin_call(event.number)
                self.summary.add(event)
                return [event]
            case Utterance() | Mark() if self.session is not None:
                found: list[Event] = []
                if isinstance(event, Utterance):
                    found += self._alert_engine.add(event)
                else:  # a note may have been begun in the call before
                    call = 1 + bisect_right(self._call_starts, event.position)
                    found.append(replace(event, call=call))
                for each in found:
                    self.summary.add(each)
                return found
        return []

    def _open(self, opened: SourceOpened) -> None:
        if self._model is None:  # the worker loads it before anything is opened
            raise RuntimeError("the source was opened before the model was loaded")
        self.session = Session(
            id=self._id,
            source=opened.info.name,
            model=self._model.name,
            labels=self._model.labels,
            epoch=opened.epoch,
            drift=opened.drift,
        )

    # --- log thread; `show` on the recorder thread, too, never at the same time -----------------

    def write(self, step: "_Step", logs: Sink, others: Sink) -> None:
        """Write the events of a step to the logs; a session begins in all sinks."""
        if self.session is None:
            return
        if isinstance(step.input, SourceOpened):
            for sink in (logs, others):
                sink.begin(self.session)
        for each in step.events:
            logs.write(each, self.session)

    def show(self, events: Sequence[Event], others: Sink) -> None:
        """Show events: pass them to the other sinks and to the queue of events."""
        for event in events:
            if self.session is not None:
                others.write(event, self.session)
            self._events.put(event)

    def end(self) -> None:
        """End the queue of events: everything was shown."""
        self._events.close()


@dataclass(slots=True, eq=False)
class _Step:
    """An event of a stream, and the events that follow from it.

    Attributes:
        stream: The stream.
        input: The event.
        events: The events that follow, in order.
        since: When it was added, in monotonic seconds.
        warned: True once its alerts were shown, before it was on disk.
        shown: True once all of it was shown.
    """

    stream: RecordedStream
    input: Input
    events: list[Event]
    since: float = field(default_factory=time.monotonic)
    warned: bool = False
    shown: bool = False

    @property
    def rows(self) -> list[Row]:
        """The events of this step that are rows of the CSV."""
        return [event for event in self.events if isinstance(event, Utterance | Mark)]


class Recorder:
    """Writes the results of all streams, in order, on threads of its own.

    Everything that waits is written to the logs with one flush, and shown only after that. At most
    `MAX_WAITING` results wait for a disk that is slow; beyond that they are lost, which is counted
    and reported.

    Args:
        logs: The sinks that make results durable.
        others: Sinks that get results when they are durable.
        failed: Called with an exception on one of the threads, which continues.
    """

    def __init__(
        self,
        logs: Sequence[Sink],
        others: Sequence[Sink],
        failed: Callable[[ThreadFailed], None],
    ) -> None:
        self._logs = FanOut(logs)
        self._others = FanOut(others)
        self._sinks = FanOut((self._logs, self._others))
        self._failed = failed
        self._changed = threading.Condition()
        self._inputs: deque[tuple[RecordedStream, Input]] = deque()
        self._steps: deque[_Step] = deque()  # for the log thread
        self._writing: list[_Step] = []  # what the log thread has begun
        self._stopping = False
        self._applied_all = False  # nothing is added to the steps any more
        self._showing = threading.Lock()
        self._next_look = 0.0  # monotonic: for alerts that wait; the recorder thread's
        self._busy_since: float | None = None  # monotonic: since when the log thread is at it
        self._warnings: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.lost = 0
        """Results that were dropped, because too many waited for the disk."""
        self._threads = [
            threading.Thread(target=run, name=name, daemon=True)
            for name, run in (("recorder", self._run), ("log", self._run_log))
        ]

    def start(self) -> None:
        """Start the threads and return."""
        for thread in self._threads:
            thread.start()

    def put(self, stream: RecordedStream, event: Input) -> None:
        """Take an event of a stream; never waits. On any thread."""
        with self._changed:
            if isinstance(event, Utterance | Mark) and self.waiting >= MAX_WAITING:
                if not self.lost:
                    self._warnings.put(
                        f"{MAX_WAITING} rows wait for the disk already: rows are lost from now on"
                    )
                self.lost += 1
                return
            self._inputs.append((stream, event))
            self._changed.notify_all()

    @property
    def stalled_s(self) -> float:
        """For how long the disk has not answered; 0 while nothing is being written."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    @property
    def waiting(self) -> int:
        """How many results wait."""
        return len(self._inputs) + len(self._steps)

    def drain_warnings(self) -> list[str]:
        """What went wrong since the last call, a line each. On any thread."""
        ours = [self._warnings.get_nowait() for _ in range(self._warnings.qsize())]
        return [*ours, *self._sinks.drain_warnings()]

    def stop(self, timeout_s: float) -> list[tuple[RecordedStream, Row]] | None:
        """Write what waits, close the sinks and end the threads.

        Returns:
            None where all was written in time. Otherwise the disk does not answer, and these are
            the results that were not passed to the sinks; what was may or may not be on disk.
        """
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        ends_at = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, ends_at - time.monotonic()))
        if not self._threads[-1].is_alive():
            return None
        with self._changed:
            left = list(self._steps)
            self._steps.clear()
        return [(step.stream, row) for step in left for row in step.rows]

    # --- recorder thread ------------------------------------------------------------------------

    def _run(self) -> None:
        while not (self._stopping and not self._inputs):
            with self._changed:
                self._changed.wait_for(lambda: self._inputs or self._stopping, POLL_S)
                item = self._inputs[0] if self._inputs else None
            if item is not None:
                self._apply(*item)
            self._show_alerts_that_wait()
        with self._changed:
            self._applied_all = True
            self._changed.notify_all()

    def _apply(self, stream: RecordedStream, event: Input) -> None:
        events: list[Event] = [event] if isinstance(event, Utterance | Mark) else []
        try:
            events = stream.apply(event)
        except Exception as error:  # noqa: BLE001 - reported; the row is written all the same
            self._failed(ThreadFailed("recorder", error))
        with self._changed:
            self._inputs.popleft()
            self._steps.append(_Step(stream, event, events))
            self._changed.notify_all()

    def _show_alerts_that_wait(self) -> None:
        """Show alerts whose rows have waited for the disk for long enough."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + POLL_S
        with self._changed:
            steps = [*self._writing, *self._steps]
        for step in steps:
            if now - step.since < MAX_ALERT_WAIT_S:
                return  # those after it came later
            with self._showing:
                if not step.shown and not step.warned:
                    step.warned = True
                    alerts = [event for event in step.events if isinstance(event, Alert)]
                    early = [replace(alert, on_disk=False) for alert in alerts]
                    step.stream.show(early, self._others)

    # --- log thread -----------------------------------------------------------------------------

    def _run_log(self) -> None:
        while not (self._applied_all and not self._steps):
            with self._changed:
                self._changed.wait_for(lambda: self._steps or self._applied_all, POLL_S)
            self._guarded(self._write if self._steps else self._sinks.poll)
        self._guarded(self._sinks.close)

    def _guarded(self, step: Callable[[], None]) -> None:
        self._busy_since = time.monotonic()
        try:
            step()
        except Exception as error:  # noqa: BLE001 - reported; rows that follow are written all the same
            self._failed(ThreadFailed("log", error))
        finally:
            self._busy_since = None

    def _write(self) -> None:
        """Write what waits to the logs, flush them, then show it."""
        try:
            while (step := self._next_step()) is not None:
                self._writing.append(step)
                try:
                    step.stream.write(step, self._logs, self._others)
                finally:
                    self._forget(step)
                if step.input is None:
                    break  # what was written is seen before the stream ends
        finally:
            try:
                self._logs.flush()
                for step in self._writing:
                    self._show(step)
            finally:
                self._writing = []

    def _show(self, step: _Step) -> None:
        """Show what is on disk now, without alerts that were shown before."""
        with self._showing:
            step.shown = True
            seen = Alert if step.warned else ()
            events = [event for event in step.events if not isinstance(event, seen)]
            step.stream.show(events, self._others)
            if step.input is None:
                step.stream.end()

    def _next_step(self) -> _Step | None:
        with self._changed:
            return self._steps[0] if self._steps else None

    def _forget(self, step: _Step) -> None:
        """Remove what the sinks have from what waits; `stop` may have given it up meanwhile."""
        with self._changed:
            if self._steps and self._steps[0] is step:
                self._steps.popleft()
