"""Defines the names and entries of the streams, and the connection to Redis.

Lasting events are in one stream, in order. Events that a later one supersedes (partial results,
signs of life) are in a second, short one, so that a reader of the first reads nothing else.
"""

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol, TypeAlias, cast
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.exceptions import RedisError

from streamer.errors import ConfigError

EVENTS: Final = "streamer:events"
"""The stream of lasting events."""

PASSING: Final = "streamer:passing"
"""The stream of events that a later one supersedes."""

MAX_PASSING: Final = 5_000
"""Maximum number of entries of this stream: some seconds of many calls."""

TIMEOUT_S: Final = 5.0
"""Seconds to wait for an answer."""

FAILURES: Final = (RedisError, OSError, TimeoutError)
"""Errors that are raised while Redis does not answer, or not as expected."""


Entry: TypeAlias = tuple[bytes, Mapping[bytes, bytes]]
"""An entry of a stream: its id, and its fields."""


class Pipeline(Protocol):
    """Commands that are executed together, or not at all."""

    def xadd(
        self, name: str, fields: Mapping[str, str], *, maxlen: int, approximate: bool
    ) -> object:
        """Write an entry."""

    async def execute(self) -> object:
        """Execute the commands."""


class Connection(Protocol):
    """The commands of Redis that are used; each may raise one of `FAILURES`."""

    def pipeline(self, *, transaction: bool) -> AbstractAsyncContextManager[Pipeline]:
        """Gather commands."""

    async def time(self) -> tuple[int, int]:
        """Redis's clock: seconds since 1970, and microseconds."""

    async def xdel(self, name: str, *entries: bytes) -> int:
        """Remove entries; returns how many."""

    async def xrange(self, name: str, first: bytes, /, *, count: int) -> Sequence[Entry]:
        """Entries from the first on."""

    async def xread(
        self, streams: Mapping[str, bytes], /, *, count: int, block: int
    ) -> Sequence[tuple[bytes, Sequence[Entry]]] | None:
        """Entries behind these, of each stream; waits a number of milliseconds for some."""

    async def xtrim(self, name: str, *, minid: int, approximate: bool) -> int:
        """Remove entries that are older."""

    async def aclose(self) -> None:
        """End the connection."""


def connect(url: str, password: str | None = None) -> Connection:
    """Make a connection that is opened when it is first used.

    Args:
        url: As ``redis://host:6379/0`` or, with TLS, ``rediss://…``.
        password: The password, better than in the address, which others may see.

    Raises:
        ConfigError: It is not an address of Redis.
    """
    try:
        scheme, port = urlsplit(url).scheme, urlsplit(url).port
    except ValueError:
        scheme, port = "", None
    del port  # it is read for the error that a wrong one raises
    if scheme not in ("redis", "rediss", "unix"):
        raise ConfigError(f"got {shown(url)}, expected redis://HOST:PORT or rediss://HOST:PORT")
    more: dict[str, Any] = {} if password is None else {"password": password}
    found = Redis.from_url(
        url, protocol=2, socket_connect_timeout=TIMEOUT_S, socket_timeout=2 * TIMEOUT_S, **more
    )
    return cast("Connection", found)  # its own types know no answers


def shown(url: str) -> str:
    """An address without its password."""
    return re.sub(r"//[^/]*@", "//", url)


def fields_of(event: Mapping[str, Any]) -> dict[str, str]:
    """An event as an entry: its kind and call, to choose by, and the whole as JSON."""
    call = event.get("call")
    return {
        "event": str(event["event"]),
        "call": call if isinstance(call, str) else "",
        "json": json.dumps(event, separators=(",", ":")),
    }


def event_of(fields: Mapping[bytes, bytes]) -> dict[str, Any] | None:
    """The event in an entry; None where there is none."""
    try:
        found = json.loads(fields[b"json"])
    except (KeyError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def moment(entry: bytes) -> float:
    """When an entry was written by Redis's clock, in seconds since 1970."""
    return int(entry.partition(b"-")[0]) / 1000
