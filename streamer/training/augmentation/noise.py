"""Synthesises sounds that are not speech: families of noises, tones and music.

They are mixed with speech in training; the speech head learns to reject them. Both methods are
cheap: noise is drawn as a spectrum, and a sound with a pitch is read from a table of one period.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

from streamer.model.features import Waveform
from streamer.training.augmentation.synthesis import (
    OCTAVE_DB,
    Frequencies,
    envelope,
    knock,
    likely,
    phrase,
    scattered,
    shaped,
    swell,
    switched,
    timbre,
    tone,
    unit,
    wander,
    white,
)
from streamer.types import SAMPLE_RATE

Noise: TypeAlias = Callable[[np.random.Generator, int], Waveform]
"""Makes a number of samples of a sound of some family, at any level."""

A4, SEMITONE = 440.0, 2 ** (1 / 12)
CHORDS = ((0, 4, 7), (0, 3, 7), (0, 4, 7, 11), (0, 3, 7, 10), (0, 5, 7), (0, 7, 12))  # semitones
SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 7, 9))  # semitones
KEYPAD_HZ = ((697, 770, 852, 941), (1209, 1336, 1477))
CALL_TONES = (  # hertz, seconds on, seconds off: ringing, engaged, dial tone
    ((440, 480), 2.0, 4.0), ((425,), 1.0, 4.0), ((400, 450), 0.4, 0.2), ((480, 620), 0.5, 0.5),
    ((425,), 0.48, 0.48), ((350, 440), 30.0, 0.0), ((425,), 30.0, 0.0),
)  # fmt: skip


def coloured(rng: np.random.Generator, samples: int) -> Waveform:
    """Wind, rain, traffic, a detuned radio: a tilt, an upper end, and some swelling."""
    tilt, top = rng.uniform(-9, 3) / OCTAVE_DB, 10 ** rng.uniform(3, 4)
    noise = shaped(rng, samples, lambda hz: np.maximum(hz, 50) ** tilt / (1 + (hz / top) ** 4))
    return noise * swell(rng, samples)


def hum(rng: np.random.Generator, samples: int) -> Waveform:
    """Mains, 50 or 60 Hz, and its harmonics."""
    harmonics = rng.uniform(0, 1, 40) / np.arange(1, 41) ** rng.uniform(0.3, 2)
    buzz = tone(rng.choice([50.0, 60.0]), harmonics, samples, rng)
    return buzz + np.float32(0.05 * rng.random() * buzz.std()) * white(rng, samples)


def fan(rng: np.random.Generator, samples: int) -> Waveform:
    """Deep noise, with the tones of the blades."""
    tilt = rng.uniform(-7, -2) / OCTAVE_DB
    air = shaped(rng, samples, lambda hz: np.maximum(hz, 30) ** tilt)
    blades = tone(rng.uniform(20, 200), 1 / np.arange(1, 9), samples, rng)
    return (unit(air) + np.float32(rng.uniform(0, 0.5)) * unit(blades)) * swell(rng, samples)


def engine(rng: np.random.Generator, samples: int) -> Waveform:
    """A motor or a machine tool: many harmonics, the speed wandering, and noise."""
    speed = rng.uniform(20, 160) * wander(rng, samples, octaves=rng.uniform(0, 1), seconds=2)
    harmonics = rng.uniform(0, 1, 30) / np.arange(1, 31) ** rng.uniform(0, 1.5)
    roar = shaped(rng, samples, lambda hz: 1 / np.maximum(hz, 80))
    motor = unit(tone(speed, harmonics, samples, rng))
    return motor + np.float32(rng.uniform(0.1, 1)) * unit(roar)


def keyboard(rng: np.random.Generator, samples: int) -> Waveform:
    """Some keys a second, each pressed and let go."""

    def key() -> Waveform:
        press = knock(rng, rng.uniform(0.02, 0.06), hz=(150, 5000), partials=4)
        release = np.float32(rng.uniform(0.2, 0.7)) * knock(rng, 0.03, hz=(400, 5000), partials=3)
        gap = np.zeros(round(rng.uniform(0.03, 0.09) * SAMPLE_RATE), np.float32)
        return np.concatenate((press, gap, release))

    return scattered(rng, samples, key, every=rng.uniform(0.1, 0.35))


def clicks(rng: np.random.Generator, samples: int) -> Waveform:
    """A mouse, a pen, a crackling line: very short, high."""
    length, every = rng.uniform(0.002, 0.02), 10 ** rng.uniform(-1.7, 0)
    return scattered(
        rng, samples, lambda: knock(rng, length, hz=(800, 7000), partials=3), every=every
    )


def thumps(rng: np.random.Generator, samples: int) -> Waveform:
    """Doors, steps, a knock on the table: deep, and damped within a quarter of a second."""
    length, every = rng.uniform(0.05, 0.4), rng.uniform(0.25, 1.5)
    top = rng.uniform(200, 1500)
    return scattered(
        rng, samples, lambda: knock(rng, length, hz=(40, top), partials=6), every=every
    )


def applause(rng: np.random.Generator, samples: int) -> Waveform:
    """Hands, few or many."""
    every = 10 ** rng.uniform(-2, -0.6)
    return scattered(
        rng, samples, lambda: knock(rng, 0.03, hz=(600, 3000), partials=8), every=every
    )


def drums(rng: np.random.Generator, samples: int) -> Waveform:
    """A beat of deep, middle and hissing strokes."""
    step = round(rng.uniform(0.1, 0.25) * SAMPLE_RATE)
    kit = [
        knock(rng, 0.25, hz=(40, 120), partials=2),
        knock(rng, 0.15, hz=(150, 3000), partials=12),
        knock(rng, rng.uniform(0.03, 0.2), hz=(3000, 7500), partials=20),
    ]
    pattern = [rng.random(8) < likely for likely in (0.35, 0.3, 0.7)]
    beat = np.zeros(samples + SAMPLE_RATE, np.float32)
    for turn, begin in enumerate(range(0, samples, step)):
        for stroke, strikes in zip(kit, pattern, strict=True):
            if strikes[turn % 8]:
                beat[begin : begin + len(stroke)] += stroke
    return beat[:samples]


def chords(rng: np.random.Generator, samples: int) -> Waveform:
    """Held chords: an organ, strings, a pad."""
    harmonics = timbre(rng)
    attack = rng.uniform(0.01, 0.3)

    def held(length: int) -> Waveform:
        root = A4 * SEMITONE ** rng.integers(-30, 3)
        notes = CHORDS[rng.integers(len(CHORDS))]
        voices = [tone(root * SEMITONE**note, harmonics, length, rng) for note in notes]
        chord: Waveform = np.sum(voices, axis=0)
        return chord * envelope(length, attack=attack, release=0.1)

    return phrase(rng, samples, held, lengths=(0.4, 2.5))


def melody(rng: np.random.Generator, samples: int) -> Waveform:
    """A tune: plucked, struck, blown or bowed notes of a scale, often over a bass."""
    harmonics, scale = timbre(rng), SCALES[rng.integers(len(SCALES))]
    root = A4 * SEMITONE ** rng.integers(-24, 8)
    decay, vibrato = 10 ** rng.uniform(-1, 0.5), rng.uniform(0, 0.012) * (likely(rng, 0.4))

    def note(length: int) -> Waveform:
        if likely(rng, 0.1):
            return np.zeros(length, np.float32)
        time = np.arange(length, dtype=np.float32) / SAMPLE_RATE
        hz = root * SEMITONE ** scale[rng.integers(len(scale))] * rng.choice([0.5, 1, 1, 2])
        wave = tone(hz * (1 + vibrato * np.sin(35 * time)), harmonics, length, rng)
        return wave * np.exp(-time / decay) * envelope(length, attack=0.01, release=0.02)

    tune = phrase(rng, samples, note, lengths=(0.1, 0.6))
    if likely(rng, 0.5):
        bass = tone(root / rng.choice([2, 4]), timbre(rng), samples, rng)
        tune = tune + np.float32(rng.uniform(0.1, 0.6)) * bass
    if likely(rng, 0.3):
        tune = tune + np.float32(0.5) * drums(rng, samples)
    return tune


def bells(rng: np.random.Generator, samples: int) -> Waveform:
    """Metal, glass, a doorbell: partials that are no harmonics, slowly dying."""
    every, length = rng.uniform(0.3, 2), rng.uniform(0.3, 2)

    def bell() -> Waveform:
        return knock(rng, length, hz=(300, 6000), partials=int(rng.integers(3, 9)), noise=0.0)

    return scattered(rng, samples, bell, every=every)


def call_tones(rng: np.random.Generator, samples: int) -> Waveform:
    """Tones of a telephone line: ringing, engaged, dial tone."""
    pitches, on, off = CALL_TONES[rng.integers(len(CALL_TONES))]
    wave: Waveform = np.sum([tone(hz, [1.0], samples, rng) for hz in pitches], axis=0)
    return wave * switched(samples, on=on, off=off, begin=rng.uniform(0, on / 2))


def dialling(rng: np.random.Generator, samples: int) -> Waveform:
    """Keys of a telephone (DTMF), quick or slow."""
    on, off = rng.uniform(0.05, 0.3), rng.uniform(0.05, 0.4)

    def key(length: int) -> Waveform:
        pair = [tone(rng.choice(group), [1.0], length, rng) for group in KEYPAD_HZ]
        both: Waveform = np.sum(pair, axis=0)
        return both * switched(length, on=on, off=30, begin=0)

    return phrase(rng, samples, key, lengths=(on + off, on + off))


def modem(rng: np.random.Generator, samples: int) -> Waveform:
    """A fax or a modem: bits as two pitches, or a hissing carrier."""
    middle, apart = rng.uniform(1000, 2200), rng.uniform(80, 500)
    baud = rng.choice([75, 300, 1200])
    bits = rng.integers(0, 2, samples * baud // SAMPLE_RATE + 1)
    signs = np.repeat(2 * bits - 1, SAMPLE_RATE // baud + 1)[:samples]
    data = tone(middle + apart / 2 * signs, [1.0], samples, rng)
    if likely(rng, 0.4):
        band = shaped(rng, samples, lambda hz: np.exp(-(((hz - 1800) / 900) ** 4)))
        data = unit(data) * rng.integers(0, 2) + unit(band)
    return data.astype(np.float32)


def alarm(rng: np.random.Generator, samples: int) -> Waveform:
    """Beeps and sirens."""
    time = np.arange(samples, dtype=np.float32) / SAMPLE_RATE
    low, sweep = rng.uniform(300, 3000), rng.uniform(0, 1) * (likely(rng, 0.5))
    phase = (time * 10 ** rng.uniform(-0.7, 1)) % 1
    course = phase if likely(rng, 0.5) else np.abs(2 * phase - 1)
    wave = tone(low * 2 ** (sweep * course), timbre(rng), samples, rng)
    if sweep and likely(rng, 0.7):
        return wave
    return wave * switched(samples, on=rng.uniform(0.05, 0.6), off=rng.uniform(0.05, 1), begin=0)


def chirps(rng: np.random.Generator, samples: int) -> Waveform:
    """Birds, squeaking hinges, games: short slides of a pure tone."""
    low, high = sorted(rng.uniform(400, 6000, 2))

    def chirp() -> Waveform:
        length = round(rng.uniform(0.03, 0.3) * SAMPLE_RATE)
        ends = np.log2(rng.uniform(low, high, 3))
        pitch = 2 ** np.interp(np.linspace(0, 2, length), [0, 1, 2], ends)
        slide = tone(pitch, [1.0, 0.2 * rng.random()], length, rng)
        return slide * np.hanning(length).astype(np.float32)

    return scattered(rng, samples, chirp, every=rng.uniform(0.08, 0.8))


def breath(rng: np.random.Generator, samples: int) -> Waveform:
    """Coughs, sniffs, sighs, blowing: bursts of noise through the mouth or the nose."""
    every = rng.uniform(0.25, 1.5)
    hard = rng.random()  # from a sigh to a cough

    def burst() -> Waveform:
        length = round((0.1 + (1 - hard) * rng.uniform(0.1, 0.8)) * SAMPLE_RATE)
        formants = rng.uniform((250, 800, 2000), (1000, 2000, 4000))
        widths, loud = rng.uniform(80, 500, 3), 10 ** rng.uniform((-0.5, -1, -1.5), (0, 0, 0))
        floor = 10 ** rng.uniform(-2.5, -1)

        def mouth(hz: Frequencies) -> Frequencies:
            peaks = loud / (1 + ((hz[:, None] - formants) / widths) ** 2)
            resonance: Frequencies = peaks.sum(axis=1) + floor
            return resonance

        attack = 0.005 + (1 - hard) * rng.uniform(0.02, 0.3)
        time = np.arange(length, dtype=np.float32) / SAMPLE_RATE
        shape = np.minimum(1, time / attack) * np.exp(-time / (0.4 * length / SAMPLE_RATE))
        blown: Waveform = shaped(rng, length, mouth) * shape
        return blown

    return scattered(rng, samples, burst, every=every)


FAMILIES: Mapping[str, Noise] = MappingProxyType(
    {
        "coloured noise": coloured,
        "mains hum": hum,
        "fan": fan,
        "engine": engine,
        "keyboard": keyboard,
        "clicks": clicks,
        "thumps": thumps,
        "applause": applause,
        "drums": drums,
        "chords": chords,
        "melody": melody,
        "bells": bells,
        "call tones": call_tones,
        "dialling": dialling,
        "modem": modem,
        "alarm": alarm,
        "chirps": chirps,
        "breath": breath,
    }
)
"""The families by their names in figures."""
