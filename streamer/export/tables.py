"""Writes all logs into one typed Parquet table, for pandas, DuckDB or Spark.

It has a row per utterance or mark. The columns are those of the CSV, in its order, for any model;
after them come those that people add to a log: `label` and `speaker`.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Self

from streamer.errors import OutputError
from streamer.logs.calls import logged_figures
from streamer.logs.sessions import LoggedMark, LoggedSession, LoggedUtterance
from streamer.sinks.row import MARK, columns
from streamer.types import EMOTIONS

if TYPE_CHECKING:
    import pyarrow as pa

_NUMBERS = frozenset(
    ("start_s", "end_s", "duration_s", "confidence", *EMOTIONS, "mood", "level_dbfs", "latency_ms")
)

_MARK: Mapping[str, object] = {"utterance": 0, "uncertain": True, "end_reason": MARK}
"""Values in the row of each mark."""

GROUP_ROWS = 100_000
"""How many rows are written at once: some tens of megabytes."""


class ParquetTable:
    """Writes sessions to a Parquet file, `GROUP_ROWS` at a time.

    Args:
        path: Replaced where it exists.
        calls: A row per call and channel, with the call's figures, instead of one per utterance.

    Raises:
        OutputError: pyarrow is not installed, or the file cannot be written.
    """

    def __init__(self, path: Path, *, calls: bool = False) -> None:
        self._arrow = pyarrow()
        from pyarrow import parquet  # noqa: PLC0415 - an extra

        self._rows_of = _call_rows if calls else _rows
        self._schema = _call_schema(self._arrow) if calls else _schema(self._arrow)
        self._rows: list[Mapping[str, object]] = []
        self._writer: parquet.ParquetWriter = parquet.ParquetWriter(
            path, self._schema, compression="zstd"
        )

    def add(self, session: LoggedSession) -> None:
        """Write the rows of a session: utterances and marks by time, or a row per channel."""
        self._rows += self._rows_of(session)
        if len(self._rows) >= GROUP_ROWS:
            self._flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if error is None:
            self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(self._arrow.Table.from_pylist(self._rows, schema=self._schema))
            self._rows = []


def pyarrow() -> ModuleType:
    """Import pyarrow, which is an extra.

    Raises:
        OutputError: It is not installed.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise OutputError(
            "Parquet needs pyarrow, which is not installed: python -m pip install 'pyarrow>=18'"
        ) from error
    return pa  # type: ignore[no-any-return]  # it ships no types


def _schema(arrow: ModuleType) -> "pa.Schema":
    def kind(column: str) -> "pa.DataType":
        if column in _NUMBERS:
            return arrow.float64()
        if column == "started_at":
            return arrow.timestamp("ms", tz="UTC")
        return {
            "utterance": arrow.int64(),
            "call": arrow.int64(),
            "uncertain": arrow.bool_(),
        }.get(column, arrow.string())

    return arrow.schema([(name, kind(name)) for name in (*columns(EMOTIONS), "label", "speaker")])


def _call_schema(arrow: ModuleType) -> "pa.Schema":
    texts = ("session", "source", "model", "channel")
    counts = ("call", "interruptions", "alerts")
    numbers = (
        *("start_s", "length_s", "silence_s", "overlap_s", "talk_s", "talk_share"),
        *("longest_monologue_s", "first_alert_s", "mood", "mood_start", "mood_end"),
    )
    return arrow.schema(
        [
            *((name, arrow.string()) for name in texts),
            *((name, arrow.int64()) for name in counts),
            *((name, arrow.float64()) for name in numbers),
        ]
    )


def _call_rows(session: LoggedSession) -> Iterator[Mapping[str, object]]:
    figures = logged_figures(session)
    for channel, own in figures.channels.items():
        said = [one for one in session.utterances if one.channel == channel]
        heard = [(u.mood, u.duration_s * (u.confidence or 0)) for u in said if u.mood is not None]
        weight = sum(each for _, each in heard)
        yield {
            "session": session.id,
            "source": session.source or None,
            "model": session.model or None,
            "channel": channel,
            "call": session.call or 1,
            "interruptions": own.interruptions,
            "alerts": sum(bool(one.alert) for one in said),
            "start_s": min(one.start_s for one in session.utterances),
            "length_s": figures.length_s,
            "silence_s": figures.silence_s,
            "overlap_s": figures.overlap_s,
            "talk_s": own.talk_s,
            "talk_share": figures.talk_share(channel),
            "longest_monologue_s": own.longest_s,
            "first_alert_s": own.first_alert_s,
            "mood": sum(mood * each for mood, each in heard) / weight if weight else None,
            "mood_start": own.mood_start,
            "mood_end": own.mood_end,
        }


def _rows(session: LoggedSession) -> Iterator[Mapping[str, object]]:
    """By start; an utterance before a mark at the same time."""
    common: dict[str, object] = {"session": session.id, "source": session.source or None}
    common |= {"model": session.model or None, "call": session.call or 1}
    found: list[LoggedUtterance | LoggedMark] = sorted(
        (*session.utterances, *session.marks), key=lambda one: one.start_s
    )
    for one in found:
        cells = _utterance(one) if isinstance(one, LoggedUtterance) else _MARK
        yield {
            **common,
            "started_at": _moment(session.began, one.start_s),
            "start_s": one.start_s,
            "end_s": one.end_s,
            "duration_s": round(one.end_s - one.start_s, 3),
            "note": one.note or None,
            **cells,
        }


def _utterance(one: LoggedUtterance) -> dict[str, object]:
    return {
        "utterance": one.number,
        "channel": one.channel,
        "emotion": one.emotion,
        "confidence": one.confidence,
        **one.probabilities,
        "mood": one.mood,
        "uncertain": one.uncertain,
        "alert": one.alert or None,
        "level_dbfs": one.level_dbfs,
        "latency_ms": one.latency_ms,
        "end_reason": one.end_reason or None,
        "label": one.label,
        "speaker": one.speaker or None,
    }


def _moment(began: datetime | None, start_s: float) -> datetime | None:
    return None if began is None else (began + timedelta(seconds=start_s)).astimezone(UTC)
