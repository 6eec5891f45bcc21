"""Mixes several channels to one, unless they would cancel each other."""

import numpy as np
from numpy.typing import NDArray

from streamer.types import Pcm

HOPS_PER_S = 50
MEMORY_HOPS = 10
"""Levels are averaged over about a fifth of a second."""

CANCELLED = 0.05
"""Share of the loudest channel's power below which the channels cancel each other (-13 dB)."""

SOUND_POWER = 4.0
"""Least mean power of a channel that is not silent, in LSB²."""


class Mixer:
    """Mixes channels; where they are in opposite phase, takes the loudest instead.

    A microphone cable with two wires crossed, or a balanced line in a stereo socket, delivers the
    same sound twice with opposite signs: their mean is silence. A sample is decided by the hops
    before its own, so the result does not depend on how the stream was cut into blocks.

    Args:
        sample_rate: In Hz.
        channels: How many there are.
    """

    def __init__(self, sample_rate: int, channels: int) -> None:
        self._hop = max(1, sample_rate // HOPS_PER_S)
        self._channels = channels
        self._rest = self._hop  # samples until the hop is full
        self._sums = np.zeros(channels + 1)  # of squares, in this hop: each channel, their mean
        self._power = np.zeros(channels + 1)  # the same, averaged over hops
        self._taken: int | None = None  # the channel that is taken; None for the mean
        self._told = False
        self._warnings: list[str] = []

    def mix(self, pcm: Pcm) -> Pcm:
        """Mix the next samples, shape (samples, channels), to shape (samples, 1)."""
        if self._channels == 1:
            return pcm
        pieces: list[Pcm] = [np.zeros((0, 1), np.int16)]
        while len(pcm):
            piece, pcm = pcm[: self._rest], pcm[self._rest :]
            mean = piece.mean(axis=1, keepdims=True)
            pieces.append(
                np.rint(mean).astype(np.int16)
                if self._taken is None
                else piece[:, self._taken : self._taken + 1]
            )
            self._sums += np.square(np.hstack((piece, mean)), dtype=np.float64).sum(axis=0)
            self._rest -= len(piece)
            if not self._rest:
                self._decide(self._sums / self._hop)
                self._rest, self._sums = self._hop, np.zeros(self._channels + 1)
        return np.concatenate(pieces)

    def drain_warnings(self) -> list[str]:
        """Return the warnings since the last call, a line each."""
        warnings, self._warnings = self._warnings, []
        return warnings

    def _decide(self, power: NDArray[np.float64]) -> None:
        """At the end of a hop; ``power`` has shape (channels + 1,), the mean's last."""
        if power[:-1].max() < SOUND_POWER:
            return
        self._power += (power - self._power) / MEMORY_HOPS
        loudest = int(self._power[:-1].argmax())
        if self._power[-1] >= CANCELLED * self._power[loudest]:
            self._taken = None
        elif self._taken is None:
            self._taken = loudest
            if not self._told:
                self._told = True
                self._warnings.append(
                    f"its channels are in opposite phase and cancel each other: "
                    f"channel {loudest + 1} of {self._channels} alone is taken"
                )
