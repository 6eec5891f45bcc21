"""The ledger is a small database of finished recordings, beside the CSV with their rows.

Where both differ, the CSV counts. The ledger adds what the CSV does not hold: which recordings have
no speech or could not be read, and where the rows of the last finished one end. With it, a run need
not read the CSV.
"""

import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO

from streamer.errors import OutputError

SUFFIX = ".ledger"
"""Suffix after the whole name of the CSV."""

TAIL_BYTES = 4096
"""Bytes before the end of the last finished recording that are compared with the CSV."""

_SESSION = re.compile(r"rec-([0-9a-f]{16})(?:-(\d+))?")


class Status(StrEnum):
    """The result of a recording."""

    DONE = "done"
    BROKEN = "broken"  # it breaks off, or nothing more can be read: what came before has its rows
    FAILED = "failed"  # no row of it is anywhere


@dataclass(frozen=True, slots=True)
class Entry:
    """What is remembered of a recording.

    Attributes:
        identity: From `ListedRecording.identity`.
        again: The number of the ``--again`` that analysed it, from 1; 0 for none.
        source: Its name in the rows.
        status: The result.
        rows: How many rows it has.
        settings: A digest of the settings; empty where they are not known.
        error: Why it is not done; empty otherwise.
    """

    identity: str
    again: int
    source: str
    status: Status
    rows: int
    settings: str
    error: str = ""

    @property
    def session(self) -> str:
        """The session that its rows are of."""
        return session_id(self.identity, self.again)


@dataclass(frozen=True, slots=True)
class Position:
    """Where the rows of finished recordings end in a file.

    Attributes:
        end: In bytes from its beginning.
        tail: The last bytes before that, up to `TAIL_BYTES`.
    """

    end: int
    tail: bytes

    @classmethod
    def of(cls, file: IO[bytes], end: int | None = None) -> "Position":
        """Read the bytes before a position in a file; None for its end."""
        end = file.seek(0, 2) if end is None else min(end, file.seek(0, 2))
        file.seek(max(0, end - TAIL_BYTES))
        return cls(end, file.read(end - file.tell()))


def session_id(identity: str, again: int = 0) -> str:
    """The session of a recording: the same each time, so that its rows are known."""
    return f"rec-{identity}-{again}" if again else f"rec-{identity}"


def parsed_session(session: str) -> tuple[str, int] | None:
    """The identity and the number of the ``--again``; None for a session of another kind."""
    match = _SESSION.fullmatch(session)
    return None if match is None else (match[1], int(match[2] or 0))


