"""Writes the rows of recordings to a CSV, with a ledger of the recordings that are in it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from streamer.bulk import ledger
from streamer.bulk.analyse_recording import Analysed
from streamer.bulk.ledger import Entry, Ledger, Position, Status
from streamer.bulk.plan import Say
from streamer.bulk.reconcile import reconcile
from streamer.errors import OutputError
from streamer.sinks.csv_format import CsvFormat
from streamer.sinks.retrying_log import RetryingLog
from streamer.sinks.row import Value, columns, row
from streamer.sinks.summary import summary_columns
from streamer.types import Utterance

MAX_WAITING = 50_000
"""Maximum number of rows that wait for a full disk; with more, the run ends."""

OpenLog = Callable[[], RetryingLog]
Rows = Callable[[Analysed], Iterable[Mapping[str, Value]]]


class Output:
    """A CSV that gets the rows of each recording once, together.

    Rows are written and synced first, many recordings at a time; then the ledger notes them. If a
    run is killed in between, the next one finds rows that the ledger does not know, and removes
    them.

    Args:
        path: Appended to.
        open_log: Opens it; the session is its first column.
        rows: Makes the rows of a recording.
        settings: A digest of the settings.
        say: Called with messages about the file, for people.

    Raises:
        OutputError: It cannot be written, holds other columns, or another run works with it.
    """

    def __init__(self, path: Path, open_log: OpenLog, rows: Rows, settings: str, say: Say) -> None:
        self.path = path
        self._rows = rows
        self._settings = settings
        self._say = say
        self._pending: list[Entry] = []
        self._failure = ""
        self._log = open_log()
        with ExitStack() as opened:
            opened.callback(self._log.close)
            beside = path.resolve()  # one ledger, by whichever link the file is named
            self.ledger = Ledger(beside.with_name(beside.name + ledger.SUFFIX))
            opened.callback(self.ledger.close)
            for note in reconcile(path, self.ledger):
                say(note)
            opened.pop_all()

    def add(self, made: Analysed, identity: str, again: int) -> None:
        """Take a recording; `commit` writes its rows."""
        known = self.ledger.find(identity, again)
        if known is not None and known.status is not Status.FAILED:
            return  # it was analysed for another file that lacks it
        count = 0
        for cells in self._rows(made):
            self._log.add(cells)
            count += 1
        entry = Entry(
            identity, again, made.session.source, made.status, count, self._settings, made.error
        )
        self._pending.append(entry)

    def commit(self) -> None:
        """Write and sync the rows of all recordings taken, then note them in the ledger.

        Rows that cannot be written now are written by a later call, and noted after that.

        Raises:
            OutputError: Too much of it cannot be written.
        """
        if not self._pending:
            self._log.poll()
            return
        self._log.flush()
        self._log.sync()
        if self._log.waiting > MAX_WAITING:
            raise OutputError(
                f"{self.path}: cannot be written for too long; the next run goes on from here"
            )
        if self._log.waiting:
            return
        try:
            with self.path.open("rb") as file:
                position = Position.of(file)
            self.ledger.add(self._pending, position)
        except (OSError, OutputError) as error:
            if str(error) != self._failure:
                self._failure = str(error)
                self._say(f"{error}; what was done since is not remembered yet")
        else:
            self._pending.clear()

    def close(self) -> list[str]:
        """Write what waits and close both files.

        Returns:
            Rows that could not be written, as lines of CSV: a line with the reason, a header, rows.
        """
        try:
            self.commit()
            return self._log.close()
        finally:
            self.ledger.close()


def rows_output(
    path: Path, labels: Sequence[str], form: CsvFormat, settings: str, say: Say
) -> Output:
    """Make an output with a row per utterance.

    Raises:
        OutputError: As `Output` does.
    """
    log = partial(RetryingLog, path, columns(labels), say, sync=False, form=form)
    return Output(path, log, _utterance_rows, settings, say)


def summary_output(
    path: Path, labels: Sequence[str], form: CsvFormat, settings: str, say: Say
) -> Output:
    """Make an output with a row per channel of each recording.

    Raises:
        OutputError: As `Output` does.
    """
    log = partial(RetryingLog, path, summary_columns(labels), say, sync=False, form=form)
    return Output(path, log, _summary_rows, settings, say)


def _utterance_rows(made: Analysed) -> Iterable[Mapping[str, Value]]:
    return (row(event, made.session) for event in made.events if isinstance(event, Utterance))


def _summary_rows(made: Analysed) -> Iterable[Mapping[str, Value]]:
    return () if made.summary is None else made.summary.rows(made.session)
