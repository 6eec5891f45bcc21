"""Sounds that are no speech, synthesised: families of noises, tones and music, each sound its own.

They are mixed with speech to learn to hear it all the same, and they are what speech is told from.
Everything is made by one of two cheap means: noise is drawn as a spectrum, and what has a pitch is
read from a table of one period.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamer.model.features import Waveform
from streamer.types import SAMPLE_RATE

Frequencies: TypeAlias = NDArray[np.floating]
Noise: TypeAlias = Callable[[np.random.Generator, int], Waveform]
"""So many samples of a sound of some family; its level says nothing."""

OCTAVE_DB = 20 * np.log10(2)  # a tilt of so many dB per octave is a first power of the frequency
FFT_STEP = 4096  # samples: lengths of transforms are rounded up to it, as odd ones are slow
PERIOD = 1024  # samples of a table
A4, SEMITONE = 440.0, 2 ** (1 / 12)
CHORDS = ((0, 4, 7), (0, 3, 7), (0, 4, 7, 11), (0, 3, 7, 10), (0, 5, 7), (0, 7, 12))  # semitones
SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 7, 9))  # likewise
KEYPAD_HZ = ((697, 770, 852, 941), (1209, 1336, 1477))
CALL_TONES = (  # hertz, seconds on, seconds off: ringing, engaged, dial tone
    ((440, 480), 2.0, 4.0), ((425,), 1.0, 4.0), ((400, 450), 0.4, 0.2), ((480, 620), 0.5, 0.5),
    ((425,), 0.48, 0.48), ((350, 440), 30.0, 0.0), ((425,), 30.0, 0.0),
)  # fmt: skip


def coloured(rng: np.random.Generator, samples: int) -> Waveform:
    """Wind, rain, traffic, a detuned radio: a tilt, an upper end, and some swelling."""
    tilt, top = rng.uniform(-9, 3) / OCTAVE_DB, 10 ** rng.uniform(3, 4)
    noise = shaped(rng, samples, lambda hz: np.maximum(hz, 50) ** tilt / (1 + (hz / top) ** 4))
    return noise * _swell(rng, samples)


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
    return (_unit(air) + np.float32(rng.uniform(0, 0.5)) * _unit(blades)) * _swell(rng, samples)


def engine(rng: np.random.Generator, samples: int) -> Waveform:
    """A motor or a machine tool: many harmonics, the speed wandering, and noise."""
    speed = rng.uniform(20, 160) * _wander(rng, samples, octaves=rng.uniform(0, 1), seconds=2)
    harmonics = rng.uniform(0, 1, 30) / np.arange(1, 31) ** rng.uniform(0, 1.5)
    roar = shaped(rng, samples, lambda hz: 1 / np.maximum(hz, 80))
    motor = _unit(tone(speed, harmonics, samples, rng))
    return motor + np.float32(rng.uniform(0.1, 1)) * _unit(roar)


def keyboard(rng: np.random.Generator, samples: int) -> Waveform:
    """Some keys a second, each pressed and let go."""

    def key() -> Waveform:
        press = _knock(rng, rng.uniform(0.02, 0.06), hz=(150, 5000), partials=4)
        release = np.float32(rng.uniform(0.2, 0.7)) * _knock(rng, 0.03, hz=(400, 5000), partials=3)
        gap = np.zeros(round(rng.uniform(0.03, 0.09) * SAMPLE_RATE), np.float32)
        return np.concatenate((press, gap, release))

    return _scattered(rng, samples, key, every=rng.uniform(0.1, 0.35))


def clicks(rng: np.random.Generator, samples: int) -> Waveform:
    """A mouse, a pen, a crackling line: very short, high."""
    length, every = rng.uniform(0.002, 0.02), 10 ** rng.uniform(-1.7, 0)
    return _scattered(
        rng, samples, lambda: _knock(rng, length, hz=(800, 7000), partials=3), every=every
    )


def thumps(rng: np.random.Generator, samples: int) -> Waveform:
    """Doors, steps, a knock on the table: deep, and damped within a quarter of a second."""
    length, every = rng.uniform(0.05, 0.4), rng.uniform(0.25, 1.5)
    top = rng.uniform(200, 1500)
    return _scattered(
        rng, samples, lambda: _knock(rng, length, hz=(40, top), partials=6), every=every
    )


def applause(rng: np.random.Generator, samples: int) -> Waveform:
    """Hands, few or many."""
    every = 10 ** rng.uniform(-2, -0.6)
    return _scattered(
        rng, samples, lambda: _knock(rng, 0.03, hz=(600, 3000), partials=8), every=every
    )


def drums(rng: np.random.Generator, samples: int) -> Waveform:
    """A beat of deep, middle and hissing strokes."""
    step = round(rng.uniform(0.1, 0.25) * SAMPLE_RATE)
    kit = [
        _knock(rng, 0.25, hz=(40, 120), partials=2),
        _knock(rng, 0.15, hz=(150, 3000), partials=12),
        _knock(rng, rng.uniform(0.03, 0.2), hz=(3000, 7500), partials=20),
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
    harmonics = _timbre(rng)
    attack = rng.uniform(0.01, 0.3)

    def held(length: int) -> Waveform:
        root = A4 * SEMITONE ** rng.integers(-30, 3)
        notes = CHORDS[rng.integers(len(CHORDS))]
        voices = [tone(root * SEMITONE**note, harmonics, length, rng) for note in notes]
        chord: Waveform = np.sum(voices, axis=0)
        return chord * _envelope(length, attack=attack, release=0.1)

    return _phrase(rng, samples, held, lengths=(0.4, 2.5))


def melody(rng: np.random.Generator, samples: int) -> Waveform:
    """A tune: plucked, struck, blown or bowed notes of a scale, often over a bass."""
    harmonics, scale = _timbre(rng), SCALES[rng.integers(len(SCALES))]
    root = A4 * SEMITONE ** rng.integers(-24, 8)
    decay, vibrato = 10 ** rng.uniform(-1, 0.5), rng.uniform(0, 0.012) * (likely(rng, 0.4))

    def note(length: int) -> Waveform:
        if likely(rng, 0.1):
            return np.zeros(length, np.float32)
        time = np.arange(length, dtype=np.float32) / SAMPLE_RATE
        hz = root * SEMITONE ** scale[rng.integers(len(scale))] * rng.choice([0.5, 1, 1, 2])
        wave = tone(hz * (1 + vibrato * np.sin(35 * time)), harmonics, length, rng)
        return wave * np.exp(-time / decay) * _envelope(length, attack=0.01, release=0.02)

    tune = _phrase(rng, samples, note, lengths=(0.1, 0.6))
    if likely(rng, 0.5):
        bass = tone(root / rng.choice([2, 4]), _timbre(rng), samples, rng)
        tune = tune + np.float32(rng.uniform(0.1, 0.6)) * bass
    if likely(rng, 0.3):
        tune = tune + np.float32(0.5) * drums(rng, samples)
    return tune


def bells(rng: np.random.Generator, samples: int) -> Waveform:
    """Metal, glass, a doorbell: partials that are no harmonics, slowly dying."""
    every, length = rng.uniform(0.3, 2), rng.uniform(0.3, 2)

    def bell() -> Waveform:
        return _knock(rng, length, hz=(300, 6000), partials=int(rng.integers(3, 9)), noise=0.0)

    return _scattered(rng, samples, bell, every=every)


def call_tones(rng: np.random.Generator, samples: int) -> Waveform:
    """What a telephone line says: ringing, engaged, dial tone."""
    pitches, on, off = CALL_TONES[rng.integers(len(CALL_TONES))]
    wave: Waveform = np.sum([tone(hz, [1.0], samples, rng) for hz in pitches], axis=0)
    return wave * _switched(samples, on=on, off=off, begin=rng.uniform(0, on / 2))


def dialling(rng: np.random.Generator, samples: int) -> Waveform:
    """Keys of a telephone (DTMF), quick or slow."""
    on, off = rng.uniform(0.05, 0.3), rng.uniform(0.05, 0.4)

    def key(length: int) -> Waveform:
        pair = [tone(rng.choice(group), [1.0], length, rng) for group in KEYPAD_HZ]
        both: Waveform = np.sum(pair, axis=0)
        return both * _switched(length, on=on, off=30, begin=0)

    return _phrase(rng, samples, key, lengths=(on + off, on + off))


def modem(rng: np.random.Generator, samples: int) -> Waveform:
    """A fax or a modem: bits as two pitches, or a hissing carrier."""
    middle, apart = rng.uniform(1000, 2200), rng.uniform(80, 500)
    baud = rng.choice([75, 300, 1200])
    bits = rng.integers(0, 2, samples * baud // SAMPLE_RATE + 1)
    signs = np.repeat(2 * bits - 1, SAMPLE_RATE // baud + 1)[:samples]
    data = tone(middle + apart / 2 * signs, [1.0], samples, rng)
    if likely(rng, 0.4):
        band = shaped(rng, samples, lambda hz: np.exp(-(((hz - 1800) / 900) ** 4)))
        data = _unit(data) * rng.integers(0, 2) + _unit(band)
    return data.astype(np.float32)


def alarm(rng: np.random.Generator, samples: int) -> Waveform:
    """Beeps and sirens."""
    time = np.arange(samples, dtype=np.float32) / SAMPLE_RATE
    low, sweep = rng.uniform(300, 3000), rng.uniform(0, 1) * (likely(rng, 0.5))
    phase = (time * 10 ** rng.uniform(-0.7, 1)) % 1
    course = phase if likely(rng, 0.5) else np.abs(2 * phase - 1)
    wave = tone(low * 2 ** (sweep * course), _timbre(rng), samples, rng)
    if sweep and likely(rng, 0.7):
        return wave
    return wave * _switched(samples, on=rng.uniform(0.05, 0.6), off=rng.uniform(0.05, 1), begin=0)


def chirps(rng: np.random.Generator, samples: int) -> Waveform:
    """Birds, squeaking hinges, games: short slides of a pure tone."""
    low, high = sorted(rng.uniform(400, 6000, 2))

    def chirp() -> Waveform:
        length = round(rng.uniform(0.03, 0.3) * SAMPLE_RATE)
        ends = np.log2(rng.uniform(low, high, 3))
        pitch = 2 ** np.interp(np.linspace(0, 2, length), [0, 1, 2], ends)
        slide = tone(pitch, [1.0, 0.2 * rng.random()], length, rng)
        return slide * np.hanning(length).astype(np.float32)

    return _scattered(rng, samples, chirp, every=rng.uniform(0.08, 0.8))


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

    return _scattered(rng, samples, burst, every=every)


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
"""By the name under which figures are given."""


def likely(rng: np.random.Generator, chance: float) -> bool:
    """True so often."""
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


def _timbre(rng: np.random.Generator) -> NDArray[np.floating]:
    """Amplitudes of harmonics: from a flute to a saw, sometimes only the odd ones."""
    numbers = np.arange(1, 25)
    harmonics = rng.uniform(0.2, 1, 24) / numbers ** rng.uniform(0.6, 3)
    if likely(rng, 0.25):
        harmonics *= numbers % 2
    strengths: NDArray[np.floating] = harmonics
    return strengths


def _knock(
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


def _scattered(
    rng: np.random.Generator, samples: int, event: Callable[[], Waveform], *, every: float
) -> Waveform:
    """Events about every so many seconds, over a faint hiss."""
    wave = np.float32(10 ** rng.uniform(-4, -2)) * white(rng, samples)
    begin = rng.uniform(0, min(every, 0.3))
    while (at := round(begin * SAMPLE_RATE)) < samples:
        sound = event()[: samples - at]
        wave[at : at + len(sound)] += sound
        begin += every * rng.uniform(0.5, 1.5)
    return wave


def _phrase(
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


def _envelope(samples: int, *, attack: float, release: float) -> Waveform:
    time = np.arange(samples, dtype=np.float32) / SAMPLE_RATE
    envelope: Waveform = np.minimum(1, np.minimum(time / attack, time[::-1] / release))
    return envelope


def _switched(samples: int, *, on: float, off: float, begin: float) -> Waveform:
    """1 for so many seconds, 0 for so many."""
    time = np.arange(samples, dtype=np.float32) / SAMPLE_RATE + begin
    return (time % (on + off) < on).astype(np.float32)


def _swell(rng: np.random.Generator, samples: int) -> Waveform:
    """Slow changes of level, mostly none."""
    if likely(rng, 0.6):
        return np.ones(1, np.float32)
    return _wander(rng, samples, octaves=rng.uniform(0.2, 3), seconds=rng.uniform(0.15, 1.5))


def _wander(rng: np.random.Generator, samples: int, *, octaves: float, seconds: float) -> Waveform:
    """A slow random course around 1, up and down by so many octaves, shape (samples,)."""
    knots = rng.uniform(-octaves, octaves, int(samples / SAMPLE_RATE / seconds) + 2)
    course = np.interp(np.arange(samples) / SAMPLE_RATE / seconds, np.arange(len(knots)), knots)
    return (2**course).astype(np.float32)


def _unit(wave: Waveform) -> Waveform:
    return wave / max(float(np.sqrt(np.square(wave).mean())), 1e-9)
