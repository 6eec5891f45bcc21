"""The messages that Twilio and Telnyx have in common: pieces of tracks, the end, and the rest.

How a stream starts is each provider's own.
"""

import base64
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from streamer.server.protocols.base import (
    ProtocolError,
    base64_of,
    number_of,
    object_of,
    text_of,
)

SAMPLE_RATE = 8_000

CHANNELS = {"inbound": "customer", "outbound": "agent"}
"""The name of the channel of each track."""


@dataclass(frozen=True, slots=True)
class Media:
    """A piece of a track; ``timestamp`` is where it begins, in ms from the start."""

    track: str
    timestamp: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Stop:
    """The stream has ended."""


@dataclass(frozen=True, slots=True)
class Other:
    """An event that says nothing about the sound, for example ``connected``."""

    event: str


TrackMessage: TypeAlias = Media | Stop | Other


def parse_track_message(message: Mapping[str, object], ignored: Collection[str]) -> TrackMessage:
    """Read a message that is not the start.

    Args:
        message: The JSON object.
        ignored: The provider's events that say nothing about the sound.

    Raises:
        ProtocolError: The event is none of these, or a field is missing or not allowed.
    """
    match event := message.get("event"):
        case "media":
            media = object_of(message, "media")
            track = text_of(media, "track")
            if track not in CHANNELS:
                raise ProtocolError(f"track: got {track!a:.80}, expected {', '.join(CHANNELS)}")
            return Media(track, number_of(media, "timestamp"), base64_of(media, "payload"))
        case "stop":
            return Stop()
        case str() if event in ignored:
            return Other(event)
    raise ProtocolError(
        f"event: got {event!a:.80}, expected start, media, stop, {', '.join(ignored)}"
    )


def serialize_track_message(message: TrackMessage) -> str:
    """A message that is not the start, as JSON."""
    match message:
        case Media():
            media = {
                "track": message.track,
                "timestamp": str(message.timestamp),
                "payload": base64.b64encode(message.payload).decode(),
            }
            return json.dumps({"event": "media", "media": media})
        case Stop():
            return json.dumps({"event": "stop"})
        case Other():
            return json.dumps({"event": message.event})
