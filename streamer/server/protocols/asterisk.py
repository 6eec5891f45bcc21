"""Decodes Asterisk's chan_websocket: events as text, audio as binary messages.

The first message is ``MEDIA_START``, with the format. Events are single lines of words, or JSON
objects, as ``control_message_format`` of Asterisk's configuration has it.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from streamer.server.protocols.audio import Encoding, decode_audio
from streamer.server.protocols.base import (
    CallAudio,
    CallHeld,
    CallItem,
    CallStart,
    Codec,
    Message,
    ProtocolError,
    call_id,
    json_object,
    metadata_of,
)

START = "MEDIA_START"

FORMATS: dict[str, tuple[Encoding, int]] = {
    "ulaw": ("mulaw", 8_000),
    "alaw": ("alaw", 8_000),
    "slin": ("s16le", 8_000),
    "slin12": ("s16le", 12_000),
    "slin16": ("s16le", 16_000),
    "slin24": ("s16le", 24_000),
    "slin32": ("s16le", 32_000),
    "slin44": ("s16le", 44_100),
    "slin48": ("s16le", 48_000),
    "slin96": ("s16le", 96_000),
    "slin192": ("s16le", 192_000),
}
"""Encoding and rate in Hz, by Asterisk's name."""

CHANNEL = "customer"

MAX_EVENT = 4096
"""Letters of an event."""

_EVENT = re.compile(r"([A-Z][A-Z_]{0,40})((?: [a-z_]{1,40}:\S{0,500}){0,20})", re.ASCII)


@dataclass(frozen=True, slots=True)
class ControlEvent:
    """What Asterisk says beside the audio, as ``MEDIA_START`` or ``DTMF_END``."""

    name: str
    values: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_text(cls, text: str) -> "ControlEvent":
        """Read an event of either form.

        Raises:
            ProtocolError: It is none.
        """
        if text.startswith("{"):
            message = json_object(text)
            name = message.pop("event", None)
            if not isinstance(name, str):
                raise ProtocolError(f"event: got {name!a:.80}, expected a text")
            return cls(name, {k: str(v) for k, v in message.items() if isinstance(v, str | int)})
        matched = _EVENT.fullmatch(text.strip()) if len(text) <= MAX_EVENT else None
        if matched is None:
            raise ProtocolError(f"got {text!a:.80}, expected an event as MEDIA_START key:value")
        pairs = (word.partition(":") for word in matched[2].split())
        return cls(matched[1], {key: value for key, _, value in pairs})

    def to_text(self) -> str:
        """The event as a line of words."""
        return " ".join([self.name, *(f"{key}:{value}" for key, value in self.values.items())])

    def to_json(self) -> str:
        """The event as a JSON object."""
        return json.dumps({"event": self.name, **self.values})


class AsteriskCodec(Codec):
    """The messages of one channel. Asterisk is sent nothing; it hears silence."""

    subprotocols = ("media",)

    def __init__(self) -> None:
        self._encoding: Encoding | None = None

    def decode(self, message: Message) -> list[CallItem]:
        """What follows from the next message. Raises ProtocolError as `Codec` says."""
        if isinstance(message, bytes):
            if self._encoding is None:
                raise ProtocolError(f"got audio, expected {START} first")
            return [CallAudio(decode_audio(message, self._encoding))]
        event = ControlEvent.from_text(message)
        if self._encoding is not None:
            return [CallHeld()]
        if event.name != START:
            raise ProtocolError(f"got {event.name!a:.80}, expected {START} first")
        form = event.values.get("format", "")
        if form not in FORMATS:
            raise ProtocolError(f"format: got {form!a:.80}, expected {', '.join(FORMATS)}")
        self._encoding, rate = FORMATS[form]
        known = ("channel", "channel_id", "connection_id")
        about = metadata_of({key: event.values[key] for key in known if key in event.values})
        call = about.get("channel_id") or about.get("connection_id", "")
        return [CallStart(call_id(call), rate, (CHANNEL,), about)]
