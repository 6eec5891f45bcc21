"""Crosstalk: what is said in one channel and faintly heard in another belongs to the first alone.

A sound is in two channels if they are *coherent* (G. C. Carter, "Coherence and time delay
estimation", Proc. IEEE 75(2), 1987): if one, delayed and filtered, explains most of the other's
power. Then it belongs to the channel in which it is louder; if it is equally loud in both, to the
first. Two people who speak at once are two sounds, and neither explains the other.
"""

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

WINDOW_HOPS = 20
"""Frames that are averaged: fewer make chance look like coherence, and with more a channel is
credited for too long with what somebody said in it before."""

EXPLAINED = 0.55
"""From this part of a channel's power on, explained by another channel, it is crosstalk."""

EQUAL_DB = 3.0
"""Levels this close say nothing about whose sound it is."""

Spectra: TypeAlias = NDArray[np.complex128]

_BINS = slice(*(round(hz * FRAME_SAMPLES / SAMPLE_RATE) for hz in BAND_HZ))
_WINDOW = np.hanning(FRAME_SAMPLES)
_REACH = int(LAGS.max())
_DELAYS = len(LAGS)
_TINY = 1e-3  # in LSB²: keeps digital silence from explaining anything


class CrosstalkGate:
    """Say of each sample of several channels whether it is another channel's sound.

    It remembers the last quarter of a second: give it all channels, in order. What it says about a
    sample comes from the samples before the hop that it lies in, so it never depends on how the
    stream was cut into blocks.

    Args:
        channels: How many there are.
    """

    def __init__(self, channels: int) -> None:
        self._channels = channels
        self._first = np.tri(channels, k=-1, dtype=np.bool_)  # [a, b]: b comes before a
        self.reset()

    def reset(self) -> None:
        """Forget what was heard: there is a hole in the stream."""
        channels, bins = self._channels, _BINS.stop - _BINS.start
        self._pending: Pcm = np.zeros((0, channels), np.int16)
        self._newest = np.zeros((FRAME_SAMPLES, channels))
        self._spectra: Spectra = np.zeros((channels, WINDOW_HOPS + _DELAYS, bins), np.complex128)
        self._power = np.zeros((channels, _DELAYS, bins))
        self._cross: Spectra = np.zeros(  # [heard in, source, delay, bin]
            (channels, channels, _DELAYS, bins), np.complex128
        )
        self._verdict = np.zeros(channels, np.bool_)
        self._hops = 0

    def __call__(self, pcm: Pcm) -> NDArray[np.bool_]:
        """Listen to the next samples, shape (samples, channels); True where it is crosstalk."""
        marks = np.zeros(pcm.shape, np.bool_)
        if self._channels == 1:
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

        The channel that is classified is looked at `_REACH` hops late, so that its sound may also
        come before that of the channel that explains it.
        """
        self._newest = np.concatenate((self._newest[HOP_SAMPLES:], hop))
        self._add(np.fft.rfft(self._newest * _WINDOW[:, np.newaxis], axis=0)[_BINS].T)
        loudness = 10 * np.log10(self._power[:, 0].sum(axis=1) + _TINY)
        self._hops += 1
        self._verdict = np.zeros(self._channels, np.bool_)
        if self._hops < WINDOW_HOPS:  # before there is something to average, all is coherent
            return
        louder = loudness - loudness[:, np.newaxis]  # by how much the source, in dB
        owned = (louder > EQUAL_DB) | ((louder >= -EQUAL_DB) & self._first)
        heard, source = np.nonzero(owned)
        explained = _power(self._cross[heard, source]) / (self._power + _TINY)[source]
        total = self._power[heard, _REACH].sum(axis=1) + _TINY
        self._verdict[heard[explained.sum(axis=2).max(axis=1) > EXPLAINED * total]] = True

    def _add(self, spectra: Spectra) -> None:
        """Move the averages on by a hop: add its products, and take off what is too old.

        The spectra, shape (channels, bins), are rounded: the sums of products of whole numbers are
        exact in 53 bits, so that nothing of what was taken off ever remains.
        """
        self._spectra = np.roll(self._spectra, 1, axis=1)  # the newest first
        self._spectra[:, 0] = np.rint(spectra)
        newest, oldest = self._spectra[:, :_DELAYS], self._spectra[:, WINDOW_HOPS:]
        self._cross += newest[:, np.newaxis, _REACH, np.newaxis] * newest.conj()
        self._cross -= oldest[:, np.newaxis, _REACH, np.newaxis] * oldest.conj()
        self._power += _power(newest) - _power(oldest)


def _power(spectra: Spectra) -> NDArray[np.float64]:
    """Exact where the spectra are whole numbers."""
    return np.square(spectra.real) + np.square(spectra.imag)
