"""Voice-activity detection says which frames are speech: webrtcvad is a cheap gate before Silero.

Silero (https://github.com/snakers4/silero-vad) is run by onnxruntime, at about a hundred times the
cost of webrtcvad, and only where webrtcvad or Silero's own last verdict says that there may be
speech. Of the package ``silero-vad`` only the ONNX file is read: importing it would import torch.
Where either package is missing or cannot be loaded, webrtcvad decides alone, and
`fallback_reason` says so.
"""

from collections import deque
from collections.abc import Sequence
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

GATE_MODE = 0
"""webrtcvad's aggressiveness as a gate: it rejects the least."""
GATE_GAIN = 8
"""Samples that then stay within full scale are multiplied by this for the gate: webrtcvad has an
absolute threshold, below which it misses the beginnings of faint words that Silero finds."""
GAIN = np.int16(GATE_GAIN)
GATE_HANGOVER_SAMPLES = 8 * CHUNK_SAMPLES
"""The gate stays open for so long after webrtcvad's last speech; more than a chunk, so that every
chunk with a frame of speech in it goes to the network."""
WARM_UP_CHUNKS = 2
"""When the gate opens, the network continues from its last state this many chunks earlier. Compared
with the network on every chunk, this misses 0.2 % of the frames of speech (measured on clips that
no reported figure is of); an empty state would miss 3 to 6 %."""

CURE = "pip install onnxruntime silero-vad"


class VadEngine(Protocol):
    """A detector that says of each frame whether it is speech."""

    def __call__(self, frames: Pcm) -> list[bool]:
        """Whether somebody speaks in each of the next frames, int16, (frames, frame_samples)."""


class VoiceActivityDetector:
    """Says of each frame of one channel whether somebody speaks in it.

    It keeps a state: each channel needs its own detector, and every frame, in order.
    The engine is loaded with the first frame, on whichever thread that is.

    Args:
        config: Which engine, the length of the frames, and the least level of speech.
    """

    def __init__(self, config: VadConfig) -> None:
        self.frame_samples = config.frame_ms * SAMPLE_RATE // 1000
        """Length of the frames it takes."""
        self._config = config
        self._engine: VadEngine | None = None
        self._expected: deque[bool] = deque()

    def expect(self, frames: Pcm) -> None:
        """Classify the next frames in advance, all at once, which takes a third of the time.

        Args:
            frames: int16, shape (frames, frame_samples), at 16 kHz.
        """
        if self._engine is None:
            self._engine = _engine(self._config)
        floor = self._config.floor_dbfs
        self._expected += [
            said and rms_dbfs(frame) > floor
            for said, frame in zip(self._engine(frames), frames, strict=True)
        ]

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
        if not self._expected:
            self.expect(frame[np.newaxis])
        return self._expected.popleft()


def fallback_reason(config: VadConfig) -> str | None:
    """Why webrtcvad decides alone though Silero was asked for, and the cure; else None.

    Loads the network, once in a process.
    """
    if config.engine == "webrtc":
        return None
    return network_error()


