"""What one peer can hold up: connections, time and memory, in a real web server."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from websockets.asyncio.client import connect

from streamer.server import sockets
from streamer.server.hub import MAX_LINES, Viewer
from streamer.server.sockets import BoundedHttp, listen_on

WAIT_S = 30
REQUEST = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"


async def _echo(websocket):
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)


async def _hello(_request):
    return PlainTextResponse("hello")


def serve(test: Callable[[int], Awaitable[None]], connections: int = 10) -> None:
    """Run a test beside a server; it is given the port."""

    async def run() -> None:
        app = Starlette(routes=[Route("/", _hello), WebSocketRoute("/echo", _echo)])
        listener = listen_on("127.0.0.1", 0)
        config = uvicorn.Config(
            app,
            http=BoundedHttp.limited_to(connections),
            ws="websockets-sansio",
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


def test_connections_are_bounded():
    """One too many is cut at once; the others are served."""

    async def test(port):
        async with connect(f"ws://127.0.0.1:{port}/echo", proxy=None) as peer:
            _, idle = await asyncio.open_connection("127.0.0.1", port)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(REQUEST)
            assert await left(reader) == b""
            await peer.send("served")
            assert await peer.recv() == "served"
            idle.close()
            writer.close()

    serve(test, connections=2)


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
