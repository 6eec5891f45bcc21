"""Measures the level of PCM in dBFS: a full-scale square wave has 0, silence has -inf."""

import math
from dataclasses import dataclass

import numpy as np

from streamer.types import SAMPLE_RATE, Pcm

FULL_SCALE = 32_768

LEVEL_SAMPLES = SAMPLE_RATE // 10
"""Samples over which a level is measured: a tenth of a second."""


@dataclass(frozen=True, slots=True)
class Level:
    """How loud a tenth of a second is.

    Attributes:
        rms_dbfs: RMS level; -inf for digital silence.
        peak_dbfs: Largest sample; -inf for digital silence.
        clipped: True where a sample touches full scale.
    """

    rms_dbfs: float
    peak_dbfs: float
    clipped: bool


class LevelMeter:
    """Measures the level of one channel in each tenth of a second, for blocks of any length."""

    def __init__(self) -> None:
        self._pcm: Pcm = np.zeros(0, np.int16)

    @property
    def missing(self) -> int:
        """How many samples are missing until the next level."""
        return LEVEL_SAMPLES - len(self._pcm)

    def push(self, pcm: Pcm) -> Level | None:
        """Take at most `missing` samples, shape (samples,); return a level once complete."""
        pcm = self._pcm = np.concatenate((self._pcm, pcm))
        if len(pcm) < LEVEL_SAMPLES:
            return None
        self._pcm = pcm[:0]
        return Level(rms_dbfs(pcm), peak_dbfs(pcm), clips(pcm))


def rms_dbfs(pcm: Pcm) -> float:
    """Root mean square of samples of any shape; -inf for silence and for no samples."""
    samples = pcm.ravel().astype(np.float64)
    power = float(samples @ samples) / max(1, len(samples))
    return 10 * math.log10(power / FULL_SCALE**2) if power else -math.inf


def peak_dbfs(pcm: Pcm) -> float:
    """The largest sample, by magnitude; -inf for silence and for no samples."""
    peak = int(np.abs(pcm.astype(np.int32)).max(initial=0))
    return 20 * math.log10(peak / FULL_SCALE) if peak else -math.inf


def clips(pcm: Pcm) -> bool:
    """Whether any sample touches full scale."""
    return bool(((pcm == FULL_SCALE - 1) | (pcm == -FULL_SCALE)).any())
