"""A few seconds of ordinary speech become a voice that is known from the start."""

from pathlib import Path

import numpy as np

from streamer.audio.resample import StreamConverter
from streamer.audio.sources import Source
from streamer.config import Config
from streamer.errors import InputError, ModelError, NoSpeechError
from streamer.model.classifier import Classifier
from streamer.model.speaker.clustering import MEMORY
from streamer.model.speaker.enrolment import Enrolment, Spoken
from streamer.pipeline import offline
from streamer.types import SAMPLE_RATE, Pcm

LEAST_S = 3.0
"""Less speech does not tell a voice from what it happened to say."""

LONGEST_S = 600.0
"""A longer recording is hardly one voice, and more than a baseline remembers."""


def read(path: Path) -> Pcm:
    """A recording of one voice as one stream, shape (samples,).

    Raises:
        InputError: It cannot be read, or is longer than `LONGEST_S`.
    """
    pcm = offline.whole(path, LONGEST_S)
    if pcm is None:
        raise InputError(f"{path}: is longer than {LONGEST_S:g} s, expected a voice in less")
    return pcm


def record(source: Source, seconds: float) -> Pcm:
    """What a source delivers, to its end or for so long, as one stream: shape (samples,).

    Raises:
        InputError: It cannot be opened, or is lost.
    """
    info = source.open()
    try:
        converter = StreamConverter(info.sample_rate, info.channels)
        pieces: list[Pcm] = []
        while sum(map(len, pieces)) < seconds * SAMPLE_RATE:
            block = source.read()
            if block is None:
                break
            pieces.append(converter.convert(block.pcm))
        pieces.append(converter.flush())
    finally:
        source.close()
    return np.concatenate(pieces)[:, 0]


def enrol(speaker: str, pcm: Pcm, classifier: Classifier, config: Config) -> Enrolment:
    """Learn a voice from its speech.

    Args:
        speaker: Who speaks.
        pcm: One stream at 16 kHz with nobody else in it, shape (samples,).
        classifier: Hears it.
        config: For the splitting into utterances.

    Raises:
        ModelError: The model learns no voices.
        NoSpeechError: There is no speech in it, or less than `LEAST_S`.
    """
    pieces = list(offline.speech_in(pcm, config))
    seconds = sum(map(len, pieces)) / SAMPLE_RATE
    if not pieces:
        raise NoSpeechError(
            f"got no speech in {len(pcm) / SAMPLE_RATE:.1f} s, expected at least {LEAST_S:g} s"
        )
    if seconds < LEAST_S:
        raise NoSpeechError(f"got {seconds:.1f} s of speech, expected at least {LEAST_S:g} s")
    heard = [classifier.hear(piece) for piece in pieces[-MEMORY:]]
    spoken = [
        Spoken(cold=tuple(each.cold), warm=tuple(each.warm), mark=tuple(each.mark))
        for each in heard
        if each is not None
    ]
    if not spoken:
        raise ModelError(f"model {classifier.name} learns no voices, so none can be enrolled")
    return Enrolment(
        speaker=speaker,
        model=classifier.name,
        weights=classifier.digest,
        seconds=seconds,
        utterances=tuple(spoken),
    )
