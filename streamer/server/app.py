"""The server: its addresses, who gets in, and how it ends without losing a row."""

import asyncio
import logging
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from secrets import token_hex

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from streamer.server.access import Access, Role
from streamer.server.connection import Connection, Limits
from streamer.server.endpoints import ENDPOINTS, Asked, Endpoint
from streamer.server.engine import Engine
from streamer.server.hub import Hub, Viewer
from streamer.server.protocols.audiosocket import AudioSocketCodec
from streamer.server.protocols.base import Codec, ProtocolError
from streamer.server.sockets import SPARE_CONNECTIONS, BoundedHttp
from streamer.server.transport import TcpTransport, Transport, WebSocketTransport
from streamer.server.wallboard.background import QuietUvicorn
from streamer.server.wallboard.feed import Board
from streamer.server.wallboard.routes import Wallboard

logger = logging.getLogger(__name__)

MAX_VIEWERS = 50

TRY_AGAIN = 1013
"""Code with which a connection is closed that can be served later (IANA)."""

HEARTBEAT_S = 5.0
"""How often a viewer hears of a server in which nothing happens."""

POLL_S = 0.1
"""How often the end and the disk are looked after."""

LAST_ROWS_S = 20.0
"""How long the end waits for connections, each of which waits for its last rows."""


