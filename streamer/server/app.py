"""The server has the addresses, admits peers, and ends without losing a row."""

import asyncio
import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from secrets import token_hex

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from streamer.errors import OutputError
from streamer.server.access import Access, Role
from streamer.server.background_jobs import BackgroundJobs
from streamer.server.connection import Connection, Limits
from streamer.server.endpoints import ENDPOINTS, Asked, Endpoint
from streamer.server.engine import Engine
from streamer.server.event_streams import Viewing
from streamer.server.hub import Hub
from streamer.server.protocols.audiosocket import AudioSocketCodec
from streamer.server.protocols.base import Codec, ProtocolError
from streamer.server.sockets import SPARE_CONNECTIONS
from streamer.server.transport import TcpTransport, Transport, WebSocketTransport
from streamer.server.wallboard.background import web_server
from streamer.server.wallboard.feed import WallboardFeed
from streamer.server.wallboard.routes import Wallboard
from streamer.server.websocket_protocol import ReadAheadWebSocket

logger = logging.getLogger(__name__)

TRY_AGAIN = 1013
"""Code (IANA) that closes a connection which may be accepted later."""

SIGN_S = 2.0
"""Seconds between two signs of life for wallboards."""

POLL_S = 0.1
"""Seconds between two checks for the end, and for warnings of the sinks."""

LAST_ROWS_S = 20.0
"""Seconds that the end waits for connections, each of which waits for its last rows."""


class Server:
    """Takes calls until it is told to stop.

    Args:
        engine: Not started yet.
        access: Who may connect.
        limits: What a peer may ask for.
        name: The unique name of this server.
        jobs: Publisher, call notice and retention.
        shows_callers: Whether viewers see who calls.
    """

    def __init__(  # noqa: PLR0913 - the parts of a server
        self,
        engine: Engine,
        access: Access,
        limits: Limits,
        name: str,
        jobs: BackgroundJobs,
        *,
        shows_callers: bool = True,
    ) -> None:
        self._engine = engine
        self._access = access
        self._limits = limits
        self._hub = Hub(name, lambda: engine.queue.dropped_partials, lambda: len(engine.queue))
        self._hub.shows_callers = shows_callers
        self._jobs = jobs
        self._board = WallboardFeed()
        self._hub.listeners.append(self._board.take)
        self._wallboard = Wallboard(self._board, access, self._acknowledge)
        self._connections = 0
        self._draining = False
        self._ending = asyncio.Event()  # calls that are left end now
        self._hurry = asyncio.Event()  # no call is waited for any longer

    def app(self) -> Starlette:
        """The web application: which function answers at which address."""
        return Starlette(
            routes=[
                *(WebSocketRoute(path, self._calls(each)) for path, each in ENDPOINTS.items()),
                Route("/healthz", self._healthz),
                Route("/readyz", self._readyz),
                *Viewing(self._hub, self._access).routes(),
                Route("/v1/calls/{call}", self._delete, methods=["DELETE"]),
                *self._wallboard.routes(),
            ]
        )

    def stop(self) -> None:
        """Take no more calls and let those in progress end; the second time, end them now."""
        if self._draining:
            self._hurry.set()
        self._draining = True

    async def run_until_stopped(self, drain_s: float, ready: Callable[[], None]) -> list[str]:
        """Run until the last call has ended.

        Args:
            drain_s: How long calls in progress may go on after `stop`.
            ready: Called when calls can be taken: the model is loaded.

        Returns:
            Rows that are not in the CSV and alerts that were not delivered, in lines for people.
        """
        self._engine.start()
        showing = asyncio.create_task(self._board.run())
        self._jobs.start(self._hub, self._engine.csv)
        signing = asyncio.create_task(self._sign())
        told = False
        while not self._draining and self._engine.failure is None:
            if self._engine.model is not None and not told:
                told = True
                ready()
            await asyncio.sleep(POLL_S)
            self._warn()
        self._draining = True
        if self._engine.failure is None:
            await self._wait_for_calls(drain_s, self._hurry)
        self._ending.set()
        await self._wait_for_calls(LAST_ROWS_S)
        left = await asyncio.to_thread(self._engine.stop)
        self._warn()
        signing.cancel()
        self._hub.sign("server_ended")
        left += await self._jobs.stop()
        self._hub.close()
        self._board.close()
        await showing
        return left

    async def _sign(self) -> None:
        """Publish a sign of life every few seconds."""
        while True:
            self._hub.sign()
            await asyncio.sleep(SIGN_S)

    async def _wait_for_calls(self, timeout_s: float, hurry: asyncio.Event | None = None) -> None:
        ends_at = asyncio.get_running_loop().time() + timeout_s
        while self._connections and asyncio.get_running_loop().time() < ends_at:
            if hurry is not None and hurry.is_set():
                return
            await asyncio.sleep(POLL_S)

    def _warn(self) -> None:
        for warning in (*self._engine.drain_warnings(), *self._jobs.drain_warnings()):
            logger.warning("%s", warning)

    # --- calls ----------------------------------------------------------------------------------

    def _calls(self, endpoint: Endpoint) -> Callable[[WebSocket], Awaitable[None]]:
        """Make the handler of the WebSockets of an address."""

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
            return f"calls in progress: {self._limits.calls}, more are not allowed"
        return None

    async def _acknowledge(self, event: dict[str, str]) -> None:
        call = event["call"]
        self._hub.show(call, event)
        logger.info("call %s: alert acknowledged: %s", call, event["alert"], extra={"call": call})
        await self._jobs.written()

    async def _delete(self, request: Request) -> Response:
        """Remove all that is kept of a call; its tile goes once nothing else is left."""
        if (refusal := self._access.refusal(request.headers, Role.DELETE)) is not None:
            return PlainTextResponse(refusal, 403)
        call = request.path_params["call"]
        known = self._board.state.calls.get(call)
        if known is not None and known.status == "live":
            return PlainTextResponse("the call is in progress", 409)
        try:
            removed = await self._jobs.delete(call)
        except OutputError as error:
            return PlainTextResponse(f"not all of it could be removed: {error}", 500)
        if known is None and not any(removed.values()):
            return JSONResponse({"error": "nothing is kept of this call", **removed}, 404)
        self._hub.show(call, {"event": "call_deleted"})
        logger.info("call %s: deleted, %d rows", call, removed["rows"], extra={"call": call})
        return JSONResponse(removed)

    # --- viewers and operators ------------------------------------------------------------------

    async def _healthz(self, request: Request) -> Response:
        del request
        failed = self._engine.failure is not None
        return PlainTextResponse("failed" if failed else "ok", 503 if failed else 200)

    async def _readyz(self, request: Request) -> Response:
        del request
        reason = self._unready()
        return PlainTextResponse(reason or "ready", 503 if reason else 200)


