"""The reducer changes the Snapshot by time and by each event. Main thread only."""

import math
from dataclasses import replace

from streamer.dashboard.state import (
    RATE_S,
    TABLE_ROWS,
    TIMELINE_S,
    ChannelState,
    Input,
    LevelPoint,
    Notice,
    OpenUtterance,
    PartialArrival,
    RowsStuck,
    Snapshot,
    UtteranceCost,
)
from streamer.events import (
    Alert,
    CallStarted,
    Counters,
    LevelMeasured,
    ModelLoaded,
    MoodChanged,
    PartialResult,
    SourceOpened,
    StateChanged,
    ThreadFailed,
    UtteranceStarted,
    VoiceLearned,
    Warned,
)
from streamer.types import EMOTIONS, Mark, Prediction, State, Utterance

ALERTS = 100
"""Maximum number of alerts that wait to be acknowledged; beyond that, the oldest are dropped."""

COSTS = 100
"""Utterances over which latency and real-time factor are measured."""

PEAK_HOLD_S = 1.5

PEAK_FALL_DB_S = 24.0
"""A held peak stays for `PEAK_HOLD_S`, then falls by this many dB a second."""

STALE_S = 0.5
"""Age in seconds from which a level is no longer shown."""

NOTICE_S = 8.0
"""Seconds for which a notice stays that needs no action."""

LEVELS_PER_S = 10
"""How often `LevelMeasured` comes, per channel."""

OPEN_UTTERANCES = 8
"""Maximum number of utterances of a channel that wait for their rows."""


def advance(snapshot: Snapshot, now: float) -> Snapshot:
    """Advance the time: bars move, held peaks fall, old notices go.

    Two short steps have the same result as a long one, so frames need no fixed rate.

    Args:
        snapshot: The Snapshot before.
        now: In monotonic seconds; a time before ``snapshot.now`` changes nothing.
    """
    passed = now - snapshot.now
    if passed <= 0:
        return snapshot
    smoothing_s = snapshot.smoothing_s
    share = -math.expm1(-passed / smoothing_s) if smoothing_s > 0 else 1.0
    notice = snapshot.notice
    if notice is not None and not notice.urgent and now - snapshot.notice_at > NOTICE_S:
        notice = None
    return replace(
        snapshot,
        now=now,
        channels=tuple(_age(c, snapshot.now, now, share) for c in snapshot.channels),
        partials=tuple(arrived for arrived in snapshot.partials if now - arrived.at <= RATE_S),
        notice=notice,
    )


def reduce(snapshot: Snapshot, event: Input, now: float) -> Snapshot:  # noqa: C901, PLR0911, PLR0912 - a case per event
    """Return the Snapshot after an event.

    Args:
        snapshot: The Snapshot before it.
        event: From the pipeline, or from the user.
        now: In monotonic seconds.
    """
    snapshot = advance(snapshot, now)
    match event:
        case StateChanged():
            return _changed(snapshot, event)
        case LevelMeasured():
            return _with_channel(snapshot, _heard(_channel(snapshot, event.channel), event, now))
        case UtteranceStarted():
            return _with_channel(snapshot, _opened(_channel(snapshot, event.channel), event))
        case PartialResult():
            newest = PartialArrival(event.channel, event.number, now)
            arrived = replace(snapshot, partials=(*snapshot.partials, newest))
            return _with_channel(arrived, _with_partial(_channel(arrived, event.channel), event))
        case Utterance():
            return _classified(snapshot, event)
        case CallStarted():
            return _call_begun(snapshot, event)
        case VoiceLearned():
            channel = replace(_channel(snapshot, event.channel), known=event.utterances)
            return _with_channel(snapshot, channel)
        case MoodChanged():
            channel = replace(_channel(snapshot, event.channel), mood=event)
            return _with_channel(snapshot, channel)
        case Alert():
            return replace(snapshot, alerts=(*snapshot.alerts[1 - ALERTS :], event))
        case Counters():
            return replace(snapshot, counters=event)
        case ModelLoaded():
            return replace(snapshot, model=event.name, labels=event.labels)
        case SourceOpened():
            return replace(snapshot, device=event.info.name)
        case ThreadFailed():
            text = f"the {event.thread} thread failed: {event.error!r}"
            return replace(snapshot, notice=Notice(text, urgent=True), notice_at=now)
        case Notice():
            urgent = snapshot.notice is not None and snapshot.notice.urgent
            if urgent and not event.urgent:  # a notice that needs an action stays
                return snapshot
            return replace(snapshot, notice=event, notice_at=now)
        case RowsStuck():
            return replace(snapshot, rows_stuck=event.count)
        case Warned():
            return replace(snapshot, notice=Notice(event.text, urgent=True), notice_at=now)
        case Mark():
            marks = max(snapshot.marks, event.number)
            return replace(_with_row(snapshot, event), marks=marks)


