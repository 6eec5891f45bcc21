"""Records a few seconds of a source into memory."""

import numpy as np

from streamer.audio.resample import StreamConverter
from streamer.audio.sources import Source
from streamer.types import SAMPLE_RATE, Pcm


def record(source: Source, seconds: float) -> Pcm:
    """What a source delivers, to its end or for so long, as one stream: shape (samples,).

    Raises:
        InputError: It cannot be opened, or is lost.
    """
    while (info := source.open()) is None:
        pass  # it waits by itself
    try:
        converter = StreamConverter(info.sample_rate, info.channels)
        pieces: list[Pcm] = []
        while sum(map(len, pieces)) < seconds * SAMPLE_RATE:
            block = source.read()
            if block is None:
                break
            pieces.append(converter.convert(block.pcm))
        pieces.append(converter.flush())
    finally:
        source.close()
    return np.concatenate(pieces)[:, 0]
