"""Transports receive and send messages, over a WebSocket or a TCP connection."""

import asyncio
from typing import Protocol

from starlette.websockets import WebSocket, WebSocketDisconnect

from streamer.server.protocols.base import Message

READ_BYTES = 4 * 1024
"""Maximum number of bytes that are read from a TCP connection before others have their turn."""


class PeerGoneError(Exception):
    """The peer has closed the connection; nothing can be sent any more."""


class Transport(Protocol):
    """A connection to one peer."""

    async def receive(self) -> Message | None:
        """The next message; None when the peer has closed the connection."""

    async def send(self, message: Message) -> None:
        """Send a message; waits for a peer that reads slowly.

        Raises:
            PeerGoneError: The peer has closed the connection.
        """

    async def close(self, code: int, reason: str) -> None:
        """Close the connection, unless the peer has.

        Args:
            code: The code of WebSockets (RFC 6455).
            reason: For people.
        """


class WebSocketTransport:
    """A WebSocket, accepted."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket

    async def receive(self) -> Message | None:
        """The next message; None when the peer has closed the connection."""
        try:
            message = await self._websocket.receive()
        except RuntimeError:  # of Starlette, after it has reported that the peer is gone
            return None
        if message["type"] == "websocket.disconnect":
            return None
        text: str | None = message.get("text")
        data: bytes | None = message.get("bytes")
        return text if text is not None else data or b""

    async def send(self, message: Message) -> None:
        """Send a text or binary message. Raises PeerGoneError as `Transport` says."""
        try:
            if isinstance(message, str):
                await self._websocket.send_text(message)
            else:
                await self._websocket.send_bytes(message)
        except (WebSocketDisconnect, RuntimeError) as error:  # of Starlette, once it is closed
            raise PeerGoneError from error

    async def close(self, code: int, reason: str) -> None:
        """Close it; of the reason, as much as a frame holds is sent."""
        try:
            await self._websocket.close(code, reason.encode()[:120].decode(errors="ignore"))
        except (WebSocketDisconnect, RuntimeError):
            return


class TcpTransport:
    """A TCP connection; its messages are stretches of the stream, cut anywhere."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def receive(self) -> Message | None:
        """The next bytes; None when the peer has closed the connection."""
        await asyncio.sleep(0)  # a buffer that is not empty waits for nobody
        try:
            return await self._reader.read(READ_BYTES) or None
        except ConnectionError:
            return None

    async def send(self, message: Message) -> None:
        """Send bytes. Raises PeerGoneError as `Transport` says."""
        try:
            self._writer.write(message.encode() if isinstance(message, str) else message)
            await self._writer.drain()
        except ConnectionError as error:
            raise PeerGoneError from error

    async def close(self, code: int, reason: str) -> None:
        """Close it; there is no place for code and reason."""
        del code, reason
        try:
            self._writer.close()
            await self._writer.wait_closed()
        except ConnectionError:
            return
