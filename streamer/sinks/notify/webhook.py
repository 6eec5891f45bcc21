"""Sends an HTTP POST of signed JSON. It blocks, so only a delivery thread calls it."""

import hashlib
import hmac
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.client import HTTPException
from urllib.parse import urlsplit

from streamer.errors import DeliveryError
from streamer.sinks.notify.exchange import exchange, through_proxy
from streamer.sinks.row import Value

SIGNATURE = "X-Streamer-Signature"
"""Header: ``sha256=`` and the HMAC-SHA256 of the body, in hexadecimal, with the secret as key."""

DELIVERY = "X-Streamer-Delivery"
"""Header: the message's id, the same in every attempt, so that a receiver knows repeats."""

WORTH_RETRYING = frozenset(
    (
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_EARLY,
        HTTPStatus.TOO_MANY_REQUESTS,
        *(status for status in HTTPStatus if status >= HTTPStatus.INTERNAL_SERVER_ERROR),
    )
)
"""Answers after which the same request may succeed later."""


class Webhook:
    """Sends messages to an address.

    Certificates are verified, redirects are not followed (they would send the message to an address
    that the user did not name), and proxies are taken from the environment.

    Args:
        url: The address; messages show only its host, because the rest may be a key.
        secret: Signs each message; None for no signature.
        timeout_s: For all of an attempt.
    """

    def __init__(self, url: str, *, secret: str | None, timeout_s: float) -> None:
        self._url = url
        self._secret = secret
        self._timeout_s = timeout_s

    @property
    def name(self) -> str:
        """For people: scheme and host."""
        parts = urlsplit(self._url)
        return f"webhook {parts.scheme}://{parts.netloc}"

    def deliver(self, message: Mapping[str, Value]) -> str:
        """Post a message once, with ``sent_at``, the time of this attempt, beside its own keys.

        Raises:
            DeliveryError: There was no answer, or its status was not 200 to 299.
        """
        sent_at = datetime.now(UTC).isoformat(timespec="seconds")
        body = json.dumps({**message, "sent_at": sent_at}).encode()
        headers = {"Content-Type": "application/json", "User-Agent": "streamer"}
        headers[DELIVERY] = str(message["id"]).encode("ascii", "backslashreplace").decode()
        if self._secret is not None:
            headers[SIGNATURE] = signature(body, self._secret)
        request = urllib.request.Request(  # noqa: S310 - the configuration allows http and https
            self._url, data=body, headers=headers, method="POST"
        )
        try:
            status, reason, told = exchange(request, self._timeout_s)
        except urllib.error.URLError as error:
            through = through_proxy(self._url)
            raise DeliveryError(f"cannot be reached{through}: {error.reason}") from None
        except (OSError, HTTPException, ValueError) as error:
            # A timeout, no HTTP, or a host whose name cannot be one.
            raise DeliveryError(f"no answer: {str(error) or type(error).__name__}") from None
        if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            raise DeliveryError(
                f"answered {status} {reason}",
                worth_retrying=status in WORTH_RETRYING,
                retry_after_s=_seconds(told.get("Retry-After")),
            )
        return f"{status} {reason}"


def _seconds(retry_after: str | None) -> float | None:
    """For how long ``Retry-After`` (RFC 9110) asks to wait; None where it says nothing sensible."""
    if retry_after is None:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (moment - datetime.now(moment.tzinfo)).total_seconds())


def signature(body: bytes, secret: str) -> str:
    """The value of the header `SIGNATURE` for a body."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
