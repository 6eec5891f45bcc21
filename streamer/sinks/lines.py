"""Off a terminal: one plain line per utterance and per change of state, or one line of JSON."""

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import TextIO

from streamer.sinks.base import BaseSink
from streamer.sinks.row import Session, Value, alert_cells, row, verdict
from streamer.sinks.summary import Summary
from streamer.sinks.writer import NonBlockingWriter
from streamer.types import (
    SAMPLE_RATE,
    Alert,
    CallStarted,
    Event,
    Mark,
    MoodChanged,
    RollingPrediction,
    SourceOpened,
    StateChanged,
    Utterance,
    Warned,
)


def plain(utterance: Utterance) -> str:
    """An utterance in one line for people."""
    heard = utterance.prediction
    if heard is None:
        verdict = "not judged: too much waits"
    elif not heard.is_speech:
        verdict = "no speech"
    else:
        verdict = f"{heard.emotion} {heard.confidence:4.0%}  mood {heard.mood:+.2f}"
        if heard.uncertain:
            verdict = f"uncertain ({verdict})"
    return (
        f"{utterance.start_s:8.2f} s  {utterance.duration_s:5.2f} s  {utterance.channel}  "
        f"{verdict}  {utterance.level_dbfs:.0f} dBFS  [{utterance.end_reason}]"
    )


class LineSink(BaseSink):
    """What plain lines and lines of JSON have in common.

    Args:
        file: Where to; None for standard output.
        waits: Wait for whoever reads them.

    Attributes:
        writer: How far they have come.
    """

    def __init__(self, file: TextIO | None = None, *, waits: bool = False) -> None:
        super().__init__()
        self.writer = NonBlockingWriter(file or sys.stdout, waits=waits)

    def write(self, event: Event, session: Session | None) -> None:
        """Write the line of an event that has one; without a session, an utterance has none."""

    def poll(self) -> None:
        """Write as much of what waits as the reader takes."""
        self.writer.flush()

    def drain_warnings(self) -> list[str]:
        """What happened to the reader since the last call, a line each."""
        return self.writer.drain_warnings()


class PlainLines(LineSink):
    """Writes utterances and changes of state as plain lines."""

    def write(self, event: Event, session: Session | None) -> None:
        """Write the line of an event that has one."""
        del session
        match event:
            case Utterance():
                self._print(plain(event))
            case SourceOpened():
                self._print(f"source: {event.info.name}")
            case CallStarted():
                self._print(f"call {event.number}")
            case Alert():
                self._print(f"ALERT {event.text}")
            case StateChanged():
                self._print(f"{event.state}{f': {event.detail}' if event.detail else ''}")

    def _print(self, line: str) -> None:
        self.writer.write(f"{line}\n")


class JsonLines(LineSink):
    """Writes one JSON object per line: each with ``event``; an utterance with the CSV's columns."""

    def write(self, event: Event, session: Session | None) -> None:
        """Write the line of an event that has one."""
        match event:
            case Utterance() if session is not None:
                self._print("utterance", row(event, session))
            case RollingPrediction():
                heard = event.prediction
                self._print(
                    "rolling",
                    {
                        "utterance": event.number,
                        "channel": event.channel,
                        "end_s": round(event.end / SAMPLE_RATE, 3),
                        **verdict(heard, heard.labels),
                        "latency_ms": round(event.latency_ms),
                    },
                )
            case MoodChanged():
                self._print(
                    "mood",
                    {
                        "channel": event.channel,
                        "utterance": event.number,
                        "mood": round(event.mood, 4),
                        "trend": round(event.trend, 4),
                    },
                )
            case CallStarted():
                at_s = round(event.position / SAMPLE_RATE, 3)
                self._print("call", {"call": event.number, "at_s": at_s})
            case Alert():
                self._print("alert", alert_cells(event))
            case Mark():
                self._print("mark", {"at_s": round(event.at_s, 3), "note": event.note})
            case StateChanged():
                self._print("state", asdict(event))
            case Warned():
                self._print("warning", asdict(event))

    def end(self, session: Session, summary: Summary) -> None:
        """Write what each channel came to."""
        for values in summary.rows(session):
            self._print("summary", values)

    def _print(self, kind: str, values: Mapping[str, Value]) -> None:
        finite = {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in values.items()
        }
        self.writer.write(json.dumps({"event": kind, **finite}) + "\n")
