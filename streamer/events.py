"""Events say what happens in a stream: the pipeline reports them as frozen dataclasses.

Utterances and marks, which are rows as well, are defined in `streamer.types`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from streamer.types import Mark, Prediction, SourceInfo, State, Utterance


@dataclass(frozen=True, slots=True)
class SourceOpened:
    """The source has begun to deliver.

    Attributes:
        info: What it is.
        epoch: Wall-clock time of sample 0, in seconds since 1970.
        drift: Returns the seconds to add to a time of the stream, in seconds, because the
            device's clock and the machine's differ; None where there is nothing to add.
    """

    info: SourceInfo
    epoch: float
    drift: Callable[[float], float] | None = None


@dataclass(frozen=True, slots=True)
class ModelLoaded:
    """The model is loaded; ``labels`` are the emotions that it knows."""

    name: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The program's state has changed; ``detail`` says more, for people."""

    state: State
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Warned:
    """Something does not work as it should, but the stream goes on; ``text`` is for people."""

    text: str


@dataclass(frozen=True, slots=True)
class LevelMeasured:
    """How loud a channel was in the last tenth of a second.

    Attributes:
        channel: The channel's name.
        position: Where the measured piece ends, in samples.
        rms_dbfs: RMS level; -inf for digital silence.
        peak_dbfs: Largest sample; -inf for digital silence.
        clipped: True where a sample touched full scale.
        speech: True while an utterance is open.
    """

    channel: str
    position: int
    rms_dbfs: float
    peak_dbfs: float
    clipped: bool
    speech: bool


@dataclass(frozen=True, slots=True)
class CallStarted:
    """Another call begins; nothing of the earlier ones influences it.

    Attributes:
        number: Running number in the stream. The first call, number 1, begins with the stream and
            is not announced.
        position: Where it begins, in samples.
    """

    number: int
    position: int


@dataclass(frozen=True, slots=True)
class UtteranceStarted:
    """Somebody began to speak."""

    channel: str
    number: int
    start: int


@dataclass(frozen=True, slots=True)
class PartialResult:
    """What is heard in the newest seconds of an utterance that is still going on.

    Attributes:
        channel: The channel's name.
        number: Running number of the utterance in its channel, from 1.
        end: Where the classified piece ends, in samples.
        prediction: What the model hears.
        latency_ms: From the capture of the last classified sample to this prediction.
        compute_ms: What it cost the worker.
    """

    channel: str
    number: int
    end: int
    prediction: Prediction
    latency_ms: float
    compute_ms: float


@dataclass(frozen=True, slots=True)
class VoiceLearned:
    """The speaker adaptation of a channel has changed.

    Attributes:
        channel: The channel's name.
        utterances: How many utterances it is known from; 0 where it is not known, or forgotten.
    """

    channel: str
    utterances: int


@dataclass(frozen=True, slots=True)
class MoodChanged:
    """The running mood of a channel, after an utterance.

    Attributes:
        channel: The channel's name.
        number: Running number of the utterance in its channel, from 1.
        mood: Mean mood of the recent speech, from -1 to 1, weighted by length and confidence.
        trend: This mood less that of a longer time; below 0, the mood gets worse.
    """

    channel: str
    number: int
    mood: float
    trend: float


@dataclass(frozen=True, slots=True)
class Alert:
    """A rule's condition has come to hold on a channel.

    Attributes:
        rule: The rule's name.
        channel: The channel's name.
        utterance: Running number of the utterance that raised it.
        position: Where that utterance ends, in samples.
        emotion: What was heard in it; of a rule with a mean probability, the likeliest of its
            emotions.
        confidence: How surely; of such a rule, the mean probability.
        mood: The channel's running mood after it.
        reason: The condition in a few words, for people.
        call: Running number of the call in the stream, from 1.
        on_disk: False where the row that raised it was not on disk yet when the alert was shown,
            because the disk does not answer.
    """

    rule: str
    channel: str
    utterance: int
    position: int
    emotion: str
    confidence: float
    mood: float
    reason: str
    call: int = 1
    on_disk: bool = True

    @property
    def text(self) -> str:
        """The alert in a line, for people."""
        waits = "" if self.on_disk else ", not yet on disk"
        return f"{self.rule}: {self.channel}, {self.reason} (#{self.utterance}{waits})"


@dataclass(frozen=True, slots=True)
class Counters:
    """What was lost or late so far, and what waits. Never resets within a session.

    Attributes:
        overruns: How often the device or the ring lost samples.
        gaps: How often the stream had a hole.
        lost_samples: At `SAMPLE_RATE`, as far as known.
        dropped_partials: Partial results replaced by a newer one before they were classified.
        unclassified: Utterances whose row has no prediction, because the worker fell behind.
        queue: Utterances waiting for the worker now.
        behind_s: Whole seconds of sound that wait for the capture thread now.
    """

    overruns: int = 0
    gaps: int = 0
    lost_samples: int = 0
    dropped_partials: int = 0
    unclassified: int = 0
    queue: int = 0
    behind_s: int = 0


@dataclass(frozen=True, slots=True)
class ThreadFailed:
    """A thread ended with an exception; the main thread acts on it."""

    thread: str
    error: BaseException


Event: TypeAlias = (
    ModelLoaded
    | SourceOpened
    | StateChanged
    | Warned
    | LevelMeasured
    | CallStarted
    | UtteranceStarted
    | PartialResult
    | Utterance
    | VoiceLearned
    | MoodChanged
    | Alert
    | Mark
    | Counters
    | ThreadFailed
)
"""Anything that happens. The pipeline reports it; the main thread adds mood, alerts and marks."""
