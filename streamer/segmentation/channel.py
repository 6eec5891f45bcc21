"""The channels of a stream: what comes in for them; their voice activity, utterances and level."""

import time
from collections.abc import Callable, Iterator
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamer.audio.crosstalk import CrosstalkGate
from streamer.audio.level import clips, peak_dbfs, rms_dbfs
from streamer.audio.resample import StreamConverter
from streamer.config import Config
from streamer.errors import ConfigError
from streamer.model.speaker import enrolment
from streamer.model.speaker.adaptation import Baseline
from streamer.model.speaker.enrolment import Enrolment
from streamer.segmentation.segmenter import Segmenter
from streamer.segmentation.vad import VoiceActivityDetector
from streamer.types import (
    SAMPLE_RATE,
    EndReason,
    LevelMeasured,
    Pcm,
    Prediction,
    Segment,
    SourceInfo,
    SpeechStart,
    Utterance,
    Window,
)

LEVEL_SAMPLES = SAMPLE_RATE // 10
"""A level is measured over a tenth of a second."""

Intaken: TypeAlias = Pcm
"""PCM of each analysed channel, then for each of them where it is crosstalk (1) and where not (0):
shape (samples, 2 * channels)."""


class Follower(Protocol):
    """What can tell the emotion of an utterance that is still going on, in one channel."""

    def judge(self, window: Window, baseline: Baseline | None = None) -> Prediction:
        """The emotion in the newest window, in a voice."""


class Judge(Protocol):
    """What can tell the emotion of a piece of speech, as `Classifier` does."""

    def judge(
        self, pcm: Pcm, baseline: Baseline | None = None, *, learn: bool = False
    ) -> Prediction:
        """The emotion in ``pcm``, shape (samples,), in a voice; learns from it afterwards."""

    def follow(self) -> Follower:
        """For the rolling predictions of one channel."""

    def new_baseline(self, enrolment: Enrolment | None = None) -> Baseline | None:
        """For voices that nobody knows yet, or one; None where voices are not learned."""


class Intake:
    """From what a source delivers to what is analysed.

    The only place that hears a channel which is switched off: for as long as a block takes, to
    tell its crosstalk from what is said in the others.

    Args:
        info: The source.
        config: Which channels there are, and which are analysed.

    Raises:
        InputError: More channels are named than come in.
    """

    def __init__(self, info: SourceInfo, config: Config) -> None:
        names, streams = config.audio.channels, config.audio.streams
        self._converter = StreamConverter(info.sample_rate, info.channels, names)
        self._gate = CrosstalkGate(self._converter.streams) if config.audio.crosstalk else None
        self._analysed = [names.index(name) for name in streams] if names else [0]

    def samples_out(self, samples: int) -> int:
        """How many samples at `SAMPLE_RATE` last as long as ``samples`` of the source's."""
        return self._converter.samples_out(samples)

    def convert(self, pcm: Pcm) -> Intaken:
        """Take the next block, shape (samples, channels)."""
        return self._gated(self._converter.convert(pcm))

    def flush(self) -> Intaken:
        """What filters still hold; the next block comes after a hole in the stream."""
        rest = self._gated(self._converter.flush())
        if self._gate is not None:
            self._gate.reset()
        return rest

    def drain_warnings(self) -> list[str]:
        """What was amiss since the last call, a line each."""
        return self._converter.drain_warnings()

    def _gated(self, pcm: Pcm) -> Intaken:
        crosstalk = np.zeros(pcm.shape, np.bool_) if self._gate is None else self._gate(pcm)
        return np.hstack((pcm[:, self._analysed], crosstalk[:, self._analysed].astype(np.int16)))


class Ear:
    """A voice-activity detector that pays no attention to crosstalk.

    Args:
        detector: Asked about every frame, since it has to know the noise.
    """

    def __init__(self, detector: Callable[[Pcm], bool]) -> None:
        self._detector = detector
        self._crosstalk: NDArray[np.bool_] = np.zeros(0, np.bool_)

    def expect(self, crosstalk: NDArray[np.bool_]) -> None:
        """Say which of the next samples are crosstalk, shape (samples,)."""
        self._crosstalk = np.concatenate((self._crosstalk, crosstalk))

    def __call__(self, frame: Pcm) -> bool:
        """Whether somebody speaks in the next frame, and in this channel."""
        here, self._crosstalk = self._crosstalk[: len(frame)], self._crosstalk[len(frame) :]
        return self._detector(frame) and 2 * int(here.sum()) < len(frame)

    def skip(self) -> None:
        """Frames begin anew: there is a hole in the stream."""
        self._crosstalk = self._crosstalk[:0]


