"""Decodes Vonage's Voice API over WebSocket: a JSON message, then binary L16."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from streamer.server.protocols.audio import decode_audio
from streamer.server.protocols.base import (
    MAX_METADATA,
    MAX_TEXT,
    CallAudio,
    CallHeld,
    CallItem,
    CallStart,
    Codec,
    Message,
    ProtocolError,
    call_id,
    json_object,
    text_of,
)

CONNECTED = "websocket:connected"

RATES = (8_000, 16_000, 24_000)

CHANNEL = "customer"

_CONTENT = re.compile(r"audio/l16; ?rate=([0-9]{1,6})", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Connected:
    """The first message.

    Attributes:
        rate: In Hz.
        headers: Values from the instructions of the call (NCCO); of these, ``uuid`` or
            ``conversation_uuid`` is the id of the call.
    """

    rate: int
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, text: str) -> "Connected":
        """Read it.

        Raises:
            ProtocolError: It is another message, or the audio is of another form.
        """
        message = json_object(text)
        if message.pop("event", None) != CONNECTED:
            raise ProtocolError(f"got {text!a:.80}, expected the event {CONNECTED} first")
        content = text_of(message, "content-type")
        matched = _CONTENT.fullmatch(content)
        if matched is None or int(matched[1]) not in RATES:
            raise ProtocolError(
                f"content-type: got {content!a:.80}, expected audio/l16;rate=, of "
                f"{', '.join(map(str, RATES))} Hz"
            )
        del message["content-type"]
        plain = [(k, str(v)) for k, v in message.items() if isinstance(v, str | int | float)]
        about = {k[:MAX_TEXT]: v[:MAX_TEXT] for k, v in plain[:MAX_METADATA]}
        return cls(int(matched[1]), about)

    def to_json(self) -> str:
        """The message as Vonage writes it."""
        form = {"event": CONNECTED, "content-type": f"audio/l16;rate={self.rate}"}
        return json.dumps({**form, **self.headers})


class VonageCodec(Codec):
    """The messages of one leg of a call. Vonage is sent nothing."""

    def __init__(self) -> None:
        self._connected: Connected | None = None

    def decode(self, message: Message) -> list[CallItem]:
        """What follows from the next message. Raises ProtocolError as `Codec` says."""
        if self._connected is None:
            if isinstance(message, bytes):
                raise ProtocolError(f"got audio, expected the event {CONNECTED} first")
            connected = self._connected = Connected.from_json(message)
            headers = connected.headers
            call = headers.get("uuid") or headers.get("conversation_uuid") or ""
            return [CallStart(call_id(call) if call else "", connected.rate, (CHANNEL,), headers)]
        if isinstance(message, bytes):
            return [CallAudio(decode_audio(message, "s16le"))]
        json_object(message)  # a key was pressed, or what was sent to the caller has been played
        return [CallHeld()]
