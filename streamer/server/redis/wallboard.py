"""Shows the calls of several servers on one wallboard, from their events in Redis."""

import asyncio
import signal
import socket
from collections.abc import Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from streamer.server.access import Access
from streamer.server.redis.publisher import RedisPublisher
from streamer.server.redis.reader import RedisReader
from streamer.server.redis.streams import Connection
from streamer.server.wallboard.background import web_server
from streamer.server.wallboard.feed import WallboardFeed
from streamer.server.wallboard.reducer import SERVER_S
from streamer.server.wallboard.routes import Wallboard


class RedisWallboard:
    """Shows the events in Redis, and writes acknowledgements to it.

    Args:
        redis: The connection.
        name: Name of the Redis for people, without secrets.
        access: Who may view, and who may acknowledge.
        lost_after_s: Seconds without a sign of life after which a server and its calls are lost.
    """

    def __init__(
        self, redis: Connection, name: str, access: Access, lost_after_s: float = SERVER_S
    ) -> None:
        self._board = WallboardFeed(lost_after_s)
        self._publisher = RedisPublisher(redis, name)
        self._reader = RedisReader(redis, name, self._take, self._board.notice)
        self._wallboard = Wallboard(self._board, access, self._acknowledge)

    def app(self) -> Starlette:
        """Its addresses."""
        return Starlette(
            routes=[
                Route("/healthz", self._healthz),
                Route("/readyz", self._readyz),
                *self._wallboard.routes(),
            ]
        )

    async def run(self, stopped: asyncio.Event) -> int:
        """Run until ``stopped`` is set; return how many acknowledgements were not written."""
        reading = asyncio.create_task(self._reader.run())
        writing = asyncio.create_task(self._publisher.run())
        showing = asyncio.create_task(self._board.run())
        await stopped.wait()
        self._board.close()
        await showing
        left = await self._publisher.close()
        for task in (reading, writing):
            task.cancel()
        await asyncio.gather(reading, writing, return_exceptions=True)
        return left

    def _take(self, event: Mapping[str, Any], at: float | None) -> None:
        self._board.take(event, at)

    async def _acknowledge(self, event: dict[str, str]) -> None:
        """Write an acknowledgement to Redis; it is shown when it is read from there."""
        self._publisher.take({**event, "at": self._board.now()})
        await self._publisher.written()

    async def _healthz(self, request: Request) -> Response:
        del request
        return PlainTextResponse("ok")

    async def _readyz(self, request: Request) -> Response:
        del request
        ready = self._reader.ready
        return PlainTextResponse(*(("ready", 200) if ready else ("Redis is not read yet", 503)))


async def serve_wallboard(
    wallboard: RedisWallboard,
    listener: socket.socket,
    *,
    tls: tuple[str, str] | None,
    listening: Callable[[], None],
) -> int:
    """Serve a wallboard until SIGTERM or SIGINT.

    Args:
        wallboard: Not started yet.
        listener: A bound socket.
        tls: The files of certificate and key; None for none.
        listening: Called when requests are answered.

    Returns:
        How many acknowledgements are not in Redis.
    """
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(stopped.set))
    web = web_server(wallboard.app(), tls)
    serving = asyncio.create_task(web.serve(sockets=[listener]))
    listening()
    try:
        return await wallboard.run(stopped)
    finally:
        web.should_exit = True
        await serving
