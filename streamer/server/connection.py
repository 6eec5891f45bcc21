"""A connection decodes the messages of a peer, and sends the events of its call. On the loop."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from secrets import token_hex

import numpy as np

from streamer.errors import InputError
from streamer.server.calls import Call
from streamer.server.engine import Engine
from streamer.server.hub import MAX_LINES, Hub
from streamer.server.protocols.base import (
    CallAudio,
    CallEnd,
    CallGap,
    CallItem,
    CallStart,
    Codec,
    Ending,
    Message,
    Reply,
)
from streamer.server.protocols.caller import caller_of
from streamer.server.transport import PeerGoneError, Transport
from streamer.sinks.lines import summary_lines
from streamer.types import SAMPLE_RATE, EndReason, Pcm

logger = logging.getLogger(__name__)

GATHER_S = 0.06
"""Least seconds of audio that are analysed at once: a switch of threads costs as much as 20 ms."""

MAX_GATHER_S = 1.0
"""Seconds of audio that may wait for a segmenter thread before no more is read."""

ROWS_TIMEOUT_S = 10.0
"""Seconds that the end of a call waits for its last rows before it closes the connection."""

LINES_TIMEOUT_S = 5.0
"""Seconds that the end waits for a slow peer."""

NORMAL, REFUSED, FAULT, RESTARTS = 1000, 1008, 1011, 1012
"""Codes for closing a WebSocket (RFC 6455, IANA)."""

ENDINGS = {
    NORMAL: Ending.CALL,
    REFUSED: Ending.REFUSED,
    FAULT: Ending.SERVER,
    RESTARTS: Ending.SERVER,
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What a peer may ask for.

    Attributes:
        calls: Most calls at once.
        message_bytes: Most bytes of a message.
        idle_s: Most seconds without audio.
        ahead_s: Most seconds that audio may be ahead of real time; faster audio waits.
    """

    calls: int = 200
    message_bytes: int = 256 * 1024
    idle_s: float = 30.0
    ahead_s: float = 5.0


