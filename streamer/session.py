"""One live session on the main thread: events from the pipeline to the log, then to the screen."""

import queue
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Protocol

from streamer.analysis.alerts import Watch, check_rules
from streamer.config import Config
from streamer.dashboard.board import Board
from streamer.dashboard.state import Notice
from streamer.errors import OutputError
from streamer.pipeline.live import Pipeline
from streamer.sinks.audio_files import AudioSink, file_name
from streamer.sinks.csv_log import RetryingLog
from streamer.sinks.notify.delivery import Deliveries
from streamer.sinks.row import Session, Value, columns, mark_row, row
from streamer.sinks.summary import Summary
from streamer.sinks.writer import NonBlockingWriter
from streamer.types import (
    Alert,
    Event,
    Mark,
    ModelLoaded,
    Recorded,
    SourceOpened,
    State,
    StateChanged,
    ThreadFailed,
    Utterance,
)

TURN_S = 0.025
"""How long to wait for an event before looking at keys, clock and screen again."""

STOP_TIMEOUT_S = 10.0
"""How long a stop waits for the last rows before it leaves a thread that hangs behind."""

LAST_LINES_S = 1.0
"""How long a reader of the lines who does not read is waited for at the end."""


class Lines(Protocol):
    """Somewhere lines are written: `PlainLines`, `JsonLines`."""

    @property
    def outlet(self) -> NonBlockingWriter:
        """How far they have come."""

    def write(self, event: Event, session: Session | None) -> None:
        """Write the line of an event that has one."""

    def end(self, rows: Iterable[Mapping[str, Value]]) -> None:
        """Take what each channel came to, at the end."""


