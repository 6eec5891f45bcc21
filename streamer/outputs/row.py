"""One utterance as a row: the columns, their order and how each value is written."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from secrets import token_hex
from typing import Self, TypeAlias

from streamer.types import Utterance

Value: TypeAlias = str | int | float | bool | None
"""What a cell may hold; None is an empty cell."""


@dataclass(frozen=True, slots=True)
class Session:
    """What all rows of one run have in common.

    Attributes:
        id: When it began, and four digits that tell sessions of the same second apart.
        source: What was listened to.
        model: The bundle's name.
        labels: The emotions that it knows.
        epoch: Wall-clock time of sample 0, in seconds since 1970; None for a recording that is
            not played, whose time of day nobody knows.
    """

    id: str
    source: str
    model: str
    labels: tuple[str, ...]
    epoch: float | None

    @classmethod
    def begin(
        cls, *, source: str, model: str, labels: Sequence[str], epoch: float | None = None
    ) -> Self:
        """A session that begins now."""
        stamp = datetime.now().astimezone().strftime("%Y%m%dT%H%M%S")
        return cls(f"{stamp}-{token_hex(2)}", source, model, tuple(labels), epoch)


def columns(labels: Sequence[str]) -> list[str]:
    """The names of the columns for a model that knows these labels."""
    return [
        *("session", "utterance", "channel", "started_at", "start_s", "end_s", "duration_s"),
        *("emotion", "confidence"),
        *labels,
        *("mood", "uncertain", "alert", "level_dbfs", "latency_ms", "end_reason"),
        *("source", "model"),
    ]


def row(utterance: Utterance, session: Session) -> dict[str, Value]:
    """The values of one row, by column. Times in seconds, to the millisecond."""
    heard = utterance.prediction
    probabilities = heard.probabilities if heard else [None] * len(session.labels)
    return {
        "session": session.id,
        "utterance": utterance.number,
        "channel": utterance.channel,
        "started_at": _wall_clock(session, utterance.start_s),
        "start_s": round(utterance.start_s, 3),
        "end_s": round(utterance.end_s, 3),
        "duration_s": round(utterance.duration_s, 3),
        "emotion": heard.emotion if heard else None,
        "confidence": _rounded(heard.confidence if heard else None, 4),
        **{
            label: _rounded(probability, 4)
            for label, probability in zip(session.labels, probabilities, strict=True)
        },
        "mood": _rounded(heard.mood if heard else None, 4),
        "uncertain": heard is None or heard.uncertain,
        "alert": None,
        "level_dbfs": round(utterance.level_dbfs, 1),
        "latency_ms": _rounded(utterance.latency_ms, 0),
        "end_reason": utterance.end_reason.value,
        "source": session.source,
        "model": session.model,
    }


def _wall_clock(session: Session, seconds: float) -> str | None:
    if session.epoch is None:
        return None
    moment = datetime.fromtimestamp(session.epoch + seconds, UTC).astimezone()
    return moment.isoformat(timespec="milliseconds")


def _rounded(value: float | None, digits: int) -> float | int | None:
    if value is None:
        return None
    return round(value, digits) if digits else round(value)
