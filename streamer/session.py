"""A live session on the main thread starts the pipeline, draws, reads keys, and ends it."""

import queue
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from streamer.analysis.alerts import check_rules
from streamer.config import Config
from streamer.dashboard.dashboard import Dashboard
from streamer.dashboard.state import Notice, RowsStuck
from streamer.errors import OutputError
from streamer.events import Event, ModelLoaded, SourceOpened, StateChanged, ThreadFailed, Warned
from streamer.pipeline.live import STOP_TIMEOUT_S, Pipeline
from streamer.pipeline.recorder import RecordedStream, Recorder
from streamer.sinks.audio_files import EXIT_WAIT_S, AudioSink
from streamer.sinks.csv_sink import CsvSink
from streamer.sinks.lines import LineSink
from streamer.sinks.nonblocking_writer import NonBlockingWriter
from streamer.sinks.notify.delivery import NotificationSink
from streamer.sinks.row import Session
from streamer.text import quantity
from streamer.types import Mark, State

TURN_S = 0.025
"""Seconds to wait for an event before keys, clock and screen are checked again."""

RECORD_TIMEOUT_S = 5.0
"""Seconds that the end of a session waits for a disk that does not answer."""

STALLED_S = 3.0
"""Seconds after which a disk that does not answer is reported."""

LAST_LINES_S = 1.0
"""Seconds that the end of a session waits for a slow reader of the lines."""


