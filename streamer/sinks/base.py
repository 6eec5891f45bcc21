"""The `Sink` protocol: rows, lines, saved audio, summaries and notifications take events by it.

A new sink is added where a program's sinks are listed: in `streamer.session` for `run`, in
`streamer.server.engine` for `serve`. Lines are chosen in `streamer.cli.run`.
"""

import queue
from collections.abc import Sequence
from typing import Protocol

from streamer.events import Event
from streamer.sinks.row import Session
from streamer.sinks.summary import Summary


class Sink(Protocol):
    """Takes the events of sessions, in order.

    One thread at a time calls a sink, but for `drain_warnings`, which any thread may call. Only
    `begin`, `flush`, `poll` and `close` may wait for a disk; nothing here may wait for a reader or
    a network.
    """

    def begin(self, session: Session) -> None:
        """Begin a session; its events follow.

        Raises:
            OutputError: Its results can never be written.
        """

    def write(self, event: Event, session: Session) -> None:
        """Take an event. It need not be durable before `flush`."""

    def flush(self) -> None:
        """Make durable what was written; keep and report what cannot be written now."""

    def poll(self) -> None:
        """Try again what could not be written before. Called often, also when nothing happens."""

    def end(self, session: Session, summary: Summary) -> None:
        """End a session: no event of it follows."""

    def drain_warnings(self) -> list[str]:
        """What went wrong since the last call, a line each."""

    def close(self) -> None:
        """Take nothing more, and flush."""


class BaseSink:
    """A sink that does nothing: the base of sinks that need only part of the protocol."""

    def __init__(self) -> None:
        self._warnings: queue.SimpleQueue[str] = queue.SimpleQueue()

    def begin(self, session: Session) -> None:
        """Do nothing."""

    def write(self, event: Event, session: Session) -> None:
        """Do nothing."""

    def flush(self) -> None:
        """Do nothing."""

    def poll(self) -> None:
        """Do nothing."""

    def end(self, session: Session, summary: Summary) -> None:
        """Do nothing."""

    def warn(self, text: str) -> None:
        """Keep a warning for `drain_warnings`."""
        self._warnings.put(text)

    def drain_warnings(self) -> list[str]:
        """What went wrong since the last call, a line each."""
        return [self._warnings.get_nowait() for _ in range(self._warnings.qsize())]

    def close(self) -> None:
        """Do nothing."""


class FanOut:
    """Several sinks as one: each event goes to all of them, in their order.

    Args:
        sinks: Those that make results durable come first.
    """

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = tuple(sinks)

    def begin(self, session: Session) -> None:
        """Begin a session in each of them.

        Raises:
            OutputError: The results of one of them can never be written.
        """
        for sink in self._sinks:
            sink.begin(session)

    def write(self, event: Event, session: Session) -> None:
        """Give each of them an event."""
        for sink in self._sinks:
            sink.write(event, session)

    def flush(self) -> None:
        """Make durable what was written."""
        for sink in self._sinks:
            sink.flush()

    def poll(self) -> None:
        """Have each of them try again what could not be written."""
        for sink in self._sinks:
            sink.poll()

    def end(self, session: Session, summary: Summary) -> None:
        """End a session in each of them."""
        for sink in self._sinks:
            sink.end(session, summary)

    def drain_warnings(self) -> list[str]:
        """What went wrong since the last call, a line each."""
        return [line for sink in self._sinks for line in sink.drain_warnings()]

    def close(self) -> None:
        """Close all of them, whatever becomes of one."""
        failure: Exception | None = None
        for sink in self._sinks:
            try:
                sink.close()
            except Exception as error:  # noqa: BLE001 - raised when all were closed
                failure = failure or error
        if failure is not None:
            raise failure
