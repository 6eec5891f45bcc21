"""Writes events as plain lines or as lines of JSON, for pipes and files."""

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import TextIO

from streamer.events import (
    Alert,
    CallStarted,
    Event,
    MoodChanged,
    PartialResult,
    SourceOpened,
    StateChanged,
    Warned,
)
from streamer.sinks.base import BaseSink
from streamer.sinks.nonblocking_writer import NonBlockingWriter
from streamer.sinks.row import Session, Value, alert_cells, row, verdict
from streamer.sinks.summary import Summary
from streamer.types import SAMPLE_RATE, Mark, Utterance


def plain(utterance: Utterance) -> str:
    """An utterance in one line for people."""
    heard = utterance.prediction
    if heard is None:
        verdict = "unclassified: the analysis is late"
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
    """The base of plain lines and lines of JSON.

    Args:
        file: Where to write; None for standard output.
        waits: Wait for the reader of the lines.

    Attributes:
        writer: Writes the lines without blocking.
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
        """Return warnings about the reader since the last call, a line each."""
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
        if (line := json_line(event, session)) is not None:
            self.writer.write(f"{line}\n")

    def end(self, session: Session, summary: Summary) -> None:
        """Write the summary of each channel."""
        for line in summary_lines(session, summary):
            self.writer.write(f"{line}\n")


def json_line(event: Event, session: Session | None) -> str | None:
    """An event as a line of JSON; None for one that has no line."""
    values = json_values(event, session)
    return None if values is None else json.dumps(values)


def json_values(  # noqa: PLR0911 - one a kind
    event: Event, session: Session | None
) -> dict[str, Value] | None:
    """An event as a JSON object; None for one that has none, as an utterance without session."""
    match event:
        case Utterance() if session is not None:
            return _object("utterance", row(event, session))
        case PartialResult():
            heard = event.prediction
            return _object(
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
            return _object(
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
            return _object("call", {"call": event.number, "at_s": at_s})
        case Alert():
            return _object("alert", alert_cells(event))
        case Mark():
            return _object("mark", {"at_s": round(event.at_s, 3), "note": event.note})
        case StateChanged():
            return _object("state", asdict(event))
        case Warned():
            return _object("warning", asdict(event))
    return None


def summary_lines(session: Session, summary: Summary) -> list[str]:
    """The summary of each channel of a session, a JSON object each."""
    return [json.dumps(_object("summary", values)) for values in summary.rows(session)]


def _object(kind: str, values: Mapping[str, Value]) -> dict[str, Value]:
    finite = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in values.items()
    }
    return {"event": kind, **finite}
