"""Decodes streamer's own protocol: a JSON header, then binary audio; events are sent back.

The first message is a text::

    {"rate": 8000, "channels": ["agent", "customer"], "encoding": "s16le", "call": "c-17"}

Every binary message after it is audio, channels interleaved, of any whole number of samples; or one
packet of Opus. The text ``{"end": true}`` ends the call; the connection stays open until all events
were sent.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, Literal, Self, TypeAlias, get_args

from streamer.config.alert_rules import ANY
from streamer.events import Event
from streamer.server.protocols import opus
from streamer.server.protocols.audio import MAX_CHANNELS, Encoding, decode_audio
from streamer.server.protocols.base import (
    CallAudio,
    CallEnd,
    CallItem,
    CallStart,
    Codec,
    Ending,
    Message,
    ProtocolError,
    call_id,
    json_object,
    metadata_of,
    number_of,
)
from streamer.server.protocols.opus import OpusDecoder
from streamer.types import Pcm

AnyEncoding: TypeAlias = Encoding | Literal["opus"]

ENCODINGS: tuple[AnyEncoding, ...] = (*get_args(Encoding), "opus")

RATES = (4_000, 192_000)
"""Lowest and highest rate of a header, in Hz."""

MAX_NAME = 40
"""Letters of a channel's name."""

END = json.dumps({"end": True})
"""The text that ends a call."""


@dataclass(frozen=True, slots=True)
class Header:
    """The first message of a call.

    Attributes:
        rate: In Hz.
        channels: A name for each channel.
        encoding: Of the binary messages.
        call: The sender's id of the call; empty to have the server make one.
        metadata: More texts about the call.
    """

    rate: int
    channels: tuple[str, ...] = ("mono",)
    encoding: AnyEncoding = "s16le"
    call: str = ""
    metadata: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read a header.

        Raises:
            ProtocolError: A field is unknown, missing, or not allowed.
        """
        message = json_object(text)
        known = cls.__dataclass_fields__
        if unknown := set(message) - set(known):
            raise ProtocolError(f"header: got {sorted(unknown)!a:.80}, expected {', '.join(known)}")
        rate = number_of(message, "rate", as_text=False)
        if not RATES[0] <= rate <= RATES[1]:
            raise ProtocolError(f"rate: got {rate}, expected {RATES[0]} to {RATES[1]} Hz")
        encoding = message.get("encoding", "s16le")
        if encoding not in ENCODINGS:
            raise ProtocolError(f"encoding: got {encoding!a:.80}, expected {', '.join(ENCODINGS)}")
        call = message.get("call", "")
        if not isinstance(call, str):
            raise ProtocolError(f"call: got {call!a:.80}, expected a text")
        return cls(
            rate,
            _channels(message.get("channels", ["mono"])),
            encoding,
            call_id(call) if call else "",
            metadata_of(message.get("metadata", {})),
        )

    def to_json(self) -> str:
        """The message."""
        return json.dumps(asdict(self))


class NativeCodec(Codec):
    """The messages of one call."""

    def __init__(self) -> None:
        self._decode: Callable[[bytes], Pcm] | None = None  # once the header is there
        self._opus: OpusDecoder | None = None

    @property
    def lost_s(self) -> float:
        """Seconds of lost or damaged packets of Opus."""
        return self._opus.lost_samples / opus.RATE if self._opus is not None else 0.0

    def decode(self, message: Message) -> list[CallItem]:
        """What follows from the next message. Raises ProtocolError as `Codec` says."""
        if self._decode is None:
            if isinstance(message, bytes):
                raise ProtocolError("got binary data, expected a header as text first")
            return [self._begin(Header.from_json(message))]
        if isinstance(message, bytes):
            return [CallAudio(self._decode(message))]
        asked = json_object(message)
        if [*asked] != ["end"] or asked["end"] is not True:  # 1 and 1.0 are equal to True
            raise ProtocolError(f"got {message!a:.80}, expected binary audio or {END}")
        return [CallEnd()]

    def _begin(self, header: Header) -> CallStart:
        rate, encoding = header.rate, header.encoding
        if encoding == "opus":
            self._opus = OpusDecoder(rate, len(header.channels))
            self._decode, rate = self._opus.decode, opus.RATE
        else:
            self._decode = partial(decode_audio, encoding=encoding, channels=len(header.channels))
        return CallStart(header.call, rate, header.channels, header.metadata)

    def encode(self, event: Event, shown: Mapping[str, Any] | None) -> list[Message]:
        """The line of an event that has one."""
        del event
        return [] if shown is None else [json.dumps(shown)]

    def close(self, ending: Ending, reason: str, summary: Sequence[str]) -> list[Message]:
        """The summary."""
        del ending, reason
        return list(summary)


def _channels(found: Any) -> tuple[str, ...]:  # noqa: ANN401 - out of JSON
    fine = (
        isinstance(found, list)
        and 1 <= len(found) <= MAX_CHANNELS
        and all(
            isinstance(name, str)
            and 0 < len(name) <= MAX_NAME
            and name.isprintable()
            and name[0].isalnum()
            and name != ANY
            for name in found
        )
        and len(set(found)) == len(found)
    )
    if not fine:
        raise ProtocolError(
            f"channels: got {found!a:.80}, expected 1 to {MAX_CHANNELS} different names "
            f"of at most {MAX_NAME} letters, the first a letter or digit, none of them {ANY!r}"
        )
    return tuple(found)
