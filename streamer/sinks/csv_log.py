"""The CSV log: a row is on disk before it is on screen, whatever happens to process and file."""

import csv
import errno
import io
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from streamer.errors import OutputError
from streamer.sinks.row import Value

try:
    import fcntl
except ImportError:  # Windows: one process per file
    fcntl = None  # type: ignore[assignment]

MAX_ROW_BYTES = 65_536
"""Bytes at the end of a file in which an unfinished row is looked for."""

LOCK_S = 1.0
"""How long another process may keep the file to itself before that counts as a failure."""

LOCK_POLL_S = 0.0005

BOM = b"\xef\xbb\xbf"
"""What a spreadsheet may have put before the header."""

MAX_QUOTE = 400
"""Letters of a foreign header that are shown."""

RETRY_S = 2.0
"""How often rows that could not be written are tried again."""


class CsvLog:
    """Appends rows to a CSV file (RFC 4180, UTF-8), each with one write and one fsync.

    A row that an earlier run could not finish (power loss, a full disk) is taken off the end when
    the file is opened. A file that is deleted, moved or replaced under our hands is made anew, or
    gone on with, at the same path. `notices` tells of both. Rows that cannot be written now wait
    in memory and are written, in order, with a later one. Several processes may append to one
    file.

    Args:
        path: Created with a header where it does not exist.
        columns: Names of the columns.

    Raises:
        OutputError: It cannot be written, or holds other columns than these.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path = path
        self._columns = list(columns)
        self._waiting: list[bytes] = []
        self._notices: list[str] = []
        self._file = self._open()

    @property
    def waiting(self) -> int:
        """How many rows could not be written so far."""
        return len(self._waiting)

    def notices(self) -> list[str]:
        """What became of the file since the last call, a line each."""
        notices, self._notices = self._notices, []
        return notices

    def unwritten(self) -> list[str]:
        """The rows that wait, as lines of CSV, below a header; nothing where none does."""
        lines = [_line(self._columns), *self._waiting] if self._waiting else []
        return [line.decode().rstrip("\n") for line in lines]

    def add(self, row: Mapping[str, Value]) -> None:
        """Take a row; `flush` writes it."""
        self._waiting.append(_line([_cell(row[column]) for column in self._columns]))

    def flush(self) -> None:
        """Write what waits, in order.

        Raises:
            OutputError: Some of it is not on disk; it waits for the next attempt.
        """
        if not self._waiting:
            return
        self._follow()
        with self._locked(self._file):
            while self._waiting:
                self._store(self._file, self._waiting[0])
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

    def _open(self) -> int:
        """The file's number; the file is there, ours, and ends with a whole row."""
        if self.path.is_dir():
            raise OutputError(f"{self.path}: is a folder, expected a CSV file or a new name")
        try:
            file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise self._error(error) from error
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise OutputError(f"{self.path}: is a device or a pipe, expected a CSV file")  # noqa: TRY301 - closed here
            self._prepare(file)
        except OSError as error:
            os.close(file)
            raise self._error(error) from error
        except BaseException:
            os.close(file)
            raise
        return file

    def _follow(self) -> None:
        """Go on at the path where the file is no longer there: what is written to it is lost."""
        ours = os.fstat(self._file)
        try:
            there = self.path.stat()
        except OSError:
            there = None
        if there is not None and (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino):
            return
        try:  # the folder may be gone, too: rows are safer in a new one than in memory
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._error(error) from error
        file = self._open()
        os.close(self._file)
        self._file = file
        if there is not None:
            text = "was replaced; rows go on in the file that is there now"
        elif ours.st_nlink:
            text = "was moved; rows go on in a new file, those before are where it went"
        else:
            text = "was deleted; rows go on in a new file, those before cannot be brought back"
        self._notices.append(f"{self.path}: {text}")

    def _prepare(self, file: int) -> None:
        """Write or check the header, and mend what an earlier run left unfinished."""
        with self._locked(file):
            if os.fstat(file).st_size == 0:
                self._store(file, _line(self._columns))
                return
            header = _cells(os.pread(file, MAX_ROW_BYTES, 0).removeprefix(BOM).partition(b"\n")[0])
            if header != self._columns:
                raise OutputError(
                    f"{self.path}: holds other columns than this model writes: "
                    f"got {', '.join(header)[:MAX_QUOTE]}; "
                    f"expected {', '.join(self._columns)}; choose another file with --csv"
                )
            self._mend(file)

    def _mend(self, file: int) -> None:
        size = os.fstat(file).st_size
        end = os.pread(file, MAX_ROW_BYTES, max(0, size - MAX_ROW_BYTES))
        _, newline, rest = end.rpartition(b"\n")
        if not rest:
            return
        if len(_cells(rest)) == len(self._columns):  # whole, but for the end of the line
            self._store(file, b"\n")
        elif newline:
            os.ftruncate(file, size - len(rest))
            self._notices.append(f"{self.path}: took off a row that an earlier run left unfinished")
        else:
            raise OutputError(f"{self.path}: holds no lines; choose another file with --csv")

    def _store(self, file: int, line: bytes) -> None:
        """Append bytes whole or not at all; the file is locked."""
        written = 0
        try:
            size = os.fstat(file).st_size
            try:
                written = os.write(file, line)
                os.fsync(file)
            except OSError:
                os.ftruncate(file, size)
                raise
            if written < len(line):
                os.ftruncate(file, size)
        except OSError as error:
            raise self._error(error) from error
        if written < len(line):
            raise self._error(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))

    @contextmanager
    def _locked(self, file: int) -> Iterator[None]:
        """Keep other processes that append to the same file out; never wait for them for long."""
        if fcntl is None:
            yield
            return
        gives_up_at = time.monotonic() + LOCK_S
        while not _lock(file):
            if time.monotonic() > gives_up_at:
                raise OutputError(f"{self.path}: another program keeps it locked")
            time.sleep(LOCK_POLL_S)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)

    def _error(self, error: OSError) -> OutputError:
        return OutputError(f"{self.path}: cannot be written: {error.strerror}")