def _age(channel: ChannelState, before: float, now: float, share: float) -> ChannelState:
    """A channel after ``now - before`` seconds; the bars move by ``share`` of their way."""
    falling_s = now - max(before, channel.held_at + PEAK_HOLD_S)
    stale = now - channel.level_at > STALE_S
    return replace(
        channel,
        rms_dbfs=-math.inf if stale else channel.rms_dbfs,
        held_dbfs=channel.held_dbfs - PEAK_FALL_DB_S * max(0.0, falling_s),
        shown=tuple(
            shown + (target - shown) * share
            for shown, target in zip(channel.shown, targets(channel.prediction), strict=True)
        ),
    )


def targets(prediction: Prediction | None) -> tuple[float, ...]:
    """One probability per entry of `EMOTIONS`: 0 for those that the model does not know.

    All are 0 where nobody speaks.
    """
    if prediction is None or not prediction.is_speech:
        return (0.0,) * len(EMOTIONS)
    known = dict(zip(prediction.labels, prediction.probabilities, strict=True))
    return tuple(known.get(emotion, 0.0) for emotion in EMOTIONS)


def _channel(snapshot: Snapshot, name: str) -> ChannelState:
    return next((c for c in snapshot.channels if c.name == name), ChannelState(name))


def _with_channel(snapshot: Snapshot, channel: ChannelState) -> Snapshot:
    """Put a channel in its place, or at the end where it is new."""
    channels = snapshot.channels
    if all(c.name != channel.name for c in channels):
        return replace(snapshot, channels=(*channels, channel))
    return replace(
        snapshot, channels=tuple(channel if c.name == channel.name else c for c in channels)
    )


def _with_row(snapshot: Snapshot, row: Utterance | Mark) -> Snapshot:
    """Add a row; the chosen row stays on screen, unless it is dropped."""
    added = replace(snapshot, rows=(*snapshot.rows[1 - TABLE_ROWS :], row), seen=snapshot.seen + 1)
    if added.chosen is None or added.chosen >= added.oldest:
        return added
    return replace(added, chosen=added.oldest)


def _call_begun(snapshot: Snapshot, event: CallStarted) -> Snapshot:
    """Begin a call: predictions of the one before are removed; its rows stay in the table."""
    return replace(
        snapshot,
        call=event.number,
        channels=tuple(
            replace(
                channel,
                shown=(0.0,) * len(EMOTIONS),
                prediction=None,
                final=False,
                mood=None,
                open=tuple(one for one in channel.open if one.start >= event.position),
            )
            for channel in snapshot.channels
        ),
        alerts=(),
        listening_since=None if snapshot.listening_since is None else snapshot.now,
    )


def _changed(snapshot: Snapshot, event: StateChanged) -> Snapshot:
    listening_since, ended_at = snapshot.listening_since, snapshot.ended_at
    if event.state is State.LISTENING and listening_since is None:
        listening_since = snapshot.now
    if event.state is State.ENDED and ended_at is None:
        ended_at = snapshot.now
    return replace(
        snapshot,
        state=event.state,
        detail=event.detail,
        listening_since=listening_since,
        ended_at=ended_at,
    )


def _heard(channel: ChannelState, event: LevelMeasured, now: float) -> ChannelState:
    louder = event.peak_dbfs >= channel.held_dbfs
    return replace(
        channel,
        position=event.position,
        rms_dbfs=event.rms_dbfs,
        held_dbfs=event.peak_dbfs if louder else channel.held_dbfs,
        held_at=now if louder else channel.held_at,
        level_at=now,
        clipped_at=now if event.clipped else channel.clipped_at,
        speech=event.speech,
        since=channel.since if event.speech is channel.speech else event.position,
        levels=(
            *channel.levels[1 - TIMELINE_S * LEVELS_PER_S :],
            LevelPoint(event.position, event.rms_dbfs),
        ),
    )


def _opened(channel: ChannelState, event: UtteranceStarted) -> ChannelState:
    # The start lies before this event by the time that it took to be sure of speech.
    opened = OpenUtterance(event.number, event.start)
    waiting = channel.open[1 - OPEN_UTTERANCES :]
    return replace(channel, speech=True, since=event.start, open=(*waiting, opened))


def _with_partial(channel: ChannelState, event: PartialResult) -> ChannelState:
    return replace(
        channel,
        prediction=event.prediction,
        final=False,
        number=event.number,
        open=tuple(
            replace(
                utterance,
                prediction=event.prediction,
                compute_ms=utterance.compute_ms + event.compute_ms,
            )
            if utterance.number == event.number
            else utterance
            for utterance in channel.open
        ),
    )


def _classified(snapshot: Snapshot, event: Utterance) -> Snapshot:
    channel = _channel(snapshot, event.channel)
    partials_ms = sum(u.compute_ms for u in channel.open if u.number == event.number)
    cost = UtteranceCost(event.latency_ms, event.compute_ms + partials_ms, event.duration_s)
    channel = replace(channel, open=tuple(u for u in channel.open if u.number != event.number))
    # A late verdict does not replace what is heard in a newer utterance.
    if event.prediction is not None and event.number >= channel.number:
        channel = replace(channel, prediction=event.prediction, final=True, number=event.number)
    classified = replace(snapshot, costs=(*snapshot.costs[1 - COSTS :], cost))
    return _with_row(_with_channel(classified, channel), event)
