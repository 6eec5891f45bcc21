"""Decodes FreeSWITCH's mod_audio_stream and mod_audio_fork: metadata as text, then binary L16.

The messages give neither rate nor channels: these are in the address, such as
``/v1/freeswitch?rate=16000&channels=customer,agent``. Utterances and alerts are sent back as JSON
that both modules raise as events of theirs (``mod_audio_stream::json``, ``mod_audio_fork::json``).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from streamer.events import Event
from streamer.server.protocols.audio import decode_audio
from streamer.server.protocols.base import (
    MAX_TEXT,
    CallAudio,
    CallHeld,
    CallItem,
    CallStart,
    Codec,
    Message,
    ProtocolError,
    call_id,
    number_of,
)

RATES = (8_000, 192_000)
"""Lowest and highest rate in an address, in Hz."""

CHANNELS = ("customer", "agent")
"""The order in which both modules interleave the caller and the other side."""

SHOWN: Final = ("utterance", "alert")
"""Events that are sent back."""


@dataclass(frozen=True, slots=True)
class Address:
    """What the address says about the audio.

    Attributes:
        rate: In Hz.
        channels: Names.
        call: Id of the call; empty to have the server make one.
    """

    rate: int = 8_000
    channels: tuple[str, ...] = CHANNELS[:1]
    call: str = ""

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> "Address":
        """Read it.

        Raises:
            ProtocolError: A value is not allowed.
        """
        rate = number_of({"rate": query.get("rate", "8000")}, "rate")
        if not RATES[0] <= rate <= RATES[1]:
            raise ProtocolError(f"rate: got {rate}, expected {RATES[0]} to {RATES[1]} Hz")
        channels = tuple(query.get("channels", CHANNELS[0]).split(","))
        if channels not in (CHANNELS, CHANNELS[:1], CHANNELS[1:], CHANNELS[::-1], ("mixed",)):
            raise ProtocolError(
                f"channels: got {query['channels']!a:.80}, expected customer, agent, both with a "
                "comma, or mixed"
            )
        return cls(rate, channels, call_id(query["call"]) if query.get("call") else "")


class FreeSwitchCodec(Codec):
    """The messages of one stream.

    Args:
        address: Rate, channels and call, from the address.
    """

    subprotocols = ("audio.drachtio.org", "audiostream.drachtio.org")

    def __init__(self, address: Address) -> None:
        self._address = address
        self._began = False

    def decode(self, message: Message) -> list[CallItem]:
        """What follows from the next message. Raises ProtocolError as `Codec` says."""
        items: list[CallItem] = []
        if not self._began:
            self._began = True
            about = _metadata(message) if isinstance(message, str) else {}
            address = self._address
            items.append(CallStart(address.call, address.rate, address.channels, about))
        if isinstance(message, str):
            return [*items, CallHeld()]
        return [*items, CallAudio(decode_audio(message, "s16le", len(self._address.channels)))]

    def encode(self, event: Event, shown: Mapping[str, Any] | None) -> list[Message]:
        """Utterances and alerts, wrapped as mod_audio_fork wants it."""
        del event
        if shown is None or shown["event"] not in SHOWN:
            return []
        return [json.dumps({"type": "json", "data": shown})]


def _metadata(text: str) -> dict[str, str]:
    """Metadata of the module: the texts and numbers of an object, or the text as it is."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = text
    if not isinstance(found, dict):
        return {"metadata": text[:MAX_TEXT]}
    plain = {k: str(v) for k, v in found.items() if isinstance(v, str | int | float)}
    return {key[:MAX_TEXT]: value[:MAX_TEXT] for key, value in list(plain.items())[:50]}