class Server:
    """Takes calls until it is told to stop.

    Args:
        engine: Not started yet.
        access: Who gets in.
        limits: What a peer may ask for.
        name: Of this server; of no other, and of none before it.
    """

    def __init__(self, engine: Engine, access: Access, limits: Limits, name: str) -> None:
        self._engine = engine
        self._access = access
        self._limits = limits
        self._hub = Hub(name, lambda: engine.queue.dropped_partials, lambda: len(engine.queue))
        self._board = Board()
        self._hub.listeners.append(self._board.take)
        self._wallboard = Wallboard(self._board, access, self._acknowledge)
        self._connections = 0
        self._draining = False
        self._ending = asyncio.Event()  # calls that are left end now
        self._hurry = asyncio.Event()  # no call is waited for any longer

    def app(self) -> Starlette:
        """Its addresses."""
        return Starlette(
            routes=[
                *(WebSocketRoute(path, self._calls(each)) for path, each in ENDPOINTS.items()),
                Route("/healthz", self._healthz),
                Route("/readyz", self._readyz),
                Route("/metrics", self._metrics),
                Route("/events", self._events),
                *self._wallboard.routes(),
            ]
        )

    def stop(self) -> None:
        """Take no more calls and let those in progress end; the second time, end them now."""
        if self._draining:
            self._hurry.set()
        self._draining = True

    async def run_until_stopped(self, drain_s: float) -> list[str]:
        """Look after the engine until the last call has ended.

        Args:
            drain_s: How long calls in progress may go on after `stop`.

        Returns:
            What is not in the CSV and not delivered, in lines for people.
        """
        self._engine.start()
        showing = asyncio.create_task(self._board.run())
        while not self._draining and self._engine.failure is None:
            await asyncio.sleep(POLL_S)
            self._warn()
        self._draining = True
        if self._engine.failure is None:
            await self._wait_for_calls(drain_s, self._hurry)
        self._ending.set()
        await self._wait_for_calls(LAST_ROWS_S)
        left = await asyncio.to_thread(self._engine.stop)
        self._warn()
        self._hub.close()
        self._board.close()
        await showing
        return left

    async def _wait_for_calls(self, timeout_s: float, hurry: asyncio.Event | None = None) -> None:
        ends_at = asyncio.get_running_loop().time() + timeout_s
        while self._connections and asyncio.get_running_loop().time() < ends_at:
            if hurry is not None and hurry.is_set():
                return
            await asyncio.sleep(POLL_S)

    def _warn(self) -> None:
        for warning in self._engine.drain_warnings():
            logger.warning("%s", warning)

    # --- calls ----------------------------------------------------------------------------------

    def _calls(self, endpoint: Endpoint) -> Callable[[WebSocket], Awaitable[None]]:
        """What serves the WebSockets of an address."""

        async def serve_call(websocket: WebSocket) -> None:
            url = websocket.url
            target = f"{url.path}?{url.query}" if url.query else url.path
            asked = Asked(str(url), target, websocket.query_params, websocket.headers)
            if (refusal := endpoint.refusal(self._access, asked)) is not None:
                await self._deny(websocket, refusal, 403)
            elif (refusal := self._unready()) is not None:
                await self._deny(websocket, refusal, 503)
            else:
                await self._serve(websocket, endpoint, asked)

        return serve_call

    async def _serve(self, websocket: WebSocket, endpoint: Endpoint, asked: Asked) -> None:
        try:
            codec = endpoint.codec(asked)
        except ProtocolError as error:
            await self._deny(websocket, str(error), 400)
            return
        offered: list[str] = websocket.scope.get("subprotocols", [])
        known = [each for each in offered if each in codec.subprotocols]
        with self._counted():
            await websocket.accept(known[0] if known else None)
            await self._run(WebSocketTransport(websocket), codec)

    async def take_audiosocket(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Serve a TCP connection of Asterisk's AudioSocket."""
        transport = TcpTransport(reader, writer)
        refusal = self._access.peer_refusal(writer.get_extra_info("peername")[0])
        if refusal is not None or (refusal := self._unready()) is not None:
            self._note_refusal(refusal)
            await transport.close(TRY_AGAIN, refusal)
            return
        with self._counted():
            await self._run(transport, AudioSocketCodec())

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Count a connection, from before it is accepted on."""
        self._connections += 1
        try:
            yield
        finally:
            self._connections -= 1

    async def _run(self, transport: Transport, codec: Codec) -> None:
        connection = Connection(transport, codec, self._engine, self._hub, self._limits)
        await connection.run(self._ending)

    async def _deny(self, websocket: WebSocket, refusal: str, status: int) -> None:
        self._note_refusal(refusal)
        await websocket.send_denial_response(PlainTextResponse(refusal, status))

    def _note_refusal(self, refusal: str) -> None:
        self._hub.refused.inc()
        logger.warning("a connection was refused: %s", refusal)

    def _unready(self) -> str | None:
        """Why no call can be taken now; None where one can."""
        if self._draining:
            return "the server ends"
        if self._engine.model is None:
            return "the model is not loaded yet"
        if self._connections >= self._limits.calls:
            return f"{self._limits.calls} calls are in progress, more are not allowed"
        return None

    async def _acknowledge(self, event: dict[str, str]) -> None:
        shown = self._hub.show(event["call"], event)
        logger.info("call %s: alert acknowledged: %s", shown["call"], shown["alert"])

    # --- viewers and operators ------------------------------------------------------------------

    async def _healthz(self, request: Request) -> Response:
        del request
        failed = self._engine.failure is not None
        return PlainTextResponse("failed" if failed else "ok", 503 if failed else 200)

    async def _readyz(self, request: Request) -> Response:
        del request
        reason = self._unready()
        return PlainTextResponse(reason or "ready", 503 if reason else 200)

    async def _metrics(self, request: Request) -> Response:
        if (refusal := self._access.refusal(request.headers, Role.VIEW)) is not None:
            return PlainTextResponse(refusal, 403)
        return Response(self._hub.metrics(), media_type="text/plain; version=0.0.4")

    async def _events(self, request: Request) -> Response:
        if (refusal := self._access.refusal(request.headers, Role.VIEW)) is not None:
            return PlainTextResponse(refusal, 403)
        if len(self._hub.viewers) >= MAX_VIEWERS:
            return PlainTextResponse(f"{MAX_VIEWERS} viewers watch, more are not allowed", 503)
        viewer = Viewer()
        self._hub.viewers.add(viewer)
        return StreamingResponse(
            self._lines_for(viewer),
            media_type="text/event-stream",
            headers={"cache-control": "no-store"},
        )

    async def _lines_for(self, viewer: Viewer) -> AsyncIterator[str]:
        """Server-sent events, until the viewer goes or the server ends."""
        try:
            yield ": streamer\n\n"
            while True:
                try:
                    async with asyncio.timeout(HEARTBEAT_S):
                        line = await viewer.lines.get()
                except TimeoutError:
                    yield ": alive\n\n"
                    continue
                if line is None:
                    return
                yield f"data: {line}\n\n"
        finally:
            self._hub.viewers.discard(viewer)


async def serve(  # noqa: PLR0913 - what to serve, where, to whom, and how it ends
    engine: Engine,
    listener: socket.socket,
    *,
    access: Access,
    limits: Limits,
    drain_s: float,
    tls: tuple[str, str] | None = None,
    audiosocket: socket.socket | None = None,
    listening: Callable[[], None] = lambda: None,
) -> list[str]:
    """Serve until SIGTERM or SIGINT.

    Args:
        engine: Not started yet.
        listener: Bound.
        access: Who gets in.
        limits: What a peer may ask for.
        drain_s: How long calls in progress may go on after the signal.
        tls: The files of certificate and key; None for none.
        audiosocket: Bound, for calls of Asterisk over TCP; None for none.
        listening: Told when the model is being loaded and requests are answered.

    Returns:
        What is not in the CSV and not delivered, in lines for people.
    """
    name = f"{socket.gethostname()}:{listener.getsockname()[1]}-{token_hex(2)}"
    server = Server(engine, access, limits, name)
    config = uvicorn.Config(
        server.app(),
        http=BoundedHttp.limited_to(limits.calls + SPARE_CONNECTIONS),
        ws="websockets-sansio",
        ws_max_size=limits.message_bytes,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
        ssl_certfile=tls[0] if tls else None,
        ssl_keyfile=tls[1] if tls else None,
    )
    web = QuietUvicorn(config)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(server.stop))
    serving = asyncio.create_task(web.serve(sockets=[listener]))
    tcp = (
        await asyncio.start_server(server.take_audiosocket, sock=audiosocket)
        if audiosocket is not None
        else None
    )
    listening()
    try:
        return await server.run_until_stopped(drain_s)
    finally:
        if tcp is not None:
            tcp.close()
        web.should_exit = True
        await serving
