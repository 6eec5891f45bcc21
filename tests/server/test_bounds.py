"""What one peer can hold up: connections, time and memory, in a real web server."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from streamer.errors import ConfigError
from streamer.server import sockets, websocket_protocol
from streamer.server.hub import MAX_LINES, Viewer
from streamer.server.sockets import BoundedHttp, listen_on
from streamer.server.websocket_protocol import ReadAheadWebSocket

WAIT_S = 30
REQUEST = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"
UPGRADE = (
    b"GET /echo HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
    b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n"
)


async def _echo(websocket):
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)


class _Busy:
    """An application that takes no message until it is told to."""

    def __init__(self) -> None:
        self.go, self.ended = asyncio.Event(), asyncio.Event()
        self.received = 0

    async def take(self, websocket):
        """Take messages, then."""
        await websocket.accept()
        await self.go.wait()
        async for message in websocket.iter_bytes():
            self.received += len(message)
        self.ended.set()


async def _deny(websocket):
    await websocket.send_denial_response(PlainTextResponse("not you", 403))


async def _hello(_request):
    return PlainTextResponse("hello")


def serve(
    test: Callable[[int], Awaitable[None]],
    connections: int = 10,
    busy: _Busy | None = None,
    ws: type[ReadAheadWebSocket] = ReadAheadWebSocket,
) -> None:
    """Run a test beside a server; it is given the port."""

    async def run() -> None:
        peers = [WebSocketRoute("/echo", _echo), WebSocketRoute("/deny", _deny)]
        peers += [WebSocketRoute("/busy", busy.take)] if busy is not None else []
        app = Starlette(routes=[Route("/", _hello), *peers])
        listener = listen_on("127.0.0.1", 0)
        config = uvicorn.Config(
            app,
            http=BoundedHttp.limited_to(connections),
            ws=ws,
            ws_per_message_deflate=False,
            ws_ping_interval=0.05,
            ws_ping_timeout=0.05,
            lifespan="off",
            log_config=None,
            access_log=False,
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server._serve(sockets=[listener]))
        try:
            async with asyncio.timeout(WAIT_S):
                await test(listener.getsockname()[1])
        finally:
            if busy is not None:
                busy.go.set()
            server.should_exit = True
            await serving

    asyncio.run(run())


async def left(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the server cuts the connection."""
    try:
        return await reader.read()
    except ConnectionError:
        return b""


@pytest.fixture
def impatient(monkeypatch):
    """Requests have to be there soon."""
    monkeypatch.setattr(sockets, "REQUEST_S", 0.3)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("sent", [b"", b"GET / HT", REQUEST[:-2], b"POST" + REQUEST[3:]])
def test_a_request_that_does_not_arrive_is_cut(sent):
    """Without a word."""

    async def test(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent.replace(b"host", b"content-length: 9\r\nhost", 1))
        await left(reader)
        writer.close()

    serve(test)


@pytest.mark.usefixtures("impatient")
def test_a_trickle_is_no_excuse():
    """A letter now and then does not put the end off."""

    async def test(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        ended = asyncio.create_task(left(reader))
        for letter in REQUEST * 100:
            if ended.done():
                break
            writer.write(bytes([letter]))
            await asyncio.sleep(0.02)
        assert await ended == b""
        writer.close()

    serve(test)


@pytest.mark.usefixtures("impatient")
def test_a_websocket_lasts():
    """Its request was there in time."""

    async def test(port):
        async with connect(f"ws://127.0.0.1:{port}/echo", proxy=None) as peer:
            await asyncio.sleep(0.6)
            await peer.send("still there")
            assert await peer.recv() == "still there"

    serve(test)


def test_a_refusal_is_answered_and_is_no_error(caplog):
    """The peer gets the reason; the log says nothing of a fault in the server."""

    async def test(port):
        with pytest.raises(InvalidStatus) as error:
            await connect(f"ws://127.0.0.1:{port}/deny", proxy=None)
        assert error.value.response.status_code == 403
        assert error.value.response.body == b"not you"

    serve(test)
    assert caplog.messages == []


def test_what_was_sent_before_a_hang_up_is_not_lost():
    """The peer waits for nothing, while the application is behind."""
    busy = _Busy()

    async def test(port):
        peer = await connect(f"ws://127.0.0.1:{port}/busy", proxy=None, ping_interval=None)
        for _ in range(600):
            await peer.send(bytes(1000))
        await (await peer.ping())  # a server that does not read ahead never answers
        gone = struct.pack("ii", 1, 0)  # drops what the server has not read
        connection = peer.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, gone)
        peer.transport.abort()
        await peer.wait_closed()
        busy.go.set()
        await busy.ended.wait()

    serve(test, busy=busy)
    assert busy.received == 600_000


