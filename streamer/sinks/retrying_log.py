"""A CSV log that keeps rows which cannot be written now, and tries again."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from streamer.errors import OutputError
from streamer.sinks.csv_format import STANDARD, CsvFormat
from streamer.sinks.csv_log import CsvLog
from streamer.sinks.row import Value
from streamer.text import quantity

RETRY_S = 2.0
"""How often rows that could not be written are tried again."""


class RetryingLog:
    """A `CsvLog` that keeps and reports rows which cannot be written now, and tries again.

    Args:
        path: As for `CsvLog`, with the same errors.
        columns: As for `CsvLog`.
        report: Called with a line when rows cannot be written, when they can be again, and when the
            file was moved or replaced.
        sync: As for `CsvLog`.
        form: As for `CsvLog`.
    """

    def __init__(
        self,
        path: Path,
        columns: Sequence[str],
        report: Callable[[str], object],
        *,
        sync: bool = True,
        form: CsvFormat = STANDARD,
    ) -> None:
        self._log = CsvLog(path, columns, sync=sync, form=form)
        self._report = report
        self._failure = ""
        self._failed_rows = 0  # that waited when it last failed
        self._retry_at = 0.0  # monotonic
        self._report_notices()

    @property
    def lost(self) -> int:
        """How many rows are in no file, because too many waited for the disk."""
        return self._log.lost

    @property
    def waiting(self) -> int:
        """How many rows could not be written so far."""
        return self._log.waiting

    @property
    def stuck(self) -> int:
        """How many rows wait because writing failed; 0 once it works again."""
        return self._failed_rows if self._failure else 0

    def add(self, row: Mapping[str, Value]) -> None:
        """Take a row; `flush` writes it."""
        self._log.add(row)

    def flush(self) -> None:
        """Write what was added, now or as soon as that can be done."""
        try:
            self._log.flush()
        except OutputError as error:
            self._retry_at = time.monotonic() + RETRY_S
            self._failed_rows = self._log.waiting
            if str(error) != self._failure:
                self._failure = str(error)
                self._report(f"{error}; rows wait, and are written when that is over")
        else:
            if self._failure:
                self._failure = ""
                rows = self._failed_rows
                waited = f"{quantity(rows, 'row')} that waited"
                self._report(f"{self._log.path}: written again, with {waited}")
        self._report_notices()

    def poll(self) -> None:
        """Try again what waits, if it is time to. To be called often."""
        if self._log.waiting and time.monotonic() >= self._retry_at:
            self.flush()

    def sync(self) -> None:
        """Sync what was written; a failure is reported."""
        try:
            self._log.sync()
        except OutputError as error:
            self._report(str(error))

    def unwritten(self) -> list[str]:
        """The rows that wait, as lines of CSV below a header; empty without any."""
        return self._log.unwritten()

    def close(self) -> list[str]:
        """Write what waits and close the file.

        Returns:
            The reason why some rows could not be written, then these as lines of CSV below a
            header; empty where all is on disk.
        """
        try:
            self._log.close()
        except OutputError as error:
            return [f"{error}; these rows are not in it:", *self._log.unwritten()]
        finally:
            self._report_notices()
        return []

    def _report_notices(self) -> None:
        for notice in self._log.notices():
            self._report(notice)
