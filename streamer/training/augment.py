"""What a recording may also sound like: a short piece of it, over a telephone, in a noisy room."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamer.model.features import Waveform, speech_rms
from streamer.types import SAMPLE_RATE

Frequencies = NDArray[np.floating]
Variation: TypeAlias = Callable[[Waveform, np.random.Generator], Waveform]
"""Trimmed speech, shape (samples,), to speech as it may also be recorded."""

SHORTEST_S, LONGEST_S = 0.6, 3.0  # of a crop
TELEPHONE_HZ = (300.0, 3400.0)
MU = 255.0  # of the telephone's logarithmic 8-bit code
SNR_DB = (5.0, 25.0)  # of speech over added noise
TILT_DB = (-6.0, 0.0)  # per octave, of added noise: from brown, as of ventilation, to white


def plain(wave: Waveform, _rng: np.random.Generator) -> Waveform:
    """As it is."""
    return wave


def crop(wave: Waveform, rng: np.random.Generator) -> Waveform:
    """A random piece of 0.6 to 3 s: what a rolling view has to judge while somebody speaks."""
    shortest = round(SHORTEST_S * SAMPLE_RATE)
    longest = min(len(wave), round(LONGEST_S * SAMPLE_RATE))
    length = int(rng.integers(shortest, max(shortest, longest), endpoint=True))
    start = int(rng.integers(0, max(0, len(wave) - length), endpoint=True))
    return wave[start : start + length]


def telephone(wave: Waveform, _rng: np.random.Generator) -> Waveform:
    """Through a telephone line: its band, and its 8-bit code."""
    band = _shape(wave, lambda hz: (hz >= TELEPHONE_HZ[0]) & (hz <= TELEPHONE_HZ[1]))
    peak = np.abs(band).max(initial=1e-9) * 2  # talks at half of full scale
    code = np.sign(band) * np.log1p(MU * np.abs(band) / peak) / np.log1p(MU)
    code = np.round(code * 127) / 127
    line: Waveform = (np.sign(code) * np.expm1(np.abs(code) * np.log1p(MU)) / MU * peak).astype(
        np.float32
    )
    return line


def noisy(wave: Waveform, rng: np.random.Generator) -> Waveform:
    """With noise of a random colour, 5 to 25 dB below the speech."""
    tilt = rng.uniform(*TILT_DB) / 6.02  # as a power of the frequency, for amplitudes
    white = rng.standard_normal(len(wave)).astype(np.float32)
    noise = _shape(white, lambda hz: np.maximum(hz, 50.0) ** tilt)
    rms = float(np.sqrt(np.square(noise).mean())) or 1.0
    gain = speech_rms(wave) / rms / 10 ** (rng.uniform(*SNR_DB) / 20)
    return wave + np.float32(gain) * noise


def worn(wave: Waveform, rng: np.random.Generator) -> Waveform:
    """Noise, a telephone line, or noise and then a telephone line, each as often."""
    kind = rng.integers(3)
    if kind != 1:
        wave = noisy(wave, rng)
    return telephone(wave, rng) if kind else wave


def beginning(seconds: float) -> Variation:
    """Only the first ``seconds``: what is there for the first rolling judgements."""

    def first(wave: Waveform, _rng: np.random.Generator) -> Waveform:
        return wave[: round(seconds * SAMPLE_RATE)]

    return first


VARIATIONS: Mapping[str, Variation] = MappingProxyType(
    {
        "plain": plain,
        "crop": crop,
        "worn": worn,
        "telephone": telephone,
        "noisy": noisy,
        "first 0.5 s": beginning(0.5),
        "first 1 s": beginning(1.0),
        "first 2 s": beginning(2.0),
    }
)
"""By the name under which their features are kept."""


def _shape(
    wave: Waveform, gain: Callable[[Frequencies], NDArray[np.bool_ | np.floating]]
) -> Waveform:
    """Multiply the spectrum by ``gain(frequency in Hz)``."""
    spectrum = np.fft.rfft(wave)
    spectrum *= gain(np.fft.rfftfreq(len(wave), 1 / SAMPLE_RATE)).astype(np.float64)
    return np.fft.irfft(spectrum, len(wave)).astype(np.float32)
