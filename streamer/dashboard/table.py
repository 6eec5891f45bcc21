"""Draws the table of utterances and marks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from rich.text import Text

from streamer.dashboard.glyphs import (
    BADGE,
    BOLD,
    CHOSEN,
    COLOURS,
    DIM,
    LETTERS,
    PLAIN,
    UNCERTAIN,
    UNCLASSIFIED,
    Glyphs,
)
from streamer.dashboard.layout import (
    as_clock,
    as_dbfs,
    as_percent,
    clip,
    fitted,
    painted,
    spread,
    step,
    styled,
)
from streamer.dashboard.sizes import NARROW, VAST, WIDE
from streamer.dashboard.state import Snapshot
from streamer.types import EMOTIONS, NO_SPEECH, Mark, Prediction, State, Utterance
from streamer.types import UNCERTAIN as UNCERTAIN_LABEL


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
    return styled((f"{utterance.number}", BADGE if utterance.alerts else DIM))


def _name(utterance: Utterance, glyphs: Glyphs) -> Text:
    return styled(clip(utterance.channel, COLUMNS["channel"].width, glyphs))


def _start(utterance: Utterance, _glyphs: Glyphs) -> Text:
    return styled(as_clock(utterance.start_s, tenths=True))


def _length(utterance: Utterance, _glyphs: Glyphs) -> Text:
    return styled(f"{utterance.duration_s:.1f} s")


def _emotion(utterance: Utterance, glyphs: Glyphs) -> Text:
    prediction = utterance.prediction
    if prediction is None:
        return styled((f"{UNCLASSIFIED} not classified", DIM))
    if not prediction.is_speech:
        return styled((f"{UNCLASSIFIED} {glyphs.words[NO_SPEECH]}", DIM))
    emotion = glyphs.words[prediction.emotion]
    if prediction.uncertain:
        return styled(f"{UNCERTAIN} {glyphs.words[UNCERTAIN_LABEL]} ", (emotion, DIM))
    style = COLOURS[prediction.emotion]
    return styled((LETTERS[prediction.emotion], style + BOLD), f" {emotion}")


def _spoken(utterance: Utterance) -> Prediction | None:
    """The prediction, if it is speech."""
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


def _computed(utterance: Utterance, _glyphs: Glyphs) -> Text:
    return styled((f"{utterance.compute_ms:.0f} ms", DIM))


def _alerts(utterance: Utterance, glyphs: Glyphs) -> Text:
    return styled(clip("; ".join(utterance.alerts), COLUMNS["alert"].width, glyphs))


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
    "computed": Column("computed", 8, _computed),
    "alert": Column("alert", 24, _alerts, right=False),
}


FIRST_TO_GO = (
    "computed", "alert", "scale", "profile", "ended", "latency", "level", "mood", "length",
    "channel", "start", "number",
)  # fmt: skip
"""Columns in the order in which a narrow terminal leaves them out."""


@lru_cache(maxsize=32)
def _columns(width: int, *, channels: bool) -> tuple[tuple[Column, ...], int]:
    """The columns that fit, and the gap between them."""
    gap = 1 if width < NARROW else 2 if width < WIDE else 3 if width < VAST else 4
    names = [name for name in COLUMNS if channels or name != "channel"]
    for name in FIRST_TO_GO:
        if sum(COLUMNS[n].width + gap for n in names) - gap <= width:
            break
        if name in names:
            names.remove(name)
    return tuple(COLUMNS[name] for name in names), gap


def table(snapshot: Snapshot, width: int, height: int, glyphs: Glyphs) -> list[Text]:
    """Utterances and marks, the newest first: the newest of all, or those around the chosen one."""
    columns, gap = _columns(width, channels=len(snapshot.channels) > 1)
    titles = _ranged([styled((column.title, DIM)) for column in columns], columns, gap)
    if not snapshot.rows:
        return [titles, styled((_waiting(snapshot.state, glyphs), DIM))]
    top = _top(snapshot, height - 1)
    if snapshot.chosen is not None:
        titles = spread(titles, _elsewhere(snapshot, top, height - 1, glyphs), width)
    lines = [titles]
    for place in range(top, max(snapshot.oldest, top - height + 2) - 1, -1):
        row = snapshot.rows[place - snapshot.oldest]
        if isinstance(row, Mark):
            line = _mark(row, columns, gap, width, glyphs)
        else:
            line = _ranged([column.cell(row, glyphs) for column in columns], columns, gap)
        if place == snapshot.chosen:
            shapes = isinstance(row, Utterance) and _before("profile", columns, gap)
            line = _picked(line, shapes or width, width, glyphs)
        lines.append(line)
    return lines


def _top(snapshot: Snapshot, page: int) -> int:
    """The row in the first line; with one chosen, that one is on screen however high this is."""
    if snapshot.chosen is None:
        return snapshot.seen - 1
    fullest = min(snapshot.seen - 1, snapshot.oldest + page - 1)  # no lines are left empty
    return max(snapshot.chosen, fullest, min(snapshot.top, snapshot.chosen + page - 1))


def _elsewhere(snapshot: Snapshot, top: int, page: int, glyphs: Glyphs) -> Text:
    """How many rows there are above and below those on screen."""
    newer, older = snapshot.seen - 1 - top, max(0, top - page + 1 - snapshot.oldest)
    up, down = glyphs.arrows[0], glyphs.arrows[1]
    return styled((f" {up} {newer} newer  {down} {older} older", BOLD), ("  esc: newest", DIM))


def _before(name: str, columns: Sequence[Column], gap: int) -> int:
    """Cells to the left of a column; 0 where it is not there."""
    if COLUMNS[name] not in columns:
        return 0
    return sum(column.width + gap for column in columns[: columns.index(COLUMNS[name])])


def _picked(line: Text, shapes: int, width: int, glyphs: Glyphs) -> Text:
    """A line in reverse video up to cell ``shapes``, so that it stands out without colour, too."""
    line = fitted(line, width)
    if line.plain.startswith(" "):
        line = styled(glyphs.chosen, line[1:])
    line.stylize(CHOSEN, 0, shapes)
    line.stylize(BOLD)
    return line


def _mark(mark: Mark, columns: Sequence[Column], gap: int, width: int, glyphs: Glyphs) -> Text:
    """A mark in the table: its number, its time, then the note as far as there is room."""
    before = [column for column in columns if column.title in ("#", "channel", "start", "length")]
    cells = {"#": f"{glyphs.mark}{mark.number}", "start": as_clock(mark.at_s, tenths=True)}
    line = _ranged([styled((cells.get(c.title, ""), BOLD)) for c in before], before, gap)
    line.append(" " * gap * bool(before))
    room = max(0, width - line.cell_len)
    note = f"mark: {mark.note}" if mark.note else "mark"
    return styled(line, (clip(note, room, glyphs), BOLD))


def _ranged(cells: Sequence[Text], columns: Sequence[Column], gap: int) -> Text:
    """Cells in their columns."""
    line = Text()
    for column, cell in zip(columns, cells, strict=True):
        line.append(" " * gap * bool(line))
        pad = " " * max(0, column.width - cell.cell_len)
        cell.truncate(column.width, overflow="crop")
        line.append_text(styled(pad, cell) if column.right else styled(cell, pad))
    return line


def _waiting(state: State, glyphs: Glyphs) -> str:
    """The text of an empty table."""
    return {
        State.WARMING_UP: f"warming up{glyphs.ellipsis}",
        State.LISTENING: f"listening{glyphs.ellipsis} speak: each utterance becomes a row here",
        State.PAUSED: "paused: space goes on",
        State.LOST: f"waiting for the device{glyphs.ellipsis}",
        State.STOPPING: f"finishing{glyphs.ellipsis}",
        State.ENDED: "nobody spoke",
    }[state]
