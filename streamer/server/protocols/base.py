"""The base of all codecs: the items that their messages become, and common parsers.

A new protocol is a `Codec` in a file of its own. `streamer.server.endpoints` gives one over
WebSockets its address; `streamer.server.app` listens for those over plain TCP.
"""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, ClassVar, TypeAlias

from streamer.errors import InputError
from streamer.events import Event
from streamer.types import Pcm

CALL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+-]{0,127}")
"""An id begins with a letter or digit, so that no spreadsheet takes it for a formula."""

MAX_METADATA = 50
"""Entries of a call's metadata at most, of at most `MAX_TEXT` letters each."""

MAX_TEXT = 500


class ProtocolError(InputError):
    """A peer sent what its protocol does not allow; the text says what was got and expected."""


@dataclass(frozen=True, slots=True)
class CallStart:
    """A call begins.

    Attributes:
        call: The peer's id of the call; empty where it leaves that to the server.
        sample_rate: In Hz.
        channels: A name for each channel.
        metadata: Texts of the peer about the call.
    """

    call: str
    sample_rate: int
    channels: tuple[str, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class CallAudio:
    """The next samples of all channels, shape (samples, channels)."""

    pcm: Pcm


@dataclass(frozen=True, slots=True)
class CallEnd:
    """The peer says that the call is over."""


Message: TypeAlias = str | bytes
"""A text or binary message."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A message that the server sends back at once."""

    message: Message


@dataclass(frozen=True, slots=True)
class CallHeld:
    """The call goes on without audio: it is paused or on hold, and its peer is there."""


@dataclass(frozen=True, slots=True)
class CallGap:
    """Seconds of the call are missing here; an open utterance ends before them."""

    seconds: float


CallItem: TypeAlias = CallStart | CallAudio | CallGap | CallHeld | CallEnd | Reply


class Ending(Enum):
    """Why a connection is closed."""

    CALL = auto()
    """The call is over."""
    REFUSED = auto()
    """The peer sent what is not allowed, or nothing for too long."""
    SERVER = auto()
    """The server ends."""


class Codec:
    """Converts the messages of one connection, both ways, without I/O and without a clock.

    A protocol overrides `decode`, and the other methods for which it has messages.
    """

    subprotocols: ClassVar[tuple[str, ...]] = ()
    """Subprotocols of WebSocket (RFC 6455) that its peers ask for."""

    peer_closes = False
    """Whether the peer closes the connection after our last message."""

    @property
    def late_s(self) -> float:
        """Seconds of audio, of all tracks, that came too late to be heard."""
        return 0.0

    @property
    def lost_s(self) -> float:
        """Seconds of audio that were lost or damaged on the way, for which there is silence."""
        return 0.0

    def greet(self) -> list[Message]:
        """Messages for the peer when it has connected."""
        return []

    def decode(self, message: Message) -> list[CallItem]:
        """Decode the peer's next message into items, in order.

        Raises:
            ProtocolError: The message is not allowed here.
        """
        raise NotImplementedError

    def encode(self, event: Event, shown: Mapping[str, Any] | None) -> list[Message]:
        """Encode an event of the call for the peer.

        Args:
            event: The event.
            shown: The event as `streamer run --json` writes it; None where it writes none.
        """
        del event, shown
        return []

    def close(self, ending: Ending, reason: str, summary: Sequence[str]) -> list[Message]:
        """Encode the last messages for the peer, after all events of its call.

        Args:
            ending: Why the connection is closed.
            reason: For people; empty where the call is over.
            summary: The summary of each channel, a line of JSON each.
        """
        del ending, reason, summary
        return []


def json_object(text: str | bytes) -> dict[str, Any]:
    """Parse a message that must be a JSON object.

    Raises:
        ProtocolError: It is not one.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"got {_quoted(text)}, expected a JSON object") from error
    if not isinstance(found, dict):
        raise ProtocolError(f"got {_quoted(text)}, expected a JSON object")
    return found


def text_of(message: Mapping[str, Any], key: str) -> str:
    """A text in a message. Raises ProtocolError where it is missing or something else."""
    found = message.get(key)
    if not isinstance(found, str):
        raise ProtocolError(f"{key}: got {_quoted(found)}, expected a text")
    return found


def object_of(message: Mapping[str, Any], key: str) -> dict[str, Any]:
    """An object in a message. Raises ProtocolError where it is missing or something else."""
    found = message.get(key)
    if not isinstance(found, dict):
        raise ProtocolError(f"{key}: got {_quoted(found)}, expected an object")
    return found


def number_of(message: Mapping[str, Any], key: str, *, as_text: bool = True) -> int:
    """A whole number from 0 on, also one that is written as a text where a protocol does so.

    Raises:
        ProtocolError: It is missing, or something else.
    """
    found = message.get(key)
    if as_text and isinstance(found, str) and re.fullmatch(r"[0-9]{1,15}", found, re.ASCII):
        return int(found)
    if isinstance(found, int) and not isinstance(found, bool) and 0 <= found < 10**15:
        return found
    raise ProtocolError(f"{key}: got {_quoted(found)}, expected a whole number")


def base64_of(message: Mapping[str, Any], key: str) -> bytes:
    """Base64 in a message. Raises ProtocolError where it is missing or something else."""
    try:
        return base64.b64decode(text_of(message, key), validate=True)
    except ValueError as error:  # also of what is not ASCII
        raise ProtocolError(f"{key}: got no base64, expected base64") from error


def call_id(text: str) -> str:
    """An id that may stand in rows, logs and addresses. Raises ProtocolError for others."""
    if not CALL_ID.fullmatch(text):
        raise ProtocolError(
            f"call id: got {_quoted(text)}, expected 1 to 128 letters, digits and . _ : @ + -, "
            "the first of them a letter or a digit"
        )
    return text


def metadata_of(found: object) -> dict[str, str]:
    """What a peer says about a call.

    Raises:
        ProtocolError: It is no object of texts, or too much.
    """
    fine = (
        isinstance(found, dict)
        and len(found) <= MAX_METADATA
        and all(
            isinstance(value, str) and len(key) <= MAX_TEXT and len(value) <= MAX_TEXT
            for key, value in found.items()
        )
    )
    if not fine:
        raise ProtocolError(
            f"metadata: got {_quoted(found)}, expected at most {MAX_METADATA} texts "
            f"of at most {MAX_TEXT} letters"
        )
    return dict(found)  # type: ignore[call-overload, no-any-return] # checked above


def _quoted(found: object) -> str:
    text = ascii(found)
    return text if len(text) <= 80 else f"{text[:80]}..."  # noqa: PLR2004 - what a line has room for
