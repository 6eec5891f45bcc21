"""Draws the lines above and below: state and banner, status and keys."""

from rich.cells import cell_len
from rich.text import Text

from streamer.dashboard.controls import NOTE_LETTERS
from streamer.dashboard.glyphs import (
    ALERTED,
    BADGE,
    BOLD,
    DIM,
    GOOD,
    PLAIN,
    TOO_LOUD,
    WARN,
    Cell,
    Glyphs,
)
from streamer.dashboard.layout import as_clock, clip, end_of, fill, flowed, spread, styled, tail
from streamer.dashboard.sizes import SPACIOUS, WORDY
from streamer.dashboard.state import Snapshot
from streamer.events import Alert
from streamer.text import quantity
from streamer.types import SAMPLE_RATE, State

KEYS = {
    "q": "quit",
    "space": "pause",
    "m": "mark",
    "rows": "rows",
    "enter": "detail",
    "c": "clear",
    "b": "new voice",
    "?": "help",
    "a": "seen",  # only while an alert waits for it; last, so that no other key moves
}
"""What each key does, in the order on the screen."""

FIRST_TO_GO = ("c", "enter", "b", "rows", "m", "space", "a")
"""Keys in the order in which a narrow terminal leaves them out; the help has them all."""

MIN_CSV = 16
"""Cells for the CSV's path from which on it is shown, from its end."""

MIN_BOTH = 24
"""Cells from which on the model is shown beside the device."""

MIN_DEVICE = 6
"""Cells from which on the device is shown; fewer say nothing."""

MIN_NOTE = 30
"""Cells for a note from which on there is room for explanations, too."""


