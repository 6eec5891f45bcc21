"""The state of the dashboard is an immutable Snapshot of everything that a frame shows.

Times are arguments (`time.monotonic()`, in seconds), positions are sample counts as everywhere, so
a screen can be replayed, tested and drawn without a clock, a microphone or a model.
"""

import math
from dataclasses import dataclass
from itertools import groupby
from typing import TypeAlias

from streamer.events import (
    Alert,
    Counters,
    Event,
    MoodChanged,
)
from streamer.types import EMOTIONS, SAMPLE_RATE, Mark, Prediction, State, Utterance

TIMELINE_S = 60
"""How far back the timeline looks, in seconds."""

TABLE_ROWS = 2000
"""Utterances and marks that can be scrolled back to: some hours of a busy desk, in about 2 MB.

What is older is in the CSV, and `streamer report` is made for a whole day."""


RATE_S = 10.0
"""Seconds over which partial results are counted."""


NOTHING_LOST = Counters()


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence for the user: a CSV that cannot be written, an alert that cannot be delivered.

    Attributes:
        text: One line.
        urgent: Stays until it is cleared, instead of for `NOTICE_S`.
    """

    text: str
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class RowsStuck:
    """How many rows wait because the CSV cannot be written."""

    count: int


Input: TypeAlias = Event | Notice | RowsStuck
"""Everything that the reducer takes; keys are handled by `controls`."""


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
class LevelPoint:
    """One point of a channel's level curve.

    Attributes:
        position: Where the measured piece ends, in samples.
        rms_dbfs: -inf for digital silence.
    """

    position: int
    rms_dbfs: float


@dataclass(frozen=True, slots=True)
class OpenUtterance:
    """An utterance without a row yet: it is still open, or not classified yet.

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
    """When a partial result came, and of which utterance of which channel."""

    channel: str
    number: int
    at: float


@dataclass(frozen=True, slots=True)
class UtteranceCost:
    """What one utterance cost, its partial results included."""

    latency_ms: float | None
    compute_ms: float
    duration_s: float


@dataclass(frozen=True, slots=True)
class ChannelState:
    """One channel, as it looks now.

    Attributes:
        name: Its name.
        position: How far it has been analysed, in samples.
        rms_dbfs: -inf for silence, and where no level arrived for `STALE_S`.
        held_dbfs: The peak that the meter still shows.
        speech: True while somebody speaks.
        since: Where this speech, or this silence, began, in samples.
        shown: The bars: one smoothed probability per entry of `EMOTIONS`.
        prediction: The newest prediction, partial or final, towards which the bars move.
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
    levels: tuple[LevelPoint, ...] = ()
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
        chosen: The chosen row, counted like that; None where the newest rows are shown.
        top: The row in the table's first line while one is chosen.
        opened: True while the details of the chosen row are shown.
        marks: How many marks were set.
        draft: The mark whose note is being typed, if any.
        recording: True where the audio of utterances is saved.
        counters: What was lost or late.
        costs: What the last `COSTS` utterances cost.
        partials: The partial results of the last `RATE_S`.
        alerts: Alerts that nobody has acknowledged, the newest last.
        notice: The sentence for the user.
        notice_at: When it came.
        help: True while the help is open.
        csv: Where rows go; "" for nowhere.
        rows_stuck: How many rows wait because it cannot be written.
        not_analysed: Names of channels of the source that are not analysed.
        call: Running number of the call, from 1.
    """

    device: str = ""
    model: str = ""
    labels: tuple[str, ...] = EMOTIONS
    smoothing_s: float = 0.4
    channels: tuple[ChannelState, ...] = ()
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
    costs: tuple[UtteranceCost, ...] = ()
    partials: tuple[PartialArrival, ...] = ()
    alerts: tuple[Alert, ...] = ()
    notice: Notice | None = None
    notice_at: float = -math.inf
    help: bool = False
    call: int = 1
    csv: str = ""
    rows_stuck: int = 0
    not_analysed: tuple[str, ...] = ()

    @property
    def elapsed_s(self) -> float:
        """Since it first listened; stands still when it has ended."""
        if self.listening_since is None:
            return 0.0
        return (self.now if self.ended_at is None else self.ended_at) - self.listening_since

    @property
    def position(self) -> int:
        """How far the stream has been analysed, in samples: "now" on the timeline."""
        return max((channel.position for channel in self.channels), default=0)

    @property
    def oldest(self) -> int:
        """The oldest row that is kept, counted as `chosen` is."""
        return self.seen - len(self.rows)

    @property
    def chosen_row(self) -> Utterance | Mark | None:
        """The chosen row; None without one."""
        return None if self.chosen is None else self.rows[self.chosen - self.oldest]

    @property
    def partials_per_s(self) -> float:
        """Recent partial results per second of speech; 0 with fewer than two of an utterance."""
        steps, seconds = 0, 0.0
        for _, group in groupby(sorted(self.partials, key=_utterance), key=_utterance):
            times = [arrived.at for arrived in group]
            steps += len(times) - 1
            seconds += max(times) - min(times)
        return steps / seconds if seconds else 0.0

    @property
    def real_time_factor(self) -> float | None:
        """Recent compute time per time of speech: below 1, the program keeps up. None at first."""
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
