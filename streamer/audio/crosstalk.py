"""Finds crosstalk: what one channel picks up of another, which must not count as speech there.

A sound is in two channels if they are *coherent* (G. C. Carter, "Coherence and time delay
estimation", Proc. IEEE 75(2), 1987): if one, delayed and filtered, explains most of the other's
power. Then it belongs to the channel in which it is louder; if it is equally loud in both, to the
first. Two people who speak at once are two sounds, and neither explains the other.

Each channel is compared with at most `MAX_SOURCES` others, so that the cost grows with the number
of channels, not with its square. Where there are more, it is compared with those whose loudness
went up and down with its own lately, because crosstalk is as loud or quiet as its source is; of
many that did, as around a table, with the one most like it and the loudest ones.
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

ALIKE = 0.5
"""Correlation from which on two channels may hold one sound: then the louder one is the source."""

CACHED_PAIRS = 128
"""Pairs of channels whose products, 2 KB each, are computed at once and fit into a core's cache."""

TOGETHER = 24
"""Pairs of channels times hops that are handled at once, where there are no sources to choose."""

ROOM_HOPS = 100
"""Of the buffer of spectra, beyond those that are needed: so often, what is needed is moved."""

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
        pairs = channels * self._count or 1
        chooses = channels - 1 > self._count
        self._together = 1 if chooses else max(1, TOGETHER // pairs)  # hops
        delays = max(1, CACHED_PAIRS // (pairs * self._together))
        self._parts = [
            slice(first, min(first + delays, _DELAYS)) for first in range(0, _DELAYS, delays)
        ]
        self.reset()

    def reset(self) -> None:
        """Forget the samples so far, because samples are missing after them."""
        channels, bins = self._channels, _BINS.stop - _BINS.start
        self._pending: Pcm = np.zeros((0, channels), np.int16)
        self._before = np.zeros((FRAME_SAMPLES - HOP_SAMPLES, channels), np.int16)
        room = (_KEPT + ROOM_HOPS, channels, bins)
        self._spectra: Spectra = np.zeros(room, np.complex128)
        self._power = np.zeros(room)  # of each hop, and those before within `WINDOW_HOPS`
        self._end = _KEPT  # of both, behind the newest
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
        if self._channels == 1:
            return np.zeros(pcm.shape, np.bool_)
        begins = len(self._pending)
        samples = np.concatenate((self._pending, pcm))
        size = self._together * HOP_SAMPLES
        whole = len(samples) - len(samples) % HOP_SAMPLES
        verdicts = [
            self._verdict[np.newaxis],
            *(self._listen(samples[at : min(at + size, whole)]) for at in range(0, whole, size)),
        ]
        self._pending = samples[whole:]
        self._verdict = verdicts[-1][-1]
        marks = np.repeat(np.concatenate(verdicts), HOP_SAMPLES, axis=0)
        return marks[begins : begins + len(pcm)]

    def _listen(self, samples: Pcm) -> NDArray[np.bool_]:
        """Which channels hold crosstalk after each of the next hops, shape (hops, channels).

        The channel that is classified is looked at `_REACH` hops late, so that its sound may also
        come before that of the channel that explains it.

        Args:
            samples: Of at most ``_together`` hops, shape (samples, channels).
        """
        count = len(samples) // HOP_SAMPLES
        heard = np.concatenate((self._before, samples))
        self._before = heard[-len(self._before) :]
        begins = range(0, len(samples), HOP_SAMPLES)
        frames = np.stack([heard[begin : begin + FRAME_SAMPLES].T for begin in begins])
        crosses = self._add(np.fft.rfft(frames * _WINDOW)[..., _BINS])
        new = slice(self._end - count, self._end)
        verdicts = np.zeros((count, self._channels), np.bool_)
        self._hops += count
        # Before there is something to average, all is coherent.
        skipped = max(0, min(count, WINDOW_HOPS - 1 - (self._hops - count)))
        if skipped == count:
            return verdicts
        loudness = 10 * np.log10(self._power[new].sum(axis=2) + _TINY)
        louder = loudness[:, self._sources] - loudness[..., np.newaxis]  # the source, in dB
        first = self._sources < np.arange(self._channels)[:, np.newaxis]
        owned = (louder > EQUAL_DB) | ((louder >= -EQUAL_DB) & first)
        owned[:skipped] = False
        hop, channel, place = np.nonzero(owned)
        at = hop + new.start
        source = self._sources[channel, place]
        explained = np.stack(
            [
                (
                    _power(cross[hop, channel, place]) / (self._power[at - delay, source] + _TINY)
                ).sum(axis=1)
                for delay, cross in enumerate(crosses)
            ]
        )
        total = self._power[at - _REACH, channel].sum(axis=1) + _TINY
        is_explained = explained.max(axis=0) > EXPLAINED * total
        verdicts[hop[is_explained], channel[is_explained]] = True
        return verdicts

    def _add(self, spectra: Spectra) -> list[Spectra]:
        """Move the averages on: add the products of each hop, and take off what is too old.

        The spectra, shape (hops, channels, bins), are rounded: the sums of products of whole
        numbers are exact in 53 bits, so that nothing of what was taken off ever remains, and it
        does not matter how many hops come at once.

        Returns:
            For each delay the products after each hop, shape (hops, heard in, place of the source,
            bins).
        """
        count = len(spectra)
        if self._end + count > len(self._spectra):
            for buffer in (self._spectra, self._power):
                buffer[:_KEPT] = buffer[self._end - _KEPT : self._end].copy()
            self._end = _KEPT
        first = self._end
        self._end += count
        self._spectra[first : self._end] = np.rint(spectra)
        power = _power(self._spectra[first : self._end])
        power -= _power(self._spectra[first - WINDOW_HOPS : self._end - WINDOW_HOPS])
        power[0] += self._power[first - 1]
        for hop in range(1, count):  # a cumsum along this axis takes ten times as long
            power[hop] += power[hop - 1]
        self._power[first : self._end] = power
        crosses: list[Spectra] = []
        for delays in self._parts:
            cross = self._products(delays, count, 0)
            cross -= self._products(delays, count, WINDOW_HOPS)
            cross[0] += self._cross[delays]
            for hop in range(1, count):
                cross[hop] += cross[hop - 1]
            self._cross[delays] = cross[-1]
            crosses += [cross[:, each] for each in range(cross.shape[1])]
        if self._envelopes is not None:  # one hop at a time
            self._envelopes.add(_power(self._ago(0)))
            if self._hops % CHOICE_HOPS == CHOICE_HOPS - 1:
                self._choose(self._envelopes.likely_sources(self._count))
                crosses = [cross[np.newaxis] for cross in self._cross]
        return crosses

    def _products(self, delays: slice, count: int, ago: int) -> Spectra:
        """Products of the newest hops, or of as many earlier ones.

        Returns:
            Shape (hops, delays, heard in, place of the source, bins).
        """
        end = self._end - ago
        heard = self._spectra[end - count - _REACH : end - _REACH]
        # of each delay's sources, the newest first
        sources = self._spectra[end - count - delays.stop + 1 : end - delays.start].conj()
        # Of two channels, each has the other: that needs no copy.
        sources = sources[:, self._sources] if self._count > 1 else sources[:, ::-1, np.newaxis]
        shape = (count, delays.stop - delays.start, *sources.shape[1:])
        made: Spectra = np.empty(shape, np.complex128)
        for place in range(shape[1]):
            first = shape[1] - 1 - place
            np.multiply(heard[:, :, np.newaxis], sources[first : first + count], made[:, place])
        return made

    def _ago(self, hops: int) -> Spectra:
        """The spectra of a number of hops ago, shape (channels, bins)."""
        spectra: Spectra = self._spectra[self._end - 1 - hops]
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

    def likely_sources(self, count: int) -> NDArray[np.intp]:
        """The channels that each one most likely picks up, shape (channels, count).

        The first is the one most correlated with it; then come the loudest of those that are alike,
        or the next most correlated where too few are.
        """
        spread = np.sqrt(np.diag(self._common)) + _TINY
        alike = self._common / spread / spread[:, np.newaxis]
        np.fill_diagonal(alike, -np.inf)
        loudness = self._mean.mean(axis=0)  # log10 of a power, never negative
        rank = np.where(alike >= ALIKE, 1.0 + loudness, alike)
        rank[np.arange(len(rank)), alike.argmax(axis=1)] = np.inf
        return np.sort(np.argpartition(-rank, count - 1, axis=1)[:, :count], axis=1)


def _power(spectra: Spectra) -> NDArray[np.float64]:
    """Exact where the spectra are whole numbers."""
    return np.square(spectra.real) + np.square(spectra.imag)
