"""Makes the ledger and the CSV agree when a run begins.

- The CSV has the rows that the ledger expects. Rows of recordings after them are of a run that was
  killed while it wrote: they are removed, and the recording is analysed again. Rows of live
  sessions stay.
- It has others: the CSV was changed, moved or deleted. Then the CSV counts: it is read once, and a
  recording is done if it has at least one row. Those without any are analysed again.
- There is no ledger: the same.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from streamer.bulk.ledger import Ledger, Position, parsed_session
from streamer.errors import OutputError
from streamer.text import quantity

try:
    import fcntl
except ImportError:  # Windows: one process per file
    fcntl = None  # type: ignore[assignment]


_FIRST = re.compile(rb"[,;\r\n]")
"""Characters that end the first cell of a line."""


def reconcile(path: Path, ledger: Ledger) -> list[str]:
    """Make a file and its ledger agree.

    Args:
        path: A CSV whose first column is the session, with whole lines.
        ledger: Its ledger.

    Returns:
        What was wrong, a line each.

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
    """Remove rows of unfinished recordings from a position on; return how many."""
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
    """Note all recordings with rows in the CSV as done."""
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
            verb = "is" if forgotten == 1 else "are"
            text += (
                f", and {quantity(forgotten, 'recording')} without rows in it {verb} analysed anew"
            )
        notes.append(text)
    return notes


def _cut_note(path: Path, cut: int) -> list[str]:
    if not cut:
        return []
    return [f"{path}: took off {quantity(cut, 'row')} of a recording that was not finished"]


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
    """Lock the file against live sessions that append to it."""
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX)
    yield  # closing the file lets go of it
