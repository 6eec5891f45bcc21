"""Removes rows from a CSV log that others append to, when they must be deleted."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from streamer.errors import OutputError
from streamer.sinks.csv_format import EXCEL, STANDARD, UTF8_BOM, restored
from streamer.sinks.csv_log import locked


def remove_rows(path: Path, unwanted: Callable[[Mapping[str, str]], bool]) -> int:
    """Remove rows; the others stay as they are, byte for byte. Blocks: reads the whole file.

    The file is locked and replaced by one without them: programs that append to it continue in the
    new one, and after a power cut there is the one or the other. The old content is not
    overwritten on the disk.

    Args:
        path: The file; it may be missing.
        unwanted: Returns True for a row, by column, that is to be removed.

    Returns:
        How many rows were removed.

    Raises:
        OutputError: It cannot be read or replaced; then nothing has changed.
    """
    while True:
        try:
            file = os.open(path, os.O_RDWR | os.O_APPEND)
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise OutputError(f"{path}: cannot be written: {error.strerror}") from error
        try:
            with locked(file, path):
                if os.path.samestat(os.fstat(file), path.stat()):
                    return _rewrite(path, file, unwanted)
        except OSError as error:
            raise OutputError(f"{path}: cannot be rewritten: {error.strerror}") from error
        finally:
            os.close(file)


def _rewrite(path: Path, file: int, unwanted: Callable[[Mapping[str, str]], bool]) -> int:
    made, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    removed = 0
    try:
        with os.fdopen(made, "wb") as kept, open(file, "rb", closefd=False) as lines:
            header = next(lines, b"")
            kept.write(header)
            head = header.removeprefix(UTF8_BOM).rstrip(b"\n")
            form = max((STANDARD, EXCEL), key=lambda each: len(each.cells(head)))
            columns = form.cells(head)
            for line in lines:
                cells = map(restored, form.cells(line.rstrip(b"\n")))
                if unwanted(dict(zip(columns, cells, strict=False))):
                    removed += 1
                else:
                    kept.write(line)
            if removed:
                os.fchmod(made, os.fstat(file).st_mode & 0o777)
                kept.flush()
                os.fsync(made)
        if removed:
            Path(name).replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
    return removed
