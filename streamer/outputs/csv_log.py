"""The CSV log: a row is on disk before it is on screen, whatever happens to the process."""

import csv
import errno
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from streamer.errors import OutputError
from streamer.outputs.row import Value

try:
    import fcntl
except ImportError:  # Windows: one process per file
    fcntl = None  # type: ignore[assignment]

LONGEST_ROW = 65_536
"""Bytes at the end of a file in which an unfinished row is looked for."""


class CsvLog:
    """Appends rows to a CSV file (RFC 4180, UTF-8), each with one write and one fsync.

    A row that an earlier run could not finish (power loss, a full disk) is taken off the end when
    the file is opened; `mended` says so. Rows that cannot be written now wait in memory and are
    written, in order, with a later one. Several processes may append to one file.

    Args:
        path: Created with a header where it does not exist.
        columns: Names of the columns.

    Raises:
        OutputError: It cannot be written, or holds other columns than these.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path = path
        self.mended = False
        self._columns = list(columns)
        self._waiting: list[bytes] = []
        if path.is_dir():
            raise OutputError(f"{path}: is a folder, expected a CSV file or a new name")
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise OutputError(f"{path}: cannot be written: {error.strerror}") from error
        try:
            self._prepare()
        except BaseException:
            os.close(self._file)
            raise

    @property
    def waiting(self) -> int:
        """How many rows could not be written so far."""
        return len(self._waiting)

    def add(self, row: Mapping[str, Value]) -> None:
        """Take a row; `flush` writes it."""
        self._waiting.append(_line([_cell(row[column]) for column in self._columns]))

    def flush(self) -> None:
        """Write what waits, in order.

        Raises:
            OutputError: Some of it is not on disk; it waits for the next attempt.
        """
        with _locked(self._file):
            while self._waiting:
                self._store(self._waiting[0])
                del self._waiting[0]

    def close(self) -> None:
        """Close the file. Raises OutputError where rows are left that cannot be written."""
        try:
            self.flush()
        finally:
            os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    def _prepare(self) -> None:
        """Write or check the header, and mend what an earlier run left unfinished."""
        with _locked(self._file):
            if os.fstat(self._file).st_size == 0:
                self._store(_line(self._columns))
                return
            # utf-8-sig: a spreadsheet may have saved it with a byte-order mark
            with self.path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
                header = next(csv.reader(file), [])
            if header != self._columns:
                raise OutputError(
                    f"{self.path}: holds other columns than this model writes: "
                    f"got {', '.join(header)}; expected {', '.join(self._columns)}; "
                    "choose another file with --csv"
                )
            self._mend()

    def _mend(self) -> None:
        size = os.fstat(self._file).st_size
        end = os.pread(self._file, LONGEST_ROW, max(0, size - LONGEST_ROW))
        rest = end.rpartition(b"\n")[2]
        if not rest:
            return
        last = next(csv.reader([rest.decode(errors="replace")]))
        if len(last) == len(self._columns):  # whole, but for the end of the line
            self._store(b"\n")
        else:
            os.ftruncate(self._file, size - len(rest))
            self.mended = True

    def _store(self, line: bytes) -> None:
        """Append bytes whole or not at all; the file is locked."""
        size = os.fstat(self._file).st_size
        try:
            written = os.write(self._file, line)
            os.fsync(self._file)
            number = errno.ENOSPC  # which a short write means
        except OSError as error:
            written, number = 0, error.errno or errno.EIO
        if written < len(line):
            os.ftruncate(self._file, size)
            raise OutputError(f"{self.path}: cannot be written: {os.strerror(number)}")


def _line(cells: Sequence[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode(errors="replace")


def _cell(value: Value) -> str:
    """As text on one line: a line break within a cell is a torn row to simple readers."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case _:
            return " ".join(str(value).splitlines())


@contextmanager
def _locked(file: int) -> Iterator[None]:
    """Keep other processes that append to the same file out."""
    if fcntl is None:
        yield
        return
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)
