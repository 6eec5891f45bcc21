"""Crosstalk: this module finds what one channel picks up of another, which must not count there.

A sound is in two channels if they are *coherent* (G. C. Carter, "Coherence and time delay
estimation", Proc. IEEE 75(2), 1987): if one, delayed and filtered, explains most of the other's
power. Then it belongs to the channel in which it is louder; if it is equally loud in both, to the
first. Two people who speak at once are two sounds, and neither explains the other.

Each channel is compared with at most `MAX_SOURCES` others, so that the cost grows with the number
of channels, not with its square. Where there are more, it is compared with those whose loudness
went up and down with its own lately, because crosstalk is as loud or quiet as its source is.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamer.types import SAMPLE_RATE, Pcm

HOP_SAMPLES = SAMPLE_RATE * 10 // 1000
FRAME_SAMPLES = 512
"""32 ms: longer than the filters between two channels, short enough for sounds of speech."""

LAGS = np.arange(-3, 4)
"""Delays between two channels that are compared, in hops: up to 30 ms either way."""

BAND_HZ = (150, 3800)
"""The frequencies of speech on a telephone line."""

WINDOW_HOPS = 20
"""Frames that are averaged: with fewer, chance looks like coherence; with more, a channel counts as
the source for too long after its speech."""

EXPLAINED = 0.55
"""From this part of a channel's power on, explained by another channel, it is crosstalk."""

EQUAL_DB = 3.0
"""Levels this close say nothing about whose sound it is."""

MAX_SOURCES = 3
"""Channels that each one is compared with: with four channels or fewer, all others."""

CHOICE_HOPS = 10
"""Hops between two choices of these channels, where there are more."""

BANDS = 4
"""Frequency bands whose loudness is compared for that choice..."""

MEMORY_HOPS = 25
"""...over about a quarter of a second."""

CACHED_PAIRS = 128
"""Pairs of channels whose products, 2 KB each, are computed at once and fit into a core's cache."""

Spectra: TypeAlias = NDArray[np.complex128]

_BINS = slice(*(round(hz * FRAME_SAMPLES / SAMPLE_RATE) for hz in BAND_HZ))
_WINDOW = np.hanning(FRAME_SAMPLES)
_REACH = int(LAGS.max())
_DELAYS = len(LAGS)
_KEPT = WINDOW_HOPS + _DELAYS  # hops
_TINY = 1e-3  # in LSB²: keeps digital silence from explaining anything