class LiveSession:
    """Runs a pipeline until it ends, is stopped by the user, or its time is up.

    The main thread draws, reads keys and writes lines to a reader who may be slow; it waits for no
    disk, no lock and no network. Rows are written by the recorder thread.

    Args:
        pipeline: Not started yet.
        config: For the channels, their mood and the alerts.
        csv: Where rows go; None for nowhere.
        audio: Where the sound of utterances goes; None for nowhere.
        dashboard: The dashboard, entered; None where there is no terminal for one.
        lines: Where lines go; None beside a dashboard.
        duration: In seconds: of sound where the source can wait, else from the first listening;
            None for no end.
        stays: Leave the dashboard up when the input has ended by itself, until somebody quits.
    """

    def __init__(  # noqa: PLR0913 - the pipeline and every output
        self,
        pipeline: Pipeline,
        config: Config,
        *,
        csv: Path | None,
        audio: AudioSink | None = None,
        dashboard: Dashboard | None,
        lines: LineSink | None,
        duration: float | None,
        stays: bool = False,
    ) -> None:
        self._rules = config.alerts.rules
        self._pipeline = pipeline
        self._csv = CsvSink(csv, excel=config.output.excel) if csv is not None else None
        self._audio = audio
        self._notifications = NotificationSink(config.alerts)
        self._recorder = Recorder(
            [self._csv] if self._csv else [],
            [self._notifications, *([audio] if audio else [])],
            pipeline.events.put,
        )
        self._stream = RecordedStream(self._recorder, pipeline.events, config, audio=audio)
        self._dashboard = dashboard
        self._lines = lines
        self._duration = duration
        self._stays = stays
        self._undelivered: list[str] = []
        self._failure: BaseException | None = None
        self._opened = False
        self._paused = False
        self._ends_at: float | None = None  # monotonic: when the time is up
        self._stopped_at: float | None = None
        self._protected = False  # rows that are owed are being written
        self._hurried = False  # somebody wants it to end at once
        self._stalled = False  # the disk does not answer, and that was reported
        self._stuck = 0  # rows that cannot be written, as the screen shows
        self._dropped = 0  # events that were not shown, and that was reported
        self._errors = NonBlockingWriter(sys.stderr)
        self.observers: list[Callable[[Event, Session | None], None]] = []
        """Told of each event that is shown, on the main thread; they never wait."""
        self.unwritten: list[str] = []
        """After `run`: rows that could not be written, as lines of CSV, and why."""

    def run(self) -> None:
        """Run to the end.

        Raises:
            KeyboardInterrupt: The user did not want to wait for its end. Every row was written.
            StreamerError: What ended it, where that was not the end of the input or the user.
        """
        with self._signals():
            self._recorder.start()
            if self._duration is not None:
                self._pipeline.end_after(self._duration)
            self._pipeline.start(self._stream)
            try:
                while self._turn():
                    pass
            finally:
                self._protected = True
                try:
                    self._record_rest()
                finally:
                    self._protected = False
                    self._end()
            self._stay()
        if self._failure is not None:
            raise self._failure
        if self.unwritten or self._recorder.lost or (self._csv is not None and self._csv.lost):
            raise OutputError(f"{self._csv and self._csv.path}: not all rows could be written")
        if self._hurried:
            raise KeyboardInterrupt

    def summary(self) -> list[str]:
        """Return the summary of the session, in lines for people."""
        csv = self._csv
        where = [f"rows in {csv.path}"] if csv is not None and csv.is_open else []
        kept = self._audio.summary() if self._audio is not None else []
        return [*self._stream.summary.lines(), *where, *kept, *self._undelivered]

    def stop(self) -> None:
        """End the open utterance, classify and write what waits, then end."""
        if self._stopped_at is None:
            self._stopped_at = time.monotonic()
            self._pipeline.stop()

    def start_call(self) -> None:
        """Begin another call, on which the one before has no influence. Returns at once."""
        self._pipeline.start_call()

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
        self._poll()
        if self._dashboard is not None:
            self._act_on(self._dashboard.next_action())
            self._dashboard.draw()
        hopeless = not self._pipeline.running and self._recorder.stalled_s > STOP_TIMEOUT_S
        return not self._hurried and not hopeless and self._time_left() > 0

    def _time_left(self) -> float:
        """Seconds that the stop still waits for utterances that are to be classified."""
        begin = time.monotonic() if self._stopped_at is None else self._stopped_at
        return begin + STOP_TIMEOUT_S - time.monotonic()

    def _poll(self) -> None:
        """Report the warnings of the sinks, and write lines that wait for their reader."""
        self._report_stall()
        for warning in self._recorder.drain_warnings():
            self._warn(warning)
        if self._csv is not None and self._dashboard is not None and self._csv.stuck != self._stuck:
            self._stuck = self._csv.stuck
            self._dashboard.add(RowsStuck(self._stuck))
        if (dropped := self._pipeline.events.dropped) > self._dropped:
            self._dropped = dropped
            were = "was" if dropped == 1 else "were"
            self._warn(f"the screen was too slow: {quantity(dropped, 'event')} {were} not shown")
        if self._lines is not None:
            csv = self._csv
            self._lines.poll()
            for warning in self._lines.drain_warnings():
                self._warn(f"{warning}; rows go on in {csv.path}" if csv else warning)
            if self._lines.writer.gone and csv is None:
                self.stop()  # nobody is left to listen for

    def _report_stall(self) -> None:
        """Report once when the disk does not answer, and when it does again."""
        stalled_s = self._recorder.stalled_s
        if stalled_s > STALLED_S and not self._stalled:
            self._stalled = True
            self._warn(f"the disk has not answered for {stalled_s:.0f} s: rows wait")
        elif self._stalled and stalled_s < STALLED_S:
            self._stalled = False
            self._warn("the disk answers again: rows are written")

    def _take(self, event: Event) -> None:
        match event:
            case ThreadFailed():
                event.error.add_note(f"in the thread {event.thread!r}")
                self._failure = self._failure or event.error
                self.stop()
            case ModelLoaded():
                check_rules(self._rules, event.labels, event.name)
            case SourceOpened():
                self._opened = True
                if self._duration is not None and event.info.live:
                    self._ends_at = time.monotonic() + self._duration
            case Warned() if self._dashboard is None:
                self._warn(event.text)
        self._show(event)

    def _show(self, event: Event) -> None:
        """Show an event. That of a row comes here when the row is on disk."""
        for observer in self.observers:
            observer(event, self._stream.session)
        if self._lines is not None:
            self._lines.write(event, self._stream.session)
        if self._dashboard is not None:
            self._dashboard.add(event)

    def _marked(self, mark: Mark) -> None:
        """Keep a mark: like an utterance, on disk before it is on screen."""
        if self._opened:
            self._stream.put(mark)
        elif self._dashboard is not None:
            self._dashboard.add(Notice("nothing has been recorded yet: there is nothing to mark"))

    def _warn(self, text: str) -> None:
        """Report a warning on screen and in the log."""
        if self._dashboard is not None:
            self._dashboard.add(Notice(text, urgent=True))
        else:
            self._errors.write(f"streamer: {text}\n")

    def _record_rest(self) -> None:
        """Write every row that is still missing, classified or not; nothing interrupts this."""
        self._pipeline.stop()
        self._pipeline.join(max(0.0, self._time_left()), hurried=lambda: self._hurried)
        if self._dashboard is not None:
            self._act_on(self._dashboard.finish())  # a note that is being typed
        left = self._recorder.stop(RECORD_TIMEOUT_S)
        session = self._stream.session
        if self._csv is not None and session is not None:
            rows = None if left is None else [(event, session) for _, event in left]
            self.unwritten = self._csv.unwritten(rows)

    def _end(self) -> None:
        """Wait until lines are read, audio is saved and alerts are delivered."""
        with ExitStack() as stack:  # each of these is tried, whatever becomes of the others
            stack.callback(self._poll)
            stack.callback(self._deliver_rest)
            stack.callback(self._end_lines)
            if self._audio is not None:
                stack.callback(self._audio.join, 0.0 if self._hurried else EXIT_WAIT_S)

    def _stay(self) -> None:
        """Leave the screen up when the input has ended by itself, until somebody quits."""
        dashboard = self._dashboard
        by_itself = self._stays and not self._pipeline.ended_after
        if dashboard is None or not by_itself or self._failure is not None:
            return
        csv = self._csv
        rows = f"rows in {csv.path}; " if csv is not None and csv.is_open else ""
        leave = "q quits" if dashboard.reads_keys else "Ctrl-C quits"
        dashboard.add(StateChanged(State.ENDED, f"the input has ended: {rows}{leave}"))
        while self._stopped_at is None:
            match dashboard.next_action():
                case "q":
                    return
                case Mark():
                    dashboard.add(Notice("the input has ended: nothing can be marked any more"))
            dashboard.draw()
            time.sleep(TURN_S)

    def _end_lines(self) -> None:
        if self._lines is None:
            return
        self._show_rest()
        if self._stream.session is not None:
            self._lines.end(self._stream.session, self._stream.summary)
        self._lines.writer.finish(LAST_LINES_S)

    def _show_rest(self) -> None:
        """Show what was recorded after the last frame."""
        try:
            while (event := self._pipeline.events.get(timeout=0)) is not None:
                self._show(event)
        except queue.Empty:
            return

    def _deliver_rest(self) -> None:
        if self._dashboard is not None and self._notifications.waiting:
            self._dashboard.add(Notice("waiting for alerts to be delivered", urgent=True))
            self._dashboard.draw()
        self._undelivered = self._notifications.join(0.0 if self._hurried else None)

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
            case "n":
                self.start_call()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Stop cleanly on the first signal; on a second Ctrl-C, wait for nothing but rows.

        The second one raises nothing, so that the missing rows are written. Only the third one
        interrupts, and not while rows are being written.
        """

        def on_signal(number: int, _frame: object) -> None:
            if self._hurried and not self._protected:  # stuck: a terminal that takes nothing
                raise KeyboardInterrupt
            if self._stopped_at is not None and number != getattr(signal, "SIGHUP", None):
                self._hurried = True
            self.stop()

        names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
        numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
        before = {number: signal.signal(number, on_signal) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
