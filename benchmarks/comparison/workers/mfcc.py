"""Computes 40 MFCCs and their deltas with librosa: mean and deviation over the piece."""

import librosa
import numpy as np
from numpy.typing import NDArray

RATE = 16_000


def features(wave: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of a piece of speech at 16 kHz, shape (samples,): shape (160,)."""
    coefficients = librosa.feature.mfcc(y=wave, sr=RATE, n_mfcc=40, n_fft=400, hop_length=160)
    frames = np.concatenate((coefficients, librosa.feature.delta(coefficients, mode="nearest")))
    vector: NDArray[np.float32] = np.concatenate((frames.mean(axis=1), frames.std(axis=1)))
    return vector
