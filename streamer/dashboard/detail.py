"""Draws everything known about one row of the table."""

from rich.text import Text

from streamer.dashboard.channel_panel import bars_of
from streamer.dashboard.glyphs import ALERTED, BOLD, DIM, PLAIN, UNCLASSIFIED, Cell, Glyphs
from streamer.dashboard.layout import (
    as_clock,
    as_dbfs,
    as_percent,
    clip,
    flowed,
    side_by_side,
    styled,
)
from streamer.dashboard.state import Snapshot
from streamer.types import EMOTIONS, NO_SPEECH, UNCERTAIN, Mark, Utterance

DETAIL_LINES = 10
"""Lines of `detail`: a title, then the bars beside the facts."""

FACTS = 29
"""Width of the facts, in cells."""


def detail(snapshot: Snapshot, width: int, glyphs: Glyphs) -> list[Text]:
    """The chosen row: an utterance with its bars and facts, or a mark with its whole note."""
    row = snapshot.chosen_row
    if row is None:
        return []
    if isinstance(row, Mark):
        lines = [_title(f"{glyphs.mark}{row.number}  {_at(row.at_s)}", width, glyphs)]
        words = clip(row.note or "a mark without a note", len(row.note) * 2 + 32, glyphs).split()
        lines += flowed([styled(word) for word in words], " ", width)
        return lines + [Text()] * (DETAIL_LINES - len(lines))
    name = f"{row.channel}  " if len(snapshot.channels) > 1 else ""
    title = f"{name}#{row.number}  {_at(row.start_s)} to {_at(row.end_s)}"
    left = width - FACTS - 2
    bars = _bars(row, left, glyphs)
    return [_title(title, width, glyphs), *side_by_side(bars, _facts(row, glyphs), left + 2)]


def _at(seconds: float) -> str:
    return as_clock(seconds, tenths=True)


def _title(text: str, width: int, glyphs: Glyphs) -> Text:
    """A rule with what this is in it, and how to leave."""
    leave = "esc closes"
    text = clip(text, width - len(leave) - 8, glyphs)
    rule = glyphs.rule * max(0, width - Text(text).cell_len - len(leave) - 7)
    parts = (f"{glyphs.rule * 2} ", DIM), (text, BOLD), (f" {rule} {leave} {glyphs.rule}", DIM)
    return styled(*parts)


def _bars(utterance: Utterance, width: int, glyphs: Glyphs) -> list[Text]:
    heard = utterance.prediction
    if heard is None or not heard.is_speech:
        why = "not classified: the model fell behind" if heard is None else "not taken for speech"
        return [styled((f"{UNCLASSIFIED} {clip(why, max(0, width - 2), glyphs)}", DIM))]
    known = dict(zip(heard.labels, heard.probabilities, strict=True))
    shown = [known.get(emotion, 0.0) for emotion in EMOTIONS]
    return bars_of(shown, heard, known, width, glyphs)


def _facts(utterance: Utterance, glyphs: Glyphs) -> list[Text]:
    """What else is known, a line each, always the same ones."""
    heard = utterance.prediction
    spoken = heard if heard is not None and heard.is_speech else None
    if heard is None:
        verdict = "not classified"
    elif not heard.is_speech:
        verdict = glyphs.words[NO_SPEECH]
    else:
        verdict = glyphs.words[UNCERTAIN] if heard.uncertain else "certain"
        verdict = f"{verdict}, {as_percent(heard.confidence).strip()}"
    latency = utterance.latency_ms
    facts: list[tuple[str, str]] = [
        ("verdict", verdict),
        ("mood", "" if spoken is None else f"{spoken.mood:+.2f}"),
        ("speech", "" if heard is None else f"{as_percent(heard.speech).strip()} likely"),
        ("length", f"{utterance.duration_s:.2f} s"),
        ("level", f"{as_dbfs(utterance.level_dbfs)} dBFS"),
        ("latency", "" if latency is None else f"{latency:.0f} ms"),
        ("computed", f"{utterance.compute_ms:.0f} ms"),
        ("ended by", utterance.end_reason.replace("_", " ")),
    ]
    lines = [styled((f"{name:<9}", DIM), text or "-") for name, text in facts]
    alerts: Cell = ("none", PLAIN)
    if utterance.alerts:
        alerts = (f" {clip('; '.join(utterance.alerts), FACTS - 11, glyphs)} ", ALERTED)
    return [*lines, styled((f"{'alerts':<9}", DIM), alerts)]
