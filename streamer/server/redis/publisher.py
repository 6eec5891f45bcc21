"""Writes events to Redis on the loop, without keeping anybody waiting.

While Redis does not answer, up to `MAX_WAITING` lasting events wait in memory; beyond that, the
oldest are lost, which is counted and logged. Rows are in the CSV in any case.
"""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from streamer.errors import OutputError
from streamer.server.hub import PASSING_KINDS
from streamer.server.redis.streams import (
    EVENTS,
    FAILURES,
    MAX_PASSING,
    PASSING,
    TIMEOUT_S,
    Connection,
    event_of,
    fields_of,
)

logger = logging.getLogger(__name__)

MAX_WAITING: Final = 50_000
"""Maximum number of events that wait for Redis: 30 MB, or an hour of a busy server."""

MAX_KEPT: Final = 1_000_000
"""Maximum number of entries of the lasting stream."""

BATCH: Final = 500
"""Maximum number of events that are written at once."""

GATHER_S: Final = 0.02
"""Seconds for which events are collected before they are written."""

TRIM_S: Final = 60.0
"""Seconds between two removals of old entries."""

PAUSES_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Pauses between attempts, in seconds."""


class RedisPublisher:
    """Writes events to Redis.

    Args:
        redis: The connection.
        name: Name of the Redis for people, without secrets.
        keep_s: How long events are kept; None for as long as there is room.
    """

    def __init__(self, redis: Connection, name: str, keep_s: float | None = None) -> None:
        self._redis = redis
        self._name = name
        self._keep_s = keep_s
        self._lasting: deque[Mapping[str, Any]] = deque()
        self._passing: deque[Mapping[str, Any]] = deque(maxlen=MAX_PASSING)
        self._some = asyncio.Event()
        self._taken = self._written = 0  # lasting events, to know what is written
        self._progress = asyncio.Condition()
        self._writing = asyncio.Lock()
        self._trim_at = 0.0
        self._closing = False
        self._failing = False
        self.lost = 0
        """How many events were lost before they were in Redis."""

    @property
    def waiting(self) -> int:
        """Events that last and are not in Redis yet."""
        return len(self._lasting)

    def take(self, event: Mapping[str, Any]) -> None:
        """Take an event; never waits."""
        if event["event"] in PASSING_KINDS:
            self._passing.append(event)
        else:
            self._taken += 1
            self._lasting.append(event)
            if len(self._lasting) > MAX_WAITING:
                self._lasting.popleft()
                self._written += 1
                self.lost += 1
                if self.lost == 1:
                    logger.error("%s: %d events wait: the oldest are lost", self._name, MAX_WAITING)
        self._some.set()

    async def written(self) -> None:
        """Wait until all events taken so far are in Redis.

        Raises:
            OutputError: They are not in time; it will be tried further.
        """
        wanted, lost = self._taken, self.lost
        try:
            async with asyncio.timeout(TIMEOUT_S), self._progress:
                await self._progress.wait_for(lambda: self._written >= wanted)
        except TimeoutError:
            raise OutputError(f"{self._name} does not answer") from None
        if self.lost != lost:
            raise OutputError(f"{self._name}: too many events wait")

    async def run(self) -> None:
        """Write what comes until `close`."""
        failures = 0
        while not self._closing:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TRIM_S):
                    await self._some.wait()
            await asyncio.sleep(GATHER_S)
            if self._closing:
                return
            try:
                await self._write()
                await self._trim()
            except FAILURES as error:
                if not self._failing:
                    logger.error("%s: cannot be written: %s", self._name, type(error).__name__)  # noqa: TRY400 - a line for people
                self._failing = True
                self._some.set()  # what waits is tried again, whether or not more comes
                await asyncio.sleep(PAUSES_S[min(failures, len(PAUSES_S) - 1)])
                failures += 1
                continue
            failures = 0
            if self._failing:
                logger.warning("%s: answers again", self._name)
                self._failing = False

    async def close(self) -> int:
        """Write what waits, for some seconds; returns how many events are not in Redis."""
        self._closing = True
        self._some.set()
        with contextlib.suppress(*FAILURES):
            async with asyncio.timeout(TIMEOUT_S):
                while self._lasting:
                    await self._write()
        with contextlib.suppress(*FAILURES):
            await self._redis.aclose()
        return len(self._lasting) + self.lost

    async def delete(self, call: str) -> int:
        """Remove the entries of a call; return how many.

        Raises:
            OutputError: Redis does not answer.
        """
        removed, at = 0, b"-"
        try:
            while entries := await self._redis.xrange(EVENTS, at, count=1000):
                found = [entry for entry, fields in entries if _is_of(fields, call)]
                if found:
                    removed += await self._redis.xdel(EVENTS, *found)
                at = b"(" + entries[-1][0]
        except FAILURES as error:
            raise OutputError(f"{self._name} does not answer: {type(error).__name__}") from error
        return removed

    async def _write(self) -> None:
        """Write what waits; after a failure, try again from the first event that may be missing."""
        async with self._writing:  # `close` may be called while `run` writes
            await self._write_batches()

    async def _write_batches(self) -> None:
        self._some.clear()
        while self._lasting or self._passing:
            lasting = [self._lasting[i] for i in range(min(BATCH, len(self._lasting)))]
            passing = [self._passing.popleft() for _ in range(min(BATCH, len(self._passing)))]
            first = self._written
            async with self._redis.pipeline(transaction=True) as pipe:  # all of it, or nothing
                for event in lasting:
                    pipe.xadd(EVENTS, fields_of(event), maxlen=MAX_KEPT, approximate=True)
                for event in passing:
                    pipe.xadd(PASSING, fields_of(event), maxlen=MAX_PASSING, approximate=True)
                await pipe.execute()
            for _ in range(len(lasting) - (self._written - first)):  # some may have been given up
                self._lasting.popleft()
            async with self._progress:
                self._written = first + len(lasting)
                self._progress.notify_all()

    async def _trim(self) -> None:
        if self._keep_s is None or time.monotonic() < self._trim_at:
            return
        self._trim_at = time.monotonic() + TRIM_S
        seconds, _ = await self._redis.time()
        oldest = max(0, int(1000 * (seconds - self._keep_s)))
        await self._redis.xtrim(EVENTS, minid=oldest, approximate=False)
        await self._redis.xtrim(PASSING, minid=oldest, approximate=False)


def _is_of(fields: Mapping[bytes, bytes], call: str) -> bool:
    event = event_of(fields)
    return event is not None and event.get("call") == call and event["event"] != "call_deleted"