class Channel:
    """Segments one channel and measures how loud it is.

    Args:
        name: As it is shown and logged.
        config: For the voice-activity detector, the segmenter and the rolling windows.
    """

    def __init__(self, name: str, config: Config) -> None:
        self.name = name
        vad = VoiceActivityDetector(config.vad)
        self._ear = Ear(vad)
        self._segmenter = Segmenter(config.segmenter, config.rolling, vad.frame_samples, self._ear)
        self._unmeasured: Pcm = np.zeros(0, np.int16)

    def push(
        self, pcm: Pcm, crosstalk: Pcm | None = None
    ) -> Iterator[LevelMeasured | SpeechStart | Window | Segment]:
        """What follows from the next samples, in order.

        Args:
            pcm: Shape (samples,).
            crosstalk: Likewise, not 0 where it is another channel's sound; None for nowhere.
        """
        self._ear.expect(np.zeros(len(pcm), np.bool_) if crosstalk is None else crosstalk != 0)
        while len(pcm):
            missing = LEVEL_SAMPLES - len(self._unmeasured)
            piece, pcm = pcm[:missing], pcm[missing:]
            yield from self._segmenter.push(piece)
            self._unmeasured = np.concatenate((self._unmeasured, piece))
            if len(self._unmeasured) == LEVEL_SAMPLES:
                yield self._measure(self._unmeasured)
                self._unmeasured = self._unmeasured[:0]

    def close(self, reason: EndReason) -> Iterator[SpeechStart | Window | Segment]:
        """End the open utterance, if there is one."""
        self._ear.skip()
        yield from self._segmenter.close(reason)

    def skip(self, samples: int) -> Iterator[SpeechStart | Window | Segment]:
        """Pass over a hole in the stream; an open utterance ends before it."""
        self._ear.skip()
        yield from self._segmenter.skip(samples)

    def _measure(self, pcm: Pcm) -> LevelMeasured:
        return LevelMeasured(
            channel=self.name,
            position=self._segmenter.position,
            rms_dbfs=rms_dbfs(pcm),
            peak_dbfs=peak_dbfs(pcm),
            clipped=clips(pcm),
            speech=self._segmenter.is_open,
        )


def speech_of(segment: Segment) -> Pcm:
    """The samples of a segment from the first of its speech to the last, shape (samples,)."""
    return segment.pcm[segment.start - segment.pcm_start : segment.end - segment.pcm_start]


def judge(
    classifier: Judge | None, channel: str, segment: Segment, baseline: Baseline | None = None
) -> Utterance:
    """Turn a segment into an utterance; without a classifier, into one without a prediction.

    Args:
        classifier: Judges it.
        channel: The channel's name.
        segment: A whole utterance.
        baseline: Of the voice on this channel; it learns from the segment once that is judged.
    """
    started = time.perf_counter()
    prediction = classifier.judge(segment.pcm, baseline, learn=True) if classifier else None
    return Utterance(
        number=segment.utterance,
        channel=channel,
        start=segment.start,
        end=segment.end,
        prediction=prediction,
        level_dbfs=rms_dbfs(speech_of(segment)),
        end_reason=segment.end_reason,
        latency_ms=None,
        compute_ms=(time.perf_counter() - started) * 1000,
    )


def new_baselines(classifier: Judge, config: Config) -> dict[str, Baseline]:
    """A baseline per channel; none where the model has none, or the configuration wants none.

    Raises:
        ConfigError: A speaker was not enrolled, or is said to be on a channel that there is not.
        InputError: What is known of a speaker cannot be read.
        ModelError: A speaker was enrolled with another model.
    """
    if not config.baseline.enabled:
        return {}
    known = enrolled(config)
    made = {name: classifier.new_baseline(known.get(name)) for name in config.audio.streams}
    return {name: baseline for name, baseline in made.items() if baseline is not None}


def enrolled(config: Config) -> dict[str, Enrolment]:
    """The voices that are known from the start, by channel.

    Raises:
        ConfigError: A speaker was not enrolled, or is said to be on a channel that there is not.
        InputError: What is known of a speaker cannot be read.
    """
    if not config.baseline.enabled:
        return {}
    return {channel: enrolment.load(name) for channel, name in _speakers(config).items()}


def _speakers(config: Config) -> dict[str, str]:
    """Who is enrolled on which channel."""
    channels = config.audio.streams
    speakers = {}
    for entry in config.baseline.speakers:
        channel, _, name = entry.rpartition("=")
        if not channel and len(channels) == 1:
            channel = channels[0]
        if channel not in channels or channel in speakers:
            raise ConfigError(
                f"baseline.speakers: got {entry!r}, expected a speaker for each channel at most, "
                f"as CHANNEL=NAME, of the channels {', '.join(channels)}"
            )
        speakers[channel] = name
    return speakers
