"""How much a piece of speech can prove: a short one less than a whole utterance."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

FULL_S = 2.0
"""Pieces at least so long, in seconds, are all taken to prove the same."""


def hesitation(seconds: NDArray[np.floating[Any]] | float, brevity: float) -> NDArray[np.float64]:
    """Divides the calibrated logits of pieces so long; 1 for those of `FULL_S` and more.

    Args:
        seconds: How long they are, without the silence at their ends; above 0.
        brevity: 0 trusts a short piece like a long one, 1 half as much where it is half as long.
    """
    return np.maximum(1.0, FULL_S / np.asarray(seconds, np.float64)) ** brevity
