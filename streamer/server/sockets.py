"""Opens the listening socket, and limits the connections and the time of one peer."""

import asyncio
import logging
import socket
import time
from typing import ClassVar, Self

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from streamer.errors import ConfigError
from streamer.text import quantity

logger = logging.getLogger(__name__)

REQUEST_S = 10.0
"""Seconds in which a whole request must arrive."""

STALLED_S = 30.0
"""Seconds after which the system cuts off a peer that reads nothing (Linux)."""

SPARE_CONNECTIONS = 150
"""Connections besides those of calls: viewers, probes, peers that are being refused."""

BACKLOG = 128
"""Connections that are accepted before those that are too many are cut."""

OTHER_FILES = 200 + BACKLOG
"""Files that a server has open besides its connections, at most."""


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


def allow_descriptors(connections: int) -> None:
    """Raise the limit of open files of this process where it is too low.

    Raises:
        ConfigError: The system does not allow as many.
    """
    try:
        import resource  # noqa: PLC0415 - not on Windows, which has no such limit
    except ImportError:
        return
    wanted = connections + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise ConfigError(
            f"{connections} connections need {wanted} open files, but the system allows {hard} "
            "(ulimit -n)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class BoundedHttp(H11Protocol):
    """Cuts connections whose request does not arrive, and those that are too many.

    Where there are too many, the one goes that has waited longest for its request: peers that say
    nothing keep nobody out.
    """

    max_connections: ClassVar[int] = 500
    waiting: ClassVar[dict[asyncio.BaseProtocol, asyncio.Transport]] = {}
    """Connections of which no request has come, nor a handshake, the oldest first."""
    _cut: ClassVar[int] = 0  # since that was logged last:
    _noted_at: ClassVar[float] = 0.0

    @classmethod
    def limited_to(cls, connections: int) -> type[Self]:
        """Make a class for servers with at most ``connections`` at once."""
        return type(cls.__name__, (cls,), {"max_connections": connections, "waiting": {}})

    def admit(self, peer: asyncio.BaseProtocol, transport: asyncio.Transport) -> None:
        """Count a connection that is there from now on, in its handshake or before its request."""
        self.waiting[peer] = transport
        count = len({*self.connections, *self.waiting})
        if count > self.max_connections:
            oldest = next(iter(self.waiting))
            self.waiting.pop(oldest).abort()
            self._note_cut()

    @classmethod
    def _note_cut(cls) -> None:
        """Log it, once a second at most."""
        cls._cut += 1
        if time.monotonic() >= cls._noted_at + 1:
            logger.warning(
                "more than %d connections at once: %s without a request cut",
                cls.max_connections,
                quantity(cls._cut, "connection"),
            )
            cls._cut, cls._noted_at = 0, time.monotonic()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        self._deadline: asyncio.TimerHandle | None = None
        self._upgraded = False
        super().connection_made(transport)
        self.admit(self, transport)
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
        self.waiting.pop(self, None)
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _expire(self) -> None:
        self.logger.warning("a request did not arrive within %g s: cut", REQUEST_S)
        self.transport.abort()
