"""Stand-ins where a fault has to be scripted; each implements the protocol of the real thing."""

import time
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from streamer.model.speaker.adaptation import Baseline, VoiceModel
from streamer.model.speaker.clustering import SpeakerModel
from streamer.model.speaker.enrolment import Enrolment
from streamer.types import EMOTIONS, SAMPLE_RATE, Block, Pcm, Prediction, SourceInfo, Window

LABELS = EMOTIONS

NO_VOICE = VoiceModel(
    weight=np.zeros((len(LABELS), 1), np.float32),
    bias=np.zeros(len(LABELS), np.float32),
    means=np.zeros((len(LABELS), len(LABELS)), np.float32),
    prior=2.0,
    doubt=0.0,
    temperature=1.0,
    speakers=SpeakerModel.indifferent(1),
)
"""Knows nothing, and counts."""


def speech(seconds: float, seed: int = 0) -> Pcm:
    """Something that every voice-activity detector takes for speech, shape (samples,).

    A voice of 120 Hz through three formants that move, with a syllable every quarter of a second.
    """
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    rng = np.random.default_rng(seed)
    pitch = 120 * (1 + 0.08 * np.sin(2 * np.pi * 0.7 * t))
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    voice = np.zeros(len(t))
    for harmonic in range(1, 30):
        frequency = 120 * harmonic
        gain = sum(
            np.exp(-(((frequency - formant) / 150) ** 2))
            for formant in (500 + 200 * np.sin(5 * t), 1500 + 400 * np.sin(3 * t), 2500)
        )
        voice += gain * np.sin(harmonic * phase)
    syllables = 0.55 + 0.45 * np.sin(2 * np.pi * 4 * t)
    noisy = voice * syllables + 0.003 * rng.standard_normal(len(t))
    return np.asarray(np.clip(noisy * 4000, -32768, 32767), dtype=np.int16)


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

    def new_baseline(self, enrolment: Enrolment | None = None) -> Baseline:
        """One that changes no answer."""
        return Baseline(NO_VOICE, enrolment.heard if enrolment else ())

    def follow(self) -> "FakeFollower":
        """One that judges each window as if it were all."""
        return FakeFollower(self)

    def judge(
        self, pcm: Pcm, baseline: Baseline | None = None, *, learn: bool = False
    ) -> Prediction:
        """Angry above a level, calm below."""
        self._before()
        if learn and baseline is not None:
            baseline.observe(np.zeros(1, np.float32), np.zeros(len(LABELS)))
        loud = float(np.abs(pcm.astype(np.float64)).mean()) > 500
        heard = "angry" if loud else "calm"
        probabilities = tuple(0.65 if label == heard else 0.05 for label in LABELS)
        return Prediction(LABELS, probabilities, mood=-0.6 if loud else 0.6, uncertain=False)


class FakeFollower:
    """Judges each window by itself."""

    def __init__(self, model: FakeModel) -> None:
        self._model = model

    def judge(self, window: Window, baseline: Baseline | None = None) -> Prediction:
        """As the model does."""
        return self._model.judge(window.pcm, baseline)


class ScriptedSource:
    """Delivers what it is told to; an exception among the blocks is raised."""

    def __init__(
        self,
        script: Iterable[Pcm | Block | Exception],
        *,
        live: bool = False,
        reopens: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._script: Iterator[Pcm | Block | Exception] = iter(script)
        self._reopens = reopens
        self._info = SourceInfo("scripted", SAMPLE_RATE, 1, live=live)
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
            return Block(entry.reshape(-1, 1), time.monotonic())
        return entry

    def close(self) -> None:
        """Count."""
        self.closed += 1


def blocks(pcm: Pcm, samples: int = 320) -> Iterator[Pcm]:
    """PCM a block at a time."""
    for start in range(0, len(pcm), samples):
        yield pcm[start : start + samples]
