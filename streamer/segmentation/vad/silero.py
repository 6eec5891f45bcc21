"""The engine `silero`: Silero's neural network, run by onnxruntime. Needs the extra `silero`.

The package ``silero-vad`` is only where the network lies: importing it would import torch, and no
file of it but the ONNX one is read. Nothing is fetched at run time.
"""

from functools import cache
from importlib.metadata import distribution

import numpy as np
import onnxruntime

from streamer.audio.level import FULL_SCALE, rms_dbfs
from streamer.config import VadConfig
from streamer.types import SAMPLE_RATE, Pcm

NETWORK = "silero_vad/data/silero_vad.onnx"
CHUNK_SAMPLES = 512
"""What the network takes at once, 32 ms ..."""
CONTEXT_SAMPLES = 64
"""... preceded by the end of the chunk before."""
STATE_SHAPE = (2, 1, 128)

BEGINS, GOES_ON = 0.5, 0.35
"""Probability from which on it is speech; speech that has begun goes on while it is at least this.
Both are Silero's own defaults."""

_RATE = np.array(SAMPLE_RATE, np.int64)


class Silero:
    """Judge frames by the newest 32 ms that are complete.

    Frames are shorter than the network's chunks. Instead of waiting for a chunk to fill, a frame
    takes the verdict on the last full one, so that no verdict is more than 32 ms behind.

    Args:
        config: Length of the frames, and the least level of speech.

    Attributes:
        tail_frames: As of `Builtin`; none.
    """

    tail_frames = 0

    def __init__(self, config: VadConfig) -> None:
        self._floor_dbfs = config.floor_dbfs
        self._network = _network()
        self._state = np.zeros(STATE_SHAPE, np.float32)
        self._context = np.zeros(CONTEXT_SAMPLES, np.float32)
        self._pending = np.zeros(0, np.float32)  # less than a chunk
        self._speech = False

    def __call__(self, frame: Pcm) -> bool:
        """Judge the next frame, int16, shape (frame_samples,)."""
        samples = frame.astype(np.float32) / FULL_SCALE
        self._pending = np.concatenate((self._pending, samples))
        while len(self._pending) >= CHUNK_SAMPLES:
            chunk, self._pending = np.split(self._pending, [CHUNK_SAMPLES])
            self._speech = self._judge(chunk) >= (GOES_ON if self._speech else BEGINS)
        return self._speech and rms_dbfs(frame) > self._floor_dbfs

    def _judge(self, chunk: np.ndarray) -> float:
        """The probability of speech in the next chunk."""
        heard = np.concatenate((self._context, chunk))
        inputs = {"input": heard[np.newaxis], "state": self._state, "sr": _RATE}
        probability, self._state = self._network.run(None, inputs)
        self._context = chunk[-CONTEXT_SAMPLES:]
        return float(probability[0, 0])


@cache
def _network() -> onnxruntime.InferenceSession:
    """The network, loaded once for all channels: what it remembers is kept by each detector."""
    onnxruntime.disable_telemetry_events()  # there are some in the builds for Windows
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    path = distribution("silero-vad").locate_file(NETWORK)
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
