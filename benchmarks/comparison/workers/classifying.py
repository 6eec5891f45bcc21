"""Classifies a piece of speech with streamer, as its worker does."""

import numpy as np
from numpy.typing import NDArray

from streamer.model.classifier import Classifier

_classifier = Classifier.load("default", threads=1)


def answer(wave: NDArray[np.float32]) -> str:
    """The emotion in a piece at 16 kHz, shape (samples,)."""
    return _classifier.classify(wave).emotion
