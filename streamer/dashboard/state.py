"""What the screen knows: one immutable Snapshot, and how each event makes the next one.

Everything here is pure. Time comes in as an argument (`time.monotonic()`, in seconds), positions
are sample counts as everywhere; so a screen can be replayed, tested and drawn without a clock, a
microphone or a model. Only the main thread folds.
"""

import math
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TypeAlias

from streamer.events import (
    Alert,
    CallStarted,
    Counters,
    Event,
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
from streamer.types import EMOTIONS, SAMPLE_RATE, Mark, Prediction, State, Utterance

TIMELINE_S = 60
"""How far back the timeline looks, in seconds."""

TABLE_ROWS = 2000
"""Utterances and marks that can be scrolled back to: some hours of a busy desk, in about 2 MB.

What is older is in the CSV, and `streamer report` is made for a whole day."""

ALERTS = 100
"""Alerts that wait to be acknowledged; an older one has been overlooked for long enough."""

COSTS = 100
"""Utterances over which latency and real-time factor are measured."""

RATE_S = 10.0
"""Seconds over which partial results are counted."""

PEAK_HOLD_S = 1.5
PEAK_FALL_DB_S = 24.0
"""A peak stands still for so long and then falls so fast."""

STALE_S = 0.5
"""A level older than this says nothing about now: the meter is empty."""

NOTICE_S = 8.0
"""How long a notice stays that nobody has to act on."""

NOTHING_LOST = Counters()
LEVELS_PER_S = 10
"""How often `LevelMeasured` comes, per channel."""

OPEN_UTTERANCES = 8
"""More without a row than these would be a pipeline that forgets utterances."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence for the user: a CSV that cannot be written, an alert that cannot be delivered.

    Attributes:
        text: One line.
        urgent: Stays until it is cleared, instead of for `NOTICE_S`.
    """

    text: str
    urgent: bool = False


Input: TypeAlias = Event | Notice
"""Everything that happens; what the user does to the screen is the business of `controls`."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A mark whose note is still being typed.

    Attributes:
        position: Of the stream when it was begun, in samples.
        text: The note so far.
    """

    position: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class Level:
    """One point of a channel's level curve.

    Attributes:
        position: Where the measured piece ends, in samples.
        rms_dbfs: -inf for digital silence.
    """

    position: int
    rms_dbfs: float


@dataclass(frozen=True, slots=True)
class OpenUtterance:
    """An utterance without a row yet: it is going on, or it waits for its verdict.

    Attributes:
        number: Running number in its channel.
        start: Where its speech begins, in samples.
        prediction: The newest partial result, if any.
        compute_ms: What its partial results cost so far.
    """

    number: int
    start: int
    prediction: Prediction | None = None
    compute_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class PartialArrival:
    """When a partial result came, and about which utterance of which channel."""

    channel: str
    number: int
    at: float


@dataclass(frozen=True, slots=True)
class Cost:
    """What one utterance cost, its partial results included."""

    latency_ms: float | None
    compute_ms: float
    duration_s: float


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel, as it looks now.

    Attributes:
        name: As the pipeline calls it.
        position: How far it has been heard, in samples.
        rms_dbfs: -inf for silence, and where no level arrived for `STALE_S`.
        held_dbfs: The peak that the meter still shows.
        speech: True while somebody speaks.
        since: Where this speech, or this silence, began, in samples.
        shown: The bars: one smoothed probability per entry of `EMOTIONS`.
        prediction: What the bars move towards: the newest verdict, partial or final.
        final: True where ``prediction`` is about an utterance that is over.
        number: The utterance that ``prediction`` is about; 0 before the first.
        open: Utterances without a row, oldest first; seldom more than one.
        levels: The last `TIMELINE_S`, oldest first.
        known: Utterances from which the voice is known; None where voices are not learned.
        mood: The running mood; None before the first utterance that counts.
    """

    name: str
    position: int = 0
    rms_dbfs: float = -math.inf
    held_dbfs: float = -math.inf
    held_at: float = -math.inf
    level_at: float = -math.inf
    clipped_at: float = -math.inf
    speech: bool = False
    since: int = 0
    shown: tuple[float, ...] = (0.0,) * len(EMOTIONS)
    prediction: Prediction | None = None
    final: bool = False
    number: int = 0
    open: tuple[OpenUtterance, ...] = ()
    levels: tuple[Level, ...] = ()
    known: int | None = None
    mood: MoodChanged | None = None

    @property
    def since_s(self) -> float:
        """For how long it has been speaking or silent."""
        return max(0, self.position - self.since) / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that the view needs for one frame.

    Attributes:
        device: What is being listened to, as a person would call it; "" before it is known.
        model: The model's name; "" before it is known.
        labels: The emotions that the model knows.
        smoothing_s: Time constant of the bars; 0 lets them jump.
        channels: In a fixed order; a channel that was not announced joins at the end.
        now: When this is, in monotonic seconds.
        state: What the program is doing.
        detail: More about the state, for people.
        listening_since: When it first listened.
        ended_at: When it ended.
        rows: Utterances and marks in the order in which they came, the newest last; of those
            before, the last `TABLE_ROWS`.
        seen: How many rows have ever come; the newest is row ``seen - 1``, whatever is forgotten.
        chosen: The row that is looked at, counted like that; None where the newest are followed.
        top: The row in the table's first line while one is chosen.
        opened: True while all about the chosen row is shown.
        marks: How many marks were set.
        draft: The mark whose note is being typed, if any.
        recording: True where utterances are kept as sound.
        counters: What was lost or late.
        costs: Of the last `COSTS` utterances.
        partials: The partial results of the last `RATE_S`.
        alerts: Alerts that nobody has acknowledged, the newest last.
        notice: The sentence to be read now.
        notice_at: When it came.
        help: True while the help is open.
        csv: Where rows go; "" for nowhere.
        not_analysed: Names of channels that come in and are not analysed.
        call: Running number of the call, from 1.
    """

    device: str = ""
    model: str = ""
    labels: tuple[str, ...] = EMOTIONS
    smoothing_s: float = 0.4
    channels: tuple[Channel, ...] = ()
    now: float = 0.0
    state: State = State.WARMING_UP
    detail: str = ""
    listening_since: float | None = None
    ended_at: float | None = None
    rows: tuple[Utterance | Mark, ...] = ()
    seen: int = 0
    chosen: int | None = None
    top: int = 0
    opened: bool = False
    marks: int = 0
    draft: Draft | None = None
    recording: bool = False
    counters: Counters = NOTHING_LOST
    costs: tuple[Cost, ...] = ()
    partials: tuple[PartialArrival, ...] = ()
    alerts: tuple[Alert, ...] = ()
    notice: Notice | None = None
    notice_at: float = -math.inf
    help: bool = False
    call: int = 1
    csv: str = ""
    not_analysed: tuple[str, ...] = ()

    @property
    def elapsed_s(self) -> float:
        """Since it first listened; stands still when it has ended."""
        if self.listening_since is None:
            return 0.0
        return (self.now if self.ended_at is None else self.ended_at) - self.listening_since

    @property
    def position(self) -> int:
        """How far the stream has been heard, in samples: "now" on the timeline."""
        return max((channel.position for channel in self.channels), default=0)

    @property
    def oldest(self) -> int:
        """The oldest row that is remembered, counted as `chosen` is."""
        return self.seen - len(self.rows)

    @property
    def chosen_row(self) -> Utterance | Mark | None:
        """The row that is looked at."""
        return None if self.chosen is None else self.rows[self.chosen - self.oldest]

    @property
    def partials_per_s(self) -> float:
        """Partial results per second of speech, lately; 0 where none followed another."""
        steps, seconds = 0, 0.0
        for _, group in groupby(sorted(self.partials, key=_utterance), key=_utterance):
            times = [arrived.at for arrived in group]
            steps += len(times) - 1
            seconds += max(times) - min(times)
        return steps / seconds if seconds else 0.0

    @property
    def real_time_factor(self) -> float | None:
        """Compute time over speech classified, lately: below 1 keeps up. None before the first."""
        speech_s = sum(cost.duration_s for cost in self.costs)
        if speech_s <= 0:
            return None
        return sum(cost.compute_ms for cost in self.costs) / 1000 / speech_s

    def latency_ms(self, quantile: float) -> float | None:
        """A quantile (from 0 to 1, nearest rank) of the latency of the last utterances."""
        known = sorted(cost.latency_ms for cost in self.costs if cost.latency_ms is not None)
        if not known:
            return None
        return known[max(0, math.ceil(quantile * len(known)) - 1)]


def _utterance(arrived: PartialArrival) -> tuple[str, int]:
    return arrived.channel, arrived.number


def advance(snapshot: Snapshot, now: float) -> Snapshot:
    """Let time pass: bars move, held peaks fall, old notices go.

    Two short steps end where one long step does, so frames may come as they like.

    Args:
        snapshot: How things were.
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
    """What the screen knows after an event.

    Args:
        snapshot: What it knew before.
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
            if urgent and not event.urgent:  # what somebody has to act on is not talked over
                return snapshot
            return replace(snapshot, notice=event, notice_at=now)
        case Warned():
            return replace(snapshot, notice=Notice(event.text, urgent=True), notice_at=now)
        case Mark():
            return replace(_with_row(snapshot, event), marks=event.number)


def _age(channel: Channel, before: float, now: float, share: float) -> Channel:
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


def _channel(snapshot: Snapshot, name: str) -> Channel:
    return next((c for c in snapshot.channels if c.name == name), Channel(name))


def _with_channel(snapshot: Snapshot, channel: Channel) -> Snapshot:
    """Put a channel in its place, or at the end where it is new."""
    channels = snapshot.channels
    if all(c.name != channel.name for c in channels):
        return replace(snapshot, channels=(*channels, channel))
    return replace(
        snapshot, channels=tuple(channel if c.name == channel.name else c for c in channels)
    )


def _with_row(snapshot: Snapshot, row: Utterance | Mark) -> Snapshot:
    """Add a row; what is looked at stays where it is, unless it is forgotten."""
    added = replace(snapshot, rows=(*snapshot.rows[1 - TABLE_ROWS :], row), seen=snapshot.seen + 1)
    if added.chosen is None or added.chosen >= added.oldest:
        return added
    return replace(added, chosen=added.oldest)


def _call_begun(snapshot: Snapshot, event: CallStarted) -> Snapshot:
    """Nothing that was heard in the call before is shown as now; its rows can be scrolled to."""
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


def _heard(channel: Channel, event: LevelMeasured, now: float) -> Channel:
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
            Level(event.position, event.rms_dbfs),
        ),
    )


def _opened(channel: Channel, event: UtteranceStarted) -> Channel:
    # The start lies before this event by the time that it took to be sure of speech.
    opened = OpenUtterance(event.number, event.start)
    waiting = channel.open[1 - OPEN_UTTERANCES :]
    return replace(channel, speech=True, since=event.start, open=(*waiting, opened))


def _with_partial(channel: Channel, event: PartialResult) -> Channel:
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
    cost = Cost(event.latency_ms, event.compute_ms + partials_ms, event.duration_s)
    channel = replace(channel, open=tuple(u for u in channel.open if u.number != event.number))
    # A late verdict does not replace what is heard in a newer utterance.
    if event.prediction is not None and event.number >= channel.number:
        channel = replace(channel, prediction=event.prediction, final=True, number=event.number)
    classified = replace(snapshot, costs=(*snapshot.costs[1 - COSTS :], cost))
    return _with_row(_with_channel(classified, channel), event)
