"""A row describes one utterance: this module defines the columns, their order and their values."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from secrets import token_hex
from typing import Self, TypeAlias

from streamer.config.alert_rules import ALERT_SEPARATOR
from streamer.events import Alert
from streamer.types import SAMPLE_RATE, Mark, Prediction, Utterance

Value: TypeAlias = str | int | float | bool | None
"""What a cell may hold; None is an empty cell."""


MARK = "mark"
"""The end reason of the row of a mark, which is no utterance."""


@dataclass(frozen=True, slots=True)
class Session:
    """What all rows of one run have in common.

    Attributes:
        id: When it began, and eight digits that distinguish sessions of the same second:
            a folder of recordings has dozens of them.
        source: What was listened to.
        model: The bundle's name.
        labels: The emotions that it knows.
        epoch: Wall-clock time of sample 0, in seconds since 1970; None for a recording that is
            not played, because its time of day is not known.
        drift: As in `SourceOpened`.
    """

    id: str
    source: str
    model: str
    labels: tuple[str, ...]
    epoch: float | None
    drift: Callable[[float], float] | None = None

    @classmethod
    def begin(
        cls, *, source: str, model: str, labels: Sequence[str], epoch: float | None = None
    ) -> Self:
        """A session that begins now."""
        return cls(new_session_id(), source, model, tuple(labels), epoch)


def new_session_id() -> str:
    """An id for a session that begins now."""
    stamp = datetime.now().astimezone().strftime("%Y%m%dT%H%M%S")
    return f"{stamp}-{token_hex(4)}"


def columns(labels: Sequence[str]) -> list[str]:
    """The names of the columns for a model that knows these labels."""
    return [
        *("session", "utterance", "channel", "started_at", "start_s", "end_s", "duration_s"),
        *("emotion", "confidence"),
        *labels,
        *("mood", "uncertain", "alert", "level_dbfs", "latency_ms", "end_reason"),
        *("source", "model", "note", "call"),
    ]


def row(utterance: Utterance, session: Session) -> dict[str, Value]:
    """The values of one row, by column. Times in seconds, to the millisecond."""
    return {
        "session": session.id,
        "utterance": utterance.number,
        "channel": utterance.channel,
        "started_at": wall_clock(session, utterance.start_s),
        "start_s": round(utterance.start_s, 3),
        "end_s": round(utterance.end_s, 3),
        "duration_s": round(utterance.duration_s, 3),
        **verdict(utterance.prediction, session.labels),
        "alert": ALERT_SEPARATOR.join(utterance.alerts) or None,
        "level_dbfs": round(utterance.level_dbfs, 1),
        "latency_ms": None if utterance.latency_ms is None else round(utterance.latency_ms),
        "end_reason": utterance.end_reason.value,
        "source": session.source,
        "model": session.model,
        "note": None,
        "call": utterance.call,
    }


def mark_row(mark: Mark, session: Session) -> dict[str, Value]:
    """The values of a mark's row, by column.

    It is a row of its own, so that it is on disk at once. It has no length, no prediction and the
    number 0, and is uncertain, so that it does not change counts or means, and each column has one
    type in all rows.
    """
    return {
        **dict.fromkeys(columns(session.labels)),
        "utterance": 0,
        "uncertain": True,
        "session": session.id,
        "started_at": wall_clock(session, mark.at_s),
        "start_s": round(mark.at_s, 3),
        "end_s": round(mark.at_s, 3),
        "duration_s": 0.0,
        "end_reason": MARK,
        "source": session.source,
        "model": session.model,
        "note": mark.note or None,
        "call": mark.call,
    }


def verdict(heard: Prediction | None, labels: Sequence[str]) -> dict[str, Value]:
    """The columns of a prediction; without one, empty cells and ``uncertain``.

    Where nobody speaks the mood is empty, so that a mean of the column does not include it.
    """
    if heard is None:
        return dict.fromkeys(("emotion", "confidence", *labels, "mood")) | {"uncertain": True}
    return {
        "emotion": heard.emotion,
        "confidence": round(heard.confidence, 4),
        **{
            label: round(probability, 4)
            for label, probability in zip(labels, heard.probabilities, strict=True)
        },
        "mood": round(heard.mood, 4) if heard.is_speech else None,
        "uncertain": heard.uncertain,
    }


def alert_cells(alert: Alert) -> dict[str, Value]:
    """An alert as flat values, as lines of JSON and messages have it."""
    return {
        "rule": alert.rule,
        "reason": alert.reason,
        "channel": alert.channel,
        "utterance": alert.utterance,
        "at_s": round(alert.position / SAMPLE_RATE, 3),
        "emotion": alert.emotion,
        "confidence": round(alert.confidence, 4),
        "mood": round(alert.mood, 4),
        "call": alert.call,
        "on_disk": alert.on_disk,
    }


def wall_clock(session: Session, seconds: float) -> str | None:
    """Time of day at a time of the stream, in ISO 8601; None where it is not known."""
    if session.epoch is None:
        return None
    corrected = seconds if session.drift is None else seconds + session.drift(seconds)
    moment = datetime.fromtimestamp(session.epoch + corrected, UTC).astimezone()
    return moment.isoformat(timespec="milliseconds")
