"""The dashboard takes events and keys and draws frames. Main thread only."""

import time
from collections.abc import Iterable
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from rich.console import Console

from streamer.config import DashboardConfig
from streamer.dashboard.controls import Action, finish, press
from streamer.dashboard.glyphs import ASCII, UNICODE
from streamer.dashboard.keys import Keys
from streamer.dashboard.languages import words
from streamer.dashboard.reducer import advance, reduce
from streamer.dashboard.screen import Screen
from streamer.dashboard.state import ChannelState, Input, Snapshot
from streamer.events import Alert
from streamer.types import Utterance

URGENT_S = 0.02
"""Seconds between two frames at least, however important the event."""


class Dashboard:
    """Keeps the Snapshot, draws it and reads keys, within its ``with`` block.

    Args:
        console: The terminal.
        config: How it is drawn.
        channels: Names of the channels that are analysed.
        bell: Ring the terminal's bell for an alert.
        recording: Show that the audio of utterances is saved.
        not_analysed: Names of the other channels.
        csv: Where rows go; "" for nowhere.
    """

    def __init__(  # noqa: PLR0913 - the terminal, and each thing that stays on it
        self,
        console: Console,
        config: DashboardConfig,
        channels: Iterable[str],
        *,
        bell: bool,
        recording: bool = False,
        not_analysed: Iterable[str] = (),
        csv: str = "",
    ) -> None:
        self._snapshot = Snapshot(
            smoothing_s=config.smoothing_s,
            channels=tuple(map(ChannelState, channels)),
            now=time.monotonic(),
            recording=recording,
            not_analysed=tuple(not_analysed),
            csv=csv,
        )
        plain = config.ascii or not console.encoding.startswith("utf")
        self._screen = Screen(console, (ASCII if plain else UNICODE).called(words(config)))
        self._keys = Keys(suspended=self._screen.hide, resumed=self._screen.unhide)
        self._bell = bell
        self._period_s = 1 / config.fps
        self._drawn = self._next_frame = 0.0
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(self._keys)
        self._stack.enter_context(self._screen)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def reads_keys(self) -> bool:
        """False where there is no terminal to press a key in."""
        return self._keys.usable

    def add(self, event: Input) -> None:
        """Take an event; the next frame shows it, which may be drawn at once."""
        self._snapshot = reduce(self._snapshot, event, time.monotonic())
        if isinstance(event, Utterance | Alert):
            self._next_frame = min(self._next_frame, self._drawn + URGENT_S)
        if self._bell and isinstance(event, Alert):
            self._screen.ring()

    def draw(self) -> None:
        """Draw a frame if one is due."""
        now = time.monotonic()
        if now >= self._next_frame:
            self._drawn, self._next_frame = now, now + self._period_s
            self._snapshot = advance(self._snapshot, now)
            self._screen.show(self._snapshot)

    def next_action(self) -> Action:
        """The next action for the session; keys that only concern the screen are acted on here."""
        action: Action = None
        while action is None and (key := self._keys.read()) is not None:
            self._snapshot, action = press(self._snapshot, key, self._screen.page)
        return action

    def finish(self) -> Action:
        """Return the mark whose note was being typed when the session ended, if there is one."""
        return finish(self._snapshot)
