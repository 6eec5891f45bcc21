"""Renders a Snapshot as a frame of exactly ``height`` lines of ``width`` cells.

All of it, with the modules that it uses, is pure and runs on the main thread. The layout depends on
the size of the terminal and on the number of channels, never on the results: bars keep their order,
columns their place, and the timeline moves by whole cells.
"""

from collections.abc import Sequence
from itertools import chain

from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.text import Text

from streamer.dashboard.channel_panel import PANEL_LINES, panel, strip
from streamer.dashboard.detail import detail
from streamer.dashboard.glyphs import BOLD, DIM, UNICODE, Glyphs
from streamer.dashboard.header_footer import banner, header, keys, note, status
from streamer.dashboard.help import help_page
from streamer.dashboard.layout import clip, fill, fitted, side_by_side, styled
from streamer.dashboard.sizes import MARGIN, WIDE
from streamer.dashboard.state import ChannelState, Snapshot
from streamer.dashboard.table import table
from streamer.dashboard.timeline import timeline
from streamer.text import quantity

LEFT = 62
"""Least width of the channel panels where the timeline stands beside them..."""

LEFT_SHARE = 0.4
"""...and their share of a wider screen."""

GUTTER = 4
"""Cells between the two."""


class Frame:
    """Finished lines; rich has nothing left to wrap or to measure.

    Attributes:
        lines: From top to bottom.
        page: How many rows of the table there is room for.
    """

    def __init__(self, lines: Sequence[Text], page: int) -> None:
        self.lines = lines
        self.page = page

    def __rich_console__(self, console: Console, _options: ConsoleOptions) -> RenderResult:
        """The lines as segments, without a line end after the last."""
        for index, line in enumerate(self.lines):
            if index:
                yield Segment.line()
            yield from line.render(console)


def render(snapshot: Snapshot, *, width: int, height: int, glyphs: Glyphs = UNICODE) -> Frame:
    """Draw one frame.

    Args:
        snapshot: What to draw.
        width: Of the terminal, in cells.
        height: Of the terminal, in lines.
        glyphs: Shapes that the terminal can show, and the words of its user.

    Returns:
        ``height`` lines of ``width`` cells each.
    """
    inner = max(1, width - 2 * MARGIN)
    top = [header(snapshot, inner, glyphs), banner(snapshot, inner, glyphs)]
    last = keys if snapshot.draft is None else note
    bottom = [*status(snapshot, inner, glyphs), last(snapshot, inner, glyphs)]
    room = max(0, height - len(top) - len(bottom))
    middle, page = _body(snapshot, inner, room, glyphs)
    middle = help_page(glyphs)[:room] if snapshot.help else middle[:room]
    middle += [Text()] * (room - len(middle))
    lines = [fitted(line, inner) for line in (*top, *middle, *bottom)][:height]
    for line in lines:
        line.pad_left(MARGIN)
        line.truncate(width, overflow="crop", pad=True)
    return Frame(lines, page)


def _body(snapshot: Snapshot, width: int, height: int, glyphs: Glyphs) -> tuple[list[Text], int]:
    """Channel panels, timeline and table; what does not fit goes, the table first.

    The details of the chosen row replace the timeline, and on a narrow screen the channel panels.

    Returns:
        The lines, and how many rows the table has room for.
    """
    silent = [
        styled((fill(clip(name, 10, glyphs), 11), BOLD), ("not analysed", DIM))
        for name in snapshot.not_analysed
    ]
    channels, hidden = _those_that_fit(snapshot, height - len(silent))
    if hidden:
        more = f"{glyphs.ellipsis} {quantity(hidden, 'more channel')}: a higher window shows them"
        silent.append(styled((clip(more, width, glyphs), DIM)))
    wide = width >= WIDE
    left = max(LEFT, int(LEFT_SHARE * width)) if wide else width
    about: list[Text] = []
    if snapshot.opened:
        about = detail(snapshot, width - left - GUTTER if wide else width, glyphs)
    if len(channels) == 1 and height >= PANEL_LINES and (wide or not about):
        airy = height >= PANEL_LINES + (7 if wide else 13)
        lines = panel(snapshot, channels[0], left, glyphs, airy=airy)
    else:
        airy = height >= 3 * len(channels) + 12 + len(about)
        strips = (strip(snapshot, channel, left, glyphs, airy=airy) for channel in channels)
        lines = list(chain.from_iterable(strips))
    gap = [Text()] * airy
    if wide:
        tall = max(1, (len(lines) - airy - 1) // len(channels) - 1)
        right = about or timeline(snapshot, channels, width - left - GUTTER, tall, glyphs)
        lines += silent
        lines = side_by_side(lines, [*gap, *right], left + GUTTER)
    elif about:
        lines += [*silent, *gap, *about]
    else:
        lines += silent
        if (rest := height - len(lines)) > 1:
            tall = max(1, min(4, (rest - 12) // (3 * len(channels))))
            lines += [*gap, *timeline(snapshot, channels, width, tall, glyphs)]
    lines += gap
    rest = height - len(lines) - len(gap)
    if rest <= 1:
        return lines, 0
    return lines + table(snapshot, width, rest, glyphs), rest - 1


def _those_that_fit(snapshot: Snapshot, height: int) -> tuple[Sequence[ChannelState], int]:
    """The channels for which there are `strip`'s two lines each, and how many there are besides."""
    channels = snapshot.channels or (ChannelState(""),)
    if len(channels) == 1 or 2 * len(channels) <= height:
        return channels, 0
    fitting = max(1, (height - 1) // 2)
    return channels[:fitting], len(channels) - fitting
