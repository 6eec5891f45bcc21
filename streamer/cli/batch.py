"""Shows the progress of ``streamer file``, a line for each recording, and the totals."""

import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from streamer.bulk import local
from streamer.bulk.analyse_recording import Analysed
from streamer.sinks.csv_lines import CsvLines
from streamer.sinks.lines import JsonLines, LineSink
from streamer.sinks.row import Session
from streamer.sinks.summary import Summary
from streamer.text import quantity

LINE_S = 60.0
"""Seconds between two lines of progress where there is no terminal."""

MAX_REASONS = 10
"""Reasons for failures that are listed at the end."""


class RecordingLines(LineSink):
    """Writes the summary of each recording in a line for people."""

    def end(self, session: Session, summary: Summary) -> None:
        """Write the line."""
        self.writer.write(f"{session.source}: {'; '.join(summary.lines())}\n")


def stdout_lines(*, json: bool, rows: bool, excel: bool) -> LineSink:
    """What is written to standard output: JSON, rows, or a line per recording."""
    if rows:
        return CsvLines(waits=True, excel=excel)
    return JsonLines(waits=True) if json else RecordingLines(waits=True)


class Display:
    """Shows what a run reports, on stdout and stderr; a context manager.

    Args:
        lines: Writes the results of each recording to stdout.
        needed: True where the run has no other output, so that it ends with the reader.
    """

    def __init__(self, lines: LineSink, *, needed: bool) -> None:
        self._lines = lines
        self._needed = needed
        self._unwritten: list[str] = []
        self._recordings = 0
        self._whole = 0  # of these, without an error
        self._to_do = 0
        self._size = 0.0
        self._seconds = 0.0
        self._began = time.monotonic()
        self._said_at = self._began
        self._console = Console(stderr=True)
        self._bar = Progress(
            BarColumn(),
            TextColumn("{task.description}"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
            redirect_stdout=sys.stdout.isatty(),  # else results would go where the bar goes
        )
        self._task = self._bar.add_task("", total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
        for line in self._unwritten:
            print(line, file=sys.stderr)

    def show(self, report: local.Report) -> None:
        """Show what happened.

        Raises:
            BrokenPipeError: The reader of stdout has gone, and there is no other output.
        """
        match report:
            case local.Said(text):
                self._say(text)
            case local.Unwritten(lines):
                self._unwritten += lines
            case local.Planned():
                self._plan(report)
            case local.Progress(size, seconds):
                self._size += size
                self._seconds += seconds
                self._draw()
            case Analysed():
                self._finish(report)

    def sum_up(self, request: local.Request, result: local.Result) -> None:
        """Print the totals: what was analysed, and what failed and why."""
        planned = result.planned
        failed = result.failures.total()
        if planned.found + failed > 1 and planned.to_do:
            self._say(f"{quantity(self._whole, 'recording')} analysed: {self._speed()}")
        before = planned.found - planned.to_do - planned.failed_before
        if before > 0:
            files = [table.part for table in request.tables]
            files = files or [path for path in (request.csv, request.summary) if path]
            where = " and ".join(map(str, files))
            self._say(
                f"{quantity(before, 'recording')} done before, with rows in {where}; "
                "--again analyses everything anew"
            )
        if planned.other_settings:
            self._say(f"{planned.other_settings} of these were analysed with other settings")
        if failed:
            total = planned.found + planned.unreadable
            self._say(f"{failed} of {quantity(total, 'recording')} could not be read to the end")
            self._list(result)
        if result.planned.failed_before:
            self._say(
                f"{planned.failed_before} of these failed in an earlier run; "
                "--retry-failed tries those again of which nothing could be read"
            )

    def _list(self, result: local.Result) -> None:
        if result.failures.total() == 1 and not result.planned.failed_before:
            return  # it was just said
        for reason, count in result.failures.most_common(MAX_REASONS):
            which = result.examples[reason] if count == 1 else f"first {result.examples[reason]}"
            self._say(f"  {quantity(count, 'time')} {reason} ({which})")
        if len(result.failures) > MAX_REASONS:
            self._say(f"  and {len(result.failures) - MAX_REASONS} other reasons")

    def _plan(self, planned: local.Planned) -> None:
        self._to_do = planned.to_do
        self._began = time.monotonic()
        self._bar.update(self._task, total=planned.size or None)
        if not 0 < planned.found == planned.to_do < local.MAX_PENDING:
            self._say(
                f"{quantity(planned.found, 'recording')} found, {planned.to_do} to be analysed"
            )

    def _finish(self, made: Analysed) -> None:
        for text in made.warnings:
            self._say(text)
        for event in made.events:
            self._lines.write(event, made.session)
        if made.summary is not None:
            self._lines.end(made.session, made.summary)
        if made.error:
            self._say(made.error)
        for warning in self._lines.drain_warnings():
            self._say(warning)
        self._recordings += 1
        self._whole += not made.error
        self._draw()
        if self._lines.writer.gone and self._needed:
            raise BrokenPipeError

    def _draw(self) -> None:
        text = f"{self._recordings} of {quantity(self._to_do, 'recording')}, {self._speed()}"
        self._bar.update(self._task, completed=self._size, description=text)
        if not self._console.is_terminal and time.monotonic() - self._said_at >= LINE_S:
            self._said_at = time.monotonic()
            left_s = self._bar.tasks[0].time_remaining or 0
            self._say(f"{text}, {timedelta(seconds=round(left_s))} left")

    def _speed(self) -> str:
        took_s = max(time.monotonic() - self._began, 1e-3)
        return (
            f"{self._seconds / 3600:.2f} h of audio in {timedelta(seconds=round(took_s))}, "
            f"{self._seconds / took_s:.0f} times real time"
        )

    def _say(self, text: str) -> None:
        self._console.print(f"streamer: {text}", markup=False, highlight=False, soft_wrap=True)


def say_all(lines: Sequence[str]) -> None:
    """Print lines on stderr."""
    for line in lines:
        print(line, file=sys.stderr)