class CrosstalkGate:
    """Says of each sample of several channels whether it is another channel's sound.

    It keeps the last quarter of a second, so it needs all samples, in order. A sample is decided by
    the samples before its hop, so the result does not depend on how the stream was cut into blocks.

    Args:
        channels: How many there are.
    """

    def __init__(self, channels: int) -> None:
        self._channels = channels
        self._count = min(channels - 1, MAX_SOURCES)  # of sources for each channel
        together = max(1, CACHED_PAIRS // (channels * self._count or 1))
        self._parts = [
            np.arange(first, min(first + together, _DELAYS))
            for first in range(0, _DELAYS, together)
        ]
        self.reset()

    def reset(self) -> None:
        """Forget the samples so far, because samples are missing after them."""
        channels, bins = self._channels, _BINS.stop - _BINS.start
        self._pending: Pcm = np.zeros((0, channels), np.int16)
        self._newest = np.zeros((FRAME_SAMPLES, channels))
        self._spectra: Spectra = np.zeros((_KEPT, channels, bins), np.complex128)  # a ring
        self._head = 0  # of it, where the newest is
        self._power = np.zeros((_DELAYS, channels, bins))
        # [channel, place]: the channels that it is compared with
        self._sources = np.stack([np.delete(np.arange(channels), c) for c in range(channels)])
        self._sources = self._sources[:, : self._count]
        self._cross: Spectra = np.zeros(  # [delay, heard in, place of the source, bin]
            (_DELAYS, channels, self._count, bins), np.complex128
        )
        self._envelopes = _Envelopes(channels) if channels - 1 > self._count else None
        self._verdict = np.zeros(channels, np.bool_)
        self._hops = 0

    def __call__(self, pcm: Pcm) -> NDArray[np.bool_]:
        """Take the next samples, shape (samples, channels); return True where one is crosstalk."""
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
        """Decide anew which channels hold crosstalk.

        The channel that is classified is looked at `_REACH` hops late, so that its sound may also
        come before that of the channel that explains it.
        """
        self._newest = np.concatenate((self._newest[HOP_SAMPLES:], hop))
        self._add(np.fft.rfft(self._newest * _WINDOW[:, np.newaxis], axis=0)[_BINS].T)
        loudness = 10 * np.log10(self._power[0].sum(axis=1) + _TINY)
        self._hops += 1
        self._verdict = np.zeros(self._channels, np.bool_)
        if self._hops < WINDOW_HOPS:  # before there is something to average, all is coherent
            return
        channel = np.arange(self._channels)[:, np.newaxis]
        louder = loudness[self._sources] - loudness[:, np.newaxis]  # the source, in dB
        first = self._sources < channel
        owned = (louder > EQUAL_DB) | ((louder >= -EQUAL_DB) & first)
        heard, place = np.nonzero(owned)
        source = self._sources[heard, place]
        explained = [
            (_power(cross[heard, place]) / (power[source] + _TINY)).sum(axis=1)
            for cross, power in zip(self._cross, self._power, strict=True)  # by delay
        ]
        total = self._power[_REACH, heard].sum(axis=1) + _TINY
        self._verdict[heard[np.max(explained, axis=0) > EXPLAINED * total]] = True

    def _add(self, spectra: Spectra) -> None:
        """Move the averages on by a hop: add its products, and take off what is too old.

        The spectra, shape (channels, bins), are rounded: the sums of products of whole numbers are
        exact in 53 bits, so that nothing of what was taken off ever remains.
        """
        self._head = (self._head - 1) % _KEPT
        self._spectra[self._head] = np.rint(spectra)
        for sign, hops in ((1, 0), (-1, WINDOW_HOPS)):
            heard = sign * self._ago(hops + _REACH)[:, np.newaxis]
            for delays in self._parts:
                source = self._spectra[(self._head + hops + delays) % _KEPT]
                part = slice(delays[0], delays[-1] + 1)
                self._power[part] += sign * _power(source)
                self._cross[part] += heard * source.conj()[:, self._sources]
        if self._envelopes is not None:
            self._envelopes.add(_power(self._ago(0)))
            if self._hops % CHOICE_HOPS == CHOICE_HOPS - 1:
                self._choose(self._envelopes.most_alike(self._count))

    def _ago(self, hops: int) -> Spectra:
        """The spectra of so many hops ago, shape (channels, bins)."""
        spectra: Spectra = self._spectra[(self._head + hops) % _KEPT]
        return spectra

    def _choose(self, sources: NDArray[np.intp]) -> None:
        """Compare with these channels from now on, and with what is remembered of them."""
        changed = np.flatnonzero((sources != self._sources).any(axis=1))
        self._sources = sources
        for delay in range(_DELAYS):
            self._cross[delay, changed] = sum(
                self._ago(hops + _REACH)[changed, np.newaxis]
                * self._ago(hops + delay).conj()[sources[changed]]
                for hops in range(WINDOW_HOPS)
            )


class _Envelopes:
    """Correlates the loudness of each channel with that of each other one.

    Args:
        channels: How many there are.
    """

    def __init__(self, channels: int) -> None:
        self._mean = np.zeros((BANDS, channels))
        self._common = np.zeros((channels, channels))  # covariance, over bands and hops
        self._is_new = True

    def add(self, power: NDArray[np.float64]) -> None:
        """Take in the power of a hop, shape (channels, bins)."""
        bands = [part.sum(axis=1) for part in np.array_split(power, BANDS, axis=1)]
        loudness = np.log10(np.stack(bands) + 1.0)
        if self._is_new:
            self._mean, self._is_new = loudness, False
        self._mean += (loudness - self._mean) / MEMORY_HOPS
        away = loudness - self._mean
        self._common += (away.T @ away - self._common) / MEMORY_HOPS

    def most_alike(self, count: int) -> NDArray[np.intp]:
        """The ``count`` channels most correlated with each one, shape (channels, count)."""
        spread = np.sqrt(np.diag(self._common)) + _TINY
        alike = self._common / spread / spread[:, np.newaxis]
        np.fill_diagonal(alike, -np.inf)
        found = np.argpartition(-alike, count - 1, axis=1)[:, :count]
        return np.sort(found, axis=1)


def _power(spectra: Spectra) -> NDArray[np.float64]:
    """Exact where the spectra are whole numbers."""
    return np.square(spectra.real) + np.square(spectra.imag)
