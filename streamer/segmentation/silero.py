"""Silero says how likely each chunk of a channel is speech, at its own speed and slowed down.

Silero (https://github.com/snakers4/silero-vad) is run by onnxruntime. Of the package ``silero-vad``
only the ONNX file is read: importing it would import torch.
"""

import os
from collections import deque
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnxruntime

SILERO = "silero-vad"
NETWORK_FILE = "silero_vad/data/silero_vad_16k_sequence.onnx"
"""The network for 16 kHz that takes any number of chunks at once: the same numbers as the one that
takes them one by one, to the bit, in two thirds of the time for one chunk and a third for many."""

CHUNK_SAMPLES = 512
"""What the network takes at once, 32 ms ..."""
CONTEXT_SAMPLES = 64
"""... preceded by the last 4 ms of the chunk before."""
STATE_SHAPE = (1, 1, 128)
"""Of each of the two parts of the network's recurrent state."""

ONSET_PROBABILITY, OFFSET_PROBABILITY = 0.5, 0.35
"""Speech begins at the first of these and goes on down to the second: Silero's own defaults."""

WARM_UP_CHUNKS = 2
"""After skipped chunks, the network continues from its last state this many chunks earlier.
Compared with the network on every chunk, this misses 0.2 % of the frames of speech (measured on
clips that no reported figure is of); an empty state would miss 3 to 6 %."""

SLOWED_SAMPLES = 768
"""What a chunk becomes at two thirds of its speed, which takes a third off its pitch. The network
was made for people who talk, and misses high voices that shout or weep (``docs/experiments``)."""

FAINT_PROBABILITY = 0.02
"""What the network thinks less likely to be speech is not tried again at the lower speed: pauses
and noises, mostly. Of high voices that are found at the lower speed, a tenth is lost so."""

CURE = "pip install onnxruntime silero-vad"

Samples = NDArray[np.float32]


@cache
def network_error() -> str | None:
    """Why the network cannot be loaded, and the cure; None where it can."""
    try:
        network()
    except PackageNotFoundError:
        reason = f"{SILERO} is not installed"
    except Exception as error:  # noqa: BLE001 - onnxruntime's own errors share no base class
        reason = str(error)
    else:
        return None
    return (
        f"Silero cannot be loaded ({reason}): webrtcvad alone decides what is speech, and takes "
        f"more noise for it; to mend that: {CURE}"
    )


