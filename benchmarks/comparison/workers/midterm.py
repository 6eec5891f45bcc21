"""Computes 68 short-term features with pyAudioAnalysis: mean and deviation over the piece."""

import warnings

import numpy as np
from numpy.typing import NDArray

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of pydub, which looks for ffmpeg: nothing is decoded here
    from pyAudioAnalysis.MidTermFeatures import mid_feature_extraction

RATE = 16_000
SHORT = RATE * 50 // 1000  # its own default: 50 ms, one after the other


def features(wave: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of a piece of speech at 16 kHz, shape (samples,): shape (136,)."""
    piece = np.pad(wave, (0, max(0, 2 * SHORT - len(wave)))) * 2**15  # it expects 16-bit values
    whole = len(piece)
    statistics, _, _ = mid_feature_extraction(piece, RATE, whole, whole, SHORT, SHORT)
    vector: NDArray[np.float32] = statistics[:, 0].astype(np.float32)
    return vector
