"""Decodes Telnyx media streaming: JSON with base64 G.711 at 8 kHz, a track per direction.

It differs from Twilio: its start names the code (mu-law or A-law) but not the tracks, and media may
overtake each other on the way.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from streamer.server.protocols.audio import Encoding, decode_audio
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

ENCODINGS: dict[str, Encoding] = {"PCMU": "mulaw", "PCMA": "alaw"}

IGNORED = ("connected", "dtmf", "mark", "error")
"""Events that say nothing about the sound; ``error`` is of what was sent to Telnyx."""

NAMED = ("call_session_id", "from", "to")
"""Fields of the start that become metadata, besides its tags."""


@dataclass(frozen=True, slots=True)
class Start:
    """The stream begins.

    Attributes:
        stream: Telnyx's id of the stream.
        call: Telnyx's id of the call (``call_control_id``).
        encoding: ``PCMU`` or ``PCMA``.
        about: What Telnyx says about the call: who calls whom.
    """

    stream: str
    call: str
    encoding: str
    about: Mapping[str, str]


TelnyxMessage: TypeAlias = Start | TrackMessage


def parse(text: Message) -> TelnyxMessage:
    """Read a message.

    Raises:
        ProtocolError: It is none of Telnyx's, or a field is missing or not allowed.
    """
    message = json_object(text)
    if message.get("event") == "start":
        return _start(text_of(message, "stream_id"), object_of(message, "start"))
    return parse_track_message(message, IGNORED)


def serialize(message: TelnyxMessage) -> str:
    """A message as Telnyx writes it."""
    if isinstance(message, Start):
        form = {"encoding": message.encoding, "sample_rate": SAMPLE_RATE, "channels": 1}
        start = {"call_control_id": message.call, **message.about, "media_format": form}
        return json.dumps({"event": "start", "start": start, "stream_id": message.stream})
    return serialize_track_message(message)


class TelnyxCodec(Codec):
    """The messages of one stream, with its tracks brought together. Telnyx is sent nothing.

    Args:
        tracks: The tracks to expect. If one never comes, rows are half a second later.

    Raises:
        ProtocolError: There are no such tracks.
    """

    def __init__(self, tracks: Sequence[str] = tuple(CHANNELS)) -> None:
        if not tracks or len(set(tracks)) < len(tracks) or not set(tracks) <= set(CHANNELS):
            raise ProtocolError(f"tracks: got {tracks!a:.80}, expected some of inbound,outbound")
        self._names = tuple(tracks)
        self._tracks: TrackAligner | None = None
        self._encoding: Encoding = "mulaw"

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
                self._tracks = TrackAligner(self._names, SAMPLE_RATE)
                self._encoding = ENCODINGS[parsed.encoding]
                channels = tuple(CHANNELS[track] for track in self._names)
                metadata = {**parsed.about, "stream": parsed.stream}
                return [CallStart(parsed.call, SAMPLE_RATE, channels, metadata)]
            case Start():
                raise ProtocolError("got a second start, expected media")
            case Media():
                if tracks is None:
                    raise ProtocolError("got media, expected start first")
                pcm = decode_audio(parsed.payload, self._encoding)[:, 0]
                ready = tracks.add(parsed.track, parsed.timestamp * SAMPLE_RATE // 1000, pcm)
                return [CallAudio(ready)] if len(ready) else []
            case Stop():
                rest = [CallAudio(tracks.flush())] if tracks else []
                return [*rest, CallEnd()]
            case Other():
                return []


def _start(stream: str, start: Mapping[str, object]) -> Start:
    form = object_of(start, "media_format")
    encoding = text_of(form, "encoding")
    if encoding not in ENCODINGS or number_of(form, "sample_rate") != SAMPLE_RATE:
        raise ProtocolError(
            f"media_format: got {form!a:.80}, expected {' or '.join(ENCODINGS)} at {SAMPLE_RATE} Hz"
        )
    about = {key: start[key] for key in NAMED if start.get(key)}
    return Start(
        call_id(stream),
        call_id(text_of(start, "call_control_id")),
        encoding,
        metadata_of(about),
    )
