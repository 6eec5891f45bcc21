"""Deletes results that are too old, and those of one call on request."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from streamer.errors import OutputError
from streamer.server.redis.publisher import RedisPublisher
from streamer.sinks.csv_removal import remove_rows

logger = logging.getLogger(__name__)

DAY_S: Final = 86_400.0

PRUNE_S: Final = 3_600.0
"""Seconds between two deletions of old results."""


class Retention:
    """Removes rows from the CSV, and entries from Redis. On the loop.

    Args:
        csv: The CSV with the rows; None for none.
        publisher: Writes to Redis, and trims the stream by age; None for none.
        keep_s: Seconds for which rows are kept; None for ever.
        clock: Returns the time, in seconds since 1970.
    """

    def __init__(
        self,
        csv: Path | None,
        publisher: RedisPublisher | None = None,
        keep_s: float | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._csv = csv
        self._publisher = publisher
        self._keep_s = keep_s
        self._clock = clock

    async def run(self) -> None:
        """Remove what is too old, now and every hour, until cancelled."""
        while self._keep_s is not None:
            try:
                if removed := await self.prune():
                    logger.info("%d rows were too old and are removed", removed)
            except OutputError as error:
                logger.error("what is too old cannot be removed: %s", error)  # noqa: TRY400 - a line for people
            await asyncio.sleep(PRUNE_S)

    async def prune(self) -> int:
        """Remove rows that are too old; return how many.

        Raises:
            OutputError: They could not be removed.
        """
        if self._csv is None or self._keep_s is None:
            return 0
        oldest = self._clock() - self._keep_s
        return await asyncio.to_thread(remove_rows, self._csv, lambda row: _began(row) < oldest)

    async def delete(self, call: str) -> dict[str, int]:
        """Delete the results of a call; return how many of each kind.

        Raises:
            OutputError: Not all of it could be removed.
        """
        rows = entries = 0
        if self._csv is not None:
            rows = await asyncio.to_thread(
                remove_rows, self._csv, lambda row: row.get("source") == call
            )
        if self._publisher is not None:
            entries = await self._publisher.delete(call)
        return {"rows": rows, "entries": entries}


def _began(row: Mapping[str, str]) -> float:
    """When an utterance began; a row without a time is never too old."""
    try:
        return datetime.fromisoformat(row["started_at"]).timestamp()
    except (KeyError, ValueError):
        return float("inf")
