"""Encodes samples to raw Opus packets, as a caller does."""

import av
import numpy as np


def opus_packets(pcm: np.ndarray, rate: int) -> list[bytes]:
    """Packets of 20 ms of int16 samples, shape (samples, channels), at one of Opus's rates."""
    layout = "mono" if pcm.shape[1] == 1 else "stereo"
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = rate, layout, "s16"
    encoder.bit_rate = 24_000 * pcm.shape[1]
    packets: list[bytes] = []
    for begin in range(0, len(pcm), rate // 50):
        block = np.ascontiguousarray(pcm[begin : begin + rate // 50]).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(block, format="s16", layout=layout)
        frame.sample_rate = rate
        packets += map(bytes, encoder.encode(frame))
    return [*packets, *map(bytes, encoder.encode(None))]
