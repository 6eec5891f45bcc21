"""Stand-ins where a fault has to be scripted; each implements the protocol of the real thing."""

import csv
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cache

import numpy as np
import soundfile
from voices import VOICES

from streamer.model.speaker.adaptation import SpeakerAdaptation, VoiceModel
from streamer.model.speaker.clustering import SpeakerModel
from streamer.model.speaker.enrolment import Enrolment
from streamer.types import EMOTIONS, SAMPLE_RATE, Block, Excerpt, Pcm, Prediction, SourceInfo

LABELS = EMOTIONS

NO_VOICE = VoiceModel(
    weight=np.zeros((len(LABELS), 1), np.float32),
    bias=np.zeros(len(LABELS), np.float32),
    centre=np.zeros(len(LABELS), np.float32),
    log_prior=np.zeros(len(LABELS)),
    prior=2.0,
    temperature=1.0,
    speakers=SpeakerModel.indifferent(1),
)
"""Knows nothing, and counts."""


@cache
def _utterances() -> tuple[Pcm, ...]:
    """What is said in the recording of several voices, without the pauses between."""
    pcm, _ = soundfile.read(VOICES, dtype="int16")
    with VOICES.with_suffix(".csv").open(encoding="utf-8", newline="") as file:
        spans = [(float(row["start_s"]), float(row["end_s"])) for row in csv.DictReader(file)]
    return tuple(pcm[round(a * SAMPLE_RATE) : round(b * SAMPLE_RATE)] for a, b in spans)


def speech(seconds: float, seed: int = 0) -> Pcm:
    """Recorded speech, shape (samples,): an utterance, and on with the next ones.

    Args:
        seconds: How much.
        seed: Which utterance comes first.
    """
    said = _utterances()
    first = seed % len(said)
    pieces = [*said[first:], *said[:first]]
    samples = round(seconds * SAMPLE_RATE)
    whole = np.concatenate(pieces)
    return np.asarray(np.resize(whole, samples), dtype=np.int16)


def silence(seconds: float, seed: int = 1) -> Pcm:
    """A quiet room, shape (samples,)."""
    rng = np.random.default_rng(seed)
    return np.asarray(8 * rng.standard_normal(round(seconds * SAMPLE_RATE)), dtype=np.int16)


class FakeModel:
    """Hears anger in loud pieces and calm in quiet ones, at once."""

    name = "fake"
    labels = LABELS

    def __init__(self, before: Callable[[], None] = lambda: None) -> None:
        self._before = before

    def warm_up(self) -> None:
        """Nothing to warm up."""

    def new_adaptation(self, enrolment: Enrolment | None = None) -> SpeakerAdaptation:
        """One that changes no answer."""
        return SpeakerAdaptation(NO_VOICE, enrolment.observations if enrolment else ())

    def embed_ahead(self, pcm: Pcm) -> None:
        """Nothing is slow here."""

    def open_stream(self) -> "FakeStreamingClassifier":
        """One that classifies each excerpt as if it were all."""
        return FakeStreamingClassifier(self)

    def classify(
        self, pcm: Pcm, adaptation: SpeakerAdaptation | None = None, *, learn: bool = False
    ) -> Prediction:
        """Angry above a level, calm below."""
        self._before()
        if learn and adaptation is not None:
            adaptation.observe(np.zeros(1, np.float32), neutral=1.0)
        loud = float(np.abs(pcm.astype(np.float64)).mean()) > 500
        heard = "angry" if loud else "calm"
        probabilities = tuple(0.65 if label == heard else 0.05 for label in LABELS)
        return Prediction(LABELS, probabilities, mood=-0.6 if loud else 0.6, uncertain=False)


class Deadly(FakeModel):
    """Kills its process where it hears something loud, as a decoder may that meets a bad file."""

    def classify(
        self, pcm: Pcm, adaptation: SpeakerAdaptation | None = None, *, learn: bool = False
    ) -> Prediction:
        """As the fake model does, if at all."""
        if np.abs(pcm).max() > 30_000:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().classify(pcm, adaptation, learn=learn)


class FakeStreamingClassifier:
    """Classifies each excerpt by itself."""

    def __init__(self, model: FakeModel) -> None:
        self._model = model

    def classify(self, excerpt: Excerpt, adaptation: SpeakerAdaptation | None = None) -> Prediction:
        """As the model does."""
        return self._model.classify(excerpt.pcm, adaptation)


class ScriptedSource:
    """Delivers what it is told to; an exception among the blocks is raised."""

    def __init__(
        self,
        script: Iterable[Pcm | Block | Exception],
        *,
        live: bool = False,
        channels: int = 1,
        reopens: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._script: Iterator[Pcm | Block | Exception] = iter(script)
        self._reopens = reopens
        self._info = SourceInfo("scripted", SAMPLE_RATE, channels, live=live)
        self.opened = 0
        self.closed = 0

    def open(self) -> SourceInfo:
        """Count, and fail where the script says so."""
        self._reopens(self.opened)
        self.opened += 1
        return self._info

    def read(self) -> Block | None:
        """The next entry of the script."""
        entry = next(self._script, None)
        if isinstance(entry, Exception):
            raise entry
        if isinstance(entry, np.ndarray):
            return Block(entry.reshape(-1, self._info.channels), time.monotonic())
        return entry

    def close(self) -> None:
        """Count."""
        self.closed += 1


def blocks(pcm: Pcm, samples: int = 320) -> Iterator[Pcm]:
    """PCM a block at a time."""
    for start in range(0, len(pcm), samples):
        yield pcm[start : start + samples]
