"""How loud PCM is, in dBFS: 0 is the largest sample, or a square wave of it; silence is -inf."""

import math

import numpy as np

from streamer.types import Pcm

FULL_SCALE = 32_768


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
