"""10, 20 or 30 ms of PCM -> speech or not, by the engine that the configuration names."""

from typing import Protocol

import numpy as np

from streamer.config import VadConfig
from streamer.segmentation.vad.builtin import Builtin
from streamer.types import SAMPLE_RATE, Pcm


class Engine(Protocol):
    """What can tell."""

    tail_frames: int

    def __call__(self, frame: Pcm) -> bool:
        """Whether somebody speaks in the next frame."""


class VoiceActivityDetector:
    """Say of each frame of one channel whether somebody speaks in it.

    It remembers what it heard: give it every frame, in order, and one detector to each channel.

    Args:
        config: Which engine, length of the frames, and how much evidence is asked for.
    """

    def __init__(self, config: VadConfig) -> None:
        self.frame_samples = config.frame_ms * SAMPLE_RATE // 1000
        """Length of the frames it takes."""
        self._engine = _engine(config)
        self.tail_samples = self._engine.tail_frames * self.frame_samples
        """So long it still says speech when speech is over, should it go on."""

    def __call__(self, frame: Pcm) -> bool:
        """Judge the next frame.

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
        return self._engine(frame)


def _engine(config: VadConfig) -> Engine:
    if config.engine == "silero":
        from streamer.segmentation.vad.silero import Silero  # noqa: PLC0415 - optional, and slow to import

        return Silero(config)
    return Builtin(config)
