"""Accepts TLS connections in bounds: the handshake counts, and has to be there in time."""

import asyncio
import ssl
from typing import Any, ClassVar, Self

from streamer.server import sockets
from streamer.server.sockets import BoundedHttp


class TlsHttp(asyncio.Protocol):
    """Makes the TLS handshake of a connection, then hands it to HTTP.

    The event loop would make it by itself, but tell nobody before it is done, and wait a minute: a
    thousand peers that say nothing would take all file descriptors.
    """

    context: ClassVar[ssl.SSLContext]
    http: ClassVar[type[BoundedHttp]]

    @classmethod
    def over(cls, files: tuple[str, str], http: type[BoundedHttp]) -> type[Self]:
        """Make a class for servers with a certificate.

        Args:
            files: The files of certificate and key.
            http: For connections whose handshake is done.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files)
        return type(cls.__name__, (cls,), {"context": context, "http": http})

    def __init__(self, **made: Any) -> None:  # noqa: ANN401 - what uvicorn gives
        self._http = self.http(**made)
        self._early = b""
        self._lost = False
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin the handshake."""
        self._http.admit(self, transport)
        self._task = asyncio.get_running_loop().create_task(self._shake_hands(transport))

    def data_received(self, data: bytes) -> None:
        """Keep what comes with the end of the handshake."""
        self._early += data

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is left to hand on."""
        del exc
        self._lost = True

    async def _shake_hands(self, transport: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        try:
            secured = await loop.start_tls(
                transport,
                self,
                self.context,
                server_side=True,
                ssl_handshake_timeout=sockets.REQUEST_S,
            )
        except OSError:  # no TLS, too slow, or gone
            transport.abort()
            return
        finally:
            self._http.waiting.pop(self, None)
        if self._lost or secured is None:
            return
        secured.set_protocol(self._http)
        self._http.connection_made(secured)
        if self._early:
            self._http.data_received(self._early)
