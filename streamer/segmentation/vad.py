"""Which frames are speech: webrtcvad as a cheap gate over silence, Silero's network as the verdict.

Silero (https://github.com/snakers4/silero-vad) is run by onnxruntime, at about a hundred times the
cost of webrtcvad, and only where webrtcvad or Silero's own last verdict says that there may be
speech. Of the package ``silero-vad`` only the ONNX file is read: importing it would import torch.
Where either package is missing or cannot be loaded, webrtcvad decides alone, and
`fallback_reason` says so.
"""

from collections import deque
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from typing import TYPE_CHECKING, Protocol

import numpy as np
import webrtcvad
from numpy.typing import NDArray

from streamer.audio.level import FULL_SCALE, rms_dbfs
from streamer.config import VadConfig
from streamer.types import SAMPLE_RATE, Pcm

if TYPE_CHECKING:
    import onnxruntime

SILERO = "silero-vad"
NETWORK_FILE = "silero_vad/data/silero_vad_16k_op15.onnx"
"""The network for 16 kHz alone: the same numbers as the one for 8 and 16 kHz at half the size."""

CHUNK_SAMPLES = 512
"""What the network takes at once, 32 ms ..."""
CONTEXT_SAMPLES = 64
"""... preceded by the last 4 ms of the chunk before."""
STATE_SHAPE = (2, 1, 128)
"""Of the network's recurrent state."""

ONSET_PROBABILITY, OFFSET_PROBABILITY = 0.5, 0.35
"""Speech begins at the first of these and goes on down to the second: Silero's own defaults."""

GATE_MODE = 0
"""webrtcvad's aggressiveness as a gate: it rejects the least."""
GATE_GAIN = 8
"""What is quieter by more than this is raised so much for the gate: webrtcvad has an absolute
threshold, below which it misses the beginnings of faint words that Silero finds."""
GATE_HANGOVER_SAMPLES = 8 * CHUNK_SAMPLES
"""The gate stays open for so long after webrtcvad's last speech; more than a chunk, so that every
chunk with a frame of speech in it goes to the network."""
WARM_UP_CHUNKS = 2
"""When the gate opens, the network goes on from its last state so many chunks before the present
one. Against the network on every chunk, 0.2 % of the frames of speech are missed so on clips that
no figure is reported on; 3 to 6 % if it started from an empty state."""

CURE = "pip install onnxruntime silero-vad"


class Engine(Protocol):
    """Tells speech from everything else, frame by frame."""

    def __call__(self, frame: Pcm) -> bool:
        """Whether somebody speaks in the next frame, int16, shape (frame_samples,)."""


class VoiceActivityDetector:
    """Say of each frame of one channel whether somebody speaks in it.

    It remembers what came before: give it every frame, in order, and one detector to each channel.
    The engine is loaded with the first frame, on whichever thread that is.

    Args:
        config: Which engine, the length of the frames, and the least level of speech.
    """

    def __init__(self, config: VadConfig) -> None:
        self.frame_samples = config.frame_ms * SAMPLE_RATE // 1000
        """Length of the frames it takes."""
        self._config = config
        self._engine: Engine | None = None

    def __call__(self, frame: Pcm) -> bool:
        """Classify the next frame.

        Args:
            frame: int16, shape (frame_samples,), at 16 kHz.

        Raises:
            TypeError: The samples are not int16.
            ValueError: It is not one frame of one channel.
        """
        if frame.dtype != np.int16:
            raise TypeError(f"got samples of type {frame.dtype}, expected int16")
        if frame.shape != (self.frame_samples,):
            raise ValueError(
                f"got a frame of shape {frame.shape}, expected {(self.frame_samples,)}"
            )
        if self._engine is None:
            self._engine = _engine(self._config)
        return self._engine(frame) and rms_dbfs(frame) > self._config.floor_dbfs


def fallback_reason(config: VadConfig) -> str | None:
    """Why webrtcvad decides alone though Silero was asked for, and the cure; else None.

    Loads the network, once in a process.
    """
    if config.engine == "webrtc":
        return None
    return network_error()


def _engine(config: VadConfig) -> Engine:
    if config.engine == "webrtc" or network_error() is not None:
        return WebRtc(config.aggressiveness)
    return GatedSilero(network())


@cache
def network_error() -> str | None:
    """What keeps the network from being loaded, and the cure; None where nothing does."""
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
    """The network: one for all channels, since each detector keeps its own state."""
    import onnxruntime  # noqa: PLC0415 - slow to import, and there may be none

    onnxruntime.disable_telemetry_events()  # there are some in the builds for Windows
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    path = distribution(SILERO).locate_file(NETWORK_FILE)
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


