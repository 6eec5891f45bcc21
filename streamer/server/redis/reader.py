"""Reads events from Redis, from some time ago on, and then as they come. On the loop."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from streamer.server.redis.streams import EVENTS, FAILURES, PASSING, Connection, event_of, moment

logger = logging.getLogger(__name__)

HISTORY_S: Final = 4 * 3600.0
"""Seconds of the past that are read first; the beginning of longer calls is not known."""

BLOCK_MS: Final = 1_000
"""Milliseconds that Redis waits for new entries before it answers."""

COUNT: Final = 1_000
"""Maximum number of entries of an answer."""

PAUSES_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Pauses between attempts, in seconds."""

Take: TypeAlias = Callable[[Mapping[str, Any], float | None], None]
"""Called with an event and the time at which it was written; None for a new one."""


class RedisReader:
    """Reads events in order.

    Args:
        redis: The connection.
        name: Name of the Redis for people, without secrets.
        take: Called with each event.
        notice: Called with a problem, for people; empty when it is over.
    """

    def __init__(
        self, redis: Connection, name: str, take: Take, notice: Callable[[str], None]
    ) -> None:
        self._redis = redis
        self._name = name
        self._take = take
        self._notice = notice
        self._last: dict[str, bytes] = {}  # of each stream, the entry that was read last
        self._history: bytes | None = None  # the entry of the past that was read last
        self.ready = False
        """Whether the past has been read, and Redis answers."""

    async def run(self) -> None:
        """Read until cancelled."""
        failures = 0
        try:
            while True:
                try:
                    if not self._last:
                        await self._catch_up()
                    await self._read(BLOCK_MS)
                except FAILURES as error:
                    if not failures:
                        logger.error("%s: cannot be read: %s", self._name, type(error).__name__)  # noqa: TRY400 - a line for people
                        self._notice(f"{self._name} does not answer: calls may have changed.")
                    self.ready = False
                    await asyncio.sleep(PAUSES_S[min(failures, len(PAUSES_S) - 1)])
                    failures += 1
                else:
                    if failures:
                        logger.warning("%s: answers again", self._name)
                    if not self.ready:
                        self._notice("")
                    failures, self.ready = 0, True
        finally:
            await self._redis.aclose()

    async def _catch_up(self) -> None:
        """Read the events of the past, with their times."""
        seconds, _ = await self._redis.time()
        at = self._history or b"%d-0" % int(1000 * (seconds - HISTORY_S))
        while entries := await self._redis.xrange(EVENTS, b"(" + at, count=COUNT):
            for entry, fields in entries:
                if (event := event_of(fields)) is not None:
                    self._take(event, moment(entry))
            at = self._history = entries[-1][0]
            await asyncio.sleep(0)  # others want the loop, too
        self._last = {EVENTS: at, PASSING: b"%d-0" % (1000 * seconds)}

    async def _read(self, block_ms: int) -> None:
        """Read what is new in both streams, in the order in which Redis got it."""
        answer = await self._redis.xread(self._last, count=COUNT, block=block_ms)
        found: list[tuple[tuple[int, int], Mapping[bytes, bytes]]] = []
        for stream, entries in answer or []:
            for entry, fields in entries:
                milliseconds, _, number = entry.partition(b"-")
                found.append(((int(milliseconds), int(number)), fields))
            self._last[stream.decode()] = entries[-1][0]
        for _, fields in sorted(found, key=lambda each: each[0]):
            if (event := event_of(fields)) is not None:
                self._take(event, None)