class Connection:
    """A peer, and the call that it sends.

    Args:
        transport: The connected transport.
        codec: The codec of its protocol.
        engine: Classifies and records.
        hub: Shows and counts events.
        limits: What the peer may ask for.
    """

    def __init__(
        self, transport: Transport, codec: Codec, engine: Engine, hub: Hub, limits: Limits
    ) -> None:
        self._transport = transport
        self._codec = codec
        self._engine = engine
        self._hub = hub
        self._limits = limits
        self._id = token_hex(4)
        self._call: Call | None = None
        self._rate = SAMPLE_RATE
        self._gathered: deque[Pcm] = deque()  # to the segmenter thread
        self._received = 0  # samples
        self._taken = 0  # of them; the segmenter thread's
        self._began = self._heard_at = time.monotonic()
        self._busy: asyncio.Future[None] | None = None  # what a segmenter thread does for it
        self._pump: asyncio.Task[None] | None = None
        self._summary: list[str] = []
        self._outgoing: asyncio.Queue[Message | None] = asyncio.Queue(MAX_LINES)

    async def run(self, ending: asyncio.Event) -> None:
        """Serve the peer until its call ends, it leaves or is refused, or the server ends."""
        self._offer(self._codec.greet())
        writer = asyncio.create_task(self._write())
        receiving = asyncio.create_task(self._receive())
        silence = asyncio.create_task(self._wait_for_silence())
        stopping = asyncio.create_task(ending.wait())
        code, reason = FAULT, "a fault in the server"
        try:
            await asyncio.wait({receiving, silence, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if receiving.done():
                receiving.result()
                code, reason = NORMAL, ""
            elif silence.done():
                idle_s = self._limits.idle_s
                code, reason = self._refuse(f"got no audio for {idle_s:g} s, expected some")
            else:
                code, reason = RESTARTS, "the server ends"
        except InputError as error:
            code, reason = self._refuse(str(error))
        finally:
            for task in (receiving, silence, stopping):
                task.cancel()
            await self._end(EndReason.STOPPED if code == RESTARTS else EndReason.END_OF_INPUT)
            self._offer(self._codec.close(ENDINGS[code], reason, self._summary))
            await self._close(writer, code, reason)

    def _refuse(self, reason: str) -> tuple[int, str]:
        """Log why the connection is cut; return code and reason."""
        self._hub.refused.inc()
        logger.warning("%s: cut: %s", self._name, reason, extra=self._extra)
        return REFUSED, reason

    @property
    def _name(self) -> str:
        return f"call {self._call.id}" if self._call is not None else "connection without a call"

    @property
    def _extra(self) -> dict[str, str]:
        """Fields of a JSON log besides the message."""
        return {"call": self._call.id} if self._call is not None else {}

    async def _receive(self) -> None:
        while (message := await self._transport.receive()) is not None:
            for item in self._codec.decode(message):
                if isinstance(item, CallEnd):
                    return
                if await self._apply(item):
                    self._heard_at = time.monotonic()

    async def _wait_for_silence(self) -> None:
        """Return when no audio has come for ``idle_s``: one timer for all messages."""
        while (left := self._heard_at + self._limits.idle_s - time.monotonic()) > 0:  # noqa: ASYNC110 - time, not an event
            await asyncio.sleep(left)

    async def _apply(self, item: CallItem) -> bool:
        """Apply an item to the call; return whether it is a sign of life."""
        match item:
            case CallStart():
                self._begin(item)
                return False
            case CallAudio():
                if len(item.pcm):
                    await self._push(item.pcm)
                return len(item.pcm) > 0
            case CallGap():
                await self._skip(item.seconds)
            case Reply():
                self._offer([item.message])
                return False
        return True

    def _begin(self, start: CallStart) -> None:
        call = self._call = Call(start, self._engine)
        self._rate = start.sample_rate
        self._began = time.monotonic()
        self._hub.calls.inc()
        self._hub.begun.inc()
        self._hub.call_begins(call.id, start)
        self._pump = asyncio.create_task(self._show_events(call, caller_of(start.metadata)))
        logger.info("%s: begins, %s", self._name, ", ".join(start.channels), extra=self._extra)

    async def _push(self, pcm: Pcm) -> None:
        self._gathered.append(pcm)
        self._received += len(pcm)
        waiting_s = (self._received - self._taken) / self._rate
        if waiting_s < GATHER_S:
            return
        if self._busy is not None and not self._busy.done():
            if waiting_s < MAX_GATHER_S:
                return
            await asyncio.shield(self._busy)
        self._submit(self._analyse)
        ahead = self._received / self._rate - (time.monotonic() - self._began)
        if ahead > self._limits.ahead_s:  # must not delay the calls of others
            wait = ahead - self._limits.ahead_s
            self._heard_at = time.monotonic() + wait  # its silence is our doing
            await asyncio.sleep(wait)

    async def _skip(self, seconds: float) -> None:
        await self._analysed()
        if self._call is not None:
            call = self._call
            await asyncio.shield(self._submit(lambda: call.skip(seconds)))

    def _submit(self, work: Callable[[], None]) -> "asyncio.Future[None]":
        """Have something done on a segmenter thread, when what was submitted before is done.

        Raises:
            Exception: What was submitted before failed.
        """
        if self._busy is not None:
            self._busy.result()
        loop = asyncio.get_running_loop()
        self._busy = loop.run_in_executor(self._engine.segmenters, work)
        return self._busy

    async def _analysed(self) -> None:
        """Wait until all audio that has come is analysed."""
        if self._busy is not None:
            await asyncio.shield(self._busy)
        if self._gathered:
            await asyncio.shield(self._submit(self._analyse))

    def _analyse(self) -> None:
        """Analyse what has come until now, on a segmenter thread.

        While calls wait for the thread, their pieces grow, and longer pieces cost less.
        """
        assert self._call is not None, "audio before a start"  # noqa: S101 - for mypy
        pieces = [self._gathered.popleft() for _ in range(len(self._gathered))]
        if pieces:  # none where those before were taken with what came meanwhile
            pcm = np.concatenate(pieces)
            self._taken += len(pcm)
            self._call.push(pcm)

    async def _end(self, reason: EndReason) -> None:
        """End the call and wait for its rows."""
        if self._call is None:
            return
        if self._busy is not None:  # cancelled meanwhile, but its thread goes on
            await asyncio.wait([self._busy])
        await self._analysed()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._engine.segmenters, self._call.end, reason)
        if self._pump is not None:
            _, late = await asyncio.wait([self._pump], timeout=ROWS_TIMEOUT_S)
            if late:
                logger.warning("%s: its last rows are written later", self._name, extra=self._extra)
        self._hub.calls.dec()
        if late_s := self._codec.late_s:
            self._hub.late_s.inc(late_s)
            logger.warning(
                "%s: %.2f s of audio came too late", self._name, late_s, extra=self._extra
            )
        if lost_s := self._codec.lost_s:
            self._hub.lost_s.inc(lost_s)
            logger.warning(
                "%s: %.2f s of audio were lost or damaged", self._name, lost_s, extra=self._extra
            )
        self._hub.show(self._call.id, {"event": "call_ended", "connection": self._id})
        logger.info("%s: ended", self._name, extra=self._extra)

    async def _show_events(self, call: Call, caller: str) -> None:
        begun = {"event": "call_begun", "channels": list(call.channels), "connection": self._id}
        if caller and self._hub.shows_callers:
            begun["caller"] = caller
        self._hub.show(call.id, begun)
        while (event := await call.events.next()) is not None:
            shown = self._hub.publish(call.id, self._id, event, call.recorded.session)
            self._offer(self._codec.encode(event, shown))
        if call.recorded.session is not None:
            self._summary = summary_lines(call.recorded.session, call.recorded.summary)

    def _offer(self, messages: list[Message]) -> None:
        """Queue messages for the peer; one that does not read loses messages, never rows."""
        for message in messages:
            if not self._outgoing.full():
                self._outgoing.put_nowait(message)

    async def _write(self) -> None:
        try:
            while (message := await self._outgoing.get()) is not None:
                await self._transport.send(message)
        except PeerGoneError:  # its rows are written all the same
            return

    async def _close(self, writer: asyncio.Task[None], code: int, reason: str) -> None:
        """Close the connection when the peer has read all messages, or does not read."""
        if self._outgoing.full():
            self._outgoing.get_nowait()
        self._outgoing.put_nowait(None)
        await asyncio.wait([writer], timeout=LINES_TIMEOUT_S)
        writer.cancel()
        try:
            async with asyncio.timeout(LINES_TIMEOUT_S):
                if self._codec.peer_closes:
                    while await self._transport.receive() is not None:
                        pass  # what it had sent before it knew
                await self._transport.close(code, reason)
        except TimeoutError:
            logger.warning("%s: its peer does not answer the end", self._name, extra=self._extra)
