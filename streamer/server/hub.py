"""What is seen of calls from outside: metrics, and events for whoever watches. On the loop."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from streamer.events import Alert, Event, UtteranceStarted
from streamer.sinks.lines import json_values
from streamer.sinks.row import Session
from streamer.types import SAMPLE_RATE, Utterance

Shown: TypeAlias = dict[str, Any]
"""An event of a call as others see it: a JSON object."""

PASSING: Final = ("rolling", "speech")
"""Kinds of events that a later one supersedes; only whoever draws the present needs them."""

MAX_LINES = 1000
"""Lines that may wait for a viewer; one who is slower loses lines, which is counted."""

BUCKETS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds."""


class Viewer:
    """Somebody who watches all calls."""

    def __init__(self) -> None:
        self.lines: asyncio.Queue[str | None] = asyncio.Queue(MAX_LINES + 1)  # room for the end
        self.dropped = 0
        """Lines that did not fit."""

    def offer(self, line: str) -> None:
        """Take a line; never waits."""
        if self.lines.qsize() < MAX_LINES:
            self.lines.put_nowait(line)
        else:
            self.dropped += 1

    def end(self) -> None:
        """Say that no line follows."""
        if not self.lines.full():
            self.lines.put_nowait(None)


class Hub:
    """Counts what happens in all calls, and shows it to viewers.

    Args:
        name: Of this server; of no other, and of none before it.
        partials_dropped: How many partial results gave way so far.
        waiting: How many utterances wait for the worker.
    """

    def __init__(
        self, name: str, partials_dropped: Callable[[], int], waiting: Callable[[], int]
    ) -> None:
        self.name = name
        self.viewers: set[Viewer] = set()
        self.listeners: list[Callable[[Shown], None]] = []
        """Told of every event, on the loop; they never wait."""
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
        dropped = Gauge(
            "streamer_partials_dropped", "Partial results that gave way.", registry=registry
        )
        dropped.set_function(partials_dropped)
        queue = Gauge("streamer_queue", "Utterances that wait.", registry=registry)
        queue.set_function(waiting)

    def metrics(self) -> bytes:
        """All figures, in Prometheus's text format."""
        return generate_latest(self._registry)

    def close(self) -> None:
        """Tell viewers that nothing more comes."""
        for viewer in self.viewers:
            viewer.end()

    def publish(self, call: str, event: Event, session: Session | None) -> Shown | None:
        """Count an event of a call and show it; returns its JSON object, as the peer gets it."""
        match event:
            case Utterance():
                self._rows.inc()
                self._unclassified.inc(event.prediction is None)
                self._inference.observe(event.compute_ms / 1000)
            case Alert():
                self._alerts.inc()
            case UtteranceStarted():
                start_s = round(event.start / SAMPLE_RATE, 3)
                self.show(call, {"event": "speech", "channel": event.channel, "start_s": start_s})
        values = json_values(event, session)
        if values is not None:
            self.show(call, values)
        return values

    def show(self, call: str, values: Mapping[str, object]) -> Shown:
        """Show everybody an event, with the call and the server that it is of; returns that."""
        shown = self.stamp({**values, "call": call})
        for listener in self.listeners:
            listener(shown)
        if self.viewers and shown["event"] not in PASSING:
            text = json.dumps(shown)
            for viewer in self.viewers:
                viewer.offer(text)
        return shown

    def stamp(self, values: Mapping[str, object]) -> Shown:
        """An event with the server that it is of, and when it was."""
        return {**values, "server": self.name, "at": round(time.time(), 3)}
