"""Analyses whole folders: plans the recordings first, then has each analysed exactly once."""

import os
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import TypeAlias

from streamer.analysis.alerts import check_rules
from streamer.bulk import plan, workers
from streamer.bulk.analyse_recording import Analysed, Analysis
from streamer.bulk.ledger import Status
from streamer.bulk.output import Output, rows_output, summary_output
from streamer.bulk.parts import Table
from streamer.bulk.plan import ALL, ListedRecording, Shard, Task
from streamer.segmentation.vad import fallback_reason
from streamer.sinks.csv_format import EXCEL, STANDARD

COMMIT_S = 1.0
"""Seconds between two times that finished recordings are synced, noted and reported."""

MAX_PENDING = 500
"""Maximum number of finished recordings that are not reported yet."""

PROCESS_BYTES = 16_000_000
"""Least bytes of recordings per process: starting one takes seconds."""

MAX_REASONS = 1000
"""Maximum number of different reasons for failures that are counted one by one."""

Engine: TypeAlias = Callable[[Analysis, Iterator[Task]], Generator[Analysed]]
"""Analyses recordings, each once, in any order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to analyse, how, and where to write the results.

    Attributes:
        paths: Recordings, and folders of them; URLs, too.
        analysis: How they are analysed.
        csv: The CSV that rows are appended to; None for none.
        summary: The CSV that a row per channel of each recording is appended to; None for none.
        excel: Write CSVs for an Excel whose decimal sign is a comma.
        tables: Parts that are made when all recordings are done; ``csv`` and ``summary`` are what
            they are made of.
        shard: The part of the recordings to analyse.
        jobs: How many processes; None for as many as there are cores and work for.
        engine: Analyses them instead of processes of this machine.
        again: Analyse also what is done.
        retry_failed: Analyse also what could not be read.
    """

    paths: Sequence[str]
    analysis: Analysis
    csv: Path | None
    summary: Path | None = None
    excel: bool = False
    tables: Sequence[Table] = ()
    shard: Shard = ALL
    jobs: int | None = None
    engine: Engine | None = None
    again: bool = False
    retry_failed: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """A message for people, one line."""

    text: str


