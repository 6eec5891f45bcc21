"""Recordings by the folder: several at once, one CSV, a progress bar; a bad one stops no other."""

import os
import queue
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from streamer import offline
from streamer.audio.sources import Recording
from streamer.config import Config
from streamer.errors import InputError, StreamerError
from streamer.outputs.csv_log import CsvLog
from streamer.outputs.lines import JsonLines
from streamer.outputs.row import Session, columns, row
from streamer.outputs.summary import Summary
from streamer.pipeline import Model
from streamer.types import Utterance

SUFFIXES = frozenset(
    (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf", ".w64")
)
"""What is taken for a recording within a folder; a file that is named is always tried."""


@dataclass(frozen=True, slots=True)
class _Read:
    seconds: float


@dataclass(frozen=True, slots=True)
class _Judged:
    session: Session
    utterance: Utterance


@dataclass(frozen=True, slots=True)
class _Done:
    path: Path
    summary: Summary
    error: BaseException | None


_Report: TypeAlias = _Read | _Judged | _Done


def analyse(  # noqa: PLR0913 - what the command line has to say
    paths: Sequence[Path],
    model: Model,
    config: Config,
    *,
    csv: Path | None,
    jobs: int | None = None,
    json: bool = False,
) -> int:
    """Judge recordings and write their rows.

    Args:
        paths: Recordings, and folders of them.
        model: Judges them; shared by all jobs.
        config: For the channels, the voice-activity detector and the segmenter.
        csv: Rows are appended here; None for nowhere.
        jobs: Recordings at once; None for one per core.
        json: Write a line of JSON per utterance to stdout instead of a line per recording.

    Returns:
        The exit code: 1 where a recording could not be read to its end.

    Raises:
        InputError: There is no such file, or no recording in a folder.
        OutputError: The CSV cannot be written.
    """
    recordings = [path for given in paths for path in _recordings_in(given)]
    reports: queue.SimpleQueue[_Report] = queue.SimpleQueue()
    stopped = threading.Event()
    with ExitStack() as stack:
        log = stack.enter_context(CsvLog(csv, columns(model.labels))) if csv else None
        progress = stack.enter_context(_progress(sum(map(_seconds, recordings))))
        pool = ThreadPoolExecutor(jobs or os.cpu_count())
        stack.callback(pool.shutdown, cancel_futures=True)
        stack.callback(stopped.set)  # called before the shutdown, which waits
        for path in recordings:
            pool.submit(_judge, path, model, config, reports, stopped)
        results = _Results(log, JsonLines() if json else None, progress)
        for _ in recordings:
            while not results.take(reports.get()):
                pass
    if results.failures:
        count = f"{results.failures} of {len(recordings)}"
        print(f"streamer: {count} recordings could not be read to their end", file=sys.stderr)
    return 1 if results.failures else 0


class _Results:
    """Writes what the jobs report, on the main thread."""

    def __init__(self, log: CsvLog | None, lines: JsonLines | None, progress: Progress) -> None:
        self.failures = 0
        self._log = log
        self._lines = lines
        self._progress = progress

    def take(self, report: _Report) -> bool:
        """Write down a report; True where a recording is done with."""
        match report:
            case _Read(seconds):
                self._progress.advance(self._progress.task_ids[0], seconds)
            case _Judged(session, utterance):
                if self._log is not None:
                    self._log.add(row(utterance, session))
                    self._log.flush()
                if self._lines is not None:
                    self._lines.write(utterance, session)
            case _Done(path, summary, error):
                if self._lines is None:
                    print(f"{path}: {'; '.join(summary.lines())}")
                if error is not None:
                    self._fail(error)
        return isinstance(report, _Done)

    def _fail(self, error: BaseException) -> None:
        if not isinstance(error, StreamerError):
            raise error
        self.failures += 1
        self._progress.console.print(f"streamer: {error}", markup=False, highlight=False)


def _recordings_in(path: Path) -> Iterator[Path]:
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if not path.is_dir():
        yield path
        return
    found = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not found:
        raise InputError(f"{path}: no recordings in this folder ({' '.join(sorted(SUFFIXES))})")
    yield from found


def _judge(
    path: Path,
    model: Model,
    config: Config,
    reports: "queue.SimpleQueue[_Report]",
    stopped: threading.Event,
) -> None:
    """Judge one recording. On a thread of the pool: torch and libsndfile let go of the GIL."""
    session = Session.begin(source=str(path), model=model.name, labels=model.labels)
    summary = Summary()
    failure: BaseException | None = None
    try:
        found = offline.utterances(
            path, model, config, progress=lambda seconds: reports.put(_Read(seconds))
        )
        for utterance in found:
            summary.add(utterance)
            reports.put(_Judged(session, utterance))
            if stopped.is_set():
                break
    except Exception as error:  # noqa: BLE001 - the main thread reports it
        failure = error
    reports.put(_Done(path, summary, failure))


def _seconds(path: Path) -> float:
    """Length of a recording for the progress bar; an unreadable one takes no time."""
    try:
        with Recording(path) as recording:
            return recording.duration_s
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
