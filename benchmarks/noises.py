"""Noises to hide speech in. They are synthetic, but for babble: eight clips of speech at once."""

import math
from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np
from speech_clips import FRAME, Audio, frame_db, truth

from streamer.types import SAMPLE_RATE, Pcm

Noise: TypeAlias = Callable[[np.random.Generator, int], Audio]


def white(rng: np.random.Generator, samples: int) -> Audio:
    """A detuned radio."""
    return rng.standard_normal(samples)


def hum(rng: np.random.Generator, samples: int) -> Audio:
    """Mains at 50 Hz and its harmonics."""
    t = np.arange(samples) / SAMPLE_RATE
    partials = (1, 2, 3, 4, 5, 6, 7, 9, 11, 13)
    waves = [np.sin(100 * np.pi * k * t + rng.uniform(0, 6)) / k for k in partials]
    return np.asarray(np.sum(waves, axis=0))


def fan(rng: np.random.Generator, samples: int) -> Audio:
    """Deep noise, slowly swelling, with the tones of the blades."""
    t = np.arange(samples) / SAMPLE_RATE
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    spectrum *= np.maximum(np.fft.rfftfreq(samples, 1 / SAMPLE_RATE), 20) ** -0.75
    noise = np.fft.irfft(spectrum, samples)
    blades = np.sum([np.sin(2 * np.pi * 47 * k * t) / k for k in (1, 2, 3, 4)], axis=0)
    swell = 1 + 0.1 * np.sin(2 * np.pi * 1.3 * t)
    return np.asarray(noise / noise.std() * swell + 0.3 * blades)


def keyboard(rng: np.random.Generator, samples: int) -> Audio:
    """3 to 8 keys a second, each pressed and let go: a burst, and three damped resonances."""
    audio = np.zeros(samples + SAMPLE_RATE)
    t = np.arange(SAMPLE_RATE * 60 // 1000) / SAMPLE_RATE
    now = 0.0
    while now * SAMPLE_RATE < samples:
        for delay, strength in ((0.0, 1.0), (rng.uniform(0.06, 0.12), rng.uniform(0.3, 0.7))):
            click = rng.standard_normal(len(t)) * np.exp(-t / rng.uniform(0.002, 0.005))
            for low, high in ((150, 400), (700, 1500), (2000, 4500)):
                tone = np.sin(2 * np.pi * rng.uniform(low, high) * t + rng.uniform(0, 6))
                click += rng.uniform(0.2, 0.8) * tone * np.exp(-t / rng.uniform(0.004, 0.015))
            begin = int((now + delay) * SAMPLE_RATE)
            audio[begin : begin + len(t)] += strength * 10 ** rng.uniform(-0.3, 0.15) * click
        now += 1 / rng.uniform(3, 8) if rng.random() < 0.9 else rng.uniform(0.3, 1.5)
    return audio[:samples] + 1e-3 * rng.standard_normal(samples)


def music(rng: np.random.Generator, samples: int) -> Audio:
    """A band: chords that are held, a tune over them, a bass, and a drum on the off-beat."""
    beat = SAMPLE_RATE // 2
    audio = np.zeros(samples + 4 * beat)

    def add(begin: int, length: int, hz: float, strength: float, decay_s: float) -> None:
        t = np.arange(length) / SAMPLE_RATE
        tone = sum(np.sin(2 * np.pi * hz * k * t) / k**1.5 for k in range(1, 9) if hz * k < 7000)
        fade = np.minimum(1, np.minimum(t, t[::-1]) / 0.01)
        audio[begin : begin + length] += strength * tone * np.exp(-t / decay_s) * fade

    for number, begin in enumerate(range(0, samples, beat)):
        root = 110 * 2 ** ((0, 5, 7, 3)[number // 4 % 4] / 12)
        if number % 4 == 0:
            for step in (12, 16, 19):
                add(begin, 4 * beat, root * 2 ** (step / 12), 0.3, 3.0)
        add(begin, beat, root, 0.7, 0.3)
        add(begin, beat, root * 2 ** (2 + rng.choice((0, 2, 4, 7, 9)) / 12), 0.6, 0.5)
        t = np.arange(beat // 4) / SAMPLE_RATE
        off = begin + beat // 2
        audio[off : off + len(t)] += 0.5 * rng.standard_normal(len(t)) * np.exp(-t / 0.02)
    return audio[:samples]


def babble_of(clips: Iterator[Audio]) -> Noise:
    """Eight people at once."""

    def babble(_: np.random.Generator, samples: int) -> Audio:
        total = np.zeros(samples)
        for _voice in range(8):
            said: list[Audio] = []
            while sum(map(len, said)) < samples:
                clip = next(clips)
                begin, *_between, end = np.flatnonzero(truth(clip))
                said.append(clip[begin * FRAME : end * FRAME] / clip.std())
            total += np.concatenate(said)[:samples]
        return total

    return babble


def whispered(clip: Audio, rng: np.random.Generator) -> Audio:
    """The clip with its voice taken away: each 20 ms keep their spectral envelope and are noise."""
    size, hop = 512, 128
    window = np.hanning(size + 1)[:-1]
    begins = range(0, len(clip) - size, hop)
    made = np.zeros(len(clip))
    for begin in begins:
        cepstrum = np.fft.irfft(
            np.log(np.abs(np.fft.rfft(clip[begin : begin + size] * window)) + 1e-6)
        )
        cepstrum[24 : size - 23] = 0  # harmonics of a voice lie beyond
        envelope = np.exp(np.fft.rfft(cepstrum).real)
        noise = np.fft.rfft(rng.standard_normal(size) * window)
        made[begin : begin + size] += np.fft.irfft(envelope * noise, size) * window
    return made


def at_level(noise: Audio, dbfs: float) -> Audio:
    """Noise at an RMS level; of clicks, the 95th percentile of the frames has it."""
    level = max(10 * math.log10(np.square(noise).mean()), float(np.percentile(frame_db(noise), 95)))
    return np.asarray(noise * 10 ** ((dbfs - level) / 20))


def to_pcm(audio: Audio) -> Pcm:
    """Rounded and clipped."""
    return np.clip(np.rint(audio * 32767), -32768, 32767).astype(np.int16)