def header(snapshot: Snapshot, width: int, glyphs: Glyphs) -> Text:
    """The state, the device, the model, the time."""
    sign, style = {
        State.LISTENING: (glyphs.on, GOOD),
        State.PAUSED: (glyphs.pause, WARN),
        State.LOST: ("!", ALERTED),
    }.get(snapshot.state, (glyphs.off, DIM))
    longest = max(len(state) for state in State)
    state = styled((f"{sign} ", style), (f"{snapshot.state:{longest}}", style))
    clock = as_clock(snapshot.elapsed_s)
    recording = f"{glyphs.on} REC  " if snapshot.recording else ""
    room = width - len(state) - len(recording) - len(clock) - 4
    model = "" if room < MIN_BOTH else clip(snapshot.model, max(8, room // 3), glyphs)
    room -= cell_len(model) + 3 if model else 0
    device = "" if room < MIN_DEVICE else end_of(snapshot.device, room, glyphs)
    dot = f" {glyphs.dot} " if device and model else ""
    left = styled(state, "  ", (device, BOLD), (dot, DIM), (model, PLAIN))
    rest = width - left.cell_len - len(recording) - len(clock) - 8
    if snapshot.csv and rest >= MIN_CSV:
        left.append(
            f"  {glyphs.dot} {glyphs.into}{tail(clip(snapshot.csv, 999, glyphs), rest)}", DIM
        )
    return spread(left, styled((recording, TOO_LOUD + BOLD), (clock, BOLD)), width)


def banner(snapshot: Snapshot, width: int, glyphs: Glyphs) -> Text:
    """The rule under the header, or a sentence in its place."""
    notice = snapshot.notice
    if snapshot.state is State.LOST:
        text = f"device lost: {snapshot.detail}" if snapshot.detail else "device lost"
        return _shout(text, "", width, glyphs)
    if snapshot.alerts:
        newest = snapshot.alerts[-1]
        at_once = [a for a in snapshot.alerts if (a.channel, a.utterance) == _where(newest)]
        text = f"  {glyphs.dot}  ".join(alert.text for alert in reversed(at_once))
        count = len(snapshot.alerts)
        more = f"{count} alerts  " if count > 1 else ""
        return _shout(f"ALERT {text}", f"{more}press a", width, glyphs)
    if notice is not None and notice.urgent:
        return styled((f" {clip(notice.text, width - 2, glyphs)} ".ljust(width), BADGE))
    if notice is not None:
        text, style = notice.text, WARN
    elif snapshot.state is State.PAUSED:
        text, style = snapshot.detail or "paused: space goes on", WARN
    else:
        text, style = snapshot.detail, PLAIN
    if not text:
        return styled((glyphs.rule * width, DIM))
    text = clip(text, width - 6, glyphs)
    rest = width - 4 - cell_len(text)
    return styled((glyphs.rule * 2 + " ", DIM), (text, style), (" " + glyphs.rule * rest, DIM))


def _where(alert: Alert) -> tuple[str, int]:
    return alert.channel, alert.utterance


def _shout(text: str, right: str, width: int, glyphs: Glyphs) -> Text:
    """A sentence in reverse video across the screen."""
    room = max(0, width - 3 - cell_len(right))
    return styled((f" {fill(clip(text, room, glyphs), room)} {right} ", ALERTED))


def status(snapshot: Snapshot, width: int, glyphs: Glyphs) -> list[Text]:
    """The speed, where there is room for it, and the losses.

    Each loss has its count, in a bright colour; where nothing was lost, a mark says so.
    """
    lost = _lost(snapshot, width)
    well = styled((f"{glyphs.well} nothing lost", DIM))
    if width < SPACIOUS:
        if queue := snapshot.counters.queue:
            lost.append(styled((f"queue {queue}", WARN)))
        return flowed(lost, "  ", width) if lost else [well]
    speed = _speed(snapshot, terse=width < WORDY)
    gap = "  " if width < WORDY else "   "
    lines = [*flowed(speed, gap, width), *flowed(lost or [well], gap, width)]
    if len(lines) > 1 and len(flowed(lines, gap, width)) == 1:
        return [spread(lines[0], lines[-1], width)]
    return lines


def _speed(snapshot: Snapshot, *, terse: bool) -> list[Text]:
    """Latency, real-time factor, partial results, queue."""

    def latency(quantile: float) -> str:
        value = snapshot.latency_ms(quantile)
        return "-" if value is None else f"{value:.0f}"

    factor, queue = snapshot.real_time_factor, snapshot.counters.queue
    return [
        styled(
            ("latency ", DIM),
            f"{latency(0.5)} / {latency(0.95)} ms",
            ("" if terse else " p50/p95", DIM),
        ),
        styled(
            ("rtf " if terse else "real-time factor ", DIM),
            ("-" if factor is None else f"{factor:.2f}", WARN if (factor or 0) >= 1 else PLAIN),
        ),
        styled(f"{snapshot.partials_per_s:.1f}", ("/s" if terse else " partial results/s", DIM)),
        styled(("queue ", DIM), (f"{queue}", WARN if queue else PLAIN)),
    ]


def _lost(snapshot: Snapshot, width: int) -> list[Text]:
    """What was lost or late, if anything."""
    counters = snapshot.counters
    gaps = f"gaps {counters.gaps} ({counters.lost_samples / SAMPLE_RATE:.1f} s lost)"
    late = "late" if width < WORDY else "late partial results"
    stuck = f"{quantity(snapshot.rows_stuck, 'row')} not on disk"
    found = (
        (snapshot.rows_stuck, stuck),
        (counters.behind_s, f"{counters.behind_s} s behind"),
        (counters.overruns, f"overruns {counters.overruns}"),
        (counters.gaps or counters.lost_samples, gaps),
        (counters.dropped_partials, f"{late} {counters.dropped_partials}"),
        (counters.unclassified, f"unclassified {counters.unclassified}"),
    )
    return [styled((text, WARN)) for count, text in found if count]


def keys(snapshot: Snapshot, width: int, glyphs: Glyphs) -> Text:
    """What each key does; how to leave and where the help is, if there is no room for more."""
    gap = f" {glyphs.dot} " if width >= WORDY else "  "
    shown = {key: does for key, does in KEYS.items() if key != "a" or snapshot.alerts}
    for key in ("", *FIRST_TO_GO):
        shown.pop(key, None)
        names = {glyphs.arrows if key == "rows" else key: does for key, does in shown.items()}
        if len(gap.join(f"{name} {does}" for name, does in names.items())) <= width:
            break
    parts: list[Cell | str] = []
    for name, does in names.items():
        loud = name == "a"
        parts += [(name, BADGE if loud else BOLD), (f" {does}", BOLD if loud else DIM), (gap, DIM)]
    return styled(*parts[:-1])


def note(snapshot: Snapshot, width: int, glyphs: Glyphs) -> Text:
    """The note that is being typed, in place of the keys: they are letters now."""
    draft = snapshot.draft
    if draft is None:
        return Text()
    clock = as_clock(draft.position / SAMPLE_RATE)
    before = f"note for {glyphs.mark}{snapshot.marks + 1} at {clock}: "
    after = "  enter keeps it, esc does not"
    if width < len(before) + len(after) + MIN_NOTE:
        before, after = f"{glyphs.mark}{snapshot.marks + 1}: ", "  enter/esc"
    room = max(0, width - cell_len(before) - cell_len(glyphs.cursor) - 1 - len(after))
    text = tail(clip(draft.text, 2 * NOTE_LETTERS, glyphs), room)
    typed = styled((before, BOLD), text, (glyphs.cursor, BOLD))
    return spread(typed, styled((after, DIM)), width)