class WebRtc:
    """webrtcvad alone. It takes loud steady noise and many clicks for speech.

    Args:
        aggressiveness: 0 to 3; 3 rejects the most.
    """

    def __init__(self, aggressiveness: int) -> None:
        self._vad = webrtcvad.Vad(aggressiveness)

    def __call__(self, frame: Pcm) -> bool:
        """Whether there is speech in the next frame of 10, 20 or 30 ms."""
        return bool(self._vad.is_speech(frame.tobytes(), SAMPLE_RATE))


class GatedSilero:
    """Classify frames by the newest chunk of 32 ms that is complete, where the gate is open.

    Frames are shorter than chunks. A frame takes the verdict on the last full chunk instead of
    waiting for the next one to fill, so that no verdict is more than 32 ms behind.

    Args:
        network: Silero's.
    """

    def __init__(self, network: "onnxruntime.InferenceSession") -> None:
        self._network = network
        self._gate = WebRtc(GATE_MODE)
        self._quiet = GATE_HANGOVER_SAMPLES  # samples since the gate last said speech
        self._pending: NDArray[np.float32] = np.zeros(0, np.float32)  # less than a chunk
        self._skipped: deque[NDArray[np.float32]] = deque(maxlen=WARM_UP_CHUNKS)
        self._input = np.zeros((1, CONTEXT_SAMPLES + CHUNK_SAMPLES), np.float32)
        self._probability = np.zeros((1, 1), np.float32)
        self._rate = np.array(SAMPLE_RATE, np.int64)
        self._states = [np.zeros(STATE_SHAPE, np.float32) for _ in range(2)]
        now, then = self._states
        self._bindings = deque((self._bound(now, then), self._bound(then, now)))
        self._speech = False

    def __call__(self, frame: Pcm) -> bool:
        """Whether somebody speaks in the next frame, int16, shape (frame_samples,)."""
        self._quiet = 0 if self._may_be_speech(frame) else self._quiet + len(frame)
        samples = frame.astype(np.float32)
        samples /= FULL_SCALE
        self._pending = np.concatenate((self._pending, samples))
        while len(self._pending) >= CHUNK_SAMPLES:
            self._take(self._pending[:CHUNK_SAMPLES])
            self._pending = self._pending[CHUNK_SAMPLES:]
        return self._speech

    def _take(self, chunk: NDArray[np.float32]) -> None:
        """Classify the next chunk, or skip it while the gate is closed."""
        if not self._speech and self._quiet >= GATE_HANGOVER_SAMPLES:
            if len(self._skipped) == WARM_UP_CHUNKS:  # what goes is the context of the next one
                self._input[0, -CONTEXT_SAMPLES:] = self._skipped[0][-CONTEXT_SAMPLES:]
            self._skipped.append(chunk)
            return
        while self._skipped:
            self._classify(self._skipped.popleft())
        self._classify(chunk)

    def _may_be_speech(self, frame: Pcm) -> bool:
        faint = max(int(frame.max()), -int(frame.min())) * GATE_GAIN < FULL_SCALE
        return self._gate(frame * np.int16(GATE_GAIN) if faint else frame)

    def _classify(self, chunk: NDArray[np.float32]) -> None:
        self._input[0, :CONTEXT_SAMPLES] = self._input[0, -CONTEXT_SAMPLES:]
        self._input[0, CONTEXT_SAMPLES:] = chunk
        self._network.run_with_iobinding(self._bindings[0])
        self._bindings.rotate()  # the state that came out goes in next
        threshold = OFFSET_PROBABILITY if self._speech else ONSET_PROBABILITY
        self._speech = bool(self._probability[0, 0] >= threshold)

    def _bound(
        self, state: NDArray[np.float32], next_state: NDArray[np.float32]
    ) -> "onnxruntime.IOBinding":
        """The network's inputs and outputs at fixed places: a tenth of its time less."""
        binding = self._network.io_binding()
        for name, value in (("input", self._input), ("state", state), ("sr", self._rate)):
            binding.bind_input(name, "cpu", 0, value.dtype, value.shape, value.ctypes.data)
        for name, value in (("output", self._probability), ("stateN", next_state)):
            binding.bind_output(name, "cpu", 0, value.dtype, value.shape, value.ctypes.data)
        return binding