def _engine(config: VadConfig) -> VadEngine:
    if config.engine == "webrtc" or network_error() is not None:
        return WebRtc(config.aggressiveness)
    return GatedSilero(network())


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
    """Load the network, one for all channels: each detector keeps its own state."""
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

    def __call__(self, frames: Pcm) -> list[bool]:
        """Whether there is speech in each of the next frames of 10, 20 or 30 ms."""
        is_speech = self._vad.is_speech
        return [bool(is_speech(frame.tobytes(), SAMPLE_RATE)) for frame in frames]


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
        self._context = np.zeros(CONTEXT_SAMPLES, np.float32)  # before the first of these
        self._speech = False
        # A chunk alone, as it comes live, goes in and out at fixed places: less to do each time.
        self._input = np.zeros((1, CONTEXT_SAMPLES + CHUNK_SAMPLES), np.float32)
        self._probability = np.zeros(1, np.float32)
        now, then = (np.zeros((2, *STATE_SHAPE), np.float32) for _ in range(2))
        self._states = deque((now, then))  # hidden and cell; the first is the present one
        self._bindings = deque((self._bound(now, then), self._bound(then, now)))

    def __call__(self, frames: Pcm) -> list[bool]:
        """Whether somebody speaks in each of the next frames, int16, (frames, frame_samples)."""
        if len(frames) == 1:
            return [self._next(frames[0])]
        before = len(self._pending)
        size = frames.shape[1]
        gate: list[bool] = []  # whether it is open, for each chunk that gets complete
        complete: list[int] = []  # chunks, after each frame
        for number, may_be_speech in enumerate(self._may_be_speech(frames), start=1):
            self._quiet = 0 if may_be_speech else self._quiet + size
            chunks = (before + number * size) // CHUNK_SAMPLES
            gate += [self._quiet < GATE_HANGOVER_SAMPLES] * (chunks - len(gate))
            complete.append(chunks)
        samples = frames.astype(np.float32).reshape(-1)
        samples /= FULL_SCALE
        samples = np.concatenate((self._pending, samples))
        whole = len(gate) * CHUNK_SAMPLES
        self._pending = samples[whole:]
        verdicts = [self._speech]
        if gate:
            verdicts += self._take(samples[:whole].reshape(-1, CHUNK_SAMPLES), gate)
        return [verdicts[chunks] for chunks in complete]

    def _next(self, frame: Pcm) -> bool:
        """The verdict on one frame, shape (frame_samples,)."""
        (may_be_speech,) = self._may_be_speech(frame[np.newaxis])
        self._quiet = 0 if may_be_speech else self._quiet + len(frame)
        samples = frame.astype(np.float32)
        samples /= FULL_SCALE
        self._pending = np.concatenate((self._pending, samples))
        while len(self._pending) >= CHUNK_SAMPLES:
            gate = self._quiet < GATE_HANGOVER_SAMPLES
            self._take(self._pending[np.newaxis, :CHUNK_SAMPLES], [gate])
            self._pending = self._pending[CHUNK_SAMPLES:]
        return self._speech

    def _take(self, chunks: NDArray[np.float32], gate: Sequence[bool]) -> list[bool]:
        """Classify the next chunks, and skip those for which the gate is closed.

        Args:
            chunks: Shape (chunks, CHUNK_SAMPLES).
            gate: Which of them it is open for. It also stays open as long as somebody speaks.
        """
        verdicts: list[bool] = []
        while (at := len(verdicts)) < len(chunks):
            if self._speech or gate[at]:
                end = at + 1
                while end < len(chunks) and gate[end]:
                    end += 1
                verdicts += self._verdicts(chunks[at:end])
                continue
            if len(self._skipped) == WARM_UP_CHUNKS:  # what goes is the context of the next one
                self._context = self._skipped[0][-CONTEXT_SAMPLES:]
            self._skipped.append(chunks[at])
            verdicts.append(False)
        return verdicts

    def _may_be_speech(self, frames: Pcm) -> list[bool]:
        if len(frames) == 1:
            loudest = max(int(frames.max()), -int(frames.min()))
            return self._gate(frames * GAIN if loudest * GATE_GAIN < FULL_SCALE else frames)
        limit = FULL_SCALE // GATE_GAIN
        faint = (frames.max(axis=1) < limit) & (frames.min(axis=1) > -limit)
        return self._gate(frames * np.where(faint, GAIN, np.int16(1))[:, np.newaxis])

    def _verdicts(self, chunks: NDArray[np.float32]) -> list[bool]:
        """After each chunk, whether somebody speaks; those skipped before it go first."""
        skipped = len(self._skipped)
        if skipped:
            chunks = np.concatenate((np.stack(self._skipped), chunks))
            self._skipped.clear()
        verdicts = []
        for probability in self._probabilities(chunks):
            threshold = OFFSET_PROBABILITY if self._speech else ONSET_PROBABILITY
            self._speech = probability >= threshold
            verdicts.append(self._speech)
        return verdicts[skipped:]

    def _probabilities(self, chunks: NDArray[np.float32]) -> list[float]:
        """What the network says of the next chunks, shape (chunks, CHUNK_SAMPLES)."""
        if len(chunks) == 1:
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

    def _bound(
        self, state: NDArray[np.float32], next_state: NDArray[np.float32]
    ) -> "onnxruntime.IOBinding":
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
