"""Runs Silero's voice-activity detector by ONNX Runtime, which recognises no emotion."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

BLOCK, CONTEXT = 512, 64  # samples at 16 kHz: what it hears at once, and again from before

_package = find_spec("silero_vad")  # importing it would import torch, which this does not need
if _package is None or _package.origin is None:
    raise ImportError("silero_vad is not installed")
MODEL = Path(_package.origin).parent / "data" / "silero_vad.onnx"

_options = onnxruntime.SessionOptions()
_options.intra_op_num_threads = _options.inter_op_num_threads = 1
_session = onnxruntime.InferenceSession(MODEL, _options, providers=["CPUExecutionProvider"])


def answer(wave: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probability of speech in each block of a piece at 16 kHz, shape (samples,): (blocks,)."""
    padded = np.pad(wave, (CONTEXT, -len(wave) % BLOCK))
    state = np.zeros((2, 1, 128), np.float32)
    rate = np.array(16_000, np.int64)
    verdicts = []
    for begin in range(0, len(padded) - CONTEXT, BLOCK):
        block = padded[None, begin : begin + CONTEXT + BLOCK].astype(np.float32)
        verdict, state = _session.run(None, {"input": block, "state": state, "sr": rate})
        verdicts.append(verdict[0, 0])
    return np.array(verdicts, np.float32)
