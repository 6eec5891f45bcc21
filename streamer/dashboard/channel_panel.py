"""Draws one channel: its level, whether somebody speaks, the emotion."""

import math
from collections.abc import Collection, Sequence

from rich.cells import cell_len
from rich.text import Text

from streamer.dashboard.glyphs import (
    ALERTED,
    BADGE,
    BOLD,
    COLOURS,
    DIM,
    GOOD,
    LETTERS,
    LOUD,
    PLAIN,
    TOO_LOUD,
    Cell,
    Glyphs,
)
from streamer.dashboard.layout import (
    FLOOR_DBFS,
    as_dbfs,
    as_percent,
    bar,
    clip,
    fill,
    loudness,
    painted,
    spread,
    step,
    styled,
)
from streamer.dashboard.reducer import targets
from streamer.dashboard.sizes import CRAMPED, MOODY, NARROW, ROOMY
from streamer.dashboard.state import ChannelState, Snapshot
from streamer.text import quantity
from streamer.types import EMOTIONS, UNCERTAIN, Prediction, State

PANEL_LINES = 3 + len(EMOTIONS)
"""Lines of `panel` without empty ones."""

LOUD_DBFS = -18.0
TOO_LOUD_DBFS = -6.0
STEADY = 0.05
"""A smaller trend counts as steady."""

CLIP_S = 3.0
"""Seconds for which the clip flag stays."""


def panel(
    snapshot: Snapshot, channel: ChannelState, width: int, glyphs: Glyphs, *, airy: bool
) -> list[Text]:
    """The only channel, in full: level, voice, verdict and a bar for each emotion."""
    gap = [Text()] * airy
    level = styled(("level  ", DIM))
    level.append_text(_meter(snapshot, channel, width - len(level), glyphs))
    voice = styled(("voice  ", DIM), _voice(snapshot, channel, glyphs), "   ", _known(channel))
    mood = _mood(channel)
    mood.append_text(_running(channel, glyphs))
    said = _verdict(snapshot, channel, width - mood.cell_len - 1, glyphs)
    verdict = spread(said, mood, width)
    faded = channel.final and not channel.speech  # what is no longer said
    bars = bars_of(channel.shown, channel.prediction, snapshot.labels, width, glyphs, faded=faded)
    return [*gap, level, voice, *gap, verdict, *gap, *bars]


def strip(
    snapshot: Snapshot, channel: ChannelState, width: int, glyphs: Glyphs, *, airy: bool
) -> list[Text]:
    """One channel of several, or the only one of a low terminal, in two lines."""
    gap = [Text()] * airy
    line = Text()
    if len(snapshot.channels) > 1:
        line.append(fill(clip(channel.name, 10, glyphs), 11), BOLD)
    line.append_text(_voice(snapshot, channel, glyphs))
    line.append("  ")
    if width >= NARROW and channel.known is not None:
        line.append(f"learned {channel.known:2}  ", DIM)
    mood = _running(channel, glyphs)
    if width >= MOODY or width < ROOMY:
        line.append_text(_meter(snapshot, channel, width - line.cell_len, glyphs))
    else:  # the mood finds no room below
        room = width - line.cell_len - mood.cell_len - 1
        line.append_text(styled(_meter(snapshot, channel, room, glyphs), " ", mood))
    if width < NARROW - len(EMOTIONS) * 3:
        return [*gap, line, _verdict(snapshot, channel, width, glyphs)]
    columns: list[Cell | str | Text] = []
    for emotion, shown in zip(EMOTIONS, channel.shown, strict=True):
        columns += [(LETTERS[emotion], DIM), (step(shown, glyphs), COLOURS[emotion]), " "]
    if width >= MOODY:
        columns = [mood, "  ", *columns]
    right = styled(*columns[:-1])
    verdict = _verdict(snapshot, channel, width - right.cell_len - 1, glyphs)
    return [*gap, line, spread(verdict, right, width)]


def _meter(snapshot: Snapshot, channel: ChannelState, width: int, glyphs: Glyphs) -> Text:
    """The level as a bar and a number, the held peak as a tick, the clip flag."""
    reading = as_dbfs(channel.rms_dbfs).rjust(5)
    clipped = snapshot.now - channel.clipped_at < CLIP_S
    if width < CRAMPED:
        tail = styled((" CLIP", ALERTED) if clipped else (reading, PLAIN))
    else:
        tail = styled((reading, PLAIN), (" dBFS", DIM))
        if width >= ROOMY:
            held = as_dbfs(channel.held_dbfs).rjust(5)
            tail.append_text(styled(("  peak ", DIM), (held, PLAIN)))
        tail.append_text(styled("  ", (" CLIP ", ALERTED) if clipped else "      "))
    cells = max(1, width - len(tail) - 2)
    full = len(glyphs.across) - 1
    filled = loudness(channel.rms_dbfs) * cells
    peak = math.ceil(loudness(channel.held_dbfs) * cells) - 1
    meter: list[Cell] = []
    for index in range(cells):
        dbfs = FLOOR_DBFS * (1 - (index + 0.5) / cells)
        style = TOO_LOUD if dbfs > TOO_LOUD_DBFS else LOUD if dbfs > LOUD_DBFS else GOOD
        part = round(min(1.0, max(0.0, filled - index)) * full)
        if index == peak and part < full:
            meter.append((glyphs.peak, style))
        else:
            meter.append((glyphs.across[part], style))
    return styled(painted(meter), "  ", tail)


