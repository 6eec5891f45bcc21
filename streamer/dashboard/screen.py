"""Draws frames on a real terminal, and restores it afterwards."""

import os
import sys
from contextlib import suppress
from types import TracebackType
from typing import Self, TextIO, cast

from rich.console import Console, ConsoleDimensions
from rich.live import Live

from streamer.dashboard.glyphs import UNICODE, Glyphs
from streamer.dashboard.state import Snapshot
from streamer.dashboard.terminal_file import TerminalFile
from streamer.dashboard.view import render

PASTE_ON, PASTE_OFF = "\x1b[?2004h", "\x1b[?2004l"
"""Switch bracketed paste on and off, by which the terminal marks what is pasted."""


def usable(console: Console) -> bool:
    """Whether frames can be drawn; where not (a pipe, a dumb terminal), lines are printed."""
    # FORCE_COLOR makes rich call a pipe a terminal, so ask the file itself.
    terminal = console.is_terminal and console.file.isatty()
    return terminal and not console.is_dumb_terminal and not console.legacy_windows


class Screen:
    """The whole terminal, from entering the ``with`` block to leaving it.

    Main thread only. rich's own refresh thread would end with an exception in a frame and leave the
    screen frozen, so it is not used: `show` draws, and raises where drawing fails.

    Attributes:
        page: How many rows of the table there is room for.
    """

    def __init__(self, console: Console, glyphs: Glyphs = UNICODE) -> None:
        self._console = console
        self._glyphs = glyphs
        self._live: Live | None = None
        self._terminal: TerminalFile | None = None  # while it is ours
        self._file = console.file
        self.page = 0

    def __enter__(self) -> Self:
        self.unhide()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.hide()

    def show(self, snapshot: Snapshot) -> None:
        """Draw one frame at the terminal's present size; nothing while hidden.

        Nothing is drawn while the terminal takes nothing, as after Ctrl-S. If it is gone (its
        window closed, the connection lost), nothing is drawn any more. The session continues.
        """
        if self._live is None:
            return
        try:
            if self._terminal is not None and self._terminal.is_stopped():
                return
            width, height = self._measure()
            frame = render(snapshot, width=width, height=height, glyphs=self._glyphs)
            self.page = frame.page
            # Resized since it was measured: rich crops, and the next frame fits.
            self._live.update(frame, refresh=True)
        except OSError:
            self.hide()

    def ring(self) -> None:
        """Ring the terminal's bell, unless the screen is hidden."""
        if self._live is not None:
            with suppress(OSError):
                self._console.bell()

    def hide(self) -> None:
        """Give the terminal back for a while, as when the program is suspended."""
        live, self._live = self._live, None
        if live is not None:
            with suppress(OSError):  # the terminal is gone: nothing is left to restore
                self._console.file.write(PASTE_OFF)
                live.stop()
                if self._terminal is not None:
                    self._terminal.restart()
            self._close()

    def unhide(self) -> None:
        """Take the terminal (again)."""
        if self._live is None:
            self._open()
            # Whole frames overwrite what C libraries write to the terminal.
            self._live = Live(console=self._console, screen=True, auto_refresh=False)
            self._live.start()
            with suppress(OSError):
                self._console.file.write(PASTE_ON)
                self._console.file.flush()

    def _open(self) -> None:
        """Write to the terminal without waiting for it, where the system can do that."""
        self._file = self._console.file
        if sys.platform != "win32":
            with suppress(OSError, ValueError):
                self._terminal = TerminalFile(cast("TextIO", self._file))
                self._console.file = cast("TextIO", self._terminal)

    def _close(self) -> None:
        """Write to it as others do."""
        self._console.file = self._file
        terminal, self._terminal = self._terminal, None
        if terminal is not None:
            terminal.close()

    def _measure(self) -> ConsoleDimensions:
        """Ask the terminal for its size: rich would use COLUMNS and LINES, which do not change."""
        with suppress(OSError, ValueError):
            columns, lines = os.get_terminal_size(self._console.file.fileno())
            if columns and lines:  # a serial line does not know and says 0
                self._console.size = ConsoleDimensions(columns, lines)
        return self._console.size
