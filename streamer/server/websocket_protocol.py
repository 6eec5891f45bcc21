"""Reads WebSockets ahead of the application, in bounds, and lets slow answers to pings pass."""

from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

if TYPE_CHECKING:
    from uvicorn._types import ASGIReceiveEvent, ASGISendEvent

READ_AHEAD: Final = 1024 * 1024
"""Maximum number of bytes of a peer that wait for the application: 35 s of a call of Twilio."""

MESSAGE_BYTES: Final = 500
"""Bytes that a message takes in memory besides its own."""


class ReadAheadWebSocket(WebSocketsSansIOProtocol):
    """A WebSocket whose messages are read while the application is busy with earlier ones.

    A telephone system does not wait: it hangs up, and what was not read by then is lost. So the
    base class, which reads one piece at a time, is not enough for a server that is behind.

    A peer that is ahead of real time has to wait, and its answer to a ping waits behind its audio,
    so a late answer is no reason to cut it. Peers that are gone are found by
    `streamer.server.sockets.STALLED_S` and by the limit on calls without audio.
    """

    def __init__(self, *args: Any, **more: Any) -> None:  # noqa: ANN401 - what uvicorn gives
        super().__init__(*args, **more)
        self.ping_timeout = None
        self._ahead = 0

    def send_receive_event_to_app(self) -> None:
        """Take a message; read no further where too much waits."""
        self._ahead += sum(map(len, self.frames)) + MESSAGE_BYTES
        paused = self.read_paused
        self.read_paused = self._ahead <= READ_AHEAD or paused  # the base class pauses unless True
        super().send_receive_event_to_app()
        self.read_paused = paused or self._ahead > READ_AHEAD

    async def receive(self) -> "ASGIReceiveEvent":
        """The next message for the application."""
        message = await self.queue.get()
        if message["type"] == "websocket.receive":
            content = message.get("bytes") or (message.get("text") or "").encode()
            self._ahead -= len(content) + MESSAGE_BYTES
        if self.read_paused and self._ahead <= READ_AHEAD // 2:
            self.read_paused = False
            self.transport.resume_reading()
        return message

    async def send(self, message: "ASGISendEvent") -> None:
        """Send what the application wants sent."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and self.close_sent:
            # a refusal ends the handshake; the base class would log it as a fault
            self.handshake_complete = True
