"""What a ledger says and what is in the file of rows, brought together when a run begins.

- The rows end where the ledger says: all is well. Rows behind that which are of a recording are of
  one that was being written when the last run was killed; they are taken off, and the recording is
  analysed anew. Rows of live sessions stay.
- They do not: the file was changed, moved or deleted. The file counts: it is read once, and a
  recording is done if there is at least one row of it. Those that have none any more are analysed
  anew.
- There is no ledger: the same.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from streamer.bulk.ledger import Ledger, Position, parsed_session
from streamer.errors import OutputError

try:
    import fcntl
except ImportError:  # Windows: one process per file
    fcntl = None  # type: ignore[assignment]


_FIRST = re.compile(rb"[,;\r\n]")
"""What may end the first cell of a line."""


def reconcile(path: Path, ledger: Ledger) -> list[str]:
    """Make a file and its ledger agree.

    Args:
        path: A CSV whose first column is the session, with whole lines.
        ledger: Its ledger.

    Returns:
        What was amiss, a line each.

    Raises:
        OutputError: The file cannot be read or written.
    """
    try:
        with path.open("r+b") as file, _locked(file):
            expected = ledger.position()
            if expected is not None and Position.of(file, expected.end) == expected:
                cut = _cut_unfinished(file, expected.end, ledger)
                return _cut_note(path, cut)
            return _read(path, file, ledger)
    except OSError as error:
        raise OutputError(f"{path}: cannot be read: {error.strerror}") from error


def _cut_unfinished(file: IO[bytes], begin: int, ledger: Ledger) -> int:
    """Take off rows of recordings that are not done from there on; returns how many."""
    first: int | None = None
    kept: list[bytes] = []
    cut = 0
    for at, line in _lines(file, begin):
        known = parsed_session(_session(line))
        unfinished = known is not None and ledger.find(*known) is None
        if unfinished:
            first = at if first is None else first
            cut += 1
        elif first is not None:
            kept.append(line)
    if first is not None:
        file.seek(first)
        file.writelines(kept)
        file.truncate()
        file.flush()
    return cut


def _read(path: Path, file: IO[bytes], ledger: Ledger) -> list[str]:
    """Take the recordings that have rows for those that are done."""
    was_new = ledger.is_new
    last, last_at = "", 0
    for at, line in _lines(file, 0):
        if (session := _session(line)) != last:
            last, last_at = session, at
    known = parsed_session(last)
    cut = 0
    if known is not None and ledger.find(*known) is None:  # its rows may not all be there
        cut = _cut_unfinished(file, last_at, ledger)
    sessions = (_session(line) for _, line in _lines(file, 0))
    forgotten = ledger.keep_only(sessions, Position.of(file))
    notes = _cut_note(path, cut)
    if not was_new:
        text = f"{path}: was changed since the last run; what is in it counts as done"
        if forgotten:
            plural = "" if forgotten == 1 else "s"
            text += f", and {forgotten} recording{plural} without rows in it are analysed anew"
        notes.append(text)
    return notes


def _cut_note(path: Path, cut: int) -> list[str]:
    if not cut:
        return []
    plural = "" if cut == 1 else "s"
    return [f"{path}: took off {cut} row{plural} of a recording that was not finished"]


def _lines(file: IO[bytes], begin: int) -> Iterator[tuple[int, bytes]]:
    """Lines with their places in the file."""
    file.seek(begin)
    at = begin
    while line := file.readline():
        yield at, line
        at += len(line)


def _session(line: bytes) -> str:
    return _FIRST.split(line, maxsplit=1)[0].strip(b'"').decode(errors="replace")


@contextmanager
def _locked(file: IO[bytes]) -> Iterator[None]:
    """Keep live sessions that append to the same file out."""
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX)
    yield  # closing the file lets go of it
