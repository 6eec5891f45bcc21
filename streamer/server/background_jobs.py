"""Publishes events, notifies of calls, and deletes old results, for a server."""

import asyncio
from pathlib import Path
from typing import Final

from streamer.server.call_notice import CallNotice
from streamer.server.hub import Hub
from streamer.server.redis.publisher import RedisPublisher
from streamer.server.retention import Retention
from streamer.text import quantity

NOTICE_TIMEOUT_S: Final = 5.0
"""Seconds that the end waits for notices of calls."""


class BackgroundJobs:
    """Publishes events, notifies of calls that begin, and deletes old results. On the loop.

    Args:
        publisher: Writes events to Redis; None for nowhere.
        notice: Sends a notice of each call that begins; None for none.
        keep_s: How long rows are kept; None for ever.
    """

    def __init__(
        self,
        publisher: RedisPublisher | None = None,
        notice: CallNotice | None = None,
        keep_s: float | None = None,
    ) -> None:
        self._publisher = publisher
        self._notice = notice
        self._keep_s = keep_s
        self._retention: Retention | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, hub: Hub, csv: Path | None) -> None:
        """Start.

        Args:
            hub: Reports events and calls.
            csv: The CSV with the rows; None for none.
        """
        hub.notice = self._notice
        self._retention = Retention(csv, self._publisher, self._keep_s)
        self._tasks.append(asyncio.create_task(self._retention.run()))
        publisher = self._publisher
        if publisher is not None:
            hub.listeners.append(publisher.take)
            waiting, lost = "Events that wait for Redis.", "Events that never came to Redis."
            hub.gauge("streamer_publish_waiting", waiting, lambda: publisher.waiting)
            hub.gauge("streamer_publish_lost", lost, lambda: publisher.lost)
            self._tasks.append(asyncio.create_task(publisher.run()))

    async def written(self) -> None:
        """Wait until all events shown so far are published.

        Raises:
            OutputError: They cannot be published in time.
        """
        if self._publisher is not None:
            await self._publisher.written()

    async def delete(self, call: str) -> dict[str, int]:
        """Delete the results of a call; return how many of each kind.

        Raises:
            OutputError: Not all of them could be deleted.
        """
        return await self._retention.delete(call) if self._retention is not None else {}

    def drain_warnings(self) -> list[str]:
        """What went wrong since the last call, a line each."""
        return self._notice.drain_warnings() if self._notice is not None else []

    async def stop(self) -> list[str]:
        """Publish and deliver what waits; return what could not be, in lines for people."""
        left = []
        if self._publisher is not None and (lost := await self._publisher.close()):
            left.append(f"{quantity(lost, 'event')} could not be published")
        for task in self._tasks:
            task.cancel()
        if self._notice is not None:
            left += await asyncio.to_thread(self._notice.stop, NOTICE_TIMEOUT_S)
        return left
