"""One HTTP POST of JSON, signed. Blocks: called on a delivery thread only."""

import hashlib
import hmac
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from http import HTTPStatus
from http.client import HTTPException, HTTPMessage
from typing import IO
from urllib.parse import urlsplit

from streamer.errors import DeliveryError
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

    Certificates are verified, redirects not followed (they would carry the message where nobody
    asked for it), proxies taken from the environment.

    Args:
        url: Where to; only its host is ever shown, the rest may be a key.
        secret: Signs each message; None for no signature.
        timeout_s: For connecting, and for each answer from the socket.
    """

    def __init__(self, url: str, *, secret: str | None, timeout_s: float) -> None:
        self._url = url
        self._secret = secret
        self._timeout_s = timeout_s
        self._opener = urllib.request.build_opener(_NoRedirects)

    @property
    def name(self) -> str:
        """For people: scheme and host."""
        parts = urlsplit(self._url)
        return f"webhook {parts.scheme}://{parts.netloc}"

    def deliver(self, message: Mapping[str, Value]) -> str:
        """Post a message once.

        Raises:
            DeliveryError: Nobody answered, or not with a status of 200 to 299.
        """
        body = json.dumps(message).encode()
        headers = {"Content-Type": "application/json", "User-Agent": "streamer"}
        headers[DELIVERY] = str(message["id"]).encode("ascii", "backslashreplace").decode()
        if self._secret is not None:
            headers[SIGNATURE] = signature(body, self._secret)
        request = urllib.request.Request(  # noqa: S310 - the configuration allows http and https
            self._url, data=body, headers=headers, method="POST"
        )
        try:
            with self._opener.open(request, timeout=self._timeout_s) as answer:
                return f"{answer.status} {answer.reason}"
        except urllib.error.HTTPError as error:
            with error:
                text = f"answered {error.code} {error.reason}"
            raise DeliveryError(text, worth_retrying=error.code in WORTH_RETRYING) from None
        except urllib.error.URLError as error:
            raise DeliveryError(f"cannot be reached: {error.reason}") from None
        except (OSError, HTTPException, ValueError) as error:
            # A timeout, no HTTP, or a host whose name cannot be one.
            raise DeliveryError(f"no answer: {str(error) or type(error).__name__}") from None


def signature(body: bytes, secret: str) -> str:
    """What the header `SIGNATURE` says of a body."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(  # noqa: PLR0913, PLR0917 - as the standard library has it
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> None:
        """Take a redirect for the answer that it is."""
        del req, fp, code, msg, headers, newurl
