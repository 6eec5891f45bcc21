"""Classifies segments into utterances, and creates the adaptation of each channel."""

import time

from streamer.audio.level import rms_dbfs
from streamer.config import Config
from streamer.errors import ConfigError
from streamer.model.protocol import SegmentClassifier
from streamer.model.speaker import enrolment
from streamer.model.speaker.adaptation import SpeakerAdaptation
from streamer.model.speaker.enrolment import Enrolment
from streamer.segmentation.channel import speech_of
from streamer.types import Segment, Utterance


def classify(
    classifier: SegmentClassifier | None,
    channel: str,
    segment: Segment,
    adaptation: SpeakerAdaptation | None = None,
    *,
    call: int = 1,
) -> Utterance:
    """Turn a segment into an utterance; without a classifier, into one without a prediction.

    Args:
        classifier: Classifies it.
        channel: The channel's name.
        segment: A whole utterance.
        adaptation: Of the voice on this channel; learns from the segment once that is classified.
        call: Running number of its call in the stream, from 1.
    """
    started = time.perf_counter()
    prediction = classifier.classify(segment.pcm, adaptation, learn=True) if classifier else None
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
        call=call,
    )


def new_adaptations(classifier: SegmentClassifier, config: Config) -> dict[str, SpeakerAdaptation]:
    """Create an adaptation per channel; none without voices in the model, or if switched off.

    Raises:
        ConfigError: A speaker was not enrolled, or is assigned to an unknown channel.
        InputError: The file of an enrolled speaker cannot be read.
        ModelError: A speaker was enrolled with another model.
    """
    if not config.baseline.enabled:
        return {}
    known = enrolled(config)
    made = {name: classifier.new_adaptation(known.get(name)) for name in config.audio.streams}
    return {name: adaptation for name, adaptation in made.items() if adaptation is not None}


def enrolled(config: Config) -> dict[str, Enrolment]:
    """Load the voices that are known from the start, by channel.

    Raises:
        ConfigError: A speaker was not enrolled, or is assigned to an unknown channel.
        InputError: The file of an enrolled speaker cannot be read.
    """
    if not config.baseline.enabled:
        return {}
    return {channel: enrolment.load(name) for channel, name in _speakers(config).items()}


def _speakers(config: Config) -> dict[str, str]:
    """The name of the enrolled speaker of each channel."""
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
