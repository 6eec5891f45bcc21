"""The CSV log appends rows durably: a row is on disk before it is on screen."""

import codecs
import errno
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from streamer.errors import OutputError
from streamer.sinks.csv_format import EXCEL, STANDARD, UTF8_BOM, CsvFormat
from streamer.sinks.row import Value

try:
    import fcntl
except ImportError:  # Windows: one process per file
    fcntl = None  # type: ignore[assignment]

MAX_ROW_BYTES = 65_536
"""Bytes at the end of a file that are searched for an unfinished row."""

LOCK_S = 5.0
"""Seconds for which another process may lock the file before that counts as a failure."""

LOCK_POLL_S = 0.0005

MAX_QUOTE = 400
"""How many letters of an unexpected header a message shows."""

NO_FILE = "is a device or a pipe, expected a CSV file ('-' is standard output)"
ANOTHER_FILE = "rename that file, or choose another with --csv"
"""The advice where rows cannot be appended to a file."""

OWNER_ONLY = 0o600
"""The mode of a new file, which holds personal data. An existing one keeps its mode."""

MAX_ROWS = 100_000
"""Rows that may wait in memory for a disk that is full: 30 MB, and days of a busy desk."""


class CsvLog:
    """Appends rows to a CSV file (RFC 4180, UTF-8), each with one write, all of a flush synced.

    A row that an earlier run could not finish (power loss, a full disk) is removed from the end
    when the file is opened. If the file is deleted, moved, replaced or emptied meanwhile, rows go
    on in a new one, or in the one that is there, at the same path. `notices` reports both. Rows
    that cannot be written now wait in memory, at most `MAX_ROWS`, and are written with a later one.
    Several processes may append to one file.

    Args:
        path: Created with a header where it does not exist.
        columns: Names of the columns.
        sync: Sync the file with every `flush`; otherwise only `sync` does, and `close`.
        form: How rows become lines.

    Raises:
        OutputError: It cannot be written, or holds other columns than these.
    """

    def __init__(
        self,
        path: Path,
        columns: Sequence[str],
        *,
        sync: bool = True,
        form: CsvFormat = STANDARD,
    ) -> None:
        self.path = path
        self._place = path.absolute()  # the current folder may be deleted, and be made anew with it
        self.lost = 0
        """How many rows are in no file, because too many waited for the disk."""
        self._columns = list(columns)
        self._sync = sync
        self._form = form
        self._unsynced = False
        self._waiting: list[bytes] = []
        self._notices: list[str] = []
        self._file = self._open()

    @property
    def waiting(self) -> int:
        """How many rows could not be written so far."""
        return len(self._waiting)

    def notices(self) -> list[str]:
        """Return what happened to the file since the last call, a line each."""
        notices, self._notices = self._notices, []
        return notices

    def unwritten(self) -> list[str]:
        """The rows that wait, as lines of CSV below a header; empty without any."""
        lines = [self._form.line(self._columns), *self._waiting] if self._waiting else []
        return [line.decode().rstrip("\n") for line in lines]

    def add(self, row: Mapping[str, Value]) -> None:
        """Take a row; `flush` writes it."""
        if len(self._waiting) >= MAX_ROWS:
            del self._waiting[0]
            self.lost += 1
            if self.lost == 1:
                self._notices.append(
                    f"{self.path}: {MAX_ROWS} rows wait: the oldest are lost from now on"
                )
        cells = [self._form.cell(row[column]) for column in self._columns]
        self._waiting.append(self._form.line(cells))

    def flush(self) -> None:
        """Write what waits, in order, and sync it unless the log was opened with ``sync=False``.

        Raises:
            OutputError: Some of it is not on disk; it waits for the next attempt.
        """
        while self._waiting:
            self._reopen_if_moved()
            with locked(self._file, self.path):
                if self._is_elsewhere():
                    continue  # replaced while the lock was waited for
                if os.fstat(self._file).st_size == 0:  # as logrotate's copytruncate leaves it
                    self._append(self._file, [self._form.header(self._columns)])
                    self._notices.append(f"{self.path}: was emptied; rows go on below a new header")
                self._append(self._file, self._waiting)

    def sync(self) -> None:
        """Sync what was written since the last time.

        Raises:
            OutputError: It may not be on disk.
        """
        if self._unsynced:
            self._unsynced = False
            try:
                os.fsync(self._file)
            except OSError as error:
                raise self._error(error) from error

    def close(self) -> None:
        """Write, sync and close.

        Raises:
            OutputError: Some rows cannot be written.
        """
        try:
            self.flush()
            self.sync()
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
        """Open the file, with a header and a complete last row; return its descriptor."""
        if self._place.is_dir():
            raise OutputError(f"{self.path}: is a folder, expected a CSV file or a new name")
        is_new = not self._place.exists()
        try:
            file = os.open(self._place, os.O_RDWR | os.O_CREAT | os.O_APPEND, OWNER_ONLY)
        except OSError as error:
            raise self._error(error) from error
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise OutputError(f"{self.path}: {NO_FILE}")  # noqa: TRY301 - closed here
            self._prepare(file)
            if is_new:
                _sync_folder(self._place.parent)
        except OSError as error:
            os.close(file)
            raise self._error(error) from error
        except BaseException:
            os.close(file)
            raise
        return file

    def _is_elsewhere(self) -> bool:
        """Whether the file at the path is not the one that is open."""
        try:
            return not os.path.samestat(os.fstat(self._file), self._place.stat())
        except OSError:
            return True

    def _reopen_if_moved(self) -> None:
        """Open the path again if the file was moved, deleted or replaced."""
        ours = os.fstat(self._file)
        try:
            there = self._place.stat()
        except OSError:
            there = None
        if there is not None and (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino):
            return
        try:  # the folder may be gone, too: rows are safer in a new one than in memory
            self._place.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._error(error) from error
        file = self._open()
        if there is None and hasattr(os, "fchmod"):  # whoever may read the old one may read on
            os.fchmod(file, stat.S_IMODE(ours.st_mode))
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
        """Write or check the header, and remove an unfinished last row."""
        with locked(file, self.path):
            if os.fstat(file).st_size == 0:
                self._append(file, [self._form.header(self._columns)])
                return
            head = os.pread(file, MAX_ROW_BYTES, 0)
            if problem := _problem(head, self._columns, self._form):
                raise OutputError(f"{self.path}: {problem}")
            self._mend(file)

    def _mend(self, file: int) -> None:
        size = os.fstat(file).st_size
        end = os.pread(file, MAX_ROW_BYTES, max(0, size - MAX_ROW_BYTES))
        _, newline, rest = end.rpartition(b"\n")
        if not rest:
            return
        if len(self._form.cells(rest)) == len(self._columns):  # whole, but for the end of the line
            self._append(file, [b"\n"])
        elif newline:
            os.ftruncate(file, size - len(rest))
            self._notices.append(f"{self.path}: took off a row that an earlier run left unfinished")
        else:
            raise OutputError(f"{self.path}: holds no lines; {ANOTHER_FILE}")

    def _append(self, file: int, lines: list[bytes]) -> None:
        """Move lines from a list to the end of the file, each whole or not at all; it is locked.

        Raises:
            OutputError: Those that are left in the list are not in the file.
        """
        count = 0
        try:
            begin = os.fstat(file).st_size
            count, failure = _write_whole(file, lines)
            if count and self._sync:
                try:
                    os.fsync(file)
                except OSError:
                    count = 0
                    os.ftruncate(file, begin)
                    raise
            if failure is not None:
                raise failure
        except OSError as error:
            raise self._error(error) from error
        finally:
            self._unsynced = self._unsynced or not self._sync
            del lines[:count]

    def _error(self, error: OSError) -> OutputError:
        return OutputError(f"{self.path}: cannot be written: {error.strerror}")


