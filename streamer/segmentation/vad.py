"""Voice-activity detection says which frames are speech: webrtcvad is a cheap gate before Silero.

The network costs about a hundred times as much as webrtcvad. It runs only where webrtcvad or its
own last verdict says that there may be speech, and a second time, on the sound slowed down, where
it found none. Where onnxruntime or the package of the network is missing or cannot be loaded,
webrtcvad decides alone, and `fallback_reason` says so.
"""

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import webrtcvad

from streamer.audio.level import FULL_SCALE, rms_dbfs
from streamer.config import VadConfig
from streamer.segmentation.silero import (
    CHUNK_SAMPLES,
    FAINT_PROBABILITY,
    Hysteresis,
    Samples,
    SileroStream,
    SlowedSileroStream,
    network,
    network_error,
)
from streamer.types import SAMPLE_RATE, Pcm

if TYPE_CHECKING:
    import onnxruntime

GATE_MODE = 0
"""webrtcvad's aggressiveness as a gate: it rejects the least."""
GATE_GAIN = 8
"""Faint frames are amplified by this for the gate: webrtcvad has an absolute threshold, below which
it misses the beginnings of faint words that Silero finds."""
GAIN = np.int16(GATE_GAIN)
GATE_HANGOVER_SAMPLES = 8 * CHUNK_SAMPLES
"""The gate stays open for so long after webrtcvad's last speech; more than a chunk, so that every
chunk with a frame of speech in it goes to the network."""


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
        self._ahead: deque[bool] = deque()

    def classify_ahead(self, frames: Pcm) -> None:
        """Classify the next frames in advance, all at once, which takes a third of the time.

        Args:
            frames: int16, shape (frames, frame_samples), at 16 kHz.
        """
        if self._engine is None:
            self._engine = _engine(self._config)
        floor = self._config.floor_dbfs
        self._ahead += [
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
        if not self._ahead:
            self.classify_ahead(frame[np.newaxis])
        return self._ahead.popleft()


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

    A chunk is speech if the network says so, or else if it says so of the slowed chunk. Frames are
    shorter than chunks. A frame takes the verdict on the last full chunk instead of waiting for
    the next one to fill, so that no verdict is more than 32 ms behind.

    Args:
        network: Silero's.
    """

    def __init__(self, network: "onnxruntime.InferenceSession") -> None:
        self._gate = WebRtc(GATE_MODE)
        self._quiet = GATE_HANGOVER_SAMPLES  # samples since the gate last said speech
        self._pending: Samples = np.zeros(0, np.float32)  # less than a chunk
        self._plain, self._plain_verdict = SileroStream(network), Hysteresis()
        self._slowed, self._slowed_verdict = SlowedSileroStream(network), Hysteresis()

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

    @property
    def _speech(self) -> bool:
        """The verdict on the last chunk."""
        return self._plain_verdict.speech or self._slowed_verdict.speech

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

    def _take(self, chunks: Samples, gate: Sequence[bool]) -> list[bool]:
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
                probabilities = self._plain(chunks[at:end])
                verdicts += map(self._is_speech, chunks[at:end], probabilities)
                continue
            self._plain.skip(chunks[at])
            self._slowed.skip(chunks[at])
            verdicts.append(False)
        return verdicts

    def _is_speech(self, chunk: Samples, probability: float) -> bool:
        """The verdict on a chunk, by its probability and, if that is low, by the slowed sound."""
        if self._plain_verdict(probability):
            self._slowed_verdict.speech = False
        elif probability >= FAINT_PROBABILITY or self._slowed_verdict.speech:
            return self._slowed_verdict(self._slowed(chunk))
        self._slowed.skip(chunk)
        return self._plain_verdict.speech

    def _may_be_speech(self, frames: Pcm) -> list[bool]:
        if len(frames) == 1:
            loudest = max(int(frames.max()), -int(frames.min()))
            return self._gate(frames * GAIN if loudest * GATE_GAIN < FULL_SCALE else frames)
        limit = FULL_SCALE // GATE_GAIN
        faint = (frames.max(axis=1) < limit) & (frames.min(axis=1) > -limit)
        return self._gate(frames * np.where(faint, GAIN, np.int16(1))[:, np.newaxis])
