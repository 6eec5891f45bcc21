"""Composes lines of styled parts, fitted names and formatted numbers."""

from collections.abc import Iterable, Sequence
from itertools import groupby, zip_longest
from operator import itemgetter

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from streamer.dashboard.glyphs import Cell, Glyphs

FLOOR_DBFS = -60.0
"""Left end of the meter and bottom of the curve; the other end is 0 dBFS."""


def styled(*parts: str | Cell | Text) -> Text:
    """Parts in a row, on one line."""
    return Text.assemble(*parts, no_wrap=True, end="")


def painted(cells: Iterable[Cell]) -> Text:
    """Cells in a row, neighbours of one style joined."""
    runs = groupby(cells, key=itemgetter(1))
    return styled(*(("".join(letter for letter, _ in run), style) for style, run in runs))


def spread(left: Text, right: Text, width: int) -> Text:
    """Two texts at the two ends of a line; the left one gives way."""
    room = max(0, width - right.cell_len - 1)
    return styled(fitted(left, room), " ", right)


def flowed(items: Sequence[Text], gap: str, width: int) -> list[Text]:
    """Items in as few lines as they need: none is cut off."""
    lines: list[Text] = []
    for item in items:
        if lines and len(lines[-1]) + len(gap) + len(item) <= width:
            lines[-1] = styled(lines[-1], gap, item)
        else:
            lines.append(item)
    return lines


def side_by_side(left: Sequence[Text], right: Sequence[Text], at: int) -> list[Text]:
    """Two blocks beside each other; the right one begins in cell ``at``."""
    pairs = zip_longest(left, right, fillvalue=Text())
    return [styled(fitted(one, at), other) for one, other in pairs]


def fitted(text: Text, width: int) -> Text:
    """A copy that is exactly ``width`` cells wide."""
    text = text.copy()
    text.truncate(width, overflow="crop", pad=True)
    return text


def clip(text: str, width: int, glyphs: Glyphs) -> str:
    """A name from outside, made harmless and at most ``width`` cells wide."""
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    if glyphs.ascii:
        text = text.encode("ascii", "replace").decode()
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, max(0, width - len(glyphs.ellipsis))).rstrip() + glyphs.ellipsis


def tail(text: str, width: int) -> str:
    """The end of a text, in at most ``width`` cells."""
    while cell_len(text) > width:
        text = text[1:]
    return text


def end_of(path: str, width: int, glyphs: Glyphs) -> str:
    """A name from outside like `clip`, but of a path the end, which tells files apart."""
    whole = clip(path, 999, glyphs)
    if cell_len(whole) <= width or not set(whole) & set("/\\"):
        return clip(path, width, glyphs)
    return glyphs.ellipsis + tail(whole, width - len(glyphs.ellipsis))


def fill(text: str, width: int) -> str:
    """A text in exactly ``width`` cells."""
    return set_cell_size(text, max(0, width))


def loudness(dbfs: float) -> float:
    """Where a level lies between `FLOOR_DBFS` (0) and full scale (1)."""
    return min(1.0, max(0.0, 1 - dbfs / FLOOR_DBFS))


def step(probability: float, glyphs: Glyphs) -> str:
    """A probability in a single cell."""
    return glyphs.steps[min(len(glyphs.steps) - 1, int(probability * len(glyphs.steps)))]


def as_dbfs(level: float) -> str:
    """A level as a number; far below the floor it is silence."""
    return f"{level:.1f}" if level > 2 * FLOOR_DBFS else "-inf"


def as_percent(probability: float) -> str:
    """A probability, always as wide."""
    return f"{100 * probability:3.0f} %"


def bar(share: float, cells: int, glyphs: Glyphs) -> str:
    """A share as a bar; ``cells`` is the width of a full one."""
    full = len(glyphs.across) - 1
    whole, part = divmod(round(share * cells * full), full)
    return glyphs.across[full] * whole + (glyphs.across[part] if whole < cells else "")


def as_clock(seconds: float, *, tenths: bool = False) -> str:
    """A time as h:mm:ss, with tenths where asked for."""
    minutes, rest = divmod(int(seconds * 10) / 10 if tenths else int(seconds), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:{rest:04.1f}" if tenths else f"{hours}:{minutes:02}:{rest:02}"
