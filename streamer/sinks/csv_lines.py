"""Writes the rows of the CSV to standard output, for the next program in a pipe."""

from typing import TextIO

from streamer.events import Event
from streamer.sinks.csv_format import EXCEL, STANDARD
from streamer.sinks.csv_sink import row_of
from streamer.sinks.lines import LineSink
from streamer.sinks.row import Session, columns
from streamer.sinks.summary import Summary


class CsvLines(LineSink):
    """Writes a header, then a row for each utterance and each mark.

    Args:
        file: Where to write; None for standard output.
        waits: Wait for the reader of the lines.
        excel: As for `CsvSink`.
    """

    def __init__(
        self, file: TextIO | None = None, *, waits: bool = False, excel: bool = False
    ) -> None:
        super().__init__(file, waits=waits)
        self._form = EXCEL if excel else STANDARD
        self._columns: list[str] = []  # once the header was written

    def write(self, event: Event, session: Session | None) -> None:
        """Write the row of an event that has one, after the header."""
        if session is None:
            return
        self._begin(session)
        if (values := row_of(event, session)) is not None:
            cells = [self._form.cell(values[name]) for name in self._columns]
            self.writer.write(self._form.line(cells).decode())

    def end(self, session: Session, summary: Summary) -> None:
        """Write the header, where nobody spoke."""
        del summary
        self._begin(session)

    def _begin(self, session: Session) -> None:
        if not self._columns:
            self._columns = columns(session.labels)
            self.writer.write(self._form.header(self._columns).decode())
