"""Names, entries and the connection, as publisher and reader share them.

What happens lies in one stream, in order, for as long as it is kept. What a later event supersedes
(partial results, signs of life) lies in a second, short one, so that whoever wants what lasts reads
nothing else.
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
"""The stream of what lasts."""

PASSING: Final = "streamer:passing"
"""The stream of what a later event supersedes."""

MAX_PASSING: Final = 5_000
"""Entries of the latter, some seconds of many calls."""

TIMEOUT_S: Final = 5.0
"""How long an answer is waited for."""

FAILURES: Final = (RedisError, OSError, TimeoutError)
"""What is raised while Redis does not answer, or not as expected."""


Entry: TypeAlias = tuple[bytes, Mapping[bytes, bytes]]
"""An entry of a stream: its id, and its fields."""


class Pipeline(Protocol):
    """Commands that are done together, or not at all."""

    def xadd(
        self, name: str, fields: Mapping[str, str], *, maxlen: int, approximate: bool
    ) -> object:
        """Write an entry."""

    async def execute(self) -> object:
        """Do what was asked for."""


class Connection(Protocol):
    """What is asked of Redis here; each call may raise one of `FAILURES`."""

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
        """Entries behind these, of each stream; waits so many milliseconds for some."""

    async def xtrim(self, name: str, *, minid: int, approximate: bool) -> int:
        """Remove entries that are older."""

    async def aclose(self) -> None:
        """End the connection."""


def connect(url: str, password: str | None = None) -> Connection:
    """A connection that is opened when it is first used.

    Args:
        url: As ``redis://host:6379/0`` or, with TLS, ``rediss://…``.
        password: In place of one in the address, which others might see.

    Raises:
        ConfigError: The address is none of Redis.
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
    """An address without what is secret in it."""
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
