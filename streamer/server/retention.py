"""How long results are kept, and the deletion of what is kept of one call."""

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
"""How often it is looked for what is too old."""


class Retention:
    """Removes rows from the CSV, and entries from Redis. On the loop.

    Args:
        csv: Where rows are; None for nowhere.
        publisher: Writes to Redis, which trims itself by age; None for none.
        keep_s: How long rows are kept; None for ever.
        clock: Tells the time, in seconds since 1970.
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
        """Remove rows that are too old; returns how many. Raises OutputError."""
        if self._csv is None or self._keep_s is None:
            return 0
        oldest = self._clock() - self._keep_s
        return await asyncio.to_thread(remove_rows, self._csv, lambda row: _began(row) < oldest)

    async def delete(self, call: str) -> dict[str, int]:
        """Remove all that is kept of a call; returns how much of what it was.

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
    """When an utterance began; a row that does not say so is never too old."""
    try:
        return datetime.fromisoformat(row["started_at"]).timestamp()
    except (KeyError, ValueError):
        return float("inf")
