"""Serves a wallboard from a thread of its own, beside a live session."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette

from streamer.errors import OutputError
from streamer.server.access import Access
from streamer.server.sockets import BACKLOG, SPARE_CONNECTIONS, BoundedHttp
from streamer.server.tls import TlsHttp
from streamer.server.wallboard.feed import WallboardFeed
from streamer.server.wallboard.reducer import Message
from streamer.server.wallboard.routes import Wallboard

STOP_S = 5.0
"""Seconds that the end waits for viewers and the thread."""


class BackgroundWallboard:
    """Shows events on a wallboard, on a thread of its own.

    Args:
        listener: A bound socket; closed at the end.
        access: Who may view, and who may acknowledge.
    """

    def __init__(self, listener: socket.socket, access: Access) -> None:
        self._listener = listener
        self._access = access
        self._loop = asyncio.new_event_loop()
        self._board = WallboardFeed()
        self._web: uvicorn.Server | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="wallboard", daemon=True)

    @property
    def url(self) -> str:
        """Its address."""
        host, port = self._listener.getsockname()[:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}/"

    def start(self) -> None:
        """Start the thread; returns when requests are answered."""
        self._thread.start()
        if not self._ready.wait(STOP_S):
            raise OutputError("the wallboard does not start")

    def take(self, event: Message) -> None:
        """Show an event. On any thread; never waits."""
        # the loop may be closed before the last event comes
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._board.take, event)

    def stop(self) -> None:
        """Stop the thread; viewers see the end."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._end)
        self._thread.join(STOP_S)

    def _end(self) -> None:
        self._board.close()
        if self._web is not None:
            self._web.should_exit = True

    def _run(self) -> None:
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        wallboard = Wallboard(self._board, self._access, self._acknowledge)
        self._web = web_server(Starlette(routes=wallboard.routes()), None)
        showing = asyncio.create_task(self._board.run())
        self._loop.call_soon(self._ready.set)
        await self._web.serve(sockets=[self._listener])
        self._board.close()
        await showing

    async def _acknowledge(self, event: dict[str, str]) -> None:
        self._board.take(event)


def web_server(
    app: Starlette,
    tls: tuple[str, str] | None,
    connections: int = SPARE_CONNECTIONS,
    **more: Any,  # noqa: ANN401 - what uvicorn takes
) -> "QuietUvicorn":
    """A web server that logs no request, since addresses and headers may hold secrets.

    Args:
        app: Answers requests.
        tls: The files of certificate and key; None for none.
        connections: How many there may be at once.
        more: More settings of uvicorn.
    """
    http = BoundedHttp.limited_to(connections)
    config = uvicorn.Config(
        app,
        http=TlsHttp.over(tls, http) if tls is not None else http,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=2,
        **more,
    )
    return QuietUvicorn(config)


class QuietUvicorn(uvicorn.Server):
    """Leaves signals to the program, so that the first one does not cut calls in progress."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield
