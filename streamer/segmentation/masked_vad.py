"""This voice-activity detector ignores crosstalk from other channels."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from streamer.types import Pcm


class CrosstalkMaskedVad:
    """A voice-activity detector that ignores crosstalk.

    Args:
        detector: Called with every frame, crosstalk included, because it adapts to the noise.
    """

    def __init__(self, detector: Callable[[Pcm], bool]) -> None:
        self._detector = detector
        self._crosstalk: NDArray[np.bool_] = np.zeros(0, np.bool_)
        self._at = 0  # where in it the next frame begins
        self._any = False

    def expect(self, crosstalk: NDArray[np.bool_]) -> None:
        """Say which of the next samples are crosstalk, shape (samples,)."""
        self._crosstalk = np.concatenate((self._crosstalk[self._at :], crosstalk))
        self._at = 0
        self._any = bool(self._crosstalk.any())

    def __call__(self, frame: Pcm) -> bool:
        """Whether somebody speaks in the next frame, and in this channel."""
        begin, self._at = self._at, self._at + len(frame)
        if not self._detector(frame):
            return False
        return not self._any or 2 * int(self._crosstalk[begin : self._at].sum()) < len(frame)

    def reset(self) -> None:
        """Begin frames anew: there is a hole in the stream."""
        self._crosstalk = self._crosstalk[:0]
        self._at = 0
