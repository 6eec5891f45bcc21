"""Opens the listening socket, and limits the connections and the time of one peer."""

import asyncio
import socket
from typing import ClassVar, Self

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_S = 10.0
"""Seconds in which a whole request must arrive."""

STALLED_S = 30.0
"""Seconds after which the system cuts off a peer that reads nothing (Linux)."""

SPARE_CONNECTIONS = 150
"""Connections besides those of calls: viewers, probes, peers that are being refused."""


def listen_on(host: str, port: int, stalled_s: float = STALLED_S) -> socket.socket:
    """A listening socket; port 0 takes a free one.

    Raises:
        OSError: The address cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # connections have it from their listener
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(stalled_s * 1000))
    return listener


class BoundedHttp(H11Protocol):
    """Cuts connections whose request does not arrive, and those that are too many."""

    max_connections: ClassVar[int] = 500

    @classmethod
    def limited_to(cls, connections: int) -> type[Self]:
        """Make a class for servers with at most ``connections`` at once."""
        return type(cls.__name__, (cls,), {"max_connections": connections})

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        self._deadline: asyncio.TimerHandle | None = None
        self._upgraded = False
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            self.logger.warning("more connections than allowed: one is cut")
            transport.abort()
        else:
            self._watch()

    def data_received(self, data: bytes) -> None:
        """Take a part of a request; the whole has to be there in time."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._unwatch()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """The request is there; what follows is watched by whoever takes the call."""
        self._upgraded = True
        super().handle_websocket_upgrade(event)

    def _watch(self) -> None:
        if self._upgraded or self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._unwatch()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(REQUEST_S, self._expire)

    def _unwatch(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _expire(self) -> None:
        self.logger.warning("a request did not arrive within %g s: cut", REQUEST_S)
        self.transport.abort()
