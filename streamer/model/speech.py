"""The speech head separates speech from music, coughs and noise that pass the VAD."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class SpeechModel:
    """A linear head beside the one for emotions; it travels in the bundle.

    Attributes:
        weight: Shape (1, features).
        bias: Shape (1,).
        threshold: A lower score is no speech.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    threshold: float

    def __call__(self, embedding: NDArray[np.float32]) -> NDArray[np.float64]:
        """Compute the probability of speech, from 0 to 1: shape (...,).

        Args:
            embedding: Shape (..., features).
        """
        logit = (embedding @ self.weight[0] + self.bias[0]).astype(np.float64)
        return np.asarray(0.5 + 0.5 * np.tanh(logit / 2))  # the logistic function