class Ledger:
    """The ledger of one file; no other process may use it meanwhile.

    Args:
        path: Its path; None for a temporary file that is deleted after the run.

    Raises:
        OutputError: It cannot be written, another process uses it, or it is damaged.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        with self._explained():
            if path is not None:
                path.touch(mode=0o600)  # names of recordings may be personal data
            self._db = sqlite3.connect(path or "", timeout=0, isolation_level=None)
            try:
                self._set_up()
            except BaseException:
                self._db.close()
                raise

    @property
    def is_new(self) -> bool:
        """True before anything was remembered."""
        return self._value("end") is None

    def find(self, identity: str, again: int = 0) -> Entry | None:
        """Find the entry of a recording; None without one.

        Args:
            identity: From `ListedRecording.identity`.
            again: Ignore results of earlier runs with ``--again``.
        """
        with self._explained():
            row = self._db.execute(
                "SELECT * FROM recording WHERE identity = ? AND again >= ?"
                " ORDER BY again DESC LIMIT 1",
                (identity, again),
            ).fetchone()
        return None if row is None else _entry(row)

    def failed(self) -> Iterator[Entry]:
        """Entries of recordings that are not done."""
        with self._explained():
            for row in self._db.execute("SELECT * FROM recording WHERE status != 'done'"):
                yield _entry(row)

    def position(self) -> Position | None:
        """Where the rows of finished recordings end; None before the first."""
        end, tail = self._value("end"), self._value("tail")
        return Position(end, tail) if isinstance(end, int) and isinstance(tail, bytes) else None

    def add(self, entries: Iterable[Entry], position: Position | None) -> None:
        """Remember recordings, all or none, and where the rows of the last one end.

        Raises:
            OutputError: They could not be remembered.
        """
        with self._transaction():
            self._db.executemany(
                "INSERT OR REPLACE INTO recording VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    (e.identity, e.again, e.source, e.status, e.rows, e.settings, e.error)
                    for e in entries
                ),
            )
            if position is not None:
                self._set("end", position.end)
                self._set("tail", position.tail)

    def keep_only(self, sessions: Iterable[str], position: Position) -> int:
        """Delete recordings whose rows are not in the file, and add those that are.

        Args:
            sessions: Those in the file.
            position: Its end.

        Returns:
            How many were deleted.
        """
        with self._transaction():
            self._db.execute(
                "CREATE TEMP TABLE seen (identity, again, PRIMARY KEY (identity, again))"
            )
            self._db.executemany(
                "INSERT OR IGNORE INTO seen VALUES (?, ?)",
                filter(None, map(parsed_session, sessions)),
            )
            forgotten = self._db.execute(
                "DELETE FROM recording WHERE rows > 0 AND NOT EXISTS (SELECT 1 FROM seen WHERE"
                " seen.identity = recording.identity AND seen.again = recording.again)"
            ).rowcount
            self._db.execute(
                "INSERT OR IGNORE INTO recording"
                " SELECT identity, again, '', 'done', 1, '', '' FROM seen"
            )
            self._db.execute("DROP TABLE seen")
            self._set("end", position.end)
            self._set("tail", position.tail)
        return forgotten

    @property
    def next_again(self) -> int:
        """The number of the ``--again`` that begins now or continues."""
        number = int(self._value("again") or 0)
        return number if self._value("again_open") else number + 1

    def begin_again(self, number: int) -> None:
        """Begin to analyse everything again, or continue with it."""
        with self._transaction():
            self._set("again", number)
            self._set("again_open", 1)

    def end_again(self) -> None:
        """End an ``--again``: everything was analysed."""
        with self._transaction():
            self._set("again_open", 0)

    def close(self) -> None:
        """Close it, so that other processes can use it."""
        self._db.close()

    def _set_up(self) -> None:
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")  # a second process is told at once
        self._db.execute("BEGIN EXCLUSIVE")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS recording (identity TEXT, again INTEGER, source TEXT,"
            " status TEXT, rows INTEGER, settings TEXT, error TEXT, PRIMARY KEY (identity, again))"
            " WITHOUT ROWID"
        )
        self._db.execute("CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value)")
        self._db.execute("COMMIT")

    def _value(self, name: str) -> "int | bytes | None":
        with self._explained():
            row = self._db.execute("SELECT value FROM state WHERE name = ?", (name,)).fetchone()
        return None if row is None else row[0]

    def _set(self, name: str, value: int | bytes) -> None:
        self._db.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (name, value))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._explained():
            self._db.execute("BEGIN")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # some errors have ended it already
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise OutputError(
                    f"{self.path}: another 'streamer file' works with it: wait for that one, or "
                    "name another file with --csv"
                ) from error
            raise OutputError(f"{self.path}: cannot be written: {error}") from error
        except sqlite3.DatabaseError as error:
            raise OutputError(
                f"{self.path}: is damaged ({error}): delete it; recordings with rows in the CSV "
                "still count as done"
            ) from error
        except OSError as error:
            raise OutputError(f"{self.path}: cannot be written: {error.strerror}") from error


def _entry(row: "tuple[str, int, str, str, int, str, str]") -> Entry:
    identity, again, source, status, rows, settings, error = row
    return Entry(identity, again, source, Status(status), rows, settings, error)
