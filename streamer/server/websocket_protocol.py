"""Reads WebSockets ahead of the application, in bounds, and lets no peer hold up the others."""

import asyncio
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

if TYPE_CHECKING:
    from uvicorn._types import ASGIReceiveEvent, ASGISendEvent

READ_AHEAD: Final = 1024 * 1024
"""Maximum number of bytes of a peer that wait for the application: 35 s of a call of Twilio."""

MESSAGE_BYTES: Final = 500
"""Bytes that a message takes in memory besides its own."""

SLICE_BYTES: Final = 4096
"""Bytes that are parsed before other connections have their turn: at most 700 frames."""

FRAMES_PER_S = 1500
"""Frames of a peer that are parsed in a second: a telephone system sends 100, a page at 96 kHz 750.
Each costs 50 to 100 µs, whatever is in it."""

FRAMES_AHEAD = 3000
"""Frames that may come at once, as behind a hole in the network."""

TURN: Final = 32
"""Messages that the application takes before other connections have their turn."""


class ReadAheadWebSocket(WebSocketsSansIOProtocol):
    """A WebSocket whose messages are read while the application is busy with earlier ones.

    A telephone system does not wait: it hangs up, and what was not read by then is lost. So the
    base class, which reads one piece at a time, is not enough for a server that is behind.

    A peer that is ahead of real time has to wait, and its answer to a ping waits behind its audio,
    so a late answer is no reason to cut it. Peers that are gone are found by
    `streamer.server.sockets.STALLED_S` and by the limit on calls without audio.

    Frames cost time whatever is in them: a peer that sends more than `FRAMES_PER_S` waits, too.
    """

    def __init__(self, *args: Any, **more: Any) -> None:  # noqa: ANN401 - what uvicorn gives
        super().__init__(*args, **more)
        self.ping_timeout = None
        self._unparsed = bytearray()
        self._parsing: asyncio.TimerHandle | None = None  # when it goes on
        self._allowed: float = FRAMES_AHEAD  # frames, at this time:
        self._allowed_at = self.loop.time()
        self._ahead = 0
        self._full = False  # too much waits for the application
        self._taken = 0

    # --- from the peer --------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Parse what has come, a slice at a time."""
        if not self.handshake_initiated:
            super().data_received(data)
            return
        self._unparsed += data
        if self._parsing is None and not self._full and not self._rest_s():
            self._parse()
        else:
            self._go_on()

    def handle_events(self) -> None:
        """Handle the frames of a slice."""
        self._allowed -= len(self.conn.events)
        super().handle_events()

    def send_receive_event_to_app(self) -> None:
        """Take a message."""
        if not self.close_sent:
            self._ahead += sum(map(len, self.frames)) + MESSAGE_BYTES
            self._full = self._full or self._ahead > READ_AHEAD
        paused, self.read_paused = self.read_paused, True  # or the base class pauses now
        super().send_receive_event_to_app()
        self.read_paused = paused

    def handle_ping(self) -> None:
        """Answer a ping, unless the peer does not take the answers to those before."""
        output = self.conn.data_to_send()
        if self.writable.is_set() and not self.transport.is_closing():
            self.transport.write(b"".join(output))

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the rest of what came; nothing more does."""
        if self._parsing is not None:
            self._parsing.cancel()
        while self._unparsed and self._allowed > 0 and self.conn.parser_exc is None:
            super().data_received(self._slice())
        self._unparsed.clear()
        super().connection_lost(exc)

    def _parse(self) -> None:
        self._parsing = None
        super().data_received(self._slice())
        self._go_on()

    def _slice(self) -> bytes:
        piece = bytes(self._unparsed[:SLICE_BYTES])
        del self._unparsed[:SLICE_BYTES]
        return piece

    def _go_on(self) -> None:
        """Have the rest parsed, unless the application is behind; read more behind it."""
        if self._unparsed and self._parsing is None and not self._full:
            self._parsing = self.loop.call_later(self._rest_s(), self._parse)
        pauses = self._full or bool(self._unparsed)
        if pauses != self.read_paused and not self.transport.is_closing():
            self.read_paused = pauses
            (self.transport.pause_reading if pauses else self.transport.resume_reading)()

    def _rest_s(self) -> float:
        """Seconds until the next frames may be parsed."""
        now = self.loop.time()
        earned = (now - self._allowed_at) * FRAMES_PER_S
        self._allowed, self._allowed_at = min(FRAMES_AHEAD, self._allowed + earned), now
        return max(0.0, -self._allowed / FRAMES_PER_S)

    # --- to and from the application ------------------------------------------------------------

    async def receive(self) -> "ASGIReceiveEvent":
        """The next message for the application."""
        self._taken += 1
        if self._taken % TURN == 0:
            await asyncio.sleep(0)  # a queue that is not empty waits for nobody
        message = await self.queue.get()
        if message["type"] == "websocket.receive":
            content = message.get("bytes") or (message.get("text") or "").encode()
            self._ahead -= len(content) + MESSAGE_BYTES
        if self._full and self._ahead <= READ_AHEAD // 2:
            self._full = False
            self._go_on()
        return message

    async def send(self, message: "ASGISendEvent") -> None:
        """Send what the application wants sent."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and self.close_sent:
            # a refusal ends the handshake; the base class would log it as a fault
            self.handshake_complete = True
        if message["type"] == "websocket.close":
            self._full = False  # what comes now is dropped, up to the answer to the close
            self._go_on()
