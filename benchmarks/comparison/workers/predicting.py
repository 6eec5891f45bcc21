"""streamer as a program calls it: it looks for speech first, and classifies what it found."""

import numpy as np
from numpy.typing import NDArray

from streamer import Predictor
from streamer.errors import NoSpeechError

_predictor = Predictor()


def answer(wave: NDArray[np.float32]) -> str:
    """The emotion in a piece at 16 kHz, shape (samples,); nothing where there is no speech."""
    try:
        return _predictor.predict(wave, sample_rate=16_000)
    except NoSpeechError:
        return ""
