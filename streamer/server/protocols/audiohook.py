"""Decodes Genesys AudioHook v2: numbered JSON messages, and binary audio.

The peer opens the session with the audio formats that it offers; one is chosen. It pings, may pause
or discard audio, and closes. Both sides number their messages and send the newest number that they
have from the other side.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from streamer.events import Event
from streamer.server.protocols.audio import Encoding, decode_audio
from streamer.server.protocols.base import (
    CallAudio,
    CallEnd,
    CallGap,
    CallHeld,
    CallItem,
    CallStart,
    Codec,
    Ending,
    Message,
    ProtocolError,
    Reply,
    call_id,
    json_object,
    metadata_of,
    number_of,
    object_of,
    text_of,
)

VERSION = "2"

SAMPLE_RATE = 8_000

CHANNELS = {"external": "customer", "internal": "agent"}
"""The name of the channel of each side."""

ENCODINGS: dict[str, Encoding] = {"PCMU": "mulaw", "L16": "s16le"}

TYPES = ("open", "close", "ping", "paused", "resumed", "discarded", "update", "error")
"""The types of messages that the peer may send."""

MAX_GAP_S = 86_400.0

DURATION = re.compile(r"PT([0-9]{1,9}(?:\.[0-9]{1,9})?)S")

PROBE = "00000000-0000-0000-0000-000000000000"
"""The conversation of a connection that only probes the server."""

SHOWN: Final = ("utterance", "alert")
"""Events that are sent back; partial results would be several messages a second."""


@dataclass(frozen=True, slots=True)
class ClientMessage:
    """A message of the peer.

    Attributes:
        type: One of `TYPES`.
        session: Id of the session, the same in all.
        seq: Its number, from 1.
        serverseq: The newest number of ours that the peer knows.
        position: Seconds of audio sent before it.
        parameters: By type.
    """

    type: str
    session: str
    seq: int
    serverseq: int
    position: float
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, text: str) -> "ClientMessage":
        """Read a message.

        Raises:
            ProtocolError: It is none, or a field is missing or not allowed.
        """
        message = json_object(text)
        if message.get("version") != VERSION:
            raise ProtocolError(
                f"version: got {message.get('version')!a:.80}, expected '{VERSION}'"
            )
        kind = text_of(message, "type")
        if kind not in TYPES:
            raise ProtocolError(f"type: got {kind!a:.80}, expected {', '.join(TYPES)}")
        return cls(
            kind,
            call_id(text_of(message, "id")),
            number_of(message, "seq"),
            number_of(message, "serverseq"),
            duration_of(message, "position"),
            object_of(message, "parameters"),
        )

    def to_json(self) -> str:
        """The message as the peer writes it."""
        return json.dumps(
            {
                "version": VERSION,
                "type": self.type,
                "id": self.session,
                "seq": self.seq,
                "serverseq": self.serverseq,
                "position": to_duration(self.position),
                "parameters": dict(self.parameters),
            }
        )


@dataclass(frozen=True, slots=True)
class Media:
    """A format of audio: ``PCMU`` or ``L16``, and the sides in it."""

    form: str
    channels: tuple[str, ...]

    @classmethod
    def from_object(cls, found: object) -> "Media | None":
        """Read an offer; None for one that is not ours."""
        if not isinstance(found, dict) or found.get("type") != "audio":
            return None
        channels = found.get("channels")
        fits = (
            found.get("rate") == SAMPLE_RATE
            and found.get("format") in ENCODINGS
            and isinstance(channels, list)
            and channels
            and all(isinstance(name, str) and name in CHANNELS for name in channels)
            and len(set(channels)) == len(channels)
        )
        return cls(found["format"], tuple(found["channels"])) if fits else None

    def to_object(self) -> dict[str, Any]:
        """The form as messages have it."""
        return {
            "type": "audio",
            "format": self.form,
            "channels": list(self.channels),
            "rate": SAMPLE_RATE,
        }


class AudioHookCodec(Codec):
    """The messages of one session.

    Args:
        organization: The organization that signed the request; empty without a signature.
        session: The session of the signed request; empty without a signature.
    """

    peer_closes = True

    def __init__(self, organization: str = "", session: str = "") -> None:
        self._organization = organization
        self._session = session
        self._seq = 0  # of our newest message
        self._clientseq = 0
        self._position = 0.0
        self._media: Media | None = None
        self._opened = False
        self._closed = False

    def decode(self, message: Message) -> list[CallItem]:
        """What follows from the next message. Raises ProtocolError as `Codec` says."""
        if isinstance(message, bytes):
            if self._media is None or self._closed:
                raise ProtocolError("got audio, expected it after opened and before close")
            encoding, channels = ENCODINGS[self._media.form], self._media.channels
            return [CallAudio(decode_audio(message, encoding, len(channels)))]
        parsed = ClientMessage.from_json(message)
        self._count(parsed)
        if parsed.type == "open":
            return self._open(parsed)
        if not self._opened:
            raise ProtocolError(f"got {parsed.type}, expected open first")
        match parsed.type:
            case "ping":
                return [CallHeld(), Reply(self._message("pong", {}))]
            case "resumed" | "discarded":
                gap = duration_of(parsed.parameters, "discarded")
                if gap > MAX_GAP_S:
                    raise ProtocolError(f"discarded: got {gap:g} s, expected at most a day")
                return [CallGap(gap)] if self._media is not None else []
            case "close":
                self._closed = True
                return [CallEnd()]
        return [CallHeld()]  # paused; and what says nothing about the sound: update, error

    def encode(self, event: Event, shown: Mapping[str, Any] | None) -> list[Message]:
        """Utterances and alerts, as event entities of these types."""
        del event
        if shown is None or shown["event"] not in SHOWN:
            return []
        data = {key: value for key, value in shown.items() if key != "event"}
        entity = {"type": shown["event"], "data": data}
        return [self._message("event", {"entities": [entity]})]

    def close(self, ending: Ending, reason: str, summary: Sequence[str]) -> list[Message]:
        """``closed`` when the peer closes, or why we do."""
        del summary
        match ending:
            case Ending.CALL if self._closed:
                return [self._message("closed", {})]
            case Ending.CALL:
                return []
            case Ending.REFUSED:
                return [self._message("disconnect", {"reason": "error", "info": reason})]
            case Ending.SERVER:
                return [self._message("reconnect", {"info": reason})]

    def _count(self, message: ClientMessage) -> None:
        """Check that the numbers are in sequence.

        Raises:
            ProtocolError: They are not.
        """
        if message.seq != self._clientseq + 1:
            raise ProtocolError(f"seq: got {message.seq}, expected {self._clientseq + 1}")
        self._clientseq = message.seq
        if message.serverseq > self._seq:
            raise ProtocolError(f"serverseq: got {message.serverseq}, expected at most {self._seq}")
        if message.position < self._position:
            raise ProtocolError(
                f"position: got {message.position:g} s, expected {self._position:g} s or more"
            )
        self._position = message.position
        if self._session and message.session != self._session:
            raise ProtocolError(f"id: got {message.session}, expected {self._session}")
        self._session = message.session

    def _open(self, message: ClientMessage) -> list[CallItem]:
        if self._opened:
            raise ProtocolError("got a second open, expected audio")
        parameters = message.parameters
        organization = text_of(parameters, "organizationId")
        if self._organization and organization != self._organization:
            raise ProtocolError("organizationId: got another than the request's")
        self._opened = True
        conversation = call_id(text_of(parameters, "conversationId"))
        if conversation == PROBE:
            return [Reply(self._message("opened", {"startPaused": False, "media": []}))]
        media = self._media = _chosen(parameters.get("media"))
        opened: dict[str, Any] = {"startPaused": False, "media": [media.to_object()]}
        channels = tuple(CHANNELS[name] for name in media.channels)
        participant = object_of(parameters, "participant")
        named = ("ani", "aniName", "dnis")
        about: dict[str, Any] = {key: participant[key] for key in named if key in participant}
        about |= {"session": message.session, "organization": organization}
        return [
            CallStart(conversation, SAMPLE_RATE, channels, metadata_of(about)),
            Reply(self._message("opened", opened)),
        ]

    def _message(self, kind: str, parameters: Mapping[str, Any]) -> str:
        self._seq += 1
        return json.dumps(
            {
                "version": VERSION,
                "type": kind,
                "id": self._session,
                "seq": self._seq,
                "clientseq": self._clientseq,
                "parameters": parameters,
            }
        )


def duration_of(message: Mapping[str, Any], key: str) -> float:
    """Seconds, written as ``PT1.5S``. Raises ProtocolError where it is something else."""
    found = message.get(key)
    if not isinstance(found, str) or not (matched := DURATION.fullmatch(found)):
        raise ProtocolError(f"{key}: got {found!a:.80}, expected as PT1.5S")
    return float(matched[1])


def to_duration(seconds: float) -> str:
    """Seconds as messages have them."""
    return f"PT{seconds:.9f}".rstrip("0").rstrip(".") + "S"


def _chosen(offers: object) -> Media:
    """Choose the format with both sides, if offered, and of several the smallest."""
    found = (
        [media for offer in offers if (media := Media.from_object(offer))]
        if isinstance(offers, list)
        else []
    )
    if not found:
        raise ProtocolError(
            f"media: got {offers!a:.80}, expected {' or '.join(ENCODINGS)} at {SAMPLE_RATE} Hz"
        )
    forms = list(ENCODINGS)
    return min(found, key=lambda media: (-len(media.channels), forms.index(media.form)))
