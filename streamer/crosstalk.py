"""Crosstalk: what is said in one channel and faintly heard in another belongs to the first alone.

A sound is in two channels if they are *coherent* (G. C. Carter, "Coherence and time delay
estimation", Proc. IEEE 75(2), 1987): if one, delayed and filtered, explains most of the other's
power. Then it belongs to the channel in which it is louder; if it is equally loud in both, to the
first. Two people who speak at once are two sounds, and neither explains the other.
"""

from dataclasses import dataclass
from itertools import permutations
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamer.types import SAMPLE_RATE, Pcm

HOP_SAMPLES = SAMPLE_RATE * 10 // 1000
FRAME_SAMPLES = 512
"""32 ms: longer than the filters between two channels, short enough for sounds of speech."""

LAGS = np.arange(-3, 4)
"""Delays of one channel against the other that are tried, in hops: up to 30 ms either way."""

BAND_HZ = (150, 3800)
"""Where the telephone carries speech."""

MEMORY_HOPS = 12
"""Time constant of the averages. Fewer frames make chance look like coherence."""

EXPLAINED = 0.55
"""From this part of a channel's power on, explained by another channel, it is crosstalk."""

EQUAL_DB = 3.0
"""Levels this close say nothing about whose sound it is."""

Spectrum: TypeAlias = NDArray[np.complex64]
Power: TypeAlias = NDArray[np.float32]

_BINS = slice(*(round(hz * FRAME_SAMPLES / SAMPLE_RATE) for hz in BAND_HZ))
_WINDOW = np.hanning(FRAME_SAMPLES).astype(np.float32)
_KEEP = np.float32(np.exp(-1 / MEMORY_HOPS))
_REACH = int(LAGS.max())
_TINY = np.float32(1e-3)  # in LSB²: keeps digital silence from explaining anything


@dataclass(frozen=True, slots=True)
class _Pair:
    """A channel, and one that may be heard in it."""

    heard_in: int
    source: int


class CrosstalkGate:
    """Say of each sample of several channels whether it is another channel's sound.

    It remembers the last tenths of a second: give it all channels, in order. What it says about a
    sample comes from the samples before the hop that it lies in, so it never depends on how the
    stream was cut into blocks.

    Args:
        channels: How many there are.
    """

    def __init__(self, channels: int) -> None:
        self._pairs = [_Pair(*pair) for pair in permutations(range(channels), 2)]
        self._channels = channels
        self.reset()

    def reset(self) -> None:
        """Forget what was heard: there is a hole in the stream."""
        bins = _BINS.stop - _BINS.start
        spectra = (self._channels, 2 * _REACH + 1, bins)
        self._pending: Pcm = np.zeros((0, self._channels), np.int16)
        self._newest = np.zeros((FRAME_SAMPLES, self._channels), np.float32)
        self._spectra: Spectrum = np.zeros(spectra, np.complex64)  # of the last hops, newest first
        self._powers: Power = np.zeros(spectra, np.float32)  # averages, as of the last hops
        self._crosses: Spectrum = np.zeros((len(self._pairs), len(LAGS), bins), np.complex64)
        self._verdict = np.zeros(self._channels, np.bool_)
        self._hops = 0

    def __call__(self, pcm: Pcm) -> NDArray[np.bool_]:
        """Listen to the next samples, shape (samples, channels); True where it is crosstalk."""
        marks = np.zeros(pcm.shape, np.bool_)
        if not self._pairs:
            return marks
        at = 0
        while at < len(pcm):
            piece = pcm[at : at + HOP_SAMPLES - len(self._pending)]
            marks[at : at + len(piece)] = self._verdict
            at += len(piece)
            self._pending = np.concatenate((self._pending, piece))
            if len(self._pending) == HOP_SAMPLES:
                self._listen(self._pending)
                self._pending = self._pending[:0]
        return marks

    def _listen(self, hop: Pcm) -> None:
        """Renew the verdict.

        The channel that is judged is looked at `_REACH` hops late, so that its sound may also
        come before that of the channel that explains it.
        """
        self._newest = np.concatenate((self._newest[HOP_SAMPLES:], hop.astype(np.float32)))
        spectra = np.fft.rfft(self._newest * _WINDOW[:, np.newaxis], axis=0)[_BINS].T
        self._spectra = np.roll(self._spectra, 1, axis=1)
        self._spectra[:, 0] = spectra
        self._powers = np.roll(self._powers, 1, axis=1)
        self._powers[:, 0] = _KEEP * self._powers[:, 1] + np.square(np.abs(spectra))
        self._hops += 1
        loudness = 10 * np.log10(self._powers[:, 0].sum(axis=1) + _TINY)
        self._verdict = np.zeros(self._channels, np.bool_)
        for index, pair in enumerate(self._pairs):
            cross = self._crosses[index]
            cross *= _KEEP
            cross += self._spectra[pair.heard_in, _REACH] * self._spectra[pair.source].conj()
            louder = loudness[pair.source] - loudness[pair.heard_in]
            owned = louder > EQUAL_DB or (louder >= -EQUAL_DB and pair.source < pair.heard_in)
            # Until the averages are averages, anything is coherent.
            if owned and self._hops > MEMORY_HOPS and self._explained(cross, pair) > EXPLAINED:
                self._verdict[pair.heard_in] = True

    def _explained(self, cross: Spectrum, pair: _Pair) -> float:
        """The part of a channel's power that the other one explains at the likeliest delay."""
        coherent = np.square(np.abs(cross)) / (self._powers[pair.source] + _TINY)
        total = self._powers[pair.heard_in, _REACH].sum() + _TINY
        return float(coherent.sum(axis=1).max() / total)
