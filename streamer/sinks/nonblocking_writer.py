"""Writes lines to a reader who may be slow or go away, without blocking."""

import os
import select
import sys
import time
from typing import TextIO

from streamer.text import quantity

MAX_BUFFER = 1_048_576
"""Bytes that wait for a slow reader; beyond that, lines are dropped."""

PIPE_BUF = 4096
"""Bytes that a pipe takes without waiting where `select` finds it ready (PIPE_BUF on Linux)."""

POLL_S = 0.05


class NonBlockingWriter:
    """Non-blocking line writer for stdout and pipes.

    Buffers up to `MAX_BUFFER` bytes for a slow reader, then drops and counts lines; what waits is
    tried again with the next line or `flush`. A closed reader never raises. A command that analyses
    recordings can wait for its reader instead, as any filter does.

    Args:
        file: Written to.
        waits: Wait for the reader instead, without a limit.
    """

    def __init__(self, file: TextIO, *, waits: bool = False) -> None:
        self._file = file
        self._fd = None if waits or sys.platform == "win32" else _number(file)
        self._waiting = bytearray()
        self._dropped = 0
        self._warnings: list[str] = []
        self.gone = False
        """True once nothing can be written any more: a closed pipe, a terminal that vanished."""

    def write(self, lines: str) -> None:
        """Write lines, each with its end."""
        if self.gone:
            return
        if self._fd is None:
            try:
                self._file.write(lines)
                self._file.flush()
            except OSError as error:
                self._lose(error)
            return
        data = lines.encode(self._file.encoding or "utf-8", errors="backslashreplace")
        if len(self._waiting) + len(data) > MAX_BUFFER:
            if not self._dropped:
                self._warnings.append("nobody reads standard output: lines are dropped from now on")
            self._dropped += lines.count("\n")
        else:
            self._waiting += data
        self.flush()

    def flush(self) -> None:
        """Write as much of what waits as is taken at once."""
        if self._fd is None:
            return
        try:
            while self._waiting and select.select([], [self._fd], [], 0)[1]:
                del self._waiting[: os.write(self._fd, self._waiting[:PIPE_BUF])]
        except OSError as error:
            self._lose(error)
        if self._dropped and not self._waiting:
            were = "was" if self._dropped == 1 else "were"
            lost = f"{quantity(self._dropped, 'line')} {were} lost"
            self._warnings.append(f"standard output is read again; {lost}")
            self._dropped = 0

    def finish(self, timeout_s: float) -> None:
        """Wait until the reader has taken what waits, for at most ``timeout_s`` seconds."""
        gives_up_at = time.monotonic() + timeout_s
        self.flush()
        while self._waiting and time.monotonic() < gives_up_at:
            time.sleep(POLL_S)
            self.flush()

    def drain_warnings(self) -> list[str]:
        """Return warnings about the reader since the last call, a line each."""
        warnings, self._warnings = self._warnings, []
        return warnings

    def _lose(self, error: OSError) -> None:
        self.gone = True
        self._waiting.clear()
        self._dropped = 0
        self._warnings.append(f"standard output cannot be written any more: {error.strerror}")
        if (number := _number(self._file)) is not None:
            # What Python still holds for it would fail once more when the program ends.
            sink = os.open(os.devnull, os.O_WRONLY)
            os.dup2(sink, number)
            os.close(sink)


def _number(file: TextIO) -> int | None:
    """The number of a real file; None for any other."""
    try:
        return file.fileno()
    except (AttributeError, OSError, ValueError):
        return None
