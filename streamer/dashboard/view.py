"""One Snapshot in, one frame out: exactly ``height`` lines of exactly ``width`` cells.

Everything here and in the rooms that it composes is pure and runs on the main thread. What is
where depends on the size of the terminal and on the number of channels, never on what is heard:
bars keep their order, columns their place, and the timeline moves by whole cells.
"""

from collections.abc import Sequence
from itertools import chain

from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.text import Text

from streamer.dashboard.edges import banner, header, keys, status
from streamer.dashboard.glyphs import ASCII, UNICODE, Glyphs
from streamer.dashboard.help import help_page
from streamer.dashboard.instruments import INSTRUMENT_LINES, instrument, strip
from streamer.dashboard.pieces import fitted, side_by_side
from streamer.dashboard.sizes import MARGIN, WIDE
from streamer.dashboard.state import Channel, Snapshot
from streamer.dashboard.table import table
from streamer.dashboard.timeline import timeline

LEFT = 62
"""Width of the instruments where the timeline stands beside them."""

GUTTER = 4
"""Between the two."""


class Frame:
    """Finished lines; rich has nothing left to wrap or to measure."""

    def __init__(self, lines: Sequence[Text]) -> None:
        self.lines = lines

    def __rich_console__(self, console: Console, _options: ConsoleOptions) -> RenderResult:
        """The lines as segments, without a line end after the last."""
        for index, line in enumerate(self.lines):
            if index:
                yield Segment.line()
            yield from line.render(console)


def render(snapshot: Snapshot, *, width: int, height: int, ascii: bool = False) -> Frame:  # noqa: A002 - as in json.dumps
    """Draw one frame.

    Args:
        snapshot: What is known.
        width: Of the terminal, in cells.
        height: Of the terminal, in lines.
        ascii: True where the terminal cannot show Unicode.

    Returns:
        ``height`` lines of ``width`` cells each.
    """
    glyphs = ASCII if ascii else UNICODE
    inner = max(1, width - 2 * MARGIN)
    top = [header(snapshot, inner, glyphs), banner(snapshot, inner, glyphs)]
    bottom = [*status(snapshot, inner), keys(inner, glyphs)]
    room = max(0, height - len(top) - len(bottom))
    middle = help_page(glyphs) if snapshot.help else _body(snapshot, inner, room, glyphs)
    middle = middle[:room]
    middle += [Text()] * (room - len(middle))
    lines = [fitted(line, inner) for line in (*top, *middle, *bottom)][:height]
    for line in lines:
        line.pad_left(MARGIN)
        line.truncate(width, overflow="crop", pad=True)
    return Frame(lines)


def _body(snapshot: Snapshot, width: int, height: int, glyphs: Glyphs) -> list[Text]:
    """Instruments, timeline and table; what does not fit goes, the table first."""
    channels = snapshot.channels or (Channel(""),)
    wide = width >= WIDE
    left = LEFT if wide else width
    if len(channels) == 1 and height >= INSTRUMENT_LINES:
        airy = height >= INSTRUMENT_LINES + (7 if wide else 13)
        lines = instrument(snapshot, channels[0], left, glyphs, airy=airy)
    else:
        airy = height >= 3 * len(channels) + 12
        strips = (strip(snapshot, channel, left, glyphs, airy=airy) for channel in channels)
        lines = list(chain.from_iterable(strips))
    gap = [Text()] * airy
    if wide:
        tall = max(1, (len(lines) - airy - 1) // len(channels) - 1)
        right = timeline(snapshot, channels, width - LEFT - GUTTER, tall, glyphs)
        lines = side_by_side(lines, [*gap, *right], LEFT + GUTTER)
    elif (rest := height - len(lines)) > 1:
        tall = max(1, min(4, (rest - 12) // (3 * len(channels))))
        lines += [*gap, *timeline(snapshot, channels, width, tall, glyphs)]
    lines += gap
    rest = height - len(lines) - len(gap)
    return lines + table(snapshot, width, rest, glyphs) if rest > 1 else lines