@dataclass(frozen=True, slots=True)
class Planned:
    """The size of a run, known before it begins.

    Attributes:
        found: Recordings that are there.
        to_do: Those that are analysed now.
        size: Bytes of these.
        failed_before: Those that could not be read in an earlier run, and are not tried again.
        other_settings: Those that were analysed with other settings, and are not analysed again.
        unreadable: What is not among ``found``: folders, and recordings that may not be read.
    """

    found: int
    to_do: int
    size: int
    failed_before: int
    other_settings: int
    unreadable: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How many more bytes and seconds of recordings were read."""

    size: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Unwritten:
    """Rows that are in no file, as lines of CSV: a line with the reason, a header, rows."""

    lines: list[str]


Report: TypeAlias = Said | Planned | Progress | Analysed | Unwritten
"""What a run reports; a recording is reported when its rows are on disk."""


@dataclass(slots=True)
class Result:
    """The result of a run.

    Attributes:
        planned: What there was to do.
        done: Recordings that were read to their end.
        failures: How many could not be, now or before, by reason.
        examples: A recording for each reason.
        seconds: How much was read, in seconds of audio.
        lost_rows: True where rows are in no file.
    """

    planned: Planned = Planned(0, 0, 0, 0, 0, 0)
    done: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    lost_rows: bool = False

    def fail(self, source: str, reason: str) -> None:
        """Count a recording that could not be read to its end."""
        if reason not in self.failures and len(self.failures) >= MAX_REASONS:
            reason = "other reasons"
        self.failures[reason] += 1
        self.examples.setdefault(reason, source)


def run(request: Request, report: Callable[[Report], None]) -> Result:
    """Analyse recordings and write their rows.

    Args:
        request: What to analyse, how, and where to write the results.
        report: Called with each report.

    Raises:
        ConfigError: An alert waits for an emotion that the model does not know.
        InputError: There is no such file, or no recording in a folder.
        ModelError: The model cannot be loaded.
        OutputError: A CSV cannot be opened, or not be written for too long.
    """
    model = request.analysis.model
    check_rules(request.analysis.config.alerts.rules, model.labels, model.name)
    return _Run(request, report).run()


class _Run:
    def __init__(self, request: Request, report: Callable[[Report], None]) -> None:
        self._request = request
        self._analysis = request.analysis
        self._report = report
        self._outputs: list[Output] = []
        self._result = Result()
        self._finished: list[Analysed] = []
        self._committed_at = time.monotonic()
        self._read: dict[str, tuple[float, float]] = {}
        self._elsewhere = False  # in other processes

    def run(self) -> Result:
        for table in self._request.tables:
            table.prepare()
        with ExitStack() as stack:
            self._open(stack)
            planned = self._plan()
            stack.callback(planned.close)
            self._report(self._result.planned)
            if planned.count:
                if (reason := fallback_reason(self._analysis.config.vad)) is not None:
                    self._say(reason)
                analysed = self._analysed(planned)
                stack.callback(analysed.close)  # before the files: it may have processes
                stack.callback(self._commit)
                for made in analysed:
                    self._take(made)
                self._commit()
            if self._request.again:
                for output in self._outputs:
                    output.ledger.end_again()
        if not self._result.lost_rows:
            for table in self._request.tables:
                if planned.count or not table.part.exists():
                    table.finish()
        return self._result

    def _open(self, stack: ExitStack) -> None:
        settings = _settings(self._analysis)
        labels = self._analysis.model.labels
        for path, opened in (
            (self._request.csv, rows_output),
            (self._request.summary, summary_output),
        ):
            if path is not None:
                form = EXCEL if self._request.excel else STANDARD
                output = opened(path, labels, form, settings, self._say)
                self._outputs.append(output)
                stack.callback(self._close, output)
        if self._request.again and self._outputs:
            number = max(output.ledger.next_again for output in self._outputs)
            for output in self._outputs:
                output.ledger.begin_again(number)
            self._analysis = replace(self._analysis, again=number)

    def _close(self, output: Output) -> None:
        if lines := output.close():
            self._result.lost_rows = True
            self._report(Unwritten(lines))

    def _plan(self) -> plan.Plan:
        identity = self._analysis.model.key
        settings = _settings(self._analysis)
        found = failed_before = other_settings = 0

        def task(one: ListedRecording) -> Task | None:
            nonlocal found, failed_before, other_settings
            if not one.is_in(self._request.shard):
                return None
            found += 1
            made = Task(one, one.identity(identity))
            known = [o.ledger.find(made.identity, self._analysis.again) for o in self._outputs]
            entries = [entry for entry in known if entry is not None]
            if not entries or len(entries) < len(known):
                return made
            if Status.FAILED in {entry.status for entry in entries} and self._request.retry_failed:
                return made
            entry = entries[0]
            if entry.status is not Status.DONE:
                failed_before += 1
                self._result.fail(entry.source, entry.error.removeprefix(f"{entry.source}: "))
            elif entry.settings not in ("", settings):
                other_settings += 1
            return None

        made = plan.make(self._request.paths, task, self._say, self._fail)
        unreadable = self._result.failures.total() - failed_before
        self._result.planned = Planned(
            found, made.count, made.size, failed_before, other_settings, unreadable
        )
        return made

    def _analysed(self, planned: plan.Plan) -> Generator[Analysed]:
        if self._request.engine is not None:
            return self._request.engine(self._analysis, planned.tasks())
        jobs = self._request.jobs or min(
            os.cpu_count() or 1, 1 + planned.size // PROCESS_BYTES, planned.count
        )
        if jobs == 1 or planned.count == 1:
            return workers.here(self._analysis, planned.tasks(), self._on_read)
        self._elsewhere = True
        return workers.elsewhere(
            self._analysis,
            planned.tasks(),
            self._on_read,
            total=planned.count,
            count=min(jobs, planned.count),
            tick=self._tick,
        )

    def _on_read(self, identity: str, size: float, seconds: float) -> None:
        before = self._read.get(identity, (0.0, 0.0))
        self._read[identity] = before[0] + size, before[1] + seconds
        self._report(Progress(size, seconds))
        self._tick()

    def _take(self, made: Analysed) -> None:
        task, audio = made.task, self._analysis.audio
        size, seconds = self._read.pop(task.identity, (0.0, 0.0))
        self._report(Progress(task.found.size - size, made.seconds - seconds))
        self._result.seconds += made.seconds
        if audio is not None and self._elsewhere:
            audio.count(made.audio_saved, made.audio_lost)
        for output in self._outputs:
            output.add(made, task.identity, self._analysis.again)
        self._finished.append(made)
        self._tick()

    def _tick(self) -> None:
        due = time.monotonic() - self._committed_at >= COMMIT_S
        if due or len(self._finished) >= MAX_PENDING:
            self._commit()

    def _commit(self) -> None:
        for output in self._outputs:
            output.commit()
        finished, self._finished = self._finished, []
        for made in finished:
            if made.error:
                self._result.fail(made.session.source, made.reason)
            else:
                self._result.done += 1
            self._report(made)
        self._committed_at = time.monotonic()

    def _say(self, text: str) -> None:
        self._report(Said(text))

    def _fail(self, text: str) -> None:
        source, _, reason = text.partition(": ")
        self._result.fail(source, reason)
        self._say(text)


def _settings(analysis: Analysis) -> str:
    """A digest of the settings that change results."""
    config = analysis.config
    audio = config.audio
    sections = (
        *(audio.channels, audio.analyse, audio.crosstalk, analysis.split, config.model.prior),
        *(config.vad, config.segmenter, config.alerts.rules, config.calls, config.mood),
        config.baseline,
    )
    return blake2b(repr(sections).encode(), digest_size=4).hexdigest()
