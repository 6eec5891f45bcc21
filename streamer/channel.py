"""One channel of a stream: its voice activity, its utterances, its level."""

import time
from collections.abc import Iterator
from typing import Protocol

import numpy as np

from streamer.audio.level import clips, peak_dbfs, rms_dbfs
from streamer.config import Config
from streamer.errors import ConfigError
from streamer.model import enrolment
from streamer.model.baseline import Baseline
from streamer.model.enrolment import Enrolment
from streamer.segmenter import Segmenter
from streamer.types import (
    SAMPLE_RATE,
    EndReason,
    LevelMeasured,
    Pcm,
    Prediction,
    Segment,
    SpeechStart,
    Utterance,
    Window,
)
from streamer.vad import VoiceActivityDetector

LEVEL_SAMPLES = SAMPLE_RATE // 10
"""A level is measured over a tenth of a second."""


class Judge(Protocol):
    """What can tell the emotion of a piece of speech, as `Classifier` does."""

    def judge(
        self, pcm: Pcm, baseline: Baseline | None = None, *, learn: bool = False
    ) -> Prediction:
        """The emotion in ``pcm``, shape (samples,), in a voice; learns from it afterwards."""

    def new_baseline(self, enrolment: Enrolment | None = None) -> Baseline | None:
        """For voices that nobody knows yet, or one; None where voices are not learned."""


class Channel:
    """Segments one channel and measures how loud it is.

    Args:
        name: As it is shown and logged.
        config: For the voice-activity detector, the segmenter and the rolling windows.
    """

    def __init__(self, name: str, config: Config) -> None:
        self.name = name
        vad = VoiceActivityDetector(config.vad)
        self._segmenter = Segmenter(config.segmenter, config.rolling, vad.frame_samples, vad)
        self._unmeasured: Pcm = np.zeros(0, np.int16)

    def push(self, pcm: Pcm) -> Iterator[LevelMeasured | SpeechStart | Window | Segment]:
        """What follows from the next samples, shape (samples,), in order."""
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
        yield from self._segmenter.close(reason)

    def skip(self, samples: int) -> Iterator[SpeechStart | Window | Segment]:
        """Pass over a hole in the stream; an open utterance ends before it."""
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
    enrolled = {channel: enrolment.load(name) for channel, name in _speakers(config).items()}
    made = {name: classifier.new_baseline(enrolled.get(name)) for name in channel_names(config)}
    return {name: baseline for name, baseline in made.items() if baseline is not None}


def _speakers(config: Config) -> dict[str, str]:
    """Who is enrolled on which channel."""
    channels = channel_names(config)
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


def channel_names(config: Config) -> tuple[str, ...]:
    """The channels to be told apart; without names, one that all are mixed to."""
    return config.audio.channels or ("mono",)
