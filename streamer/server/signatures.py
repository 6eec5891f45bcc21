"""Checks HTTP message signatures (RFC 9421) with a shared secret, as Genesys makes them.

It supports what AudioHook uses: one signature, HMAC-SHA256, header fields and the components
``@request-target`` and ``@authority`` without parameters.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from streamer.errors import ConfigError, InputError

MAX_AGE_S = 10.0

MAX_SKEW_S = 3.0
"""Maximum of seconds that the clocks may differ."""

MIN_NONCE = 22
"""Least letters of a nonce: 128 bits in base64."""

COVERED = (
    "@request-target",
    "@authority",
    "audiohook-organization-id",
    "audiohook-session-id",
    "audiohook-correlation-id",
    "x-api-key",
)
"""Components that a signature must cover."""

_INPUT = re.compile(r'([a-z*][a-z0-9_.*-]*)=(\((("[a-z0-9@-]+" ?)*)\)((?:;[^,\s]*)?))', re.ASCII)
_PARAMETER = re.compile(r';([a-z]+)=(?:"([!#-\[\]-~ ]*)"|([0-9]{1,15}))', re.ASCII)
_SIGNATURE = re.compile(r"([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/=]+):", re.ASCII)


class SignatureError(InputError):
    """A request is not signed correctly; the text says why, without any secret."""


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature and what it covers.

    Attributes:
        components: Names of the covered components, in order.
        parameters: ``keyid``, ``nonce``, ``created`` and so on.
        text: Components and parameters as they were sent, which is part of what is signed.
        digest: The signature itself.
    """

    components: tuple[str, ...]
    parameters: Mapping[str, str]
    text: str
    digest: bytes

    @classmethod
    def from_headers(cls, headers: Mapping[str, str]) -> "Signature":
        """Read it from a request, whose header names are in small letters.

        Raises:
            SignatureError: There is none, or it is not of this form.
        """
        covers = _INPUT.fullmatch(headers.get("signature-input", "").strip())
        given = _SIGNATURE.fullmatch(headers.get("signature", "").strip())
        if covers is None or given is None or covers[1] != given[1]:
            raise SignatureError("expected Signature-Input and Signature, one of each")
        found = _PARAMETER.findall(covers[5])
        if "".join(f';{k}="{t}"' if t or not n else f";{k}={n}" for k, t, n in found) != covers[5]:
            raise SignatureError("Signature-Input: got parameters that are not of this standard")
        parameters = {key: text or number for key, text, number in found}
        try:
            digest = base64.b64decode(given[2], validate=True)
        except ValueError as error:
            raise SignatureError("Signature: got no base64") from error
        return cls(tuple(re.findall(r'"([^"]+)"', covers[3])), parameters, covers[2], digest)


def signature_base(signature: Signature, target: str, headers: Mapping[str, str]) -> str:
    """Build the text that is signed.

    Args:
        signature: The signature.
        target: Path and query of the request.
        headers: Of the request; names in small letters.

    Raises:
        SignatureError: It covers a header that the request does not have.
    """
    lines = []
    for name in signature.components:
        value = {"@request-target": target, "@authority": headers.get("host")}.get(
            name, headers.get(name)
        )
        if value is None:
            raise SignatureError(f"the signature covers {name}, which is not there")
        lines.append(f'"{name}": {value.strip()}')
    return "\n".join([*lines, f'"@signature-params": {signature.text}'])


def digest_of(secret: bytes, base: str) -> bytes:
    """Sign a text: HMAC-SHA256."""
    return hmac.new(secret, base.encode(), hashlib.sha256).digest()


class SignatureVerifier:
    """Checks the signatures of requests; each request is accepted once.

    Args:
        secrets: The secrets by API key.
        covered: Components that a signature must cover.
    """

    def __init__(self, secrets: Mapping[str, bytes], covered: Sequence[str] = COVERED) -> None:
        self._secrets = dict(secrets)
        self._covered = set(covered)
        self._nonces: dict[str, float] = {}  # until when each may not come again

    def verify(self, target: str, headers: Mapping[str, str], now: float) -> None:
        """Check a request.

        Args:
            target: Path and query.
            headers: Names in small letters.
            now: Seconds since 1970.

        Raises:
            SignatureError: It is not signed as it has to be.
        """
        signature = Signature.from_headers(headers)
        parameters = signature.parameters
        if missing := self._covered - set(signature.components):
            raise SignatureError(f"the signature does not cover {', '.join(sorted(missing))}")
        key = headers.get("x-api-key", "")
        if parameters.get("keyid") != key or parameters.get("alg", "hmac-sha256") != "hmac-sha256":
            raise SignatureError("expected keyid as in X-API-KEY, and hmac-sha256")
        expected = digest_of(
            self._secrets.get(key, b"\0" * 32), signature_base(signature, target, headers)
        )
        if not hmac.compare_digest(expected, signature.digest) or key not in self._secrets:
            raise SignatureError("the signature is wrong, or its key is not known")
        self._check_time(parameters, now)
        self._check_nonce(parameters.get("nonce", ""), now)

    def _check_time(self, parameters: Mapping[str, str], now: float) -> None:
        created = parameters.get("created", "")
        if not created.isdecimal() or not -MAX_SKEW_S <= now - int(created) <= MAX_AGE_S:
            raise SignatureError(f"created: expected within the last {MAX_AGE_S:.0f} s")
        if (expires := parameters.get("expires", "")) and not expires.isdecimal():
            raise SignatureError("expires: expected a time")
        if expires and int(expires) < now - MAX_SKEW_S:
            raise SignatureError("the signature has expired")

    def _check_nonce(self, nonce: str, now: float) -> None:
        if len(nonce) < MIN_NONCE:
            raise SignatureError(f"nonce: expected at least {MIN_NONCE} letters")
        self._nonces = {each: until for each, until in self._nonces.items() if until > now}
        if nonce in self._nonces:
            raise SignatureError("the request has come before")
        self._nonces[nonce] = now + MAX_AGE_S + MAX_SKEW_S


def read_secrets(text: str, name: str) -> dict[str, bytes]:
    """Secrets in a file: an API key and its secret in base64 a line.

    Raises:
        ConfigError: A line is something else, or there is none.
    """
    found: dict[str, bytes] = {}
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        parts = line.split()
        try:
            key, secret = parts[0], base64.b64decode(parts[1], validate=True)
        except (IndexError, ValueError) as error:
            raise ConfigError(
                f"{name}: expected lines of an API key and a secret in base64"
            ) from error
        if len(parts) > 2 or len(secret) < 16:  # noqa: PLR2004 - 128 bits
            raise ConfigError(f"{name}: expected secrets of at least 16 bytes, one a line")
        found[key] = secret
    if not found:
        raise ConfigError(f"{name}: expected a line with an API key and a secret in base64")
    return found