@cache
def network() -> "onnxruntime.InferenceSession":
    """Load the network, one for all channels: each stream keeps its own state."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # asked for once, when it is imported
    import onnxruntime  # noqa: PLC0415 - slow to import, and there may be none

    onnxruntime.disable_telemetry_events()  # where it was imported before
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    path = distribution(SILERO).locate_file(NETWORK_FILE)
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


class SileroStream:
    """The probability that somebody speaks, for each chunk of one channel.

    Chunks that nobody needs to know about are skipped, which costs nothing.

    Args:
        network: Silero's.
    """

    def __init__(self, network: "onnxruntime.InferenceSession") -> None:
        self._network = network
        self._skipped: deque[Samples] = deque(maxlen=WARM_UP_CHUNKS)
        self._context = np.zeros(CONTEXT_SAMPLES, np.float32)  # before the first of these
        # A chunk alone, as it comes live, goes in and out at fixed places: less to do each time.
        self._input = np.zeros((1, CONTEXT_SAMPLES + CHUNK_SAMPLES), np.float32)
        self._probability = np.zeros(1, np.float32)
        now, then = (np.zeros((2, *STATE_SHAPE), np.float32) for _ in range(2))
        self._states = deque((now, then))  # hidden and cell; the first is the present one
        self._bindings: deque[onnxruntime.IOBinding] = deque()  # made for the first chunk alone

    def skip(self, chunk: Samples) -> None:
        """Take the next chunk, shape (CHUNK_SAMPLES,), without asking about it."""
        if len(self._skipped) == WARM_UP_CHUNKS:  # what goes is the context of the next one
            self._context = self._skipped[0][-CONTEXT_SAMPLES:]
        self._skipped.append(chunk)

    def __call__(self, chunks: Samples) -> list[float]:
        """The probability of speech in each of the next chunks.

        Args:
            chunks: Shape (chunks, CHUNK_SAMPLES), full scale ±1.
        """
        skipped = len(self._skipped)
        if skipped:
            chunks = np.concatenate((np.stack(self._skipped), chunks))
            self._skipped.clear()
        return self._probabilities(chunks)[skipped:]

    def _probabilities(self, chunks: Samples) -> list[float]:
        """What the network says of the next chunks, shape (chunks, CHUNK_SAMPLES)."""
        if len(chunks) == 1:
            if not self._bindings:
                now, then = self._states
                self._bindings.extend((self._bound(now, then), self._bound(then, now)))
            self._input[0, :CONTEXT_SAMPLES] = self._context
            self._input[0, CONTEXT_SAMPLES:] = chunks[0]
            self._context = self._input[0, -CONTEXT_SAMPLES:].copy()
            self._network.run_with_iobinding(self._bindings[0])
            self._bindings.rotate()  # the state that came out goes in next
            self._states.rotate()
            return [float(self._probability[0])]
        given = np.empty((len(chunks), CONTEXT_SAMPLES + CHUNK_SAMPLES), np.float32)
        given[:, CONTEXT_SAMPLES:] = chunks
        given[0, :CONTEXT_SAMPLES] = self._context
        given[1:, :CONTEXT_SAMPLES] = chunks[:-1, -CONTEXT_SAMPLES:]
        self._context = given[-1, -CONTEXT_SAMPLES:]
        state = self._states[0]
        feed = {"input": given, "h": state[0], "c": state[1]}
        probabilities, state[0], state[1] = self._network.run(None, feed)
        answers: list[float] = probabilities.tolist()
        return answers

    def _bound(self, state: Samples, next_state: Samples) -> "onnxruntime.IOBinding":
        """The network's inputs and outputs for a chunk alone, at fixed places."""
        binding = self._network.io_binding()
        for name, value in (("input", self._input), ("h", state[0]), ("c", state[1])):
            binding.bind_input(name, "cpu", 0, value.dtype, value.shape, value.ctypes.data)
        for name, value in (
            ("speech_probs", self._probability),
            ("hn", next_state[0]),
            ("cn", next_state[1]),
        ):
            binding.bind_output(name, "cpu", 0, value.dtype, value.shape, value.ctypes.data)
        return binding


class SlowedSileroStream:
    """`SileroStream` of the same channel at two thirds of its speed, and so at a lower pitch.

    Args:
        network: Silero's.
    """

    def __init__(self, network: "onnxruntime.InferenceSession") -> None:
        self._stream = SileroStream(network)
        self._skipped: deque[Samples] = deque(maxlen=WARM_UP_CHUNKS)
        self._slowed = np.zeros(0, np.float32)  # less than a chunk
        self._before = np.zeros(1, np.float32)  # the last sample that was slowed down
        self._times = np.arange(1, SLOWED_SAMPLES + 1) * (CHUNK_SAMPLES / SLOWED_SAMPLES)

    def skip(self, chunk: Samples) -> None:
        """Take the next chunk, shape (CHUNK_SAMPLES,), without asking about it."""
        self._skipped.append(chunk)

    def __call__(self, chunk: Samples) -> float:
        """The probability of speech at the end of the next chunk, shape (CHUNK_SAMPLES,)."""
        slowed = [self._slowed, *map(self._slow_down, (*self._skipped, chunk))]
        self._skipped.clear()
        samples = np.concatenate(slowed)
        whole = len(samples) - len(samples) % CHUNK_SAMPLES
        self._slowed = samples[whole:]
        return self._stream(samples[:whole].reshape(-1, CHUNK_SAMPLES))[-1]

    def _slow_down(self, chunk: Samples) -> Samples:
        """Interpolate linearly, shape (SLOWED_SAMPLES,)."""
        samples = np.concatenate((self._before, chunk))
        self._before = chunk[-1:]
        slowed: Samples = np.interp(self._times, np.arange(len(samples)), samples).astype("f4")
        return slowed


class Hysteresis:
    """Whether somebody speaks, by probabilities that waver.

    Attributes:
        speech: The last verdict.
    """

    def __init__(self) -> None:
        self.speech = False

    def __call__(self, probability: float) -> bool:
        """The verdict after the next probability."""
        self.speech = probability >= (OFFSET_PROBABILITY if self.speech else ONSET_PROBABILITY)
        return self.speech
