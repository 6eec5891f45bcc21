"""Draws the timeline: level and emotions of the last minute."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Self

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text

from streamer.dashboard.glyphs import (
    BOLD,
    COLOURS,
    DIM,
    LETTERS,
    PLAIN,
    UNCERTAIN,
    UNCLASSIFIED,
    Cell,
    Glyphs,
)
from streamer.dashboard.layout import clip, fill, loudness, painted, styled
from streamer.dashboard.sizes import ROOMY
from streamer.dashboard.state import TIMELINE_S, ChannelState, Snapshot
from streamer.types import SAMPLE_RATE, Mark, Prediction, Utterance


@dataclass(frozen=True, slots=True)
class Ruler:
    """Maps the cells of the timeline to pieces of the stream.

    Pieces are counted from the start of the stream, so that the picture does not move within a
    piece and then moves by a whole cell.

    Attributes:
        cells: Width of the timeline.
        samples: Length of a piece.
        first: The piece in the leftmost cell.
    """

    cells: int
    samples: int
    first: int

    @classmethod
    def until(cls, position: int, cells: int) -> Self:
        """The last `TIMELINE_S` before a position, in ``cells`` cells."""
        samples = max(1, TIMELINE_S * SAMPLE_RATE // cells)
        return cls(cells, samples, position // samples - cells + 1)

    def cell(self, position: int) -> int:
        """Where a sample lies; below 0 when it is too long ago."""
        return position // self.samples - self.first


def timeline(
    snapshot: Snapshot, channels: Sequence[ChannelState], width: int, tall: int, glyphs: Glyphs
) -> list[Text]:
    """The last minute: for each channel its level curve over its emotions; then the time axis."""
    gutter = 0 if len(channels) == 1 else 1 + min(10, max(cell_len(c.name) for c in channels))
    ruler = Ruler.until(snapshot.position, max(1, width - gutter))
    rows = _recent(snapshot, ruler)
    lines = []
    for channel in channels:
        lane = _lane(rows, channel, ruler, glyphs)
        curve = _curve(channel, lane, ruler, tall, glyphs)
        lines += [styled(" " * gutter, row) for row in curve]
        name = fill(clip(channel.name, gutter - 1, glyphs), gutter) if gutter else ""
        lines.append(styled((name, DIM), painted(lane)))
    lines.append(styled(" " * gutter, _axis(rows, ruler, glyphs)))
    return lines


def _recent(snapshot: Snapshot, ruler: Ruler) -> list[Utterance | Mark]:
    """The rows that the timeline may show, of the many that are kept.

    Rows are in the order in which they were classified, which is at most a minute late.
    """
    earliest = ruler.first * ruler.samples - TIMELINE_S * SAMPLE_RATE
    return list(takewhile(lambda row: _end(row) >= earliest, reversed(snapshot.rows)))


def _end(row: Utterance | Mark) -> int:
    return row.position if isinstance(row, Mark) else row.end


def _lane(
    rows: Sequence[Utterance | Mark], channel: ChannelState, ruler: Ruler, glyphs: Glyphs
) -> list[Cell]:
    """Each utterance as a letter and a line as long as it is."""
    spans = [
        (row.start, row.end, _signature(row.prediction, UNCLASSIFIED, glyphs))
        for row in reversed(rows)
        if isinstance(row, Utterance) and row.channel == channel.name
    ]
    # An utterance without a row ends where the analysis is, or where the next one begins.
    heard = channel.position if channel.speech else channel.since
    ends = [*(later.start for later in channel.open[1:]), heard]
    spans += [
        (waiting.start, end, _signature(waiting.prediction, glyphs.doubt, glyphs))
        for waiting, end in zip(channel.open, ends, strict=False)
    ]
    lane: list[Cell] = [(" ", PLAIN)] * ruler.cells
    for start, end, (letter, run, style) in spans:
        begin = ruler.cell(start)
        last = min(ruler.cells - 1, max(begin, ruler.cell(end - 1)))
        for index in range(max(0, begin), last + 1):
            lane[index] = (letter if index == max(0, begin) else run, style)
    return lane


def _signature(
    prediction: Prediction | None, unknown: str, glyphs: Glyphs
) -> tuple[str, str, Style]:
    """Letter, line and colour of an utterance."""
    if prediction is None:
        return unknown, glyphs.doubt, DIM
    if not prediction.is_speech:
        return UNCLASSIFIED, glyphs.doubt, DIM
    if prediction.uncertain:
        return UNCERTAIN, glyphs.doubt, DIM
    return LETTERS[prediction.emotion], glyphs.run, COLOURS[prediction.emotion]


def _curve(
    channel: ChannelState, lane: Sequence[Cell], ruler: Ruler, tall: int, glyphs: Glyphs
) -> list[Text]:
    """The level over time, ``tall`` lines high, in the colours of the emotions below it."""
    full = len(glyphs.up) - 1
    heights = [0.0] * ruler.cells
    for level in channel.levels:
        index = ruler.cell(level.position - 1)
        if 0 <= index < ruler.cells:
            heights[index] = max(heights[index], loudness(level.rms_dbfs))
    filled = [round(height * tall * full) for height in heights]
    styles = [DIM if letter == " " else style for letter, style in lane]
    return [
        painted(
            (glyphs.up[min(full, max(0, part - below))], style)
            for part, style in zip(filled, styles, strict=True)
        )
        for below in range((tall - 1) * full, -1, -full)
    ]


def _axis(rows: Sequence[Utterance | Mark], ruler: Ruler, glyphs: Glyphs) -> Text:
    """The time axis, with the marks on it."""
    axis: list[Cell] = [(" ", DIM)] * ruler.cells

    def write(text: str, at: int, style: Style) -> None:
        for index, letter in enumerate(text, start=at):
            if 0 <= index < ruler.cells:
                axis[index] = (letter, style)

    step = 15 if ruler.cells >= ROOMY else 30
    for seconds in range(TIMELINE_S, -1, -step):
        label = f"-{seconds} s" if seconds else "now"
        at = round((1 - seconds / TIMELINE_S) * ruler.cells)
        write(label, min(at, ruler.cells - len(label)), DIM)
    for row in reversed(rows):
        if isinstance(row, Mark):
            write(f"{glyphs.mark}{row.number}", ruler.cell(row.position), BOLD)
    return painted(axis)
