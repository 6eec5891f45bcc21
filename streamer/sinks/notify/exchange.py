"""Sends one HTTP request with a limit on all of it: name look-up, connection and answer."""

import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from email.message import Message
from http.client import HTTPConnection, HTTPMessage, HTTPResponse, HTTPSConnection
from socket import SHUT_RDWR
from typing import IO, Any
from urllib.parse import urlsplit


def exchange(request: urllib.request.Request, timeout_s: float) -> tuple[int, str, Message]:
    """Send a request, without following redirects, and read the head of the answer.

    The timeout of a socket starts again with each byte, so a slow answer could take for ever.
    Therefore the request runs on a thread of its own, and its connection is cut when time is up.

    Args:
        request: What to send. Certificates are verified, proxies taken from the environment.
        timeout_s: For all of it.

    Returns:
        Status, reason and headers, whatever they say.

    Raises:
        TimeoutError: There was no answer in time.
        OSError: The host cannot be reached (also as ``urllib.error.URLError``).
        HTTPException: The answer is not HTTP.
        ValueError: The address is not valid.
    """
    attempt = _Attempt(request, timeout_s)
    attempt.start()
    return attempt.result(timeout_s)


def proxy_of(url: str) -> tuple[str, int] | None:
    """Host and port of the proxy that the environment names for an address; None without one.

    Raises:
        ValueError: The address of the proxy is not valid.
    """
    parts = urlsplit(url)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if not proxy or urllib.request.proxy_bypass(parts.netloc):
        return None
    there = urlsplit(proxy if "//" in proxy else f"//{proxy}")
    if there.hostname is None:
        raise ValueError(f"got {there.path!r} as proxy, expected http://HOST:PORT")
    return there.hostname, there.port or (443 if there.scheme == "https" else 80)


def through_proxy(url: str) -> str:
    """`proxy_of` in words, to follow the name of what cannot be reached; empty without one.

    Raises:
        ValueError: As `proxy_of`.
    """
    proxy = proxy_of(url)
    return "" if proxy is None else " through the proxy {}:{}".format(*proxy)


class _Attempt(threading.Thread):
    def __init__(self, request: urllib.request.Request, timeout_s: float) -> None:
        super().__init__(name="webhook exchange", daemon=True)
        self._request = request
        self._timeout_s = timeout_s
        self._connections: list[HTTPConnection] = []
        self._late = False
        self._answer: tuple[int, str, Message] | None = None
        self._error: BaseException | None = None

    def run(self) -> None:
        keep = self._keep
        opener = urllib.request.build_opener(_NoRedirects, _Http(keep), _Https(keep))
        try:
            with opener.open(self._request, timeout=self._timeout_s) as answer:
                self._answer = (answer.status, answer.reason, answer.headers)
        except urllib.error.HTTPError as error:
            with error:
                self._answer = (error.code, error.reason, error.headers)
        except BaseException as error:  # noqa: BLE001 - raised by `result`
            self._error = error

    def result(self, timeout_s: float) -> tuple[int, str, Message]:
        self.join(timeout_s)
        if self.is_alive():
            self._late = True
            for connection in self._connections:
                _cut(connection)
            raise TimeoutError(f"no whole answer within {timeout_s:g} s")
        if self._error is not None:
            raise self._error
        if self._answer is None:
            raise RuntimeError("a request ended without answer and error")
        return self._answer

    def _keep(self, connection: HTTPConnection) -> None:
        self._connections.append(connection)
        if self._late:  # the time was up while the host was looked up
            raise TimeoutError("the time is up")


def _cut(connection: HTTPConnection) -> None:
    with suppress(OSError, AttributeError):  # no socket yet, or none any more
        connection.sock.shutdown(SHUT_RDWR)


class _Http(urllib.request.HTTPHandler):
    def __init__(self, keep: Callable[[HTTPConnection], None]) -> None:
        super().__init__()
        self._keep = keep

    def http_open(self, req: urllib.request.Request) -> HTTPResponse:
        def connect(host: str, **options: Any) -> HTTPConnection:  # noqa: ANN401 - as urllib passes
            connection = HTTPConnection(host, **options)
            self._keep(connection)
            return connection

        return self.do_open(connect, req)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, keep: Callable[[HTTPConnection], None]) -> None:
        super().__init__()
        self._keep = keep

    def https_open(self, req: urllib.request.Request) -> HTTPResponse:
        def connect(host: str, **options: Any) -> HTTPConnection:  # noqa: ANN401 - as urllib passes
            connection = HTTPSConnection(host, **options)
            self._keep(connection)
            return connection

        return self.do_open(connect, req)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Reports a redirect as the answer that it is."""

    def redirect_request(  # noqa: PLR0913, PLR0917 - the base class's signature
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
