"""Reads keys without waiting, and restores the terminal afterwards."""

import atexit
import codecs
import os
import re
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from streamer.text import is_shown_whole

UP, DOWN, PAGE_UP, PAGE_DOWN = "up", "down", "page up", "page down"
HOME, END, ENTER, BACKSPACE, ESCAPE = "home", "end", "enter", "backspace", "escape"
"""Keys that are no letters, as `Keys.read` calls them."""

PASTED = "pasted "
"""Prefix of the key that stands for a pasted text."""

PASTE_BEGIN, PASTE_END = "\x1b[200~", "\x1b[201~"
"""What a terminal puts around a pasted text, in bracketed paste."""

MAX_PASTED = 4096
"""How many letters of a pasted text are kept."""

NAMES = {
    "\r": ENTER, "\n": ENTER, "\x7f": BACKSPACE, "\b": BACKSPACE,
    "\x1b[A": UP, "\x1bOA": UP, "\x1b[B": DOWN, "\x1bOB": DOWN,
    "\x1b[5~": PAGE_UP, "\x1b[6~": PAGE_DOWN,
    "\x1b[H": HOME, "\x1bOH": HOME, "\x1b[1~": HOME, "\x1b[7~": HOME,
    "\x1b[F": END, "\x1bOF": END, "\x1b[4~": END, "\x1b[8~": END,
}  # fmt: skip
"""What terminals send for these keys: xterm, its application mode, the Linux console, rxvt."""

WINDOWS = {
    "H": "\x1b[A", "P": "\x1b[B", "I": "\x1b[5~", "Q": "\x1b[6~", "G": "\x1b[H", "O": "\x1b[F",
}  # fmt: skip
"""What the Windows console sends after its prefix, and what a terminal sends for that key."""

KEY = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|[^\x1b\[O])|[^\x1b]", re.DOTALL)
"""One key: an escape sequence (of a key that we may not know), Alt and a letter, or a letter."""

UNFINISHED = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|O)?")
"""The beginning of an escape sequence."""

ESCAPE_S = 0.1
"""Seconds within which the rest of an escape sequence comes; a slow line may cut it in two."""

MAX_SEQUENCE = 32
"""Longest escape sequence of a keyboard, in letters."""

MAX_BYTES = 1024


class KeyDecoder:
    """Decodes the bytes of a terminal into keys; they may be cut anywhere, even within a letter."""

    def __init__(self) -> None:
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="ignore")
        self._rest = ""  # begins with an escape, or is empty
        self._since = 0.0
        self._pasted: str | None = None  # so far, while something is pasted

    def feed(self, data: bytes, now: float) -> list[str]:
        """The keys that are whole by now, by letter or by name.

        Args:
            data: What has come since the last call; may be empty.
            now: In monotonic seconds: an escape that nothing follows is the escape key.
        """
        keys: list[str] = []
        if self._rest and now - self._since > ESCAPE_S:
            keys += self._give_up()
        if not data:
            return keys
        text, at = self._rest + self._utf8.decode(data), 0
        self._rest = ""
        while at < len(text):
            if self._pasted is not None:
                at = self._paste(text, at, keys)
                continue
            if text.startswith(PASTE_BEGIN, at):
                self._pasted, at = "", at + len(PASTE_BEGIN)
                continue
            key = KEY.match(text, at)
            if key is not None:
                at = key.end()
                keys += _named(key[0])
            elif UNFINISHED.fullmatch(text, at) and len(text) - at <= MAX_SEQUENCE:
                self._rest, self._since = text[at:], now
                break
            else:  # an escape, and then another or what no sequence holds
                at += 1
                keys.append(ESCAPE)
        return keys

    def _paste(self, text: str, at: int, keys: list[str]) -> int:
        """Take in what is pasted, from ``at`` on; returns where it goes on."""
        pasted = (self._pasted or "") + text[at:]
        end = pasted.find(PASTE_END)
        if end < 0:
            # the end may be cut in two: it is found when the rest of it has come
            self._pasted = pasted[:MAX_PASTED] + pasted[MAX_PASTED:][-len(PASTE_END) :]
            return len(text)
        keys.append(PASTED + pasted[:end][:MAX_PASTED])
        self._pasted = None
        return len(text) - (len(pasted) - end - len(PASTE_END))

    def _give_up(self) -> list[str]:
        """Return the escape key, or nothing for an unknown sequence, when no more bytes came."""
        rest, self._rest = self._rest, ""
        return [ESCAPE] if rest == "\x1b" else []