class RetryingLog:
    """A `CsvLog` that never gives up: what cannot be written waits, is tried again, and is said.

    Args:
        path: As for `CsvLog`, with the same errors.
        columns: Likewise.
        say: Told in a line when rows cannot be written, when they can be again, and what became of
            the file.
    """

    def __init__(self, path: Path, columns: Sequence[str], say: Callable[[str], None]) -> None:
        self._log = CsvLog(path, columns)
        self._say = say
        self._trouble = ""
        self._retry_at = 0.0  # monotonic
        self._tell()

    def add(self, row: Mapping[str, Value]) -> None:
        """Write a row, now or as soon as that can be done."""
        waited = self._log.waiting
        self._log.add(row)
        self._write(waited)

    def poll(self) -> None:
        """Try again what waits, if it is time to. To be called often."""
        if self._log.waiting and time.monotonic() >= self._retry_at:
            self._write(self._log.waiting)

    def close(self) -> list[str]:
        """Write what waits and close the file.

        Returns:
            Why some of it could not be written, then that as lines of CSV, below a header; nothing
            where all is on disk.
        """
        try:
            self._log.close()
        except OutputError as error:
            return [f"{error}; these rows are not in it:", *self._log.unwritten()]
        finally:
            self._tell()
        return []

    def _write(self, waited: int) -> None:
        try:
            self._log.flush()
        except OutputError as error:
            self._retry_at = time.monotonic() + RETRY_S
            if str(error) != self._trouble:
                self._trouble = str(error)
                self._say(f"{error}; rows wait, and are written when that is over")
        else:
            if self._trouble:
                self._trouble = ""
                plural = "" if waited == 1 else "s"
                self._say(f"{self._log.path}: written again, with {waited} row{plural} that waited")
        self._tell()

    def _tell(self) -> None:
        for notice in self._log.notices():
            self._say(notice)


def _lock(file: int) -> bool:
    """Whether the file is ours alone now, or cannot be locked at all."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # some network file systems know no locks: one process per file
        return True
    return True


def _line(cells: Sequence[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode(errors="replace")


def _cells(line: bytes) -> list[str]:
    """What stands in a line; nothing where it is no CSV."""
    try:
        return next(csv.reader([line.decode(errors="replace").rstrip("\r")]), [])
    except csv.Error:
        return []


def _cell(value: Value) -> str:
    """As text on one line: a line break within a cell is a torn row to simple readers."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case _:
            return " ".join(str(value).splitlines())
