"""Synthesises shaped noise, tones, struck sounds and envelopes."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamer.model.features import Waveform
from streamer.types import SAMPLE_RATE

Frequencies: TypeAlias = NDArray[np.floating]

OCTAVE_DB = 20 * np.log10(2)  # a tilt of this many dB per octave is a first power of the frequency

FFT_STEP = 4096  # samples: lengths of transforms are rounded up to it, as odd ones are slow

PERIOD = 1024  # samples of a table


def likely(rng: np.random.Generator, chance: float) -> bool:
    """True with this probability."""
    return bool(rng.random() < chance)


def white(rng: np.random.Generator, samples: int) -> Waveform:
    """White noise of standard deviation 1."""
    return rng.standard_normal(samples, np.float32)


def shaped(
    rng: np.random.Generator, samples: int, gain: Callable[[Frequencies], Frequencies]
) -> Waveform:
    """Noise whose spectrum is ``gain(frequency in Hz)``."""
    length = fft_length(samples)
    bins = rng.standard_normal((length // 2 + 1, 2), np.float32).view(np.complex64)[:, 0]
    spectrum = bins * gain(np.fft.rfftfreq(length, 1 / SAMPLE_RATE)).astype(np.float32)
    spectrum[0] = 0
    wave: Waveform = np.fft.irfft(spectrum, length)[:samples].astype(np.float32, copy=False)
    return wave


def fft_length(samples: int) -> int:
    """A length that is transformed quickly, at least ``samples``."""
    return -(-max(1, samples) // FFT_STEP) * FFT_STEP


def tone(
    hz: float | NDArray[np.floating],
    harmonics: Sequence[float] | NDArray[np.floating],
    samples: int,
    rng: np.random.Generator,
) -> Waveform:
    """A periodic sound.

    Args:
        hz: Its pitch, or its course over time, shape (samples,).
        harmonics: Amplitudes of the first and the following; those above half of the sample rate
            are left out.
        samples: Length.
        rng: Draws the phases.
    """
    count = min(len(harmonics), max(1, int(SAMPLE_RATE / 2 / np.max(hz))))
    spectrum = np.zeros(PERIOD // 2 + 1, np.complex64)
    phases = np.exp(2j * np.pi * rng.random(count))
    spectrum[1 : count + 1] = np.asarray(harmonics)[:count] * phases * PERIOD / 2
    table = np.fft.irfft(spectrum, PERIOD).astype(np.float32)
    turns = np.cumsum(np.broadcast_to(np.asarray(hz, np.float64), samples)) / SAMPLE_RATE
    wave: Waveform = table[(turns * PERIOD).astype(np.int64) % PERIOD]
    return wave


def timbre(rng: np.random.Generator) -> NDArray[np.floating]:
    """Amplitudes of harmonics: from a flute to a saw, sometimes only the odd ones."""
    numbers = np.arange(1, 25)
    harmonics = rng.uniform(0.2, 1, 24) / numbers ** rng.uniform(0.6, 3)
    if likely(rng, 0.25):
        harmonics *= numbers % 2
    strengths: NDArray[np.floating] = harmonics
    return strengths


def knock(
    rng: np.random.Generator,
    seconds: float,
    *,
    hz: tuple[float, float],
    partials: int,
    noise: float = 1.0,
) -> Waveform:
    """Something struck: damped resonances between two frequencies, and the noise of the blow."""
    time = np.arange(round(seconds * SAMPLE_RATE) + 8, dtype=np.float32) / SAMPLE_RATE
    pitches = (hz[0] * (hz[1] / hz[0]) ** rng.random((partials, 1))).astype(np.float32)
    decays = (seconds * rng.uniform(0.1, 0.4, (partials, 1))).astype(np.float32)
    angles = 2 * np.pi * (pitches * time + rng.random((partials, 1), np.float32))
    ring = (np.sin(angles) * np.exp(-time / decays)).sum(axis=0)
    blow = white(rng, len(time)) * np.exp(-time / np.float32(seconds * rng.uniform(0.02, 0.1)))
    struck: Waveform = ring + np.float32(noise * rng.uniform(0, 1.5)) * blow
    return struck * np.float32(10 ** rng.uniform(-0.4, 0))


def scattered(
    rng: np.random.Generator, samples: int, event: Callable[[], Waveform], *, every: float
) -> Waveform:
    """Events about every ``every`` seconds, over a faint hiss."""
    wave = np.float32(10 ** rng.uniform(-4, -2)) * white(rng, samples)
    begin = rng.uniform(0, min(every, 0.3))
    while (at := round(begin * SAMPLE_RATE)) < samples:
        sound = event()[: samples - at]
        wave[at : at + len(sound)] += sound
        begin += every * rng.uniform(0.5, 1.5)
    return wave


def phrase(
    rng: np.random.Generator,
    samples: int,
    note: Callable[[int], Waveform],
    *,
    lengths: tuple[float, float],
) -> Waveform:
    """Notes in turn, each of a length between two, in seconds."""
    parts: list[Waveform] = []
    missing = samples
    while missing > 0:
        parts.append(note(round(rng.uniform(*lengths) * SAMPLE_RATE)))
        missing -= len(parts[-1])
    return np.concatenate(parts)[:samples].astype(np.float32)


def envelope(samples: int, *, attack: float, release: float) -> Waveform:
    """A linear rise from 0 to 1, and a linear fall at the end; both in seconds."""
    time = np.arange(samples, dtype=np.float32) / SAMPLE_RATE
    shape: Waveform = np.minimum(1, np.minimum(time / attack, time[::-1] / release))
    return shape


def switched(samples: int, *, on: float, off: float, begin: float) -> Waveform:
    """1 for ``on`` seconds, then 0 for ``off``, repeatedly, from ``begin`` on."""
    time = np.arange(samples, dtype=np.float32) / SAMPLE_RATE + begin
    return (time % (on + off) < on).astype(np.float32)


def swell(rng: np.random.Generator, samples: int) -> Waveform:
    """Slow changes of level, mostly none."""
    if likely(rng, 0.6):
        return np.ones(1, np.float32)
    return wander(rng, samples, octaves=rng.uniform(0.2, 3), seconds=rng.uniform(0.15, 1.5))


def wander(rng: np.random.Generator, samples: int, *, octaves: float, seconds: float) -> Waveform:
    """A slow random course around 1, up and down by ``octaves``, shape (samples,)."""
    knots = rng.uniform(-octaves, octaves, int(samples / SAMPLE_RATE / seconds) + 2)
    course = np.interp(np.arange(samples) / SAMPLE_RATE / seconds, np.arange(len(knots)), knots)
    return (2**course).astype(np.float32)


def unit(wave: Waveform) -> Waveform:
    """Scale to an RMS of 1."""
    return wave / max(float(np.sqrt(np.square(wave).mean())), 1e-9)
