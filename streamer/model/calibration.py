"""Calibration: the softmax temperature, and the extra one of short pieces of speech."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

FULL_S = 2.0
"""Pieces at least so long, in seconds, are all taken to prove the same."""


def hesitation(seconds: NDArray[np.floating[Any]] | float, brevity: float) -> NDArray[np.float64]:
    """Extra softmax temperature for short utterances: 1 from `FULL_S` on.

    Args:
        seconds: How long they are, without the silence at their ends; above 0.
        brevity: 0 trusts a short piece like a long one, 1 half as much where it is half as long.
    """
    return np.maximum(1.0, FULL_S / np.asarray(seconds, np.float64)) ** brevity


def log_likelihoods(
    logits: NDArray[np.float64], temperature: float, log_prior: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Divide logits by the softmax temperature, and take the training prior off.

    Args:
        logits: Of the linear head, shape (..., labels).
        temperature: Fitted on held-out speakers, see `streamer.training.heads.recipe`.
        log_prior: Logarithm of the prior that the head was trained under, shape (labels,).
    """
    return logits / temperature - log_prior


def probabilities(
    scores: NDArray[np.float64], seconds: float, brevity: float, log_prior: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Softmax of one utterance's scores under a prior, softened where the utterance is short.

    Args:
        scores: From `log_likelihoods`, adapted or not, shape (labels,).
        seconds: Length of the utterance, as for `hesitation`.
        brevity: As for `hesitation`.
        log_prior: Logarithm of the prior of use, shape (labels,).
    """
    softened = scores / hesitation(seconds, brevity) + log_prior
    return torch.from_numpy(softened).softmax(dim=0).numpy()
