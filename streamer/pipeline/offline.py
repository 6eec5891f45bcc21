"""Analyses recordings without threads, with the same segmenter and model as live."""

import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from streamer.analysis.calls import CallBoundaries
from streamer.audio.recording import Recording
from streamer.audio.resample import StreamConverter
from streamer.config import Config
from streamer.errors import InputError
from streamer.model.protocol import SegmentClassifier
from streamer.pipeline.classification import classify, new_adaptations
from streamer.pipeline.frontend import AnalysedAudio, Frontend
from streamer.segmentation.channel import Channel, speech_of
from streamer.types import SAMPLE_RATE, EndReason, Pcm, Segment, SpeechStart, Utterance

BLOCK_S = 1.0
"""Seconds of a recording that are read at once: memory does not grow with its length."""


def utterances(
    path: Path,
    classifier: SegmentClassifier,
    config: Config,
    *,
    progress: Callable[[float], None] = lambda _: None,
    warn: Callable[[str], None] = lambda _: None,
) -> Iterator[Utterance]:
    """Split a recording into utterances and classify each.

    Args:
        path: Any format that libsndfile or ffmpeg reads, any rate, any channel count.
        classifier: Classifies them.
        config: For the channels, the voice-activity detector and the segmenter.
        progress: Called with how many seconds more were read.
        warn: Called with each fault of the recording that does not end it.

    Raises:
        InputError: It cannot be read, or breaks off; what came before was yielded, with what was
            heard of the utterance that it broke off in.
    """
    with Recording(path) as recording:
        yield from utterances_in(recording, classifier, config, progress=progress, warn=warn)


def utterances_in(  # noqa: PLR0913 - callbacks that a caller may want
    recording: Recording,
    classifier: SegmentClassifier,
    config: Config,
    *,
    progress: Callable[[float], None] = lambda _: None,
    keep: Callable[[str, Segment], None] = lambda _channel, _segment: None,
    warn: Callable[[str], None] = lambda _: None,
) -> Iterator[Utterance]:
    """Split an open recording into utterances and classify each.

    Args:
        recording: Of which nothing was read.
        classifier: As for `utterances`.
        config: As for `utterances`.
        progress: As for `utterances`.
        keep: Given the name of the channel and what is classified next.
        warn: As for `utterances`.

    Raises:
        InputError: It breaks off, as for `utterances`.
    """
    info = recording.info
    frontend = Frontend(info, config)
    failures: list[InputError] = []

    def report() -> None:
        mixing = (f"{info.name}: {text}" for text in frontend.drain_warnings())
        for text in (*recording.drain_warnings(), *mixing):
            warn(text)

    def taken() -> Iterator[AnalysedAudio]:
        try:
            for block in recording.blocks(BLOCK_S):
                yield frontend.convert(block)
                report()
                progress(len(block) / info.sample_rate)
        except InputError as error:
            failures.append(error)
        yield frontend.flush()

    yield from _classified(_segments(taken(), config), classifier, config, keep)
    report()
    for failure in failures:
        raise failure


def utterances_of(pcm: Pcm, classifier: SegmentClassifier, config: Config) -> Iterator[Utterance]:
    """Split one stream at 16 kHz, shape (samples,), into utterances and classify each."""
    config = config.one_stream()
    yield from _classified(_segments([_one(pcm)], config), classifier, config)


def segments_of(pcm: Pcm, config: Config) -> Iterator[Segment]:
    """Split one stream at 16 kHz, shape (samples,), into what would be classified."""
    for _, segment, _ in _segments([_one(pcm)], config.one_stream()):
        yield segment


def speech_in(pcm: Pcm, config: Config) -> Iterator[Pcm]:
    """The utterances in one stream at 16 kHz, shape (samples,), without the silence around them."""
    for segment in segments_of(pcm, config):
        yield speech_of(segment)


def has_speech(pcm: Pcm, config: Config) -> bool:
    """Whether there is an utterance in one stream at 16 kHz, shape (samples,)."""
    return any(True for _ in segments_of(pcm, config))


def whole(
    path: Path, seconds: float, *, warn: Callable[[str], None] = lambda _: None
) -> Pcm | None:
    """Read a recording of at most ``seconds`` as one stream at 16 kHz, shape (samples,), else None.

    Args:
        path: As for `utterances`.
        seconds: How long it may be.
        warn: As for `utterances`.

    Raises:
        InputError: It cannot be read.
    """
    with Recording(path) as recording:
        claimed = recording.duration_s
        if claimed is not None and claimed > seconds:
            return None
        pcm = _mixed(recording, seconds, warn)
        return pcm if len(pcm) <= seconds * SAMPLE_RATE else None


def mixed(path: Path) -> Pcm:
    """Read a recording of any length as one stream at 16 kHz, shape (samples,).

    Raises:
        InputError: It cannot be read.
    """
    with Recording(path) as recording:
        return _mixed(recording)


def _mixed(
    recording: Recording,
    seconds: float = math.inf,
    warn: Callable[[str], None] = lambda _: None,
) -> Pcm:
    """One stream, shape (samples,), up to the first block that makes it longer than that."""
    converter = StreamConverter(recording.info.sample_rate, recording.info.channels)
    pieces: list[Pcm] = []
    for block in recording.blocks(BLOCK_S):
        pieces.append(converter.convert(block))
        if sum(map(len, pieces)) > seconds * SAMPLE_RATE:
            break
    mixing = (f"{recording.info.name}: {text}" for text in converter.drain_warnings())
    for text in (*recording.drain_warnings(), *mixing):
        warn(text)
    return np.concatenate((*pieces, converter.flush()))[:, 0]


def _classified(
    segments: Iterable[tuple[str, Segment, int]],
    classifier: SegmentClassifier,
    config: Config,
    keep: Callable[[str, Segment], None] = lambda _channel, _segment: None,
) -> Iterator[Utterance]:
    """Classify in order, each channel with a voice of its own that is learned on the way."""
    adaptations = new_adaptations(classifier, config)
    current = 1
    for channel, segment, call in segments:
        if call > current:
            current = call
            for adaptation in adaptations.values():
                adaptation.reset()
        keep(channel, segment)
        yield classify(classifier, channel, segment, adaptations.get(channel), call=call)


def _segments(
    blocks: Iterable[AnalysedAudio], config: Config
) -> Iterator[tuple[str, Segment, int]]:
    """Name of the channel, segment and number of the call, in the order in which they end.

    Args:
        blocks: As they come from a `Frontend`.
        config: For the voice-activity detector and the segmenter.
    """
    channels = [Channel(name, config, partials=False) for name in config.audio.streams]
    calls = CallBoundaries(config.calls.gap_s)
    for audio in blocks:
        for index, channel in enumerate(channels):
            for event in channel.push(audio.pcm[:, index], audio.crosstalk[:, index]):
                match event:
                    case SpeechStart():
                        calls.started(channel.name, event.start)
                    case Segment():
                        calls.ended(channel.name, event.end)
                        yield channel.name, event, calls.number
    for channel in channels:
        for event in channel.close(EndReason.END_OF_INPUT):
            if isinstance(event, Segment):
                yield channel.name, event, calls.number


def _one(pcm: Pcm) -> AnalysedAudio:
    """One stream, shape (samples,), in which nothing can be crosstalk."""
    return AnalysedAudio(pcm[:, np.newaxis], np.zeros((len(pcm), 1), np.bool_))
