"""Utterances and marks, a line each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from rich.text import Text

from streamer.dashboard.glyphs import (
    BOLD,
    COLOURS,
    DIM,
    LETTERS,
    PLAIN,
    UNCERTAIN,
    UNJUDGED,
    Glyphs,
)
from streamer.dashboard.pieces import as_clock, as_dbfs, as_percent, clip, painted, step, styled
from streamer.dashboard.sizes import NARROW, WIDE
from streamer.dashboard.state import Mark, Snapshot
from streamer.types import EMOTIONS, SAMPLE_RATE, Prediction, State, Utterance


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the table.

    Attributes:
        title: Its header.
        width: In cells.
        cell: What an utterance shows in it.
        right: True for numbers.
    """

    title: str
    width: int
    cell: Callable[[Utterance, Glyphs], Text]
    right: bool = True


def _number(utterance: Utterance, _glyphs: Glyphs) -> Text:
    return styled((f"{utterance.number}", DIM))


def _name(utterance: Utterance, glyphs: Glyphs) -> Text:
    return styled(clip(utterance.channel, COLUMNS["channel"].width, glyphs))


def _start(utterance: Utterance, _glyphs: Glyphs) -> Text:
    return styled(as_clock(utterance.start_s, tenths=True))


def _length(utterance: Utterance, _glyphs: Glyphs) -> Text:
    return styled(f"{utterance.duration_s:.1f} s")


def _emotion(utterance: Utterance, _glyphs: Glyphs) -> Text:
    prediction = utterance.prediction
    if prediction is None:
        return styled((f"{UNJUDGED} not judged", DIM))
    if not prediction.is_speech:
        return styled((f"{UNJUDGED} no speech", DIM))
    if prediction.uncertain:
        return styled(f"{UNCERTAIN} uncertain ", (prediction.emotion, DIM))
    style = COLOURS[prediction.emotion]
    return styled((LETTERS[prediction.emotion], style + BOLD), f" {prediction.emotion}")


def _spoken(utterance: Utterance) -> Prediction | None:
    """What was heard, if somebody spoke."""
    prediction = utterance.prediction
    return prediction if prediction is not None and prediction.is_speech else None


def _confidence(utterance: Utterance, _glyphs: Glyphs) -> Text:
    prediction = _spoken(utterance)
    if prediction is None:
        return Text()
    return styled((as_percent(prediction.confidence), DIM if prediction.uncertain else PLAIN))


def _profile(utterance: Utterance, glyphs: Glyphs) -> Text:
    """All probabilities, a cell each."""
    prediction = _spoken(utterance)
    if prediction is None:
        return Text()
    known = dict(zip(prediction.labels, prediction.probabilities, strict=True))
    return styled(*((step(known.get(e, 0.0), glyphs), COLOURS[e]) for e in EMOTIONS))


def _feeling(utterance: Utterance, _glyphs: Glyphs) -> Text:
    prediction = _spoken(utterance)
    return Text() if prediction is None else styled(f"{prediction.mood:+.2f}")


def _scale(utterance: Utterance, glyphs: Glyphs) -> Text:
    """The mood as a place between negative and positive."""
    prediction = _spoken(utterance)
    if prediction is None:
        return Text()
    half = COLUMNS["scale"].width // 2
    at = half + round(max(-1.0, min(1.0, prediction.mood)) * half)
    rail = [(glyphs.doubt, DIM)] * (2 * half + 1)
    rail[half] = (glyphs.middle, DIM)
    rail[at] = (glyphs.on, PLAIN)
    return painted(rail)


def _loudness(utterance: Utterance, _glyphs: Glyphs) -> Text:
    return styled(as_dbfs(utterance.level_dbfs))


def _latency(utterance: Utterance, _glyphs: Glyphs) -> Text:
    return styled("" if utterance.latency_ms is None else f"{utterance.latency_ms:.0f} ms")


def _ending(utterance: Utterance, _glyphs: Glyphs) -> Text:
    return styled((utterance.end_reason.replace("_", " "), DIM))


COLUMNS = {
    "number": Column("#", 4, _number),
    "channel": Column("channel", 8, _name, right=False),
    "start": Column("start", 9, _start),
    "length": Column("length", 6, _length),
    "emotion": Column("emotion", 21, _emotion, right=False),
    "confidence": Column("conf", 5, _confidence),
    "profile": Column("".join(LETTERS.values()), len(EMOTIONS), _profile, right=False),
    "mood": Column("mood", 5, _feeling),
    "scale": Column("-       +", 9, _scale, right=False),
    "level": Column("dBFS", 5, _loudness),
    "latency": Column("latency", 8, _latency),
    "ended": Column("ended by", 12, _ending, right=False),
}


FIRST_TO_GO = (
    "scale", "profile", "ended", "latency", "level", "mood", "length", "channel", "start", "number",
)  # fmt: skip
"""Columns in the order in which a narrowing terminal loses them."""


@lru_cache(maxsize=32)
def _columns(width: int, *, channels: bool) -> tuple[tuple[Column, ...], int]:
    """The columns that fit, and the gap between them."""
    gap = 1 if width < NARROW else 2 if width < WIDE else 3
    names = [name for name in COLUMNS if channels or name != "channel"]
    for name in FIRST_TO_GO:
        if sum(COLUMNS[n].width + gap for n in names) - gap <= width:
            break
        if name in names:
            names.remove(name)
    return tuple(COLUMNS[name] for name in names), gap


def table(snapshot: Snapshot, width: int, height: int, glyphs: Glyphs) -> list[Text]:
    """Utterances and marks, the newest first."""
    columns, gap = _columns(width, channels=len(snapshot.channels) > 1)
    titles = [styled((column.title, DIM)) for column in columns]
    lines = [_ranged(titles, columns, gap)]
    for row in snapshot.rows[:-height:-1]:
        cells = [
            _mark(column, row, glyphs) if isinstance(row, Mark) else column.cell(row, glyphs)
            for column in columns
        ]
        lines.append(_ranged(cells, columns, gap))
    if not snapshot.rows:
        lines.append(styled((_waiting(snapshot.state, glyphs), DIM)))
    return lines


def _mark(column: Column, mark: Mark, glyphs: Glyphs) -> Text:
    """What a mark shows in a column."""
    cells = {
        "#": f"{glyphs.mark}{mark.number}",
        "start": as_clock(mark.position / SAMPLE_RATE, tenths=True),
        "emotion": "mark",
    }
    return styled((cells.get(column.title, ""), BOLD))


def _ranged(cells: Sequence[Text], columns: Sequence[Column], gap: int) -> Text:
    """Cells in their columns."""
    line = Text()
    for column, cell in zip(columns, cells, strict=True):
        line.append(" " * gap * bool(line))
        pad = " " * max(0, column.width - cell.cell_len)
        line.append_text(styled(pad, cell) if column.right else styled(cell, pad))
    return line


def _waiting(state: State, glyphs: Glyphs) -> str:
    """What an empty table says."""
    return {
        State.WARMING_UP: f"warming up{glyphs.ellipsis}",
        State.LISTENING: f"listening{glyphs.ellipsis} speak: each utterance becomes a row here",
        State.PAUSED: "paused: space goes on",
        State.LOST: f"waiting for the device{glyphs.ellipsis}",
        State.STOPPING: f"finishing{glyphs.ellipsis}",
        State.ENDED: "nobody spoke",
    }[state]