async def serve(  # noqa: PLR0913 - the options of a server
    engine: Engine,
    listener: socket.socket,
    *,
    access: Access,
    limits: Limits,
    jobs: BackgroundJobs,
    drain_s: float,
    shows_callers: bool = True,
    tls: tuple[str, str] | None = None,
    audiosocket: socket.socket | None = None,
    listening: Callable[[], None] = lambda: None,
    ready: Callable[[], None] = lambda: None,
) -> list[str]:
    """Serve until SIGTERM or SIGINT.

    Args:
        engine: Not started yet.
        listener: A bound socket.
        access: Who may connect.
        limits: What a peer may ask for.
        jobs: Publisher, call notice and retention.
        drain_s: How long calls in progress may go on after the signal.
        shows_callers: Whether viewers see who calls.
        tls: The files of certificate and key; None for none.
        audiosocket: A bound socket for calls of Asterisk over TCP; None for none.
        listening: Called when requests are answered; the model is still being loaded.
        ready: Called when calls can be taken.

    Returns:
        Rows that are not in the CSV and alerts that were not delivered, in lines for people.
    """
    name = f"{socket.gethostname()}:{listener.getsockname()[1]}-{token_hex(2)}"
    server = Server(engine, access, limits, name, jobs, shows_callers=shows_callers)
    web = web_server(
        server.app(),
        tls,
        connections=limits.calls + SPARE_CONNECTIONS,
        ws=ReadAheadWebSocket,
        ws_max_size=limits.message_bytes,
        ws_per_message_deflate=False,
    )
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
        return await server.run_until_stopped(drain_s, ready)
    finally:
        if tcp is not None:
            tcp.close()
        web.should_exit = True
        await serving
