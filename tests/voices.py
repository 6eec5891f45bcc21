"""Synthesises speech and silence; names a recording of several voices."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamer.types import SAMPLE_RATE

VOICES = Path(__file__).parent / "data" / "voices.flac"
"""What is said in it, and when, is in the CSV beside it."""


@dataclass(frozen=True)
class Truth:
    """An utterance of the recording of several voices, in seconds."""

    start: float
    end: float


@dataclass(frozen=True)
class Excerpt:
    """The beginning of the recording of several voices: a file, and what is in it."""

    path: Path
    utterances: list[Truth]


def truth() -> list[Truth]:
    """Where somebody speaks in the recording of several voices."""
    with VOICES.with_suffix(".csv").open(newline="") as file:
        return [Truth(float(r["start_s"]), float(r["end_s"])) for r in csv.DictReader(file)]


def voice(seconds: float, *, seed: int = 0, rms: float = 0.05) -> NDArray[np.float32]:
    """A buzz with a moving pitch and syllables: speech enough for level and trimming."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    pitch = 120 + 30 * np.sin(2 * np.pi * 1.3 * time + rng.uniform(0, 6))
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    buzz = sum(np.sin(k * phase) / k for k in range(1, 20))
    syllables = 0.55 + 0.45 * np.sin(2 * np.pi * 4 * time)
    wave = buzz * syllables
    return (wave * rms / np.sqrt(np.mean(np.square(wave)))).astype(np.float32)


def silence(seconds: float) -> NDArray[np.float32]:
    """Digital silence."""
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)
