"""Decodes Asterisk's AudioSocket: frames over TCP with type, length and payload.

The first frame is the UUID of the call. Audio is mono, 16 bits, little-endian; the type of the
frame gives its rate. It is what the other side of the channel says, so the one channel is the
customer's.
"""

import struct
from dataclasses import dataclass
from uuid import UUID

from streamer.server.protocols.audio import decode_audio
from streamer.server.protocols.base import (
    CallAudio,
    CallEnd,
    CallHeld,
    CallItem,
    CallStart,
    Codec,
    Ending,
    Message,
    ProtocolError,
)

HEADER = struct.Struct(">BH")
"""Type and length, big-endian."""

HANG_UP, ID, DTMF, ERROR = 0x00, 0x01, 0x03, 0xFF
"""Types of frames that are not audio."""

RATES = {
    0x10: 8_000,
    0x11: 12_000,
    0x12: 16_000,
    0x13: 24_000,
    0x14: 32_000,
    0x15: 44_100,
    0x16: 48_000,
    0x17: 96_000,
    0x18: 192_000,
}
"""Hz, by the type of a frame."""

CHANNEL = "customer"


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame; ``kind`` is its type."""

    kind: int
    payload: bytes = b""

    def to_bytes(self) -> bytes:
        """The frame as it goes over the line."""
        return HEADER.pack(self.kind, len(self.payload)) + self.payload


class FrameReader:
    """Cuts frames out of a stream of bytes; keeps at most one frame that is not complete."""

    def __init__(self) -> None:
        self._rest = b""

    def read(self, data: bytes) -> list[Frame]:
        """The frames that are complete now."""
        self._rest += data
        frames, at = [], 0
        while len(self._rest) >= at + HEADER.size:
            kind, length = HEADER.unpack_from(self._rest, at)
            end = at + HEADER.size + length
            if len(self._rest) < end:
                break
            frames.append(Frame(kind, self._rest[at + HEADER.size : end]))
            at = end
        self._rest = self._rest[at:]
        return frames


class AudioSocketCodec(Codec):
    """Decodes the frames of one call; its messages are parts of the stream, cut anywhere."""

    def __init__(self) -> None:
        self._reader = FrameReader()
        self._call: str | None = None
        self._kind: int | None = None  # of its audio

    def decode(self, message: Message) -> list[CallItem]:
        """What follows from the next bytes. Raises ProtocolError as `Codec` says."""
        if isinstance(message, str):
            raise ProtocolError("got text, expected frames")
        return [item for frame in self._reader.read(message) for item in self._items(frame)]

    def close(self, ending: Ending, reason: str, summary: object) -> list[Message]:
        """Hang up; after a fault, an error first."""
        del reason, summary
        if ending is Ending.CALL:
            return []
        return [Frame(ERROR).to_bytes(), Frame(HANG_UP).to_bytes()]

    def _items(self, frame: Frame) -> list[CallItem]:
        if self._call is None:
            if frame.kind != ID or len(frame.payload) != len(UUID(int=0).bytes):
                raise ProtocolError(f"got a frame of type {frame.kind:#04x}, expected a UUID first")
            self._call = str(UUID(bytes=frame.payload))
            return []
        if frame.kind in RATES:
            return self._audio(frame)
        if frame.kind == HANG_UP:
            return [CallEnd()]
        if frame.kind == DTMF:
            return [CallHeld()]
        if frame.kind == ERROR:
            raise ProtocolError(f"got error {frame.payload[:8].hex()!r} of Asterisk, expected none")
        raise ProtocolError(f"got a frame of type {frame.kind:#04x}, expected audio or its end")

    def _audio(self, frame: Frame) -> list[CallItem]:
        audio = CallAudio(decode_audio(frame.payload, "s16le"))
        if self._kind is None:
            self._kind = frame.kind
            assert self._call is not None, "audio before a UUID"  # noqa: S101 - for mypy
            return [CallStart(self._call, RATES[frame.kind], (CHANNEL,)), audio]
        if frame.kind != self._kind:
            raise ProtocolError(
                f"got audio of {RATES[frame.kind]} Hz, expected {RATES[self._kind]} Hz as before"
            )
        return [audio]
