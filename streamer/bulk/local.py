"""Recordings by the folder: several at once, one CSV, a progress bar; a bad one stops no other.

Alerts stand in the CSV, and nobody is sent them: what was said long ago needs no notification.
"""

import os
import queue
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from streamer.analysis.alerts import AlertEngine, check_rules
from streamer.audio.recording import Recording
from streamer.bulk.plan import find
from streamer.config import Config
from streamer.errors import InputError, OutputError, StreamerError
from streamer.events import Alert, MoodChanged
from streamer.model.protocol import Model
from streamer.pipeline import offline
from streamer.segmentation.vad import fallback_reason
from streamer.sinks.audio_files import AudioFolder, file_name
from streamer.sinks.base import FanOut
from streamer.sinks.csv_lines import CsvLines
from streamer.sinks.csv_sink import CsvSink, SummaryCsvSink
from streamer.sinks.lines import JsonLines, LineSink
from streamer.sinks.row import Session
from streamer.sinks.summary import Summary
from streamer.text import one_line
from streamer.types import Segment, Utterance

STEREO = ("left", "right")
"""What the channels of a stereo recording are called that nobody named."""


@dataclass(frozen=True, slots=True)
class _Read:
    seconds: float


@dataclass(frozen=True, slots=True)
class _Warning:
    text: str


@dataclass(frozen=True, slots=True)
class _Classified:
    """An utterance, and what follows from it."""

    session: Session
    events: list[Utterance | MoodChanged | Alert]


@dataclass(frozen=True, slots=True)
class _Done:
    path: Path
    session: Session
    summary: Summary | None  # None where nothing of it could be read
    error: BaseException | None


_Report: TypeAlias = _Read | _Warning | _Classified | _Done


def analyse(  # noqa: PLR0913 - what the command line has to say
    paths: Sequence[Path],
    model: Model,
    config: Config,
    *,
    split: bool = True,
    csv: Path | None,
    rows_on_stdout: bool = False,
    summary: Path | None = None,
    audio: AudioFolder | None = None,
    jobs: int | None = None,
    json: bool = False,
) -> int:
    """Classify recordings and write their rows.

    Args:
        paths: Recordings, and folders of them.
        model: Classifies them; shared by all jobs.
        config: For the channels (without names, those of a stereo recording are `STEREO`), the
            voice-activity detector, the segmenter, the mood and the alerts.
        split: Take the two channels of a stereo recording for two streams, named or not.
        csv: Rows are appended here; None for nowhere.
        rows_on_stdout: Write rows to standard output instead of a line per recording.
        summary: What each channel of each recording comes to is appended here; None for nowhere.
        audio: The sound of each utterance is kept there; None for nowhere.
        jobs: Recordings at once; None for one per core.
        json: Write a line of JSON per utterance to stdout instead of a line per recording.

    Returns:
        The exit code: 1 where a recording could not be read to its end, or rows or sound not be
        written.

    Raises:
        ConfigError: An alert waits for an emotion that the model does not know.
        InputError: There is no such file, or no recording in a folder.
        OutputError: A CSV cannot be opened.
    """
    check_rules(config.alerts.rules, model.labels, model.name)
    plan = find(paths)
    recordings = plan.recordings
    reports: queue.SimpleQueue[_Report] = queue.SimpleQueue()
    stopped = threading.Event()
    log = CsvSink(csv, sync=False, excel=config.output.excel) if csv else None
    table = SummaryCsvSink(summary, excel=config.output.excel) if summary else None
    lines = _lines(config, json=json, rows=rows_on_stdout)
    sinks = FanOut([sink for sink in (log, table, lines) if sink is not None])
    unwritten: list[str] = []
    with ExitStack() as stack:
        stack.callback(_print_all, unwritten)  # the last: the bar is gone by then
        progress = stack.enter_context(_progress(sum(map(_seconds, recordings))))
        sinks.begin(Session.begin(source="", model=model.name, labels=model.labels))  # may raise
        stack.callback(_close, sinks, log, table, unwritten)
        if (reason := fallback_reason(config.vad)) is not None:
            _say(progress, reason)
        pool = ThreadPoolExecutor(jobs or os.cpu_count())
        stack.callback(pool.shutdown, cancel_futures=True)
        stack.callback(stopped.set)  # called before the shutdown, which waits
        configure = _with_stereo_named if split else _as_it_is
        for path in recordings:
            pool.submit(_classify, path, model, partial(configure, config), audio, reports, stopped)
        results = _Results(sinks, progress)
        for line in (*plan.notes, *plan.failures):
            _say(progress, line)
        results.failures += len(plan.failures)
        for _ in recordings:
            while not results.take(reports.get()):
                if lines.writer.gone and log is None and table is None:
                    return OutputError.exit_code  # nobody is left to work for
    if results.failures:
        count = f"{results.failures} of {len(recordings) + len(plan.failures)}"
        print(f"streamer: {count} recordings could not be read to their end", file=sys.stderr)
    if audio is not None:
        for line in audio.summary():
            print(line, file=sys.stderr)
    lost = unwritten or (audio is not None and audio.lost)
    return OutputError.exit_code if results.failures or lost else 0


