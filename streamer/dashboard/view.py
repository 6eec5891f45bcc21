"""One Snapshot in, one frame out: exactly ``height`` lines of exactly ``width`` cells.

Everything here is pure and runs on the main thread. What is where depends on the size of the
terminal and on the number of channels, never on what is heard: bars keep their order, columns
their place, and the timeline moves by whole cells.

Each emotion has a letter and a colour. The letter alone suffices; the colours stay apart for
protan, deutan and tritan eyes too, on black and on white.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby, zip_longest
from operator import itemgetter
from typing import Self, TypeAlias

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from streamer.dashboard.state import TIMELINE_S, Channel, Mark, Snapshot
from streamer.types import EMOTIONS, SAMPLE_RATE, Prediction, State, Utterance

LETTERS = {
    "neutral": "N", "calm": "C", "happy": "H", "sad": "S",
    "angry": "A", "fearful": "F", "disgust": "D", "surprised": "!",
}  # fmt: skip
UNCERTAIN = "?"
UNJUDGED = "-"

# Chosen by search: any two differ by at least 10 (100 x distance in OKLab) for normal sight and
# under simulated protanopia, deuteranopia and tritanopia; contrast at least 4 on black.
COLOURS = {
    "neutral": Style(color="#888180"),
    "calm": Style(color="#14d9ac"),
    "happy": Style(color="#e3c536"),
    "sad": Style(color="#2e74b9"),
    "angry": Style(color="#d22418"),
    "fearful": Style(color="#cd3dff"),
    "disgust": Style(color="#86a93b"),
    "surprised": Style(color="#aeb9fb"),
}

PLAIN = Style()
BOLD = Style(bold=True)
DIM = Style(dim=True)
BADGE = Style(bold=True, reverse=True)
GOOD = Style(color="#14d9ac")
WARN = Style(color="#e3c536", bold=True)
ALARM = Style(color="#d22418", bold=True, reverse=True)
LOUD = Style(color="#e3c536")
TOO_LOUD = Style(color="#d22418")

FLOOR_DBFS = -60.0
"""Left end of the meter and bottom of the curve; the other end is 0 dBFS."""

LOUD_DBFS = -18.0
TOO_LOUD_DBFS = -6.0
CLIP_S = 3.0
"""How long the clip flag stays."""

NARROW = 80
WORDY = 100
WIDE = 140
ROOMY = 50
"""From this width on, the meter has a second number and the time axis more of them."""

KEYS_WIDTH = 50
"""What the line of all keys needs."""

LEFT = 62
"""Width of the instruments where the timeline stands beside them."""

MARGIN = 1


@dataclass(frozen=True, slots=True)
class Glyphs:
    """What shapes are drawn with. Ramps go from empty to full.

    Attributes:
        across: Parts of a cell filled from the left.
        up: Parts of a cell filled from the bottom.
        steps: As ``up``, where a single cell stands for a number.
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


UNICODE = Glyphs(
    across=" ▏▎▍▌▋▊▉█", up=" ▁▂▃▄▅▆▇█", steps="▁▂▃▄▅▆▇█", peak="▎", rule="─", run="━", doubt="╌",
    on="●", off="○", pause="‖", mark="▲", dot="·", ellipsis="…",
    middle="┼",
)  # fmt: skip
ASCII = Glyphs(
    across=" #", up=" .:#", steps="0123456789", peak="|", rule="-", run="=", doubt=".",
    on="*", off="o", pause="=", mark="^", dot="-", ellipsis="...",
    middle="+",
)  # fmt: skip

Cell: TypeAlias = tuple[str, Style]


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
    top = [_header(snapshot, inner, glyphs), _banner(snapshot, inner, glyphs)]
    bottom = [*_status(snapshot, inner), _keys(inner, glyphs)]
    room = max(0, height - len(top) - len(bottom))
    draw = _help if snapshot.help else _body
    middle = draw(snapshot, inner, room, glyphs)[:room]
    middle += [Text()] * (room - len(middle))
    lines = [_fitted(line, inner) for line in (*top, *middle, *bottom)][:height]
    for line in lines:
        line.pad_left(MARGIN)
        line.truncate(width, overflow="crop", pad=True)
    return Frame(lines)


