"""Sends the page a snapshot, then the changes, a line of JSON each. On the loop.

Changes are collected for `TICK_S` and written once for all viewers. A viewer who does not keep up
gets a new snapshot instead of the missed changes, so that memory does not grow.
"""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import asdict, fields
from typing import Any, Final

from streamer.server.wallboard.reducer import SERVER_S, Message, expire, reduce
from streamer.server.wallboard.state import WallboardCall, WallboardState

logger = logging.getLogger(__name__)

TICK_S: Final = 0.05
"""Seconds for which changes are collected."""

ALIVE_S: Final = 2.0
"""Seconds between two signs of life for a viewer when nothing changes."""

EXPIRE_S: Final = 1.0
"""Seconds between two removals of ended calls."""

MAX_LINES: Final = 100
"""Maximum number of lines that wait for a viewer, 5 s of a busy wallboard; then a snapshot
replaces them."""

_SHOWN: Final = tuple(
    each.name for each in fields(WallboardCall) if each.name not in ("utterances", "connections")
)
"""The fields of a call that a tile needs."""


class WallboardFeed:
    """Keeps the state of all calls and shows viewers what changes. On the loop.

    Args:
        server_s: Seconds without a sign of life after which a server counts as lost.
        clock: Returns the time, in seconds since 1970.
    """

    def __init__(
        self, server_s: float = SERVER_S, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._server_s = server_s
        self._clock = clock
        self._shown = WallboardState()  # what viewers know
        self._viewers: set[asyncio.Queue[bytes]] = set()
        self._behind: set[asyncio.Queue[bytes]] = set()
        self._changed = asyncio.Event()
        self._closed = False
        self._notice = ""
        self.state = WallboardState()
        """The present state."""

    @property
    def viewers(self) -> int:
        """How many viewers there are."""
        return len(self._viewers)

    def now(self) -> float:
        """The time by its clock, in seconds since 1970."""
        return self._clock()

    def take(self, event: Message, at: float | None = None) -> None:
        """Take an event in; viewers see it at the next tick.

        Args:
            event: The event.
            at: When it happened, in seconds since 1970; None for now.
        """
        self._become(reduce(self.state, event, self._clock() if at is None else at))

    def notice(self, text: str) -> None:
        """Show a problem on the page; an empty text removes it."""
        if text != self._notice:
            self._notice = text
            for viewer in self._viewers:
                self._offer(viewer, _line({"type": "notice", "text": text}))

    def close(self) -> None:
        """End the lines of all viewers, and `run`."""
        self._closed = True
        self._changed.set()
        for viewer in self._viewers:
            self._offer(viewer, b"")

    async def run(self) -> None:
        """Send changes to viewers, until `close`."""
        loop = asyncio.get_running_loop()
        expires_at = loop.time() + EXPIRE_S
        while not self._closed:
            try:
                async with asyncio.timeout(EXPIRE_S):
                    await self._changed.wait()
            except TimeoutError:
                pass
            if loop.time() >= expires_at:
                expires_at = loop.time() + EXPIRE_S
                self._become(expire(self.state, self._clock(), self._server_s))
            if self._changed.is_set():
                self._changed.clear()
                self._show()
                await asyncio.sleep(TICK_S)

    async def lines(self) -> AsyncIterator[bytes]:
        """The lines for a viewer, until `close`."""
        viewer: asyncio.Queue[bytes] = asyncio.Queue()
        self._viewers.add(viewer)
        try:
            yield self._snapshot()
            while not self._closed:
                try:
                    async with asyncio.timeout(ALIVE_S):
                        line = await viewer.get()
                except TimeoutError:
                    line = _line({"type": "alive", "now": self._clock()})
                if viewer in self._behind:
                    self._behind.discard(viewer)
                    line = self._snapshot()
                if line:
                    yield line
        finally:
            self._viewers.discard(viewer)
            self._behind.discard(viewer)

    def call(self, call_id: str) -> dict[str, Any] | None:
        """A call with all its fields; None for an unknown one."""
        found = self.state.calls.get(call_id)
        return None if found is None else asdict(found)

    def _become(self, state: WallboardState) -> None:
        if state is not self.state:
            self.state = state
            self._changed.set()

    def _show(self) -> None:
        """Write what has changed since the last time, once for all viewers."""
        before, now = self._shown, self.state
        self._shown = now
        if not self._viewers:
            return
        message: dict[str, Any] = {"type": "patch", "now": self._clock()}
        if changes := _changes(before.calls, now.calls):
            message["calls"] = changes
        if gone := [call_id for call_id in before.calls if call_id not in now.calls]:
            message["gone"] = gone
        if now.servers is not before.servers:
            message["servers"] = [asdict(server) for server in now.servers.values()]
        line = _line(message)
        for viewer in self._viewers:
            self._offer(viewer, line)

    def _offer(self, viewer: asyncio.Queue[bytes], line: bytes) -> None:
        if viewer in self._behind:
            return
        if viewer.qsize() >= MAX_LINES:
            self._behind.add(viewer)
            while not viewer.empty():
                viewer.get_nowait()
        viewer.put_nowait(line)

    def _snapshot(self) -> bytes:
        state = self._shown
        return _line(
            {
                "type": "snapshot",
                "now": self._clock(),
                "notice": self._notice,
                "calls": {call.id: _fields(call, _SHOWN) for call in state.calls.values()},
                "servers": [asdict(server) for server in state.servers.values()],
            }
        )


def _changes(
    before: Mapping[str, WallboardCall], now: Mapping[str, WallboardCall]
) -> dict[str, dict[str, Any]]:
    """The fields that changed, by call."""
    changes = {}
    for call_id, call in now.items():
        known = before.get(call_id)
        if known is call:
            continue
        names = [
            name
            for name in _SHOWN
            if known is None or getattr(known, name) is not getattr(call, name)
        ]
        if names:
            changes[call_id] = _fields(call, names)
    return changes


def _fields(call: WallboardCall, names: tuple[str, ...] | list[str]) -> dict[str, Any]:
    whole = {name: getattr(call, name) for name in names}
    for name in ("channels", "alerts"):
        if name in whole:
            whole[name] = [asdict(each) for each in whole[name]]
    return whole


def _line(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"
