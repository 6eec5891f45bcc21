"""Keys, one at a time and without waiting; the terminal is always given back as it was."""

import atexit
import os
import re
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

ESCAPE = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|O.|.)?", re.DOTALL)
"""What arrows and function keys send: their letters are not our keys."""

MOST_BYTES = 1024


class Keys:
    """Reads single keys from a terminal. Create, enter, read and leave it on the main thread.

    In its ``with`` block the terminal hands over each key at once and without an echo; Ctrl-C
    stays a signal. Where stdin is no terminal nothing is touched, and `read` returns None.

    Ctrl-Z gives the terminal back while the program sleeps. The signal is only noted when it
    comes; `read` acts on it, so that no frame is half drawn at that moment.
    """

    def __init__(
        self,
        *,
        fd: int | None = None,
        suspended: Callable[[], None] | None = None,
        resumed: Callable[[], None] | None = None,
    ) -> None:
        """Prepare, without touching the terminal.

        Args:
            fd: The terminal; None takes stdin.
            suspended: Called before the program sleeps: hide the screen.
            resumed: Called when it is back in the foreground: show the screen.
        """
        self._terminal = _open(fd, suspended or _nothing, resumed or _nothing)
        self._typed = ""

    @property
    def usable(self) -> bool:
        """False where there is no terminal to read keys from, or no longer."""
        return self._terminal is not None

    def __enter__(self) -> Self:
        if self._terminal is not None:
            self._terminal.take()
            atexit.register(self._terminal.give_back)  # where the block is never left
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._terminal is not None:
            self._terminal.give_back()
            atexit.unregister(self._terminal.give_back)

    def read(self) -> str | None:
        """The oldest key that was pressed and not yet read; None where there is none."""
        if not self._typed and self._terminal is not None:
            self._typed = ESCAPE.sub("", self._terminal.typed())
        key, self._typed = self._typed[:1], self._typed[1:]
        return key or None


def _nothing() -> None:
    """Nobody wants to know."""


if sys.platform == "win32":
    import msvcrt

    class _Terminal:
        """The Windows console hands over single keys as it is."""

        def __init__(
            self, fd: int, suspended: Callable[[], None], resumed: Callable[[], None]
        ) -> None:
            del fd, suspended, resumed  # there is one console, and no Ctrl-Z

        def take(self) -> None:
            """Nothing to change."""

        def give_back(self) -> None:
            """Nothing was changed."""

        def typed(self) -> str:
            """All that was typed since the last call."""
            keys = ""
            while msvcrt.kbhit():
                key = msvcrt.getwch()
                if key in "\x00\xe0":  # an arrow or a function key; its number follows
                    msvcrt.getwch()
                else:
                    keys += key
            return keys

else:
    import select
    import termios
    import tty

    class _Terminal:
        """A POSIX terminal in cbreak mode."""

        def __init__(
            self, fd: int, suspended: Callable[[], None], resumed: Callable[[], None]
        ) -> None:
            self._fd = fd
            self._suspended = suspended
            self._resumed = resumed
            self._before: list[Any] | None = None  # its attributes, while it is ours
            self._handlers: dict[int, Any] = {}
            self._to_sleep = False
            self._woken = False
            self._hidden = False
            self._ended = False

        def take(self) -> None:
            """Enter cbreak mode and watch for Ctrl-Z."""
            if threading.current_thread() is threading.main_thread():
                for number, handler in (
                    (signal.SIGTSTP, self._on_stop),
                    (signal.SIGCONT, self._on_continue),
                ):
                    self._handlers[number] = signal.signal(number, handler)
            if self._in_foreground():
                self._enter()
            else:  # started with "&": wait until it is brought forward
                self._woken = True

        def give_back(self) -> None:
            """Leave the terminal and the signals as they were. May be called again."""
            self._leave()
            while self._handlers:
                number, handler = self._handlers.popitem()
                signal.signal(number, handler)

        def typed(self) -> str:
            """All that was typed since the last call; sleeps here after Ctrl-Z."""
            if self._to_sleep:
                self._sleep()
            if self._ended or not self._in_foreground():
                return ""
            if self._woken:
                self._woken = False
                try:
                    self._enter()
                except termios.error:  # its window was closed: the kernel sends SIGCONT, too
                    self._ended = True
                    return ""
                if self._hidden:
                    self._hidden = False
                    self._resumed()
            if not select.select([self._fd], [], [], 0)[0]:
                return ""
            try:
                data = os.read(self._fd, MOST_BYTES)
            except OSError:  # EIO: the terminal is gone
                data = b""
            self._ended = not data  # at its end it would be "readable" for ever
            return data.decode(errors="ignore")

        def _enter(self) -> None:
            if self._before is None:
                self._before = termios.tcgetattr(self._fd)
            tty.setcbreak(self._fd, termios.TCSANOW)

        def _leave(self) -> None:
            if self._before is not None and self._in_foreground():
                with suppress(termios.error):  # the terminal is gone: nothing is left to restore
                    termios.tcsetattr(self._fd, termios.TCSANOW, self._before)
            self._before = None

        def _in_foreground(self) -> bool:
            """False after "bg": touching the terminal would stop us, or hurt the shell."""
            try:
                return os.tcgetpgrp(self._fd) == os.getpgrp()
            except OSError:  # not our controlling terminal: nobody competes for it
                return True

        def _on_stop(self, _number: int, _frame: object) -> None:
            self._to_sleep = True

        def _on_continue(self, _number: int, _frame: object) -> None:
            self._woken = True  # after kill -STOP the shell may have changed the terminal

        def _sleep(self) -> None:
            """Do what Ctrl-Z does by default, with the terminal given back."""
            self._to_sleep = False
            self._hidden = True
            self._suspended()
            self._leave()
            ours = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTSTP)  # returns when somebody says SIGCONT
            signal.signal(signal.SIGTSTP, ours)
            self._woken = True


def _open(
    fd: int | None, suspended: Callable[[], None], resumed: Callable[[], None]
) -> _Terminal | None:
    """The terminal behind ``fd``; None where there is none."""
    try:
        fd = sys.stdin.fileno() if fd is None else fd
        return _Terminal(fd, suspended, resumed) if os.isatty(fd) else None
    except (AttributeError, OSError, ValueError):  # no stdin, one without a number, a closed one
        return None
