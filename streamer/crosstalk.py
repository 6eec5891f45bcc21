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
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from streamer.types import SAMPLE_RATE, Pcm

HOP_SAMPLES = SAMPLE_RATE * 10 // 1000
FRAME_SAMPLES = 512
"""32 ms: longer than the filters between two channels, short enough for sounds of speech."""

LAGS = np.arange(-3, 4)
"""Delays of one channel against the other that are tried, in hops: up to 30 ms either way."""

BAND_HZ = (150, 3800)
"""Where the telephone carries speech."""

WINDOW_HOPS = 20
"""Frames that are averaged: fewer make chance look like coherence, and with more a channel is
credited for too long with what somebody said in it before."""

EXPLAINED = 0.55
"""From this part of a channel's power on, explained by another channel, it is crosstalk."""

EQUAL_DB = 3.0
"""Levels this close say nothing about whose sound it is."""

Spectra: TypeAlias = NDArray[np.complex64]

_BINS = slice(*(round(hz * FRAME_SAMPLES / SAMPLE_RATE) for hz in BAND_HZ))
_WINDOW = np.hanning(FRAME_SAMPLES).astype(np.float32)
_REACH = int(LAGS.max())
_JUDGED = slice(_REACH, _REACH + WINDOW_HOPS)
_TINY = np.float32(1e-3)  # in LSB²: keeps digital silence from explaining anything


@dataclass(frozen=True, slots=True)
class _Pair:
    """A channel, and one that may be heard in it."""

    heard_in: int
    source: int


class CrosstalkGate:
    """Say of each sample of several channels whether it is another channel's sound.

    It remembers the last quarter of a second: give it all channels, in order. What it says about a
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
        hops = WINDOW_HOPS + 2 * _REACH
        self._pending: Pcm = np.zeros((0, self._channels), np.int16)
        self._newest = np.zeros((FRAME_SAMPLES, self._channels), np.float32)
        self._spectra: Spectra = np.zeros((self._channels, hops, bins), np.complex64)
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
        self._spectra = np.roll(self._spectra, 1, axis=1)  # the newest first
        self._spectra[:, 0] = np.fft.rfft(self._newest * _WINDOW[:, np.newaxis], axis=0)[_BINS].T
        power = np.square(np.abs(self._spectra))
        loudness = 10 * np.log10(power[:, :WINDOW_HOPS].sum(axis=(1, 2)) + _TINY)
        self._hops += 1
        self._verdict = np.zeros(self._channels, np.bool_)
        if self._hops < WINDOW_HOPS:  # before there is something to average, all is coherent
            return
        for pair in self._pairs:
            louder = loudness[pair.source] - loudness[pair.heard_in]
            owned = louder > EQUAL_DB or (louder >= -EQUAL_DB and pair.source < pair.heard_in)
            if owned and _explained(self._spectra[pair.heard_in], self._spectra[pair.source]):
                self._verdict[pair.heard_in] = True


def _explained(heard: Spectra, source: Spectra) -> bool:
    """Whether one channel explains the other at some delay.

    Args:
        heard: The channel that is judged, shape (hops, bins), the newest first.
        source: The other one, likewise.
    """
    judged = heard[_JUDGED]
    delayed = sliding_window_view(source, WINDOW_HOPS, axis=0)  # (delays, bins, hops)
    cross = np.einsum("hb,dbh->db", judged, delayed.conj())
    coherent = np.square(np.abs(cross)) / (np.square(np.abs(delayed)).sum(axis=2) + _TINY)
    total = np.square(np.abs(judged)).sum() + _TINY
    return bool(coherent.sum(axis=1).max() > EXPLAINED * total)
