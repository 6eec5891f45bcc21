"""The screen is drawn with these letters, colours and shapes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self, TypeAlias
from unicodedata import normalize

from rich.style import Style

from streamer.dashboard.languages import ENGLISH

LETTERS = {
    "neutral": "N", "calm": "C", "happy": "H", "sad": "S",
    "angry": "A", "fearful": "F", "disgust": "D", "surprised": "!",
}  # fmt: skip
UNCERTAIN = "?"
UNCLASSIFIED = "-"

# Chosen by search: contrast at least 3 on black and white, and on the dark grey and the cream that
# terminals have instead; any two differ by at least 8 (100 x distance in OKLab) for normal sight
# and under simulated protanopia, deuteranopia and tritanopia (tests/test_dashboard_glyphs.py).
COLOURS = {
    "neutral": Style(color="#8a7d75"),
    "calm": Style(color="#0a9bb9"),
    "happy": Style(color="#c47f11"),
    "sad": Style(color="#0964ee"),
    "angry": Style(color="#d90d0b"),
    "fearful": Style(color="#a338b5"),
    "disgust": Style(color="#4d733b"),
    "surprised": Style(color="#f748a2"),
}

PLAIN = Style()
BOLD = Style(bold=True)
DIM = Style(dim=True)
BADGE = Style(bold=True, reverse=True)
CHOSEN = Style(reverse=True)
GOOD = COLOURS["calm"]
LOUD = COLOURS["happy"]
TOO_LOUD = COLOURS["angry"]
WARN = LOUD + BOLD
ALERTED = TOO_LOUD + BADGE

Cell: TypeAlias = tuple[str, Style]


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters that shapes are drawn with. Ramps go from empty to full.

    Attributes:
        across: Parts of a cell filled from the left.
        up: Parts of a cell filled from the bottom.
        steps: As ``up``, where a single cell stands for a number.
        trends: Falling, steady, rising.
        over: Precedes a mean over time.
        arrows: Point to newer and to older rows.
        chosen: Precedes the chosen row.
        well: Shows that nothing is wrong.
        cursor: Shows where the next letter goes.
        into: Precedes the path of the CSV.
        words: The words for emotions, `UNCERTAIN` and `NO_SPEECH`.
    """

    across: str
    up: str
    steps: str
    peak: str
    rule: str
    run: str
    doubt: str
    on: str
    off: str
    pause: str
    mark: str
    dot: str
    ellipsis: str
    middle: str
    trends: str
    over: str
    arrows: str
    chosen: str
    well: str
    cursor: str
    into: str
    words: Mapping[str, str]

    @property
    def ascii(self) -> bool:
        """True where the screen may show ASCII alone."""
        return self.across.isascii()

    def called(self, words: Mapping[str, str]) -> Self:
        """The same shapes with other words."""
        if self.ascii:  # "wütend" becomes "wutend"; what has no such form stays English
            words = {name: _plain(word) or ENGLISH[name] for name, word in words.items()}
        return replace(self, words=words)


UNICODE = Glyphs(
    across=" ▏▎▍▌▋▊▉█", up=" ▁▂▃▄▅▆▇█", steps="▁▂▃▄▅▆▇█", peak="▎", rule="─", run="━", doubt="╌",
    on="●", off="○", pause="‖", mark="▲", dot="·", ellipsis="…",
    middle="┼", trends="↘→↗", over="ø", arrows="↑↓", chosen="▸", well="✓",
    cursor="█", into="→ ", words=ENGLISH,
)  # fmt: skip
ASCII = Glyphs(
    across=" #", up=" .:#", steps="0123456789", peak="|", rule="-", run="=", doubt=".",
    on="*", off="o", pause="=", mark="^", dot="-", ellipsis="...",
    middle="+", trends="\\=/", over="avg", arrows="^v", chosen=">", well="ok:",
    cursor="_", into="> ", words=ENGLISH,
)  # fmt: skip


def _plain(word: str) -> str:
    return normalize("NFKD", word).encode("ascii", "ignore").decode().strip()
