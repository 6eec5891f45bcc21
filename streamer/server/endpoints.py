"""Endpoints map addresses to protocols, and to the checks of who may connect."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from streamer.server.access import Access, Role
from streamer.server.protocols.asterisk import AsteriskCodec
from streamer.server.protocols.audiohook import AudioHookCodec
from streamer.server.protocols.base import Codec
from streamer.server.protocols.freeswitch import Address, FreeSwitchCodec
from streamer.server.protocols.hume import HumeCodec
from streamer.server.protocols.native import NativeCodec
from streamer.server.protocols.telnyx import TelnyxCodec
from streamer.server.protocols.twilio import TwilioCodec
from streamer.server.protocols.vonage import VonageCodec


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a WebSocket.

    Attributes:
        url: The whole address.
        target: Its path and query.
        query: The parameters of the query.
        headers: The headers; names are in small letters.
    """

    url: str
    target: str
    query: Mapping[str, str]
    headers: Mapping[str, str]


def _token(access: Access, asked: Asked) -> str | None:
    return access.refusal(asked.headers, Role.MEDIA)


def _twilio(access: Access, asked: Asked) -> str | None:
    return access.twilio_refusal(asked.headers, asked.url)


def _audiohook(access: Access, asked: Asked) -> str | None:
    return access.audiohook_refusal(asked.headers, asked.target)


def _hume(access: Access, asked: Asked) -> str | None:
    """Its API key is a token of ours."""
    key = asked.headers.get("x-hume-api-key")
    authorization = {"authorization": f"Bearer {key}"} if key is not None else {}
    return access.refusal({**asked.headers, **authorization}, Role.MEDIA)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The codec and the access check of an address.

    Attributes:
        codec: Makes the codec of a connection; raises ProtocolError for a wrong address.
        refusal: Returns why a request is refused, for people; None if it is allowed.
    """

    codec: Callable[[Asked], Codec]
    refusal: Callable[[Access, Asked], str | None] = _token


def _telnyx(asked: Asked) -> Codec:
    tracks = asked.query.get("tracks")
    return TelnyxCodec() if tracks is None else TelnyxCodec(tracks.split(","))


def _audiohook_codec(asked: Asked) -> Codec:
    return AudioHookCodec(
        asked.headers.get("audiohook-organization-id", ""),
        asked.headers.get("audiohook-session-id", ""),
    )


ENDPOINTS = {
    "/v1/stream": Endpoint(lambda _: NativeCodec()),
    "/v1/twilio": Endpoint(lambda _: TwilioCodec(), _twilio),
    "/v1/telnyx": Endpoint(_telnyx),
    "/v1/audiohook": Endpoint(_audiohook_codec, _audiohook),
    "/v1/asterisk": Endpoint(lambda _: AsteriskCodec()),
    "/v1/freeswitch": Endpoint(lambda asked: FreeSwitchCodec(Address.from_query(asked.query))),
    "/v1/vonage": Endpoint(lambda _: VonageCodec()),
    "/v1/expression/audio/realtime": Endpoint(lambda _: HumeCodec(), _hume),
}
"""The endpoints by path."""
