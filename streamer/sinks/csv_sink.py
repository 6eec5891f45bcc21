"""The CSV sink writes utterances and marks as rows of a CSV log."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from streamer.events import Event
from streamer.sinks.base import BaseSink
from streamer.sinks.csv_format import EXCEL, STANDARD
from streamer.sinks.csv_log import check_columns
from streamer.sinks.retrying_log import RetryingLog
from streamer.sinks.row import Session, Value, columns, mark_row, row
from streamer.sinks.summary import Summary
from streamer.types import EMOTIONS, Mark, Utterance


class CsvSink(BaseSink):
    """Writes a row for each utterance and each mark.

    Args:
        path: Appended to; opened when the first session begins, since the model's labels are
            columns.
        excel: Write the format that Excel reads where the decimal sign is a comma.
    """

    def __init__(self, path: Path, *, excel: bool = False) -> None:
        super().__init__()
        self.path = path
        self._form = EXCEL if excel else STANDARD
        self._log: RetryingLog | None = None
        self._failed: list[str] = []

    @property
    def is_open(self) -> bool:
        """True once the file was opened."""
        return self._log is not None

    @property
    def lost(self) -> int:
        """How many rows are in no file, because too many waited for the disk."""
        return self._log.lost if self._log is not None else 0

    @property
    def stuck(self) -> int:
        """How many rows wait because the file cannot be written. On any thread."""
        return self._log.stuck if self._log is not None else 0

    def begin(self, session: Session) -> None:
        """Open the file, unless it is open.

        Raises:
            OutputError: It cannot be written, or holds other columns.
        """
        if self._log is None:
            self._log = RetryingLog(self.path, columns(session.labels), self.warn, form=self._form)

    def write(self, event: Event, session: Session) -> None:
        """Take a row; `flush` writes it."""
        if self._log is not None and (values := row_of(event, session)) is not None:
            self._log.add(values)

    def _lines(self, left: Iterable[tuple[Event, Session]]) -> list[str]:
        """Rows as lines of CSV, below a header; nothing where there are none."""
        rows = [(row_of(event, session), session) for event, session in left]
        if not rows:
            return []
        names = columns(rows[0][1].labels)
        cells = [[self._form.cell(row[name]) for name in names] for row, _ in rows if row]
        return [self._form.line(each).decode().rstrip("\n") for each in (names, *cells)]

    def flush(self) -> None:
        """Write the rows, now or as soon as that can be done."""
        if self._log is not None:
            self._log.flush()

    def poll(self) -> None:
        """Try again what could not be written, if it is time to."""
        if self._log is not None:
            self._log.poll()

    def end(self, session: Session, summary: Summary) -> None:
        """Sync the rows of the session."""
        del session, summary
        if self._log is not None:
            self._log.sync()

    def close(self) -> None:
        """Write what waits and close the file."""
        if self._log is not None:
            self._failed = self._log.close()

    def unwritten(self, left: Iterable[tuple[Event, Session]] | None = None) -> list[str]:
        """Rows that could not be written, as lines of CSV: a line with the reason, a header, rows.

        Args:
            left: None after `close`. Otherwise the disk does not answer, and these are the results
                that were not passed to the sink.
        """
        if left is None:
            return self._failed
        if self._log is None:  # not even the file could be opened
            lines = self._lines(left)
        else:
            for event, session in left:
                self.write(event, session)
            lines = self._log.unwritten()
        why = f"{self.path}: the disk does not answer; these rows may not be in it:"
        return [why, *lines] if lines else []


def check_log(path: Path, *, excel: bool = False) -> None:
    """Check that a file is a log of this version, with any emotions, or does not exist.

    Raises:
        OutputError: It is another file.
    """

    def expected(names: Sequence[str]) -> Sequence[str]:
        return columns([emotion for emotion in EMOTIONS if emotion in names] or EMOTIONS)

    check_columns(path, expected, EXCEL if excel else STANDARD)


def row_of(event: Event, session: Session) -> dict[str, Value] | None:
    """The row of an event that has one."""
    match event:
        case Utterance():
            return row(event, session)
        case Mark():
            return mark_row(event, session)
    return None