def _named(key: str) -> list[str]:
    """A key by its name, a letter as it is; nothing for unknown keys."""
    if key in NAMES:
        return [NAMES[key]]
    return [key] if is_shown_whole(key) else []


def console_keys(waiting: Callable[[], bool], get: Callable[[], str]) -> str:
    """All that was typed on a Windows console, as a terminal would send it.

    Args:
        waiting: Whether there is something to get (``msvcrt.kbhit``).
        get: Gets it (``msvcrt.getwch``): a letter, or a prefix and then the key's code.
    """
    typed = ""
    while waiting():
        key = get()
        # the prefix is also how the console says "à", which nothing follows
        typed += WINDOWS.get(get(), "") if key in "\x00\xe0" and waiting() else key
    return typed


class Keys:
    """Reads single keys from a terminal. Create, enter, read and leave it on the main thread.

    In its ``with`` block the terminal hands over each key at once and without an echo; Ctrl-C
    stays a signal. Where stdin is a pipe, as with ``--input -``, keys come from the terminal that
    the program was started in. Where there is none nothing is touched, and `read` returns None.

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
            fd: The terminal; None takes stdin, or the terminal of the process.
            suspended: Called before the program sleeps: hide the screen.
            resumed: Called when it is back in the foreground: show the screen.
        """
        self._terminal = _open(fd, suspended or _nothing, resumed or _nothing)
        self._decoder = KeyDecoder()
        self._pressed: deque[str] = deque()

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
        """The oldest key that was pressed and not yet read; None where there is none.

        A letter as it is (also the space), any other key by its name: `UP`, `ENTER`, ...
        """
        if not self._pressed and self._terminal is not None:
            self._pressed += self._decoder.feed(self._terminal.typed(), time.monotonic())
        return self._pressed.popleft() if self._pressed else None


def _nothing() -> None:
    """Do nothing."""


CONTROLLING_TERMINAL = "CONIN$" if sys.platform == "win32" else "/dev/tty"
"""The terminal in which the process was started, whatever its stdin is."""


if sys.platform == "win32":
    import msvcrt

    class _Terminal:
        """The Windows console hands over single keys as it is."""

        def __init__(
            self, fd: int, suspended: Callable[[], None], resumed: Callable[[], None]
        ) -> None:
            del fd, suspended, resumed  # there is one console, and no Ctrl-Z

        def take(self) -> None:
            """Do nothing: the Windows console needs no other mode."""

        def give_back(self) -> None:
            """Do nothing: no mode was changed."""

        def typed(self) -> bytes:
            """All that was typed since the last call."""
            return console_keys(msvcrt.kbhit, msvcrt.getwch).encode(errors="ignore")

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

        def typed(self) -> bytes:
            """All that was typed since the last call; sleeps here after Ctrl-Z."""
            if self._to_sleep:
                self._sleep()
            if self._ended or not self._in_foreground():
                return b""
            if self._woken:
                self._woken = False
                try:
                    self._enter()
                except termios.error:  # its window was closed: the kernel sends SIGCONT, too
                    self._ended = True
                    return b""
                if self._hidden:
                    self._hidden = False
                    self._resumed()
            if not select.select([self._fd], [], [], 0)[0]:
                return b""
            try:
                data = os.read(self._fd, MAX_BYTES)
            except OSError:  # EIO: the terminal is gone
                data = b""
            self._ended = not data  # at its end it would be "readable" for ever
            return data

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
        if fd is None:
            fd = sys.stdin.fileno()
            fd = fd if os.isatty(fd) else os.open(CONTROLLING_TERMINAL, os.O_RDWR)
        return _Terminal(fd, suspended, resumed) if os.isatty(fd) else None
    except (AttributeError, OSError, ValueError):  # no stdin, one without a number, a closed one
        return None