class LiveSession:
    """Runs a pipeline until it ends, is stopped by the user, or its time is up.

    Args:
        pipeline: Not started yet.
        config: For the channels, their mood and the alerts.
        csv: Where rows go; None for nowhere.
        audio: Where the sound of utterances goes, if the pipeline records; None for nowhere.
        board: The dashboard, entered; None where there is no terminal for one.
        lines: Where lines go; None beside a dashboard.
        duration: In seconds from the first listening; None for no end.
    """

    def __init__(  # noqa: PLR0913 - where it listens, and each place where something is to be seen
        self,
        pipeline: Pipeline,
        config: Config,
        *,
        csv: Path | None,
        audio: AudioSink | None = None,
        board: Board | None,
        lines: Lines | None,
        duration: float | None,
    ) -> None:
        self._summary = Summary(config.audio.streams)
        self._rules = config.alerts.rules
        self._watch = Watch(config)
        self._deliveries = Deliveries(config.alerts)
        self._undelivered: list[str] = []
        self._pipeline = pipeline
        self._csv = csv
        self._audio = audio
        self._board = board
        self._lines = lines
        self._duration = duration
        self._log: RetryingLog | None = None
        self._model: ModelLoaded | None = None
        self._session: Session | None = None
        self._failure: BaseException | None = None
        self._paused = False
        self._ends_at: float | None = None  # monotonic: when the time is up
        self._stopped_at: float | None = None
        self._errors = NonBlockingWriter(sys.stderr)
        self.unwritten: list[str] = []
        """After `run`: rows that could not be written, as lines of CSV, and why."""

    def run(self) -> None:
        """Run to the end.

        Raises:
            StreamerError: What ended it, where that was not the end of the input or the user.
        """
        with self._signals():
            self._pipeline.start()
            try:
                while self._turn():
                    pass
            finally:
                self._pipeline.stop()
                try:
                    self._pipeline.join()
                finally:
                    self._end()
        if self._failure is not None:
            raise self._failure
        if self.unwritten:
            raise OutputError(f"{self._csv}: not all rows could be written")

    def summary(self) -> list[str]:
        """What the session came to, in lines for people."""
        where = [f"rows in {self._csv}"] if self._log is not None else []
        kept = self._audio.summary() if self._audio is not None else []
        return [*self._summary.lines(), *where, *kept, *self._undelivered]

    def stop(self) -> None:
        """End the open utterance, judge and write what waits, then end."""
        if self._stopped_at is None:
            self._stopped_at = time.monotonic()
            self._pipeline.stop()

    def _turn(self) -> bool:
        """Take in one event or one key, and draw when it is time; False at the end."""
        try:
            event = self._pipeline.events.get(timeout=TURN_S)
        except queue.Empty:
            pass
        else:
            if event is None:
                return False
            self._take(event)
        now = time.monotonic()
        if self._ends_at is not None and now >= self._ends_at:
            self.stop()
        self._tend()
        if self._board is not None:
            self._act_on(self._board.asked())
            self._board.draw()
        return self._stopped_at is None or now < self._stopped_at + STOP_TIMEOUT_S

    def _tend(self) -> None:
        """Look after everybody who is written to."""
        if self._log is not None:
            self._log.poll()
        for trouble in self._troubles():
            self._warn(trouble)
        if self._lines is not None:
            self._lines.outlet.flush()
            for trouble in self._lines.outlet.drain_warnings():
                self._warn(f"{trouble}; rows go on in {self._csv}" if self._csv else trouble)
            if self._lines.outlet.gone and self._csv is None:
                self.stop()  # nobody is left to listen for

    def _take(self, event: Event | Recorded) -> None:
        match event:
            case ThreadFailed():
                event.error.add_note(f"in the thread {event.thread!r}")
                self._failure = self._failure or event.error
            case ModelLoaded():
                check_rules(self._rules, event.labels, event.name)
                self._model = event
            case SourceOpened():
                self._begin(event)
            case StateChanged(state=State.LISTENING) if self._duration and not self._ends_at:
                self._ends_at = time.monotonic() + self._duration
            case Utterance() if self._session is not None:
                self._judged(event, self._session)
                return
            case Recorded():
                self._keep(event)
                return
        self._show(event)

    def _judged(self, utterance: Utterance, session: Session) -> None:
        """Take in an utterance and what follows from it."""
        for event in self._watch.add(utterance):
            if isinstance(event, Utterance) and self._log is not None:
                self._log.add(row(event, session))
            self._show(event)  # only now, when the row is on disk, may anybody see it
            if isinstance(event, Alert):
                self._deliveries.put(event, session)

    def _keep(self, recorded: Recorded) -> None:
        """Have the sound of an utterance saved, whose row is on disk by now."""
        if self._audio is not None and self._session is not None:
            name = file_name(self._session.id, recorded.channel, recorded.number)
            self._audio.put(name, recorded.pcm)

    def _marked(self, mark: Mark) -> None:
        """Keep a mark: like an utterance, on disk before it is on screen."""
        if self._session is None:
            if self._board is not None:
                self._board.fold(Notice("nothing is heard yet: there is nothing to mark"))
            return
        if self._log is not None:
            self._log.add(mark_row(mark, self._session))
        self._show(mark)

    def _show(self, event: Event) -> None:
        """Show everybody what happened."""
        self._summary.add(event)
        if self._lines is not None:
            self._lines.write(event, self._session)
        if self._board is not None:
            self._board.fold(event)

    def _begin(self, opened: SourceOpened) -> None:
        if self._model is None:  # the worker loads it before anything is opened
            raise RuntimeError("the source was opened before the model was loaded")
        self._session = Session.begin(
            source=opened.info.name,
            model=self._model.name,
            labels=self._model.labels,
            epoch=opened.epoch,
        )
        if self._csv is not None:
            self._log = RetryingLog(self._csv, columns(self._model.labels), self._warn)

    def _troubles(self) -> list[str]:
        """What went wrong outside since the last call, a line each."""
        kept = self._audio.drain_warnings() if self._audio is not None else []
        return [*self._deliveries.drain_warnings(), *kept]

    def _warn(self, text: str) -> None:
        """Say what went wrong outside."""
        if self._board is not None:
            self._board.fold(Notice(text, urgent=True))
        else:
            self._errors.write(f"streamer: {text}\n")

    def _end(self) -> None:
        """Everything has been heard: close the log, wait for what is still to be delivered."""
        with ExitStack() as stack:  # each of these is tried, whatever becomes of the others
            stack.callback(self._deliver_rest)
            stack.callback(self._end_lines)
            if self._audio is not None:
                stack.callback(self._close_audio, self._audio)
            stack.callback(self._end_log)
            if self._board is not None:
                stack.callback(self._act_on, self._board.finish())  # a note that is being typed

    def _end_log(self) -> None:
        """Write what was judged and not taken in, if something went wrong; close the log."""
        if self._log is None or self._session is None:
            return
        with suppress(queue.Empty):
            while True:
                event = self._pipeline.events.get_nowait()
                if isinstance(event, Utterance):
                    self._log.add(row(event, self._session))
                    self._summary.add(event)
                elif isinstance(event, Recorded):
                    self._keep(event)
        self.unwritten = self._log.close()

    def _end_lines(self) -> None:
        if self._lines is None:
            return
        if self._session is not None:
            self._lines.end(self._summary.rows(self._session))
        self._lines.outlet.finish(LAST_LINES_S)
        for trouble in self._lines.outlet.drain_warnings():
            self._warn(trouble)

    def _close_audio(self, audio: AudioSink) -> None:
        audio.close()
        for trouble in audio.drain_warnings():
            self._warn(trouble)

    def _deliver_rest(self) -> None:
        if self._board is not None and self._deliveries.waiting:
            self._board.fold(Notice("waiting for alerts to be delivered", urgent=True))
            self._board.draw()
        self._undelivered = self._deliveries.close()

    def _act_on(self, wish: str | Mark | None) -> None:
        match wish:
            case Mark():
                self._marked(wish)
            case "q":
                self.stop()
            case " ":
                self._paused = not self._paused
                self._pipeline.pause(paused=self._paused)
            case "b":
                self._pipeline.forget()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Stop cleanly on the first signal; at once on the second that a person sends."""

        def on_signal(number: int, _frame: object) -> None:
            if self._stopped_at is not None and number in (signal.SIGINT, signal.SIGTERM):
                raise KeyboardInterrupt
            self.stop()

        names = ("SIGINT", "SIGTERM", "SIGHUP")
        numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
        before = {number: signal.signal(number, on_signal) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
