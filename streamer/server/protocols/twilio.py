"""Decodes Twilio Media Streams: JSON with base64 mu-law at 8 kHz, a track per direction.

Numbers arrive as texts. The track ``inbound`` is what Twilio receives: the customer; ``outbound``
is what it plays to them: the agent.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from streamer.audio.g711 import decode as decode_g711
from streamer.server.protocols.base import (
    CallAudio,
    CallEnd,
    CallItem,
    CallStart,
    Codec,
    Message,
    ProtocolError,
    call_id,
    json_object,
    metadata_of,
    number_of,
    object_of,
    text_of,
)
from streamer.server.protocols.track_messages import (
    CHANNELS,
    SAMPLE_RATE,
    Media,
    Other,
    Stop,
    TrackMessage,
    parse_track_message,
    serialize_track_message,
)
from streamer.server.protocols.tracks import TrackAligner

IGNORED = ("connected", "dtmf", "mark")
"""Events that say nothing about the sound."""


@dataclass(frozen=True, slots=True)
class Start:
    """The stream begins."""

    stream: str
    call: str
    tracks: tuple[str, ...]
    parameters: Mapping[str, str]


TwilioMessage: TypeAlias = Start | TrackMessage


def parse(text: str | bytes) -> TwilioMessage:
    """Read a message.

    Raises:
        ProtocolError: It is none of Twilio's, or a field is missing or not allowed.
    """
    message = json_object(text)
    if message.get("event") == "start":
        return _start(object_of(message, "start"))
    return parse_track_message(message, IGNORED)


def serialize(message: TwilioMessage) -> str:
    """A message as Twilio writes it."""
    if isinstance(message, Start):
        form = {"encoding": "audio/x-mulaw", "sampleRate": SAMPLE_RATE, "channels": 1}
        start = {
            "streamSid": message.stream,
            "callSid": message.call,
            "tracks": list(message.tracks),
            "customParameters": dict(message.parameters),
            "mediaFormat": form,
        }
        return json.dumps({"event": "start", "streamSid": message.stream, "start": start})
    return serialize_track_message(message)


def signature(auth_token: str, url: str) -> str:
    """What Twilio sends as X-Twilio-Signature with the request for a WebSocket."""
    digest = hmac.new(auth_token.encode(), url.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def is_signed(auth_token: str, url: str, given: str) -> bool:
    """Whether a signature is right, for the address with or without a slash at its end."""
    bare = url.rstrip("/")
    return any(
        hmac.compare_digest(signature(auth_token, each).encode(), given.encode())
        for each in (bare, bare + "/")
    )


class TwilioCodec(Codec):
    """The messages of one stream, with its tracks brought together. Twilio is sent nothing."""

    def __init__(self) -> None:
        self._tracks: TrackAligner | None = None

    @property
    def late_s(self) -> float:
        """Seconds of audio that came too late."""
        return self._tracks.late_samples / SAMPLE_RATE if self._tracks is not None else 0.0

    def decode(self, message: Message) -> list[CallItem]:
        """What follows from the next message. Raises ProtocolError as `Codec` says."""
        parsed = parse(message)
        tracks = self._tracks
        match parsed:
            case Start() if tracks is None:
                self._tracks = TrackAligner(parsed.tracks, SAMPLE_RATE)
                channels = tuple(CHANNELS[track] for track in parsed.tracks)
                metadata = {**parsed.parameters, "stream": parsed.stream}
                return [CallStart(parsed.call, SAMPLE_RATE, channels, metadata)]
            case Start():
                raise ProtocolError("got a second start, expected media")
            case Media():
                if tracks is None:
                    raise ProtocolError("got media, expected start first")
                at = parsed.timestamp * SAMPLE_RATE // 1000
                ready = tracks.add(parsed.track, at, decode_g711(parsed.payload, "mulaw"))
                return [CallAudio(ready)] if len(ready) else []
            case Stop():
                rest = tracks.flush() if tracks else np.zeros((0, 1), np.int16)
                return [*([CallAudio(rest)] if len(rest) else []), CallEnd()]
            case Other():
                return []


def _start(start: dict[str, object]) -> Start:
    tracks = start.get("tracks")
    if not isinstance(tracks, list) or not tracks or len(tracks) > len(CHANNELS):
        raise ProtocolError(f"tracks: got {tracks!a:.80}, expected some of {', '.join(CHANNELS)}")
    if not all(isinstance(t, str) and t in CHANNELS for t in tracks) or len(set(tracks)) < len(
        tracks
    ):
        raise ProtocolError(f"tracks: got {tracks!a:.80}, expected some of {', '.join(CHANNELS)}")
    form = object_of(start, "mediaFormat")
    if text_of(form, "encoding") != "audio/x-mulaw" or number_of(form, "sampleRate") != SAMPLE_RATE:
        raise ProtocolError(
            f"mediaFormat: got {form!a:.80}, expected audio/x-mulaw at {SAMPLE_RATE} Hz"
        )
    return Start(
        call_id(text_of(start, "streamSid")),
        call_id(text_of(start, "callSid")),
        tuple(tracks),
        metadata_of(start.get("customParameters", {})),
    )
