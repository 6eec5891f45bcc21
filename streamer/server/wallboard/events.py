"""Converts events of calls, and of a live session, to the JSON objects of the wallboard."""

from collections.abc import Callable
from typing import Any, TypeAlias

from streamer.events import CallStarted, Event, SourceOpened, UtteranceStarted
from streamer.server.wallboard.reducer import Message
from streamer.sinks.lines import json_values
from streamer.sinks.row import Session
from streamer.types import SAMPLE_RATE

Shown: TypeAlias = dict[str, Any]
"""An event as viewers see it: a JSON object."""

_TIMES = ("start_s", "end_s", "at_s")


def shown_values(event: Event, session: Session | None) -> Shown | None:
    """Convert an event to a JSON object; None for one that viewers do not see."""
    if isinstance(event, UtteranceStarted):
        return {
            "event": "speech",
            "channel": event.channel,
            "utterance": event.number,
            "start_s": round(event.start / SAMPLE_RATE, 3),
        }
    return json_values(event, session)


class SessionEvents:
    """Passes the events of a live session, with its successive calls, to a wallboard.

    Args:
        take: Takes an event for the wallboard.
        channels: The channels that are analysed.
    """

    def __init__(self, take: Callable[[Message], None], channels: tuple[str, ...]) -> None:
        self._take = take
        self._channels = channels
        self._source = ""
        self._epoch = 0.0
        self._call = ""
        self._offset_s = 0.0

    def __call__(self, event: Event, session: Session | None) -> None:
        """Take an event; never waits."""
        match event:
            case SourceOpened() if not self._call:  # it is opened again when a device comes back
                self._source, self._epoch = event.info.name, event.epoch
                self._begin(self._source, 0.0)
            case CallStarted():
                self.end(event.position / SAMPLE_RATE)
                self._begin(f"{self._source} #{event.number}", event.position / SAMPLE_RATE)
            case _:
                values = shown_values(event, session)
                if values is not None and self._call:
                    moved = {
                        key: values[key] - self._offset_s
                        for key in _TIMES
                        if isinstance(values.get(key), float)
                    }
                    at = self._epoch + (values.get("at_s") or values.get("end_s") or 0.0)
                    self._take({**values, **moved, "call": self._call, "at": at})

    def end(self, at_s: float) -> None:
        """End the call at a time of the stream, in seconds."""
        if self._call:
            self._take({"event": "call_ended", "call": self._call, "at": self._epoch + at_s})

    def _begin(self, call: str, at_s: float) -> None:
        self._call, self._offset_s = call, at_s
        self._take(
            {
                "event": "call_begun",
                "call": call,
                "at": self._epoch + at_s,
                "channels": list(self._channels),
            }
        )
