"""The recorder thread: rules, then the row on disk, then everybody else sees the utterance."""

import queue
import threading
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from streamer.analysis.alerts import AlertEngine
from streamer.config import Config
from streamer.events import CallStarted, Counters, Event, ModelLoaded, SourceOpened, ThreadFailed
from streamer.pipeline.event_queue import EventQueue
from streamer.sinks.audio_files import AudioSink
from streamer.sinks.base import FanOut, Sink
from streamer.sinks.row import Session, new_session_id
from streamer.sinks.summary import Summary
from streamer.types import Mark, Segment, Utterance

MAX_WAITING = 10_000
"""Utterances and marks that may wait for the disk: 10 MB, and hours of a busy desk."""

POLL_S = 0.1
"""How often the sinks may try again what could not be written."""

Row: TypeAlias = Utterance | Mark
Input: TypeAlias = Row | CallStarted | ModelLoaded | SourceOpened | Counters | None
"""What a stream has for the recorder; None when no more results come."""


class RecordedStream:
    """One stream whose results are recorded: what the pipeline gives them to.

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
        self._ended = False
        self._alert_engine = AlertEngine(config)
        self._call_starts: list[int] = []  # positions, of all calls but the first
        self.summary = Summary(config.audio.streams)
        """What it has come to so far; complete when the recorder has stopped."""
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

    def take(self, event: Input, logs: Sink, others: Sink) -> list[Event]:
        """Give an event to the logs; returns what may be seen when they are flushed."""
        match event:
            case None:
                self._ended = True
            case ModelLoaded():
                self._model = event
            case SourceOpened():
                self._begin(event, logs, others)
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
                    logs.write(each, self.session)
                return found
        return []

    def show(self, events: Sequence[Event], others: Sink) -> None:
        """Let everybody see what is durable."""
        for event in events:
            if self.session is not None:
                others.write(event, self.session)
            self._events.put(event)
        if self._ended:
            self._events.close()

    def _begin(self, opened: SourceOpened, logs: Sink, others: Sink) -> None:
        if self._model is None:  # the worker loads it before anything is opened
            raise RuntimeError("the source was opened before the model was loaded")
        session = Session(
            id=self._id,
            source=opened.info.name,
            model=self._model.name,
            labels=self._model.labels,
            epoch=opened.epoch,
        )
        for sink in (logs, others):
            sink.begin(session)
        self.session = session


class Recorder:
    """Writes the results of all streams, in order, on a thread of its own.

    All that waits is written to the logs with one flush; only then may others see it. At most
    `MAX_WAITING` results wait for a disk that is slow; beyond that they are lost, which is counted
    and reported.

    Args:
        logs: The sinks that make results durable.
        others: Sinks that get results when they are durable.
        failed: Told on the recorder thread of an exception; the thread goes on with what follows.
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
        self._waiting: deque[tuple[RecordedStream, Input]] = deque()
        self._stopping = False
        self._busy_since: float | None = None  # monotonic: since when it works on something
        self._warnings: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.lost = 0
        """Results that were dropped, because too many waited for the disk."""
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def start(self) -> None:
        """Start the thread and return."""
        self._thread.start()

    def put(self, stream: RecordedStream, event: Input) -> None:
        """Take an event of a stream; never waits. On any thread."""
        with self._changed:
            if isinstance(event, Utterance | Mark) and len(self._waiting) >= MAX_WAITING:
                if not self.lost:
                    self._warnings.put(
                        f"{MAX_WAITING} rows wait for the disk already: rows are lost from now on"
                    )
                self.lost += 1
                return
            self._waiting.append((stream, event))
            self._changed.notify()

    @property
    def stalled_s(self) -> float:
        """For how long the disk has not answered; 0 while nothing is being written."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    @property
    def waiting(self) -> int:
        """How many results wait."""
        return len(self._waiting)

    def drain_warnings(self) -> list[str]:
        """What went wrong since the last call, a line each. On any thread."""
        ours = [self._warnings.get_nowait() for _ in range(self._warnings.qsize())]
        return [*ours, *self._sinks.drain_warnings()]

    def stop(self, timeout_s: float) -> list[tuple[RecordedStream, Row]] | None:
        """Write what waits, close the sinks and end the thread.

        Returns:
            None where that was done in time. Otherwise the disk does not answer: the results that
            were not even begun to be written; what the sinks hold may or may not be on disk.
        """
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(timeout_s)
        if not self._thread.is_alive():
            return None
        with self._changed:
            left = list(self._waiting)
            self._waiting.clear()
        return [(stream, event) for stream, event in left if isinstance(event, Utterance | Mark)]

    # --- its own thread -------------------------------------------------------------------------

    def _run(self) -> None:
        while not (self._stopping and not self._waiting):
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._stopping, POLL_S)
            self._guarded(self._write if self._waiting else self._sinks.poll)
        self._guarded(self._sinks.close)

    def _guarded(self, step: Callable[[], None]) -> None:
        self._busy_since = time.monotonic()
        try:
            step()
        except Exception as error:  # noqa: BLE001 - told; rows that follow are written all the same
            self._failed(ThreadFailed("recorder", error))
        finally:
            self._busy_since = None

    def _write(self) -> None:
        """Write what waits to the logs, flush them, then let it be seen."""
        written: list[tuple[RecordedStream, list[Event]]] = []
        try:
            while (item := self._next()) is not None:
                stream, event = item
                try:
                    written.append((stream, stream.take(event, self._logs, self._others)))
                finally:
                    self._forget(item)
                if event is None:
                    break  # what was written is seen before the stream ends
        finally:
            self._logs.flush()
            for stream, events in written:
                stream.show(events, self._others)

    def _next(self) -> tuple[RecordedStream, Input] | None:
        with self._changed:
            return self._waiting[0] if self._waiting else None

    def _forget(self, item: tuple[RecordedStream, Input]) -> None:
        """The sinks have it now; `stop` may have given it up meanwhile."""
        with self._changed:
            if self._waiting and self._waiting[0] is item:
                self._waiting.popleft()
