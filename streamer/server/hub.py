"""The hub counts the events of all calls for metrics and shows them to viewers. On the loop."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from streamer.events import Alert, Event, UtteranceStarted
from streamer.server.call_notice import CallNotice
from streamer.server.protocols.base import CallStart
from streamer.server.wallboard.events import Shown, shown_values
from streamer.sinks.row import Session
from streamer.types import Utterance

PASSING_KINDS: Final = ("rolling", "speech", "server")
"""Kinds of events that a later one supersedes; only a display of the present needs them."""

MAX_LINES = 1000
"""Maximum number of lines that wait for a viewer; a slower viewer loses lines, which is counted."""

BUCKETS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Upper bounds of the histograms, in seconds."""


class Viewer:
    """A viewer of all calls, with the lines that wait for it."""

    def __init__(self) -> None:
        self.lines: asyncio.Queue[str | None] = asyncio.Queue(MAX_LINES + 1)  # room for the end
        self.dropped = 0
        """How many lines were dropped."""

    def offer(self, line: str) -> bool:
        """Take a line, unless too many wait already; never waits."""
        if self.lines.qsize() < MAX_LINES:
            self.lines.put_nowait(line)
            return True
        self.dropped += 1
        return False

    def end(self) -> None:
        """Say that no line follows."""
        if not self.lines.full():
            self.lines.put_nowait(None)


class Hub:
    """Counts what happens in all calls, and shows it to viewers.

    Args:
        name: The unique name of this server.
        partials_dropped: Returns how many partial results were dropped so far.
        waiting: Returns how many utterances wait for the worker.
    """

    def __init__(
        self, name: str, partials_dropped: Callable[[], int], waiting: Callable[[], int]
    ) -> None:
        self.name = name
        self.viewers: set[Viewer] = set()
        self.shows_callers = True
        """Whether viewers see who calls."""
        self.notice: CallNotice | None = None
        """Functions called with each call that begins."""
        self.listeners: list[Callable[[Shown], None]] = []
        """Functions called with every event, on the loop; they never wait."""
        self._registry = CollectorRegistry()
        registry = self._registry
        self.calls = Gauge("streamer_calls", "Calls in progress.", registry=registry)
        self.begun = Counter("streamer_calls_begun", "Calls begun.", registry=registry)
        self.refused = Counter(
            "streamer_connections_refused", "Connections refused or cut.", registry=registry
        )
        self.late_s = Counter(
            "streamer_late_audio_seconds",
            "Audio that came too late to be heard.",
            registry=registry,
        )
        self.lost_s = Counter(
            "streamer_lost_audio_seconds",
            "Audio of Opus packets that were lost or damaged on the way.",
            registry=registry,
        )
        self._rows = Counter("streamer_rows", "Utterances.", registry=registry)
        self._unclassified = Counter(
            "streamer_rows_unclassified", "Utterances without a prediction.", registry=registry
        )
        self._alerts = Counter("streamer_alerts", "Alerts.", registry=registry)
        self._inference = Histogram(
            "streamer_inference_seconds",
            "Time to classify an utterance.",
            buckets=BUCKETS,
            registry=registry,
        )
        self._latency = Histogram(
            "streamer_latency_seconds",
            "Time from the last speech of an utterance to its row on disk.",
            buckets=BUCKETS,
            registry=registry,
        )
        self._lines_dropped = Counter(
            "streamer_lines_dropped",
            "Events that a viewer was too slow for.",
            registry=registry,
        )
        self.gauge("streamer_partials_dropped", "Partial results that gave way.", partials_dropped)
        self.gauge("streamer_queue", "Utterances that wait.", waiting)
        self.gauge("streamer_viewers", "Viewers of all events.", lambda: len(self.viewers))

    def gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Add a metric whose value is computed when it is read."""
        Gauge(name, text, registry=self._registry).set_function(value)

    def metrics(self) -> bytes:
        """All figures, in Prometheus's text format."""
        return generate_latest(self._registry)

    def close(self) -> None:
        """End the lines of all viewers."""
        for viewer in self.viewers:
            viewer.end()

    def publish(
        self, call: str, connection: str, event: Event, session: Session | None
    ) -> Shown | None:
        """Count an event of a call and show it; returns its JSON object, as the peer gets it."""
        match event:
            case Utterance():
                self._rows.inc()
                self._unclassified.inc(event.prediction is None)
                self._inference.observe(event.compute_ms / 1000)
                if event.latency_ms is not None:
                    self._latency.observe(event.latency_ms / 1000)
            case Alert():
                self._alerts.inc()
        values = shown_values(event, session)
        if values is not None:
            self.show(call, {**values, "connection": connection})
        return None if isinstance(event, UtteranceStarted) else values

    def show(self, call: str, values: Mapping[str, object]) -> Shown:
        """Show an event to all viewers, with its call and server; return it as it is shown."""
        shown = self.stamp({**values, "call": call})
        for listener in self.listeners:
            listener(shown)
        if self.viewers and shown["event"] not in PASSING_KINDS:
            text = json.dumps(shown)
            for viewer in self.viewers:
                if not viewer.offer(text):
                    self._lines_dropped.inc()
        return shown

    def call_begins(self, call: str, start: CallStart) -> None:
        """Tell those who wait for it that a call is analysed from now on."""
        if self.notice is not None:
            self.notice.begun(call, start)

    def sign(self, event: str = "server") -> None:
        """Give a sign of life of this server, or of its end (``server_ended``)."""
        shown = self.stamp({"event": event})
        for listener in self.listeners:
            listener(shown)

    def stamp(self, values: Mapping[str, object]) -> Shown:
        """Add the server and the time to an event."""
        return {**values, "server": self.name, "at": round(time.time(), 3)}
