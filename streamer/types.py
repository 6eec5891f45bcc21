"""These are the frozen values that the modules exchange: PCM, utterances, predictions, marks.

Positions (``start``, ``end``, ...) count samples at `SAMPLE_RATE` from the start of the stream.
Wall-clock time is attached once, at the edge, when a row is written.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
"""Samples per second of everything behind the resampler."""

EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
"""The whole vocabulary, in RAVDESS order. A model may know fewer; its bundle says which."""

NO_SPEECH = "no_speech"
"""Replaces the emotion of an utterance that is no speech: noise, music, a cough."""

UNCERTAIN = "uncertain"
"""Replaces the emotion in statistics where the confidence is too low."""

Pcm: TypeAlias = NDArray[np.int16]
"""16-bit PCM: shape (samples,) for one channel, (samples, channels) for several."""


class EndReason(StrEnum):
    """Why an utterance ended."""

    SILENCE = "silence"
    MAX_LENGTH = "max_length"
    END_OF_INPUT = "end_of_input"
    DEVICE_LOST = "device_lost"
    GAP = "gap"
    CALL_ENDED = "call_ended"
    STOPPED = "stopped"


class State(StrEnum):
    """What the program is doing, as the header of the dashboard says it."""

    WARMING_UP = "warming up"
    LISTENING = "listening"
    PAUSED = "paused"
    LOST = "lost"
    STOPPING = "stopping"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is being listened to.

    Attributes:
        name: As a person would call it: the device's name, the recording's path.
        sample_rate: In Hz, as delivered; everything behind the resampler is at `SAMPLE_RATE`.
        channels: How many channels it delivers.
        live: True for a device, which can be lost and does not wait for its reader.
    """

    name: str
    sample_rate: int
    channels: int
    live: bool


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """PCM as a source delivers it.

    Attributes:
        pcm: Shape (samples, channels), at the source's own rate.
        lost: Samples (per channel, at the source's rate) missing before this block, an estimate.
        overrun: True where the device says that it was not read fast enough.
        time: `time.monotonic()` at which the last sample was there to be read.
        warnings: Faults of the source, for people.
    """

    pcm: Pcm
    time: float
    lost: int = 0
    overrun: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class SpeechStart:
    """The segmenter has opened an utterance.

    Attributes:
        utterance: Running number in its channel, from 1.
        start: Where its speech begins, in samples.
    """

    utterance: int
    start: int


@dataclass(frozen=True, slots=True, eq=False)
class Excerpt:
    """The newest few seconds of an utterance that is still going on, for a partial result.

    Attributes:
        utterance: Running number in its channel, from 1.
        end: Where ``pcm`` ends, in samples.
        pcm: Shape (samples,).
    """

    utterance: int
    end: int
    pcm: Pcm


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """A whole utterance.

    Attributes:
        utterance: Running number in its channel, from 1.
        start: Where its speech begins, in samples.
        end: Where its speech ends (one past the last sample).
        pcm_start: Where ``pcm`` begins: before ``start`` by the pre-roll.
        pcm: Shape (samples,): pre-roll, speech and what followed it.
        end_reason: Why it ended.
    """

    utterance: int
    start: int
    end: int
    pcm_start: int
    pcm: Pcm
    end_reason: EndReason


@dataclass(frozen=True, slots=True, eq=False)
class PossibleEnd:
    """A pause in an utterance: if nobody speaks before the hangover is over, it ends like this.

    Attributes:
        segment: The utterance, as it will be then.
    """

    segment: Segment


@dataclass(frozen=True, slots=True)
class Prediction:
    """A model's answer for a piece of speech.

    Attributes:
        labels: The emotions that the model knows, in the order of `EMOTIONS`.
        probabilities: Calibrated, one per label, summing to 1.
        mood: P(positive) - P(negative), from -1 to 1, grouped as the bundle says.
        uncertain: True where the confidence is below the bundle's threshold, or nobody speaks.
        speech: The probability that it is speech, from 0 to 1.
        is_speech: False where ``speech`` is below the bundle's threshold: then the probabilities
            and the mood have no meaning.
    """

    labels: tuple[str, ...]
    probabilities: tuple[float, ...]
    mood: float
    uncertain: bool
    speech: float = 1.0
    is_speech: bool = True

    @property
    def confidence(self) -> float:
        """The largest probability."""
        return max(self.probabilities)

    @property
    def emotion(self) -> str:
        """The label of the largest probability, certain or not; `NO_SPEECH` without speech."""
        return (
            NO_SPEECH
            if not self.is_speech
            else self.labels[self.probabilities.index(self.confidence)]
        )


@dataclass(frozen=True, slots=True)
class Utterance:
    """One utterance, classified: a row of the CSV.

    Attributes:
        number: Running number in its channel, from 1.
        channel: The channel's name.
        start: Where its speech begins, in samples.
        end: Where its speech ends (one past the last sample).
        prediction: What the model heard; None where the worker could not keep up with classifying.
        level_dbfs: RMS level of the speech, in dB relative to a full-scale square wave.
        end_reason: Why it ended.
        latency_ms: From the capture of its last speech sample to this row; None off the live path.
        compute_ms: What classifying it cost the worker.
        alerts: Names of the rules that it raised an alert by; set by the recorder thread.
        call: Running number of its call in the stream, from 1.
    """

    number: int
    channel: str
    start: int
    end: int
    prediction: Prediction | None
    level_dbfs: float
    end_reason: EndReason
    latency_ms: float | None
    compute_ms: float
    alerts: tuple[str, ...] = ()
    call: int = 1

    @property
    def start_s(self) -> float:
        """Where its speech begins, in seconds."""
        return self.start / SAMPLE_RATE

    @property
    def end_s(self) -> float:
        """Where its speech ends, in seconds."""
        return self.end / SAMPLE_RATE

    @property
    def duration_s(self) -> float:
        """How long it is, in seconds."""
        return (self.end - self.start) / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment that the user has marked by a key.

    Attributes:
        number: Running number in the session, from 1.
        position: Of the stream when the key was pressed, in samples.
        note: What happened, in their words; may be empty.
        call: Running number of the call in the stream, from 1; set by the recorder thread.
    """

    number: int
    position: int
    note: str = ""
    call: int = 1

    @property
    def at_s(self) -> float:
        """Where it is, in seconds."""
        return self.position / SAMPLE_RATE
