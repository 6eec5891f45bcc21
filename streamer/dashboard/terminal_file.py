"""Writes to a terminal without waiting for one that takes nothing.

A terminal stops taking output after Ctrl-S, and while its window or its connection hangs. A plain
write would wait for it, and with it the main thread: no signal and no key would end the program.
"""

import io
import os
import select
import time
from contextlib import suppress
from typing import TextIO

PATIENCE_S = 0.25
"""Seconds that a frame may take to be written before the terminal counts as stopped."""

GOODBYE_S = 1.0
"""Seconds that the end waits for a terminal to take what gives it back."""

MAX_BYTES = 4096
"""Bytes of one write: a terminal that cannot be opened anew takes as many without waiting."""


class TerminalFile(io.TextIOBase):
    """A terminal as a text file, for one thread.

    What it does not take waits, and is tried again with each `flush`.

    Args:
        file: The terminal.

    Raises:
        OSError: The file has no number.
    """

    def __init__(self, file: TextIO) -> None:
        super().__init__()
        self._file = file
        self._own: int | None = None
        self._fd = file.fileno()
        with suppress(OSError):  # of another user, as after `su`: with plain writes, then
            name = os.ttyname(self._fd)
            self._own = self._fd = os.open(name, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
        self._waiting = bytearray()
        self._late = False

    @property
    def encoding(self) -> str:  # type: ignore[override] # of the base class, which has none
        """Of the terminal."""
        return self._file.encoding

    def is_stopped(self) -> bool:
        """Write what waits at once; True where the terminal has not taken all of it.

        Raises:
            OSError: The terminal is gone.
        """
        self._write(0.0)
        return bool(self._waiting)

    def isatty(self) -> bool:
        """Yes."""
        return self._file.isatty()

    def fileno(self) -> int:
        """The terminal's own number."""
        return self._file.fileno()

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, text: str) -> int:
        """Take text; `flush` writes it."""
        self._waiting += text.encode(self.encoding, errors="replace")
        return len(text)

    def flush(self) -> None:
        """Write what waits, as far as the terminal takes it in `PATIENCE_S`; at once if stopped.

        Raises:
            OSError: The terminal is gone.
        """
        if not self.closed:
            self._write(0.0 if self._late else PATIENCE_S)

    def restart(self) -> None:
        """Have a terminal that was stopped by Ctrl-S go on, and wait a little for it.

        Raises:
            OSError: The terminal is gone.
        """
        if self.is_stopped():
            _go_on(self._fd)
            self._write(GOODBYE_S)

    def close(self) -> None:
        """Close what was opened; the terminal itself stays open. What it did not take is lost."""
        self._waiting.clear()
        super().close()
        own, self._own = self._own, None
        if own is not None:
            os.close(own)

    def _write(self, patience_s: float) -> None:
        ends_at = time.monotonic() + patience_s
        while self._waiting:
            left_s = max(0.0, ends_at - time.monotonic())
            if not select.select([], [self._fd], [], left_s)[1]:
                break
            try:
                del self._waiting[: os.write(self._fd, self._waiting[:MAX_BYTES])]
            except BlockingIOError:
                break
        self._late = bool(self._waiting)


def _go_on(fd: int) -> None:
    """Undo Ctrl-S, unless the terminal is somebody else's now."""
    import termios  # noqa: PLC0415 - not on Windows

    with suppress(OSError, termios.error):
        if os.tcgetpgrp(fd) == os.getpgrp():  # in the background, it would stop us
            termios.tcflow(fd, termios.TCOOFF)  # Linux only undoes what was done this way
            termios.tcflow(fd, termios.TCOON)