# --- the frame -----------------------------------------------------------------------------------


def _header(snapshot: Snapshot, width: int, glyphs: Glyphs) -> Text:
    """The state, the device, the model, the time."""
    sign, style = {
        State.LISTENING: (glyphs.on, GOOD),
        State.PAUSED: (glyphs.pause, WARN),
        State.LOST: ("!", ALARM),
    }.get(snapshot.state, (glyphs.off, DIM))
    longest = max(len(state) for state in State)
    state = _text((f"{sign} ", style), (f"{snapshot.state:{longest}}", style))
    clock = _clock(snapshot.elapsed_s)
    room = width - len(state) - len(clock) - 4
    model = _clip(snapshot.model, max(8, room // 3), glyphs)
    device = _clip(snapshot.device, room - cell_len(model) - 3, glyphs)
    dot = f" {glyphs.dot} " if device and model else ""
    left = _text(state, "  ", (device, BOLD), (dot, DIM), (model, PLAIN))
    return _spread(left, _text((clock, BOLD)), width)


def _banner(snapshot: Snapshot, width: int, glyphs: Glyphs) -> Text:
    """A rule that becomes a sentence when there is something to say, and nothing else moves."""
    notice = snapshot.notice
    if snapshot.state is State.LOST:
        text = f"device lost: {snapshot.detail}" if snapshot.detail else "device lost"
        return _text((f" {_clip(text, width - 2, glyphs)} ".ljust(width), ALARM))
    if notice is not None and notice.urgent:
        return _text((f" {_clip(notice.text, width - 2, glyphs)} ".ljust(width), BADGE))
    if notice is not None:
        text, style = notice.text, WARN
    elif snapshot.state is State.PAUSED:
        text, style = snapshot.detail or "paused: space goes on", WARN
    else:
        text, style = snapshot.detail, PLAIN
    if not text:
        return _text((glyphs.rule * width, DIM))
    text = _clip(text, width - 6, glyphs)
    rest = width - 4 - cell_len(text)
    return _text((glyphs.rule * 2 + " ", DIM), (text, style), (" " + glyphs.rule * rest, DIM))


def _status(snapshot: Snapshot, width: int) -> list[Text]:
    """How fast it runs, and what was lost: always there, loud only where it is not nothing."""
    counters = snapshot.counters
    terse = width < WORDY - 2 * MARGIN

    def latency(quantile: float) -> str:
        value = snapshot.latency_ms(quantile)
        return "-" if value is None else f"{value:.0f}"

    def count(name: str, value: int) -> Text:
        return _text((f"{name} ", DIM), (f"{value}", WARN if value else PLAIN))

    factor = snapshot.real_time_factor
    lost_s = counters.lost_samples / SAMPLE_RATE
    speed = [
        _text(
            ("latency ", DIM),
            f"{latency(0.5)} / {latency(0.95)} ms",
            ("" if terse else " p50/p95", DIM),
        ),
        _text(
            ("rtf " if terse else "real-time factor ", DIM),
            ("-" if factor is None else f"{factor:.2f}", WARN if (factor or 0) >= 1 else PLAIN),
        ),
        _text(f"{snapshot.rolling_per_s:.1f}", ("/s" if terse else " predictions/s", DIM)),
        count("queue", counters.queue),
    ]
    lost = [
        count("overruns", counters.overruns),
        _text(count("gaps", counters.gaps), (f" ({lost_s:.1f} s lost)", WARN if lost_s else DIM)),
        count("late" if terse else "late partials", counters.late_windows),
        count("unjudged", counters.unjudged),
    ]
    gap = "  " if terse else "   "
    lines = [*_flowed(speed, gap, width), *_flowed(lost, gap, width)]
    if len(_flowed(lines, gap, width)) == 1:
        return [_spread(lines[0], lines[-1], width)]
    return lines


def _keys(width: int, glyphs: Glyphs) -> Text:
    keys = [("q", "quit"), ("space", "pause"), ("m", "mark"), ("c", "clear"), ("?", "help")]
    if width < KEYS_WIDTH:
        keys = [keys[0], keys[-1]]
    parts: list[Cell | str] = []
    for key, does in keys:
        parts += [(key, BOLD), (f" {does}", DIM), (f" {glyphs.dot} ", DIM)]
    return _text(*parts[:-1])


def _body(snapshot: Snapshot, width: int, height: int, glyphs: Glyphs) -> list[Text]:
    """Instruments, timeline and table; what does not fit goes, the table first."""
    channels = snapshot.channels or (Channel(""),)
    alone = len(channels) == 1
    beside = width >= WIDE - 2 * MARGIN
    room = LEFT if beside else width
    if alone and height >= INSTRUMENT_LINES:
        airy = height >= INSTRUMENT_LINES + (7 if beside else 13)
        instruments = _instrument(snapshot, channels[0], room, glyphs, airy=airy)
    else:
        airy = height >= 3 * len(channels) + 12
        instruments = [Text()] * airy
        for channel in channels:
            instruments += _strip(snapshot, channel, room, glyphs)
            instruments += [Text()] * (airy and channel is not channels[-1])
    gap = [Text()] * airy
    rest = height - len(instruments)
    if beside:
        tall = max(1, (len(instruments) - airy - 1) // len(channels) - 1)
        timeline = _timeline(snapshot, channels, width - LEFT - 4, tall, glyphs)
        lines = _joined(instruments, [*gap, *timeline], LEFT + 4)
    else:
        tall = max(1, min(4, (rest - 12) // (3 * len(channels))))
        timeline = _timeline(snapshot, channels, width, tall, glyphs) if rest > 1 else []
        lines = [*instruments, *gap, *timeline]
    lines += gap
    table = height - len(lines) - len(gap)
    return lines + _table(snapshot, width, table, glyphs) if table > 1 else lines


def _help(_snapshot: Snapshot, _width: int, _height: int, glyphs: Glyphs) -> list[Text]:
    letters: list[Cell | str] = []
    for emotion in EMOTIONS:
        letters += [(LETTERS[emotion], COLOURS[emotion] + BOLD), f" {emotion}  "]
    rows: list[tuple[str, list[Cell | str]]] = [
        ("q", ["stop; the open utterance still gets its row"]),
        ("space", ["pause, and go on"]),
        ("m", [f"set a mark ({glyphs.mark}) in the timeline and the table"]),
        ("c", ["clear the screen; CSV and counters stay"]),
        ("?", ["this page, and back"]),
        ("", []),
        ("letters", letters[:8]),
        ("", letters[8:]),
        ("", [(UNCERTAIN, BOLD), " uncertain  ", (UNJUDGED, BOLD), " not judged"]),
        ("mood", ["from -1 (negative) to +1 (positive)"]),
        ("latency", ["from the last sound of an utterance to its row"]),
        ("rtf", ["real-time factor: computing per second of speech"]),
        ("overruns", ["the device or the analysis fell behind"]),
        ("gaps", ["holes in the sound; they end an open utterance"]),
        ("late", ["partial predictions that newer ones replaced"]),
        ("unjudged", ["rows without a verdict: the model fell behind"]),
    ]
    return [Text(), *(_text((f"{name:>8}  ", BOLD), *parts) for name, parts in rows)]


# --- instruments ---------------------------------------------------------------------------------

INSTRUMENT_LINES = 3 + len(EMOTIONS)
"""Of `_instrument`, without air."""


def _instrument(
    snapshot: Snapshot, channel: Channel, width: int, glyphs: Glyphs, *, airy: bool
) -> list[Text]:
    """The only channel, in full: level, voice, verdict and a bar for each emotion."""
    gap = [Text()] * airy
    level = _text(("level  ", DIM))
    level.append_text(_meter(snapshot, channel, width - len(level), glyphs))
    voice = _text(("voice  ", DIM), _voice(snapshot, channel, glyphs))
    verdict = _spread(_verdict(snapshot, channel, glyphs), _mood(channel), width)
    bars = _bars(snapshot, channel, width, glyphs)
    return [*gap, level, voice, *gap, verdict, *gap, *bars]


def _strip(snapshot: Snapshot, channel: Channel, width: int, glyphs: Glyphs) -> list[Text]:
    """One channel of several, or the only one of a low terminal, in two lines."""
    line = Text()
    if len(snapshot.channels) > 1:
        line.append(_fill(_clip(channel.name, 10, glyphs), 11), BOLD)
    line.append_text(_voice(snapshot, channel, glyphs))
    line.append("  ")
    line.append_text(_meter(snapshot, channel, width - line.cell_len, glyphs))
    verdict = _verdict(snapshot, channel, glyphs)
    if width < NARROW - 2 * MARGIN - len(EMOTIONS) * 3:
        return [line, verdict]
    columns: list[Cell | str] = []
    for emotion, shown in zip(EMOTIONS, channel.shown, strict=True):
        columns += [(LETTERS[emotion], DIM), (_step(shown, glyphs), COLOURS[emotion]), " "]
    return [line, _spread(verdict, _text(*columns[:-1]), width)]


def _meter(snapshot: Snapshot, channel: Channel, width: int, glyphs: Glyphs) -> Text:
    """The level as a bar and a number, the held peak as a tick, the clip flag."""
    reading = _dbfs(channel.rms_dbfs).rjust(5)
    wordy = width >= ROOMY
    tail = _text((reading, PLAIN), (" dBFS", DIM))
    if wordy:
        tail.append_text(_text(("  peak ", DIM), (_dbfs(channel.held_dbfs).rjust(5), PLAIN)))
    clipped = snapshot.now - channel.clipped_at < CLIP_S
    tail.append_text(_text("  ", (" CLIP ", ALARM) if clipped else "      "))
    cells = max(1, width - len(tail) - 2)
    full = len(glyphs.across) - 1
    filled = _height(channel.rms_dbfs) * cells
    peak = math.ceil(_height(channel.held_dbfs) * cells) - 1
    bar: list[Cell] = []
    for index in range(cells):
        dbfs = FLOOR_DBFS * (1 - (index + 0.5) / cells)
        style = TOO_LOUD if dbfs > TOO_LOUD_DBFS else LOUD if dbfs > LOUD_DBFS else GOOD
        part = round(min(1.0, max(0.0, filled - index)) * full)
        if index == peak and part < full:
            bar.append((glyphs.peak, style))
        else:
            bar.append((glyphs.across[part], style))
    return _text(_painted(bar), "  ", tail)


def _voice(snapshot: Snapshot, channel: Channel, glyphs: Glyphs) -> Text:
    """Whether somebody speaks, and for how long; always 18 cells."""
    if snapshot.state is not State.LISTENING:
        return _text((f"{glyphs.off} {snapshot.state}".ljust(18), DIM))
    since = f"{min(channel.since_s, 9999):6.1f} s"
    if channel.speech:
        return _text((f"{glyphs.on} speech ", GOOD + BOLD), since)
    return _text((f"{glyphs.off} silence{since}", DIM))


def _verdict(snapshot: Snapshot, channel: Channel, glyphs: Glyphs) -> Text:
    """What is heard, and how sure it is."""
    prediction = channel.prediction
    if prediction is None:
        waiting = snapshot.state is State.LISTENING and not channel.speech
        return _text((f"listening{glyphs.ellipsis} speak" if waiting else glyphs.ellipsis, DIM))
    percent = _percent(prediction.confidence)
    when = f"  #{channel.number}" if channel.final else "  so far"
    if prediction.uncertain:
        badge: Cell = (" UNCERTAIN ", BADGE)
        return _text(badge, (f"  {prediction.emotion} {percent.strip()}", DIM), (when, DIM))
    badge = (f" {prediction.emotion.upper()} ", COLOURS[prediction.emotion] + BADGE)
    return _text(badge, (f" {percent}", BOLD), (when, DIM))


def _mood(channel: Channel) -> Text:
    if channel.prediction is None:
        return Text()
    return _text(("mood ", DIM), f"{channel.prediction.mood:+.2f}")


def _bars(snapshot: Snapshot, channel: Channel, width: int, glyphs: Glyphs) -> list[Text]:
    """One bar per emotion, always in the same order; those of an old verdict are dimmed."""
    longest = max(map(len, EMOTIONS))
    cells = max(1, width - (2 + longest + 2 + 5 + 2))
    full = len(glyphs.across) - 1
    top = channel.prediction.emotion if channel.prediction is not None else None
    faded = DIM if channel.final and not channel.speech else PLAIN
    lines = []
    for emotion, shown in zip(EMOTIONS, channel.shown, strict=True):
        colour = COLOURS[emotion]
        if emotion not in snapshot.labels:
            lines.append(_text((f"  {emotion:{longest}}  not known to this model", DIM)))
            continue
        whole, part = divmod(round(shown * cells * full), full)
        bar = glyphs.across[full] * whole + (glyphs.across[part] if whole < cells else "")
        lines.append(
            _text(
                (LETTERS[emotion], colour + BOLD),
                (f" {emotion:{longest}}  ", BOLD if emotion == top else PLAIN),
                (_percent(shown), BOLD if emotion == top else DIM),
                (f"  {bar}", colour + faded),
            )
        )
    return lines


# --- timeline ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ruler:
    """Which piece of the stream each cell of the timeline stands for.

    The pieces are counted from the start of the stream, so that the picture stands still within
    a piece and then moves by a whole cell.

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


def _timeline(
    snapshot: Snapshot, channels: Sequence[Channel], width: int, tall: int, glyphs: Glyphs
) -> list[Text]:
    """The last minute: for each channel its level curve over its emotions; then the time axis."""
    gutter = 0 if len(channels) == 1 else 1 + min(10, max(cell_len(c.name) for c in channels))
    ruler = Ruler.until(snapshot.position, max(1, width - gutter))
    lines = []
    for channel in channels:
        lane = _lane(snapshot, channel, ruler, glyphs)
        curve = _curve(channel, lane, ruler, tall, glyphs)
        lines += [_text(" " * gutter, row) for row in curve]
        name = _fill(_clip(channel.name, gutter - 1, glyphs), gutter) if gutter else ""
        lines.append(_text((name, DIM), _painted(lane)))
    lines.append(_text(" " * gutter, _axis(snapshot, ruler, glyphs)))
    return lines


def _lane(snapshot: Snapshot, channel: Channel, ruler: Ruler, glyphs: Glyphs) -> list[Cell]:
    """Each utterance as a letter and a line as long as it is."""
    spans = [
        (row.start, row.end, _signature(row.prediction, UNJUDGED, glyphs))
        for row in snapshot.rows
        if isinstance(row, Utterance) and row.channel == channel.name
    ]
    # Of an utterance without a row, the end is where it has been heard to, or what followed it.
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
    if prediction.uncertain:
        return UNCERTAIN, glyphs.doubt, DIM
    return LETTERS[prediction.emotion], glyphs.run, COLOURS[prediction.emotion]


def _curve(
    channel: Channel, lane: Sequence[Cell], ruler: Ruler, tall: int, glyphs: Glyphs
) -> list[Text]:
    """The level over time, ``tall`` lines high, in the colours of the emotions below it."""
    full = len(glyphs.up) - 1
    heights = [0.0] * ruler.cells
    for level in channel.levels:
        index = ruler.cell(level.position - 1)
        if 0 <= index < ruler.cells:
            heights[index] = max(heights[index], _height(level.rms_dbfs))
    filled = [round(height * tall * full) for height in heights]
    styles = [DIM if letter == " " else style for letter, style in lane]
    return [
        _painted(
            (glyphs.up[min(full, max(0, part - below))], style)
            for part, style in zip(filled, styles, strict=True)
        )
        for below in range((tall - 1) * full, -1, -full)
    ]


def _axis(snapshot: Snapshot, ruler: Ruler, glyphs: Glyphs) -> Text:
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
    for row in snapshot.rows:
        if isinstance(row, Mark):
            write(f"{glyphs.mark}{row.number}", ruler.cell(row.position), BOLD)
    return _painted(axis)


# --- table ---------------------------------------------------------------------------------------


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
    return _text((f"{utterance.number}", DIM))


def _name(utterance: Utterance, glyphs: Glyphs) -> Text:
    return _text(_clip(utterance.channel, COLUMNS["channel"].width, glyphs))


def _start(utterance: Utterance, _glyphs: Glyphs) -> Text:
    return _text(_clock(utterance.start_s, tenths=True))


def _length(utterance: Utterance, _glyphs: Glyphs) -> Text:
    return _text(f"{utterance.duration_s:.1f} s")


def _emotion(utterance: Utterance, _glyphs: Glyphs) -> Text:
    prediction = utterance.prediction
    if prediction is None:
        return _text((f"{UNJUDGED} not judged", DIM))
    if prediction.uncertain:
        return _text(f"{UNCERTAIN} uncertain ", (prediction.emotion, DIM))
    style = COLOURS[prediction.emotion]
    return _text((LETTERS[prediction.emotion], style + BOLD), f" {prediction.emotion}")


def _confidence(utterance: Utterance, _glyphs: Glyphs) -> Text:
    prediction = utterance.prediction
    if prediction is None:
        return Text()
    return _text((_percent(prediction.confidence), DIM if prediction.uncertain else PLAIN))


def _profile(utterance: Utterance, glyphs: Glyphs) -> Text:
    """All probabilities, a cell each."""
    prediction = utterance.prediction
    if prediction is None:
        return Text()
    known = dict(zip(prediction.labels, prediction.probabilities, strict=True))
    return _text(*((_step(known.get(e, 0.0), glyphs), COLOURS[e]) for e in EMOTIONS))


def _feeling(utterance: Utterance, _glyphs: Glyphs) -> Text:
    prediction = utterance.prediction
    return Text() if prediction is None else _text(f"{prediction.mood:+.2f}")


def _scale(utterance: Utterance, glyphs: Glyphs) -> Text:
    """The mood as a place between negative and positive."""
    prediction = utterance.prediction
    if prediction is None:
        return Text()
    half = COLUMNS["scale"].width // 2
    at = half + round(max(-1.0, min(1.0, prediction.mood)) * half)
    rail = [(glyphs.doubt, DIM)] * (2 * half + 1)
    rail[half] = (glyphs.middle, DIM)
    rail[at] = (glyphs.on, PLAIN)
    return _painted(rail)


def _loudness(utterance: Utterance, _glyphs: Glyphs) -> Text:
    return _text(_dbfs(utterance.level_dbfs))


def _latency(utterance: Utterance, _glyphs: Glyphs) -> Text:
    return _text("" if utterance.latency_ms is None else f"{utterance.latency_ms:.0f} ms")


def _ending(utterance: Utterance, _glyphs: Glyphs) -> Text:
    return _text((utterance.end_reason.replace("_", " "), DIM))


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
    gap = 1 if width < NARROW - 2 * MARGIN else 2 if width < WIDE - 2 * MARGIN else 3
    names = [name for name in COLUMNS if channels or name != "channel"]
    for name in FIRST_TO_GO:
        if sum(COLUMNS[n].width + gap for n in names) - gap <= width:
            break
        if name in names:
            names.remove(name)
    return tuple(COLUMNS[name] for name in names), gap


def _table(snapshot: Snapshot, width: int, height: int, glyphs: Glyphs) -> list[Text]:
    """Utterances and marks, the newest first."""
    columns, gap = _columns(width, channels=len(snapshot.channels) > 1)
    titles = [_text((column.title, DIM)) for column in columns]
    lines = [_ranged(titles, columns, gap)]
    for row in snapshot.rows[:-height:-1]:
        cells = [
            _mark(column, row, glyphs) if isinstance(row, Mark) else column.cell(row, glyphs)
            for column in columns
        ]
        lines.append(_ranged(cells, columns, gap))
    if not snapshot.rows:
        lines.append(_text((_waiting(snapshot.state, glyphs), DIM)))
    return lines


def _mark(column: Column, mark: Mark, glyphs: Glyphs) -> Text:
    """What a mark shows in a column."""
    cells = {
        "#": f"{glyphs.mark}{mark.number}",
        "start": _clock(mark.position / SAMPLE_RATE, tenths=True),
        "emotion": "mark",
    }
    return _text((cells.get(column.title, ""), BOLD))


def _ranged(cells: Sequence[Text], columns: Sequence[Column], gap: int) -> Text:
    """Cells in their columns."""
    line = Text()
    for column, cell in zip(columns, cells, strict=True):
        line.append(" " * gap * bool(line))
        pad = " " * max(0, column.width - cell.cell_len)
        line.append_text(_text(pad, cell) if column.right else _text(cell, pad))
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


# --- pieces --------------------------------------------------------------------------------------


def _text(*parts: str | Cell | Text) -> Text:
    return Text.assemble(*parts, no_wrap=True, end="")


def _painted(cells: Iterable[Cell]) -> Text:
    """Cells in a row, neighbours of one style joined."""
    runs = groupby(cells, key=itemgetter(1))
    return _text(*(("".join(letter for letter, _ in run), style) for style, run in runs))


def _spread(left: Text, right: Text, width: int) -> Text:
    """Two texts at the two ends of a line; the left one gives way."""
    room = max(0, width - right.cell_len - 1)
    return _text(_fitted(left, room), " ", right)


def _flowed(items: Sequence[Text], gap: str, width: int) -> list[Text]:
    """Items in as few lines as they need: none is cut off."""
    lines: list[Text] = []
    for item in items:
        if lines and len(lines[-1]) + len(gap) + len(item) <= width:
            lines[-1] = _text(lines[-1], gap, item)
        else:
            lines.append(item)
    return lines


def _joined(left: Sequence[Text], right: Sequence[Text], at: int) -> list[Text]:
    """Two blocks beside each other; the right one begins in cell ``at``."""
    pairs = zip_longest(left, right, fillvalue=Text())
    return [_text(_fitted(one, at), other) for one, other in pairs]


def _fitted(text: Text, width: int) -> Text:
    """A copy that is exactly ``width`` cells wide."""
    text = text.copy()
    text.truncate(width, overflow="crop", pad=True)
    return text


def _clip(text: str, width: int, glyphs: Glyphs) -> str:
    """A name from outside, made harmless and at most ``width`` cells wide."""
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    if glyphs is ASCII:
        text = text.encode("ascii", "replace").decode()
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, max(0, width - len(glyphs.ellipsis))).rstrip() + glyphs.ellipsis


def _fill(text: str, width: int) -> str:
    return set_cell_size(text, max(0, width))


def _height(dbfs: float) -> float:
    """Where a level lies between `FLOOR_DBFS` (0) and full scale (1)."""
    return min(1.0, max(0.0, 1 - dbfs / FLOOR_DBFS))


def _step(probability: float, glyphs: Glyphs) -> str:
    return glyphs.steps[min(len(glyphs.steps) - 1, int(probability * len(glyphs.steps)))]


def _dbfs(level: float) -> str:
    return f"{level:.1f}" if level > 2 * FLOOR_DBFS else "-inf"


def _percent(probability: float) -> str:
    return f"{100 * probability:3.0f} %"


def _clock(seconds: float, *, tenths: bool = False) -> str:
    """As h:mm:ss, with tenths where asked for."""
    minutes, rest = divmod(int(seconds * 10) / 10 if tenths else int(seconds), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:{rest:04.1f}" if tenths else f"{hours}:{minutes:02}:{rest:02}"