def _close(
    sinks: FanOut, log: CsvSink | None, table: SummaryCsvSink | None, unwritten: list[str]
) -> None:
    sinks.close()
    for sink in (log, table):
        if sink is not None:
            unwritten += sink.unwritten()


def _lines(config: Config, *, json: bool, rows: bool) -> LineSink:
    """What is written to standard output."""
    if rows:
        return CsvLines(waits=True, excel=config.output.excel)
    return JsonLines(waits=True) if json else _RecordingLines(waits=True)


class _RecordingLines(LineSink):
    """Writes what each recording came to in a line for people."""

    def end(self, session: Session, summary: Summary) -> None:
        self.writer.write(f"{session.source}: {'; '.join(summary.lines())}\n")


class _Results:
    """Hands what the jobs report to the sinks, on the main thread.

    Args:
        sinks: Where results go. No flush waits for a disk: each recording is synced once.
        progress: The bar.
    """

    def __init__(self, sinks: FanOut, progress: Progress) -> None:
        self.failures = 0
        self._sinks = sinks
        self._progress = progress

    def take(self, report: _Report) -> bool:
        """Write down a report; True where a recording is done with."""
        match report:
            case _Read(seconds):
                self._progress.advance(self._progress.task_ids[0], seconds)
            case _Warning(text):
                _say(self._progress, text)
            case _Classified(session, events):
                for event in events:
                    self._sinks.write(event, session)
                self._sinks.flush()
            case _Done(error=error):
                if report.summary is not None:
                    self._sinks.end(report.session, report.summary)
                if error is not None:
                    self._fail(error)
        self._sinks.poll()
        for warning in self._sinks.drain_warnings():
            _say(self._progress, warning)
        return isinstance(report, _Done)

    def _fail(self, error: BaseException) -> None:
        if not isinstance(error, StreamerError):
            raise error
        self.failures += 1
        _say(self._progress, str(error))


def _say(progress: Progress, text: str) -> None:
    progress.console.print(f"streamer: {text}", markup=False, highlight=False, soft_wrap=True)


def _print_all(lines: Sequence[str]) -> None:
    for line in lines:
        print(line, file=sys.stderr)


def _classify(  # noqa: PLR0913, PLR0917 - as many things meet here
    path: Path,
    model: Model,
    configure: Callable[[Path], Config],
    audio: AudioFolder | None,
    reports: "queue.SimpleQueue[_Report]",
    stopped: threading.Event,
) -> None:
    """Classify one recording. On a thread of the pool: torch and libsndfile let go of the GIL."""
    session = Session.begin(source=one_line(str(path)), model=model.name, labels=model.labels)
    summary: Summary | None = None
    failure: BaseException | None = None

    def keep(channel: str, segment: Segment) -> None:
        if audio is not None:
            audio.save(file_name(session.id, channel, segment.utterance), segment.pcm)
            for warning in audio.drain_warnings():
                reports.put(_Warning(warning))

    try:
        config = configure(path)
        engine = AlertEngine(config)
        found = offline.utterances(
            path,
            model,
            config,
            progress=lambda seconds: reports.put(_Read(seconds)),
            keep=keep,
            warn=lambda text: reports.put(_Warning(text)),
        )
        summary = Summary(config.audio.streams)
        for utterance in found:
            events = engine.add(utterance)
            for event in events:
                summary.add(event)
            reports.put(_Classified(session, events))
            if stopped.is_set():
                break
    except Exception as error:  # noqa: BLE001 - the main thread reports it
        failure = error
    reports.put(_Done(path, session, summary, failure))


def _with_stereo_named(config: Config, path: Path) -> Config:
    """Two channels that nobody named are two streams all the same."""
    with Recording(path) as recording:
        if config.audio.channels or recording.info.channels != len(STEREO):
            return config
    return config.with_channels(STEREO)


def _as_it_is(config: Config, _path: Path) -> Config:
    return config


def _seconds(path: Path) -> float:
    """Length of a recording for the progress bar; an unreadable one takes no time."""
    try:
        with Recording(path) as recording:
            return recording.duration_s or 0.0
    except InputError:
        return 0.0


def _progress(total: float) -> Progress:
    progress = Progress(
        BarColumn(),
        TextColumn("{task.completed:.0f} of {task.total:.0f} s of recordings"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=sys.stdout.isatty(),  # else results would go where the bar goes
    )
    progress.add_task("", total=total)
    return progress
