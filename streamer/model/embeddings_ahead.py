"""Embeddings that were made before it was known whether they are needed."""

import threading
from collections import OrderedDict
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from streamer.model.streaming import TimedEmbedding
from streamer.types import Pcm

MAX_EMBEDDINGS = 256
"""Maximum number that is kept, of 12 kB each; beyond that, the oldest is forgotten."""


class EmbeddingsAhead:
    """Keeps the embeddings of pieces that may be classified next. Any number of threads may use it.

    Pieces are told apart by their samples, so that a prediction never depends on what was embedded
    ahead.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[bytes, TimedEmbedding | None] = OrderedDict()

    def keep(self, pcm: Pcm, embedding: TimedEmbedding | None) -> None:
        """Keep the embedding of ``pcm``, shape (samples,); None is that of silence."""
        with self._lock:
            self._kept[_digest(pcm)] = embedding
            if len(self._kept) > MAX_EMBEDDINGS:
                self._kept.popitem(last=False)

    def take(self, pcm: NDArray[np.generic]) -> TimedEmbedding | None:
        """Take out the embedding of ``pcm``, shape (samples,).

        Raises:
            KeyError: It was not made, or is forgotten.
        """
        with self._lock:
            if not self._kept or not isinstance(pcm, np.ndarray) or pcm.dtype != np.int16:
                raise KeyError  # only int16 is kept, and offline nothing is
            return self._kept.pop(_digest(pcm))


def _digest(pcm: NDArray[np.generic]) -> bytes:
    return blake2b(pcm.tobytes(), digest_size=16).digest()
