"""Decides who may do what: tokens and their roles, Twilio's signature, origins, host names."""

import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import TypeAlias
from urllib.parse import urlsplit

from streamer.errors import ConfigError
from streamer.server.protocols.twilio import is_signed
from streamer.server.signatures import SignatureError, SignatureVerifier

MIN_TOKEN = 16
"""Least letters of a token."""

LOOPBACK = ("127.0.0.1", "::1", "localhost")


Network: TypeAlias = IPv4Network | IPv6Network


class Role(StrEnum):
    """What a token allows."""

    MEDIA = "media"
    """To send calls."""
    VIEW = "view"
    """To see calls, events and metrics."""
    ACKNOWLEDGE = "acknowledge"
    """To acknowledge alerts, and what VIEW allows."""
    DELETE = "delete"
    """To delete what is kept of a call."""


@dataclass(frozen=True, slots=True)
class Token:
    """A secret and the roles that it allows; `repr` leaves the secret out, so no log has it."""

    text: str = field(repr=False)
    roles: frozenset[Role] = frozenset(Role)

    def allows(self, role: Role) -> bool:
        """Whether it allows a role."""
        return role in self.roles or (role is Role.VIEW and Role.ACKNOWLEDGE in self.roles)


@dataclass(frozen=True, slots=True)
class Access:
    """What a request must have to be answered.

    Attributes:
        tokens: Any of these that allows what is asked for, as ``Authorization: Bearer TOKEN``;
            without any, only requests to a loopback name are answered, so that a foreign page
            cannot reach the server through a host name of its own.
        twilio_token: The auth token of the Twilio account, which signs its requests; None asks
            Twilio for a token, too.
        audiohook: Checks the signatures of Genesys; None asks Genesys for a token, too.
        origins: Other web pages that may send requests, such as ``https://desk.example.com``.
        networks: Addresses from which Asterisk's AudioSocket, which has no token, may connect;
            empty for this machine.
        public_url: The address that Twilio connects to, such as ``wss://voice.example.com``;
            empty for that of the request.
    """

    tokens: tuple[Token, ...] = ()
    twilio_token: str | None = field(default=None, repr=False)
    audiohook: SignatureVerifier | None = field(default=None, repr=False)
    origins: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()
    public_url: str = ""

    def host_refusal(self, headers: Mapping[str, str]) -> str | None:
        """Why a request is refused for its host or origin, for people; None if it is allowed."""
        named, origin = headers.get("host", ""), headers.get("origin")
        try:
            host = urlsplit(f"//{named}").hostname
            page = urlsplit(origin).netloc if origin is not None else named
        except ValueError:  # brackets that are no IPv6 address
            return "expected the address of a host"
        if not self.tokens and host not in LOOPBACK:
            return "without a token, only the loopback names are served"
        if page != named and origin not in self.origins:
            return "the page that asks is of another origin"
        return None

    def refusal(self, headers: Mapping[str, str], role: Role) -> str | None:
        """Why a request is refused, for people; None if it has a token for ``role``."""
        if (refusal := self.host_refusal(headers)) is not None or not self.tokens:
            return refusal
        kind, _, given = headers.get("authorization", "").partition(" ")
        known = right = False
        for token in self.tokens:  # each is compared, so that the time reveals nothing
            same = hmac.compare_digest(token.text.encode(), given.encode())
            known |= same
            right |= same and token.allows(role)
        if not known or kind.lower() != "bearer":
            return "expected a token: Authorization: Bearer TOKEN"
        return None if right else f"the token does not allow: {role}"

    def twilio_refusal(self, headers: Mapping[str, str], url: str) -> str | None:
        """Why a stream of Twilio to ``url`` is refused; None if its signature is right."""
        if self.twilio_token is None:
            return self.refusal(headers, Role.MEDIA)
        parts = urlsplit(url)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        asked = self.public_url.rstrip("/") + path if self.public_url else url
        if not is_signed(self.twilio_token, asked, headers.get("x-twilio-signature", "")):
            return "expected X-Twilio-Signature of this account and address"
        return None

    def audiohook_refusal(self, headers: Mapping[str, str], target: str) -> str | None:
        """Why a request of Genesys is refused; ``target`` is its path and query."""
        if self.audiohook is None:
            return self.refusal(headers, Role.MEDIA)
        try:
            self.audiohook.verify(target, headers, time.time())
        except SignatureError as error:
            return str(error)
        return None

    def peer_refusal(self, address: str) -> str | None:
        """Why an AudioSocket connection from an address is refused; None if it is allowed."""
        peer = ip_address(address)
        peer = getattr(peer, "ipv4_mapped", None) or peer  # as a socket for both families has it
        if any(peer in network for network in self.networks) or peer.is_loopback:
            return None
        return f"{address} is not of a network that may send calls"


def read_tokens(text: str, name: str) -> tuple[Token, ...]:
    """Read the tokens in a file, one a line; empty lines and those after ``#`` are ignored.

    A line is a token, or what it allows and the token: ``view,acknowledge 0123456789abcdef``.

    Raises:
        ConfigError: There is none, one is too short, or a role is not known.
    """
    lines = [line.split() for line in text.splitlines()]
    tokens = tuple(_token(words, name) for words in lines if words and words[0][0] != "#")
    if not tokens:
        raise ConfigError(f"{name}: {_EXPECTED}")
    return tokens


_EXPECTED = (
    f"expected tokens of at least {MIN_TOKEN} ASCII letters, one a line, each alone or behind "
    f"what it allows, of {', '.join(Role)}, separated by commas"
)


def _token(words: list[str], name: str) -> Token:
    *roles, secret = words
    named = roles[0].split(",") if roles else list(Role)
    fine = len(secret) >= MIN_TOKEN and secret.isascii() and len(roles) <= 1
    if not fine or not all(role in tuple(Role) for role in named):
        raise ConfigError(f"{name}: {_EXPECTED}")
    return Token(secret, frozenset(map(Role, named)))