def test_what_a_peer_is_ahead_is_bounded_and_no_reason_to_cut_it():
    """Its audio waits with it, and so do its answers to pings."""
    busy = _Busy()
    pieces, sent = 400, 0

    async def test(port):
        async def send():
            nonlocal sent
            for _ in range(pieces):
                await peer.send(bytes(65536))
                sent += 1

        async with connect(f"ws://127.0.0.1:{port}/busy", proxy=None, ping_interval=None) as peer:
            sending = asyncio.create_task(send())
            waiting = -1
            while waiting < sent:  # until it gets no further
                waiting = sent
                await asyncio.sleep(0.3)
            busy.go.set()
            await sending
        await busy.ended.wait()
        assert waiting < pieces // 2  # most of which wait in the system

    serve(test, busy=busy)
    assert busy.received == pieces * 65536


@pytest.mark.parametrize("frame", ["empty message", "ping", "part of a message"])
def test_many_small_frames_hold_up_only_their_peer(monkeypatch, frame):
    """They wait, whatever they are; what others send is answered meanwhile."""
    monkeypatch.setattr(websocket_protocol, "FRAMES_PER_S", 1e-3)
    monkeypatch.setattr(websocket_protocol, "FRAMES_AHEAD", 100)
    seen = []
    handle = ReadAheadWebSocket.handle_events

    def count(self):
        seen.extend(self.conn.events)
        handle(self)

    monkeypatch.setattr(ReadAheadWebSocket, "handle_events", count)
    masked = b"\x80" + bytes(4)
    frames = {
        "empty message": b"\x82" + masked,
        "ping": b"\x89" + masked,
        "part of a message": b"\x00" + masked,
    }
    begins = b"\x02" + masked if frame == "part of a message" else b""
    sent = 200_000

    async def test(port):
        async with connect(f"ws://127.0.0.1:{port}/echo", proxy=None) as other:
            flood = await connect(f"ws://127.0.0.1:{port}/echo", proxy=None, ping_interval=None)
            flood.transport.write(begins + frames[frame] * sent)
            for _ in range(20):
                await other.send("served")
                assert await other.recv() == "served"
            flood.transport.abort()

    serve(test)
    assert len(seen) < 5000


def test_answers_to_pings_do_not_pile_up():
    """A peer that takes none gets no more of them than fit."""
    most = 0

    class Watched(ReadAheadWebSocket):
        def handle_ping(self):
            nonlocal most
            super().handle_ping()
            most = max(most, self.transport.get_write_buffer_size())

    async def test(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(UPGRADE)
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()
        for _ in range(100):
            writer.write((b"\x89\xfd" + bytes(4 + 125)) * 1000)
            await writer.drain()
        writer.transport.abort()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(websocket_protocol, "FRAMES_PER_S", 1e9)
        serve(test, ws=Watched)
    assert most < 1_000_000


def test_connections_are_bounded():
    """Of those without a request, the oldest is cut at once; the others are served."""

    async def test(port):
        async with connect(f"ws://127.0.0.1:{port}/echo", proxy=None) as peer:
            idle, idle_writer = await asyncio.open_connection("127.0.0.1", port)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert await left(idle) == b""
            writer.write(REQUEST)
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            await peer.send("served")
            assert await peer.recv() == "served"
            idle_writer.close()
            writer.close()

    serve(test, connections=2)


def test_files_are_allowed_as_connections_need_them():
    """Up to what the system allows; beyond that, it is said."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits[1]))
        sockets.allow_descriptors(300)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 300 + sockets.OTHER_FILES
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    if limits[1] != resource.RLIM_INFINITY:
        with pytest.raises(ConfigError, match="but the system allows"):
            sockets.allow_descriptors(limits[1])


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="of Linux")
def test_a_peer_that_takes_nothing_is_cut_by_the_system():
    """What is sent fills its window, and then the time runs."""
    with (
        listen_on("127.0.0.1", 0, stalled_s=0.5) as listener,
        socket.create_connection(listener.getsockname()) as peer,
        listener.accept()[0] as served,
    ):
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        served.settimeout(WAIT_S)

        def send_for_ever() -> None:
            while True:
                served.send(bytes(65536))

        with pytest.raises(OSError, match="Connection timed out"):
            send_for_ever()


def test_a_viewer_that_does_not_read_loses_lines():
    """As many wait as fit; what is beyond is counted, and the end is said all the same."""
    viewer = Viewer()
    for number in range(MAX_LINES + 5):
        viewer.offer(str(number))
    viewer.end()
    assert viewer.dropped == 5
    assert viewer.lines.qsize() == MAX_LINES + 1
