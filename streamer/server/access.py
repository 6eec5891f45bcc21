"""Who may send calls and who may watch: tokens, Twilio's signature, origins, host names."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from streamer.errors import ConfigError
from streamer.server.protocols.twilio import is_signed

MIN_TOKEN = 16
"""Letters of a token."""

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class Access:
    """What a request has to show.

    Attributes:
        tokens: Any of these, as ``Authorization: Bearer TOKEN``; without any, only requests to a
            loopback name are answered, so that no page of elsewhere gets in by a name of its own.
        twilio_token: The account's auth token, which signs its requests; None to ask for a token
            like everybody's.
        public_url: Where Twilio believes to connect to, as ``wss://voice.example.com``; empty for
            what the request says.
    """

    tokens: tuple[str, ...] = ()
    twilio_token: str | None = None
    public_url: str = ""

    def refusal(self, headers: Mapping[str, str]) -> str | None:
        """Why a request is refused, for people; None where it is not."""
        named, origin = headers.get("host", ""), headers.get("origin")
        try:
            host = urlsplit(f"//{named}").hostname
            page = urlsplit(origin).netloc if origin is not None else named
        except ValueError:  # brackets that are no IPv6 address
            return "expected the address of a host"
        if not self.tokens and host not in LOOPBACK:
            return "without a token, only the loopback names are served"
        if page != named:
            return "the page that asks is of another origin"
        kind, _, given = headers.get("authorization", "").partition(" ")
        right = False
        for token in self.tokens:  # each is compared: how long it takes tells nothing
            right |= hmac.compare_digest(token.encode(), given.encode())
        if self.tokens and not (right and kind.lower() == "bearer"):
            return "expected a token: Authorization: Bearer TOKEN"
        return None

    def twilio_refusal(self, headers: Mapping[str, str], url: str) -> str | None:
        """The same for Twilio's streams; ``url`` is what the request asks for."""
        if self.twilio_token is None:
            return self.refusal(headers)
        parts = urlsplit(url)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        asked = self.public_url.rstrip("/") + path if self.public_url else url
        if not is_signed(self.twilio_token, asked, headers.get("x-twilio-signature", "")):
            return "expected X-Twilio-Signature of this account and address"
        return None


def read_tokens(text: str, name: str) -> tuple[str, ...]:
    """The tokens in a file, one a line; empty lines and those from ``#`` on count for nothing.

    Raises:
        ConfigError: There is none, or one is too short.
    """
    lines = [line.strip() for line in text.splitlines()]
    tokens = tuple(line for line in lines if line and not line.startswith("#"))
    if not tokens or any(len(token) < MIN_TOKEN or not token.isascii() for token in tokens):
        raise ConfigError(
            f"{name}: expected tokens of at least {MIN_TOKEN} ASCII letters, one a line"
        )
    return tokens
