"""Voice activity in one channel, where what is said in another does not count."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from streamer.types import Pcm


class CrosstalkMaskedVad:
    """A voice-activity detector that pays no attention to crosstalk.

    Args:
        detector: Asked about every frame, since it has to know the noise.
    """

    def __init__(self, detector: Callable[[Pcm], bool]) -> None:
        self._detector = detector
        self._crosstalk: NDArray[np.bool_] = np.zeros(0, np.bool_)

    def expect(self, crosstalk: NDArray[np.bool_]) -> None:
        """Say which of the next samples are crosstalk, shape (samples,)."""
        self._crosstalk = np.concatenate((self._crosstalk, crosstalk))

    def __call__(self, frame: Pcm) -> bool:
        """Whether somebody speaks in the next frame, and in this channel."""
        here, self._crosstalk = self._crosstalk[: len(frame)], self._crosstalk[len(frame) :]
        return self._detector(frame) and 2 * int(here.sum()) < len(frame)

    def reset(self) -> None:
        """Begin frames anew: there is a hole in the stream."""
        self._crosstalk = self._crosstalk[:0]