def check_columns(
    path: Path, columns_of: Callable[[Sequence[str]], Sequence[str]], form: CsvFormat
) -> None:
    """Check that rows may be appended to a file, where it is there and holds something.

    Args:
        path: The file.
        columns_of: Says which columns are expected of a file that has these.
        form: How rows become lines.

    Raises:
        OutputError: It holds something else, cannot be read, or another program keeps it locked.
    """
    if not path.is_file():
        return
    try:
        with path.open("rb+") as file, locked(file.fileno(), path):
            head = file.read(MAX_ROW_BYTES)
    except OSError as error:
        raise OutputError(f"{path}: cannot be read: {error.strerror}") from error
    names = {name for each in (EXCEL, STANDARD) for name in each.cells(_first_line(head))}
    if head and (problem := _problem(head, columns_of(sorted(names)), form)):
        raise OutputError(f"{path}: {problem}")


def _first_line(head: bytes) -> bytes:
    return head.removeprefix(UTF8_BOM).partition(b"\n")[0]


def _problem(head: bytes, columns: Sequence[str], form: CsvFormat) -> str:
    """Why rows must not be appended below what a file begins with; empty where they may."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return f"was saved as UTF-16 by a spreadsheet; {ANOTHER_FILE}"
    line = _first_line(head)
    if (header := form.cells(line)) == list(columns):
        return ""
    for other, cure in ((EXCEL, "append to it with --excel"), (STANDARD, "leave out --excel")):
        if other != form and other.cells(line) == list(columns):
            return (
                f"has {other.delimiter!r} between its cells, expected "
                f"{form.delimiter!r}: {cure}, or {ANOTHER_FILE}"
            )
    lacks = [column for column in columns if column not in header]
    more = [column for column in header if column not in columns]
    if len(lacks) == len(columns) or not (lacks or more):
        found = [f"got {', '.join(header)[:MAX_QUOTE]}; expected {', '.join(columns)}"]
    else:
        found = [f"it lacks {', '.join(lacks)}"] if lacks else []
        found += [f"it has {', '.join(more)[:MAX_QUOTE]} besides"] if more else []
    return f"holds other columns than this model writes: {'; '.join(found)}; {ANOTHER_FILE}"


def _write_whole(file: int, lines: Sequence[bytes]) -> tuple[int, OSError | None]:
    """Append lines until one fails; return how many were written, and the error."""
    end = os.fstat(file).st_size
    for count, line in enumerate(lines):
        try:
            written = os.write(file, line)
        except OSError as error:
            os.ftruncate(file, end)
            return count, error
        if written < len(line):
            os.ftruncate(file, end)
            return count, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        end += len(line)
    return len(lines), None


def _sync_folder(folder: Path) -> None:
    """Make the name of a new file durable, which syncing the file alone does not everywhere."""
    if not hasattr(os, "O_DIRECTORY"):  # Windows
        return
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.EBADF, errno.ENOTSUP}:  # some cannot
            raise
    finally:
        os.close(file)


@contextmanager
def locked(file: int, path: Path) -> Iterator[None]:
    """Lock a file against other programs that append to it, without waiting for long.

    Raises:
        OutputError: Another program keeps it locked.
    """
    if fcntl is None:
        yield
        return
    gives_up_at = time.monotonic() + LOCK_S
    while not _lock(file):
        if time.monotonic() > gives_up_at:
            raise OutputError(f"{path}: another program keeps it locked")
        time.sleep(LOCK_POLL_S)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


def _lock(file: int) -> bool:
    """Whether the file is locked now, or cannot be locked at all."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # some network file systems know no locks: one process per file
        return True
    return True