def _voice(snapshot: Snapshot, channel: ChannelState, glyphs: Glyphs) -> Text:
    """Whether somebody speaks, and for how long; always 18 cells."""
    if snapshot.state is not State.LISTENING:
        return styled((f"{glyphs.off} {snapshot.state}".ljust(18), DIM))
    since = f"{min(channel.since_s, 9999):6.1f} s"
    if channel.speech:
        return styled((f"{glyphs.on} speech ", GOOD + BOLD), since)
    return styled((f"{glyphs.off} silence{since}", DIM))


def _known(channel: ChannelState) -> Cell | str:
    """How well the voice is known, where voices are learned; nothing else is in its way."""
    match channel.known:
        case None:
            return ""
        case 0:
            return ("not learned yet", DIM)
        case known:
            return (f"learned from {quantity(known, 'utterance')}", DIM)


def _verdict(snapshot: Snapshot, channel: ChannelState, room: int, glyphs: Glyphs) -> Text:
    """The emotion and its confidence; its time, if there is room for that."""
    prediction = channel.prediction
    if prediction is None:
        waiting = snapshot.state is State.LISTENING and not channel.speech
        return styled((f"listening{glyphs.ellipsis} speak" if waiting else glyphs.ellipsis, DIM))
    percent = as_percent(prediction.confidence)
    emotion = glyphs.words[prediction.emotion]
    if not prediction.is_speech:
        verdict = styled((f" {emotion.upper()} ", BADGE))
    elif prediction.uncertain:
        badge = (f" {glyphs.words[UNCERTAIN].upper()} ", BADGE)
        verdict = styled(badge, (f"  {emotion} {percent.strip()}", DIM))
    else:
        badge = (f" {emotion.upper()} ", COLOURS[prediction.emotion] + BADGE)
        verdict = styled(badge, (f" {percent}", BOLD))
    when = f"  #{channel.number}" if channel.final else "  so far"
    return verdict if verdict.cell_len + len(when) > room else styled(verdict, (when, DIM))


def _mood(channel: ChannelState) -> Text:
    if channel.prediction is None or not channel.prediction.is_speech:
        return Text()
    return styled(("mood ", DIM), f"{channel.prediction.mood:+.2f}  ")


def _running(channel: ChannelState, glyphs: Glyphs) -> Text:
    """The running mood and where it goes; always as wide."""
    mood = channel.mood
    if mood is None:
        return styled(" " * (len(glyphs.over) + 8))
    trend = glyphs.trends[1 + (mood.trend > STEADY) - (mood.trend < -STEADY)]
    return styled((f"{glyphs.over} ", DIM), f"{mood.mood:+.2f} ", (trend, BOLD))


def bars_of(  # noqa: PLR0913 - what is shown, and how
    shown: Sequence[float],
    prediction: Prediction | None,
    known: Collection[str],
    width: int,
    glyphs: Glyphs,
    *,
    faded: bool = False,
) -> list[Text]:
    """One bar per emotion, always in the same order; those of an old result are dimmed.

    The numbers are the prediction's own, as in the headline; only the bars' lengths are smoothed.

    Args:
        shown: Lengths of the bars, from 0 to 1, one per entry of `EMOTIONS`.
        prediction: Its emotion stands out.
        known: The emotions that the model knows.
        width: In cells.
        glyphs: The characters to draw with.
        faded: True for an old prediction.
    """
    longest = max(cell_len(glyphs.words[emotion]) for emotion in EMOTIONS)
    cells = max(1, width - (2 + longest + 2 + 5 + 2))
    top = prediction.emotion if prediction is not None else None
    numbers = targets(prediction)
    lines = []
    for emotion, share, number in zip(EMOTIONS, shown, numbers, strict=True):
        colour = COLOURS[emotion]
        name = fill(glyphs.words[emotion], longest)
        if emotion not in known:
            lines.append(styled((f"  {name}  not known to this model", DIM)))
            continue
        lines.append(
            styled(
                (LETTERS[emotion], colour + BOLD),
                (f" {name}  ", BOLD if emotion == top else PLAIN),
                (as_percent(number), BOLD if emotion == top else DIM),
                (f"  {bar(share, cells, glyphs)}", colour + (DIM if faded else PLAIN)),
            )
        )
    return lines
