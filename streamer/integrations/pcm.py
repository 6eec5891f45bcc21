"""Converts the audio of other frameworks."""

import numpy as np

from streamer.types import Pcm


def mono(data: bytes | memoryview, channels: int) -> Pcm:
    """Signed 16-bit little-endian PCM as one channel, shape (samples,); several are mixed."""
    pcm = np.frombuffer(data, "<i2").reshape(-1, channels)
    return pcm[:, 0] if channels == 1 else pcm.mean(axis=1).astype(np.int16)
