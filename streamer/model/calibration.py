"""Calibration applies the softmax temperature, which is higher for short pieces of speech.

Of the unadapted head, that is; the adapted head's is in `streamer.model.speaker.adaptation`.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

FULL_S = 2.0
"""Length in seconds from which on the temperature of a piece of speech no longer falls."""


def short_utterance_factor(
    seconds: NDArray[np.floating[Any]] | float, brevity: float
) -> NDArray[np.float64]:
    """Extra softmax temperature for short utterances: 1 from `FULL_S` on.

    Args:
        seconds: Lengths without the silence at their ends, above 0, of any shape.
        brevity: Exponent: with 0, length has no influence; with 1, half the length doubles the
            temperature.

    Returns:
        Factors of the temperature, from 1, of the shape of ``seconds``.
    """
    return np.maximum(1.0, FULL_S / np.asarray(seconds, np.float64)) ** brevity


def log_likelihoods(
    logits: NDArray[np.float64], temperature: float, log_prior: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Divide logits by the softmax temperature, and take the training prior off.

    Args:
        logits: Of the head, shape (..., labels).
        temperature: Fitted on held-out speakers, see `streamer.training.heads.recipe`.
        log_prior: Logarithm of the prior that the head was trained under, shape (labels,).

    Returns:
        Log-likelihoods up to a constant, shape (..., labels).
    """
    return logits / temperature - log_prior


def probabilities(
    scores: NDArray[np.float64], seconds: float, brevity: float, log_prior: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Softmax of one utterance's scores under a prior, softened where the utterance is short.

    Args:
        scores: From `log_likelihoods`, adapted or not, shape (labels,).
        seconds: Length of the utterance, as for `short_utterance_factor`.
        brevity: As for `short_utterance_factor`.
        log_prior: Logarithm of the prior of use, shape (labels,).

    Returns:
        Probabilities that sum to 1, shape (labels,).
    """
    softened = scores / short_utterance_factor(seconds, brevity) + log_prior
    return torch.from_numpy(softened).softmax(dim=0).numpy()
