"""What a recording may also sound like: repeatable, audible, and as its name says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from voices import voice

from streamer.model.features import Waveform, speech_rms
from streamer.training.augmentation import degrade as forms
from streamer.training.augmentation import noise, synthesis
from streamer.training.augmentation.degrade import VARIATIONS, degrade
from streamer.training.augmentation.rooms import synthetic_tail
from streamer.types import SAMPLE_RATE


def power_above(wave: Waveform, hz: float) -> float:
    """Its part of the power of all."""
    power = np.abs(np.fft.rfft(wave)) ** 2
    return float(power[np.fft.rfftfreq(len(wave), 1 / SAMPLE_RATE) > hz].sum() / power.sum())


def other_voices(rng: np.random.Generator) -> Waveform:
    """Somebody else."""
    return voice(1.0, seed=int(rng.integers(9)))


@pytest.mark.parametrize("name", VARIATIONS)
def test_a_variation_is_speech_and_repeatable(name: str):
    """Same generator, same sound; still float32, still audible, the original untouched."""
    wave = voice(2.0)
    before = wave.copy()
    once, twice = (VARIATIONS[name](wave, np.random.default_rng(1)) for _ in range(2))
    np.testing.assert_array_equal(once, twice)
    np.testing.assert_array_equal(wave, before)
    assert once.dtype == np.float32
    assert 0.4 * SAMPLE_RATE <= len(once) <= len(wave)
    assert speech_rms(once) > 0.001


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 9999), samples=st.sampled_from([1, 500, 12_345]))
def test_whatever_goes_wrong_it_is_finite_and_repeatable(seed: int, samples: int):
    """Nothing but the generator decides; even a single sample comes through."""
    wave = voice(1.0)[:samples]
    before = wave.copy()
    once, twice = (degrade(wave, np.random.default_rng(seed), other_voices) for _ in range(2))
    np.testing.assert_array_equal(once, twice)
    np.testing.assert_array_equal(wave, before)
    assert once.dtype == np.float32
    assert np.isfinite(once).all()
    assert samples <= 1 or 0.8 * samples < len(once) < 1.2 * samples


@settings(max_examples=30, deadline=None)
@given(samples=st.integers(1, 300), length=st.integers(1, 300), seed=st.integers(0, 9999))
def test_a_cut_is_a_piece_of_what_was_said(samples: int, length: int, seed: int):
    """As long as asked for, or all there is, and nothing but neighbouring samples."""
    wave = np.arange(length, dtype=np.float32)
    piece = forms.cut(wave, samples, np.random.default_rng(seed))
    assert len(piece) == min(samples, length)
    np.testing.assert_array_equal(piece, np.arange(piece[0], piece[0] + len(piece)))


def test_half_of_the_cuts_are_beginnings():
    """The others are from anywhere, also from the very end."""
    wave, rng = np.arange(1000, dtype=np.float32), np.random.default_rng(3)
    begins = np.array([forms.cut(wave, 100, rng)[0] for _ in range(400)])
    assert 0.43 < np.mean(begins == 0) < 0.57
    others = begins[begins > 0]
    assert others.min() < 50
    assert others.max() > 850
    assert len(np.unique(others)) > 150


def test_silence_stays_silence_or_becomes_faint():
    """No division by a level of nothing."""
    for seed in range(30):
        rng = np.random.default_rng(seed)
        once = degrade(np.zeros(8000, np.float32), rng, lambda _: np.zeros(0, np.float32))
        assert np.abs(once).max(initial=0) < 1e-3


@pytest.mark.parametrize("name", ["telephone A-law", "telephone mu-law"])
def test_the_telephone_has_a_band(name: str):
    """Next to nothing above 3.4 kHz, nothing at all above 4 kHz, and little below 300 Hz."""
    line = VARIATIONS[name](voice(1.0), np.random.default_rng(0))
    assert power_above(line, 3600) < 1e-3
    assert power_above(line, 4200) < 1e-5
    assert power_above(line, 250) > 0.99


@settings(max_examples=20, deadline=None)
@given(value=st.integers(-(2**15), 2**15 - 1), law=st.sampled_from(["ALAW", "ULAW"]))
def test_the_code_of_the_telephone_is_logarithmic(value: int, law: forms.Law):
    """8 bits: within one part in 25, or a few steps near zero."""
    back = forms._g711(law)[value + 2**15] * 2**15
    assert back == pytest.approx(value, rel=0.04, abs=17)


@pytest.mark.parametrize("snr_db", [0.0, 10.0])
def test_noise_is_as_far_below_the_speech_as_asked(snr_db: float):
    """Whatever the levels were; pauses do not count."""
    speech, sound = (synthesis.white(np.random.default_rng(s), 2 * SAMPLE_RATE) for s in (0, 1))
    speech[SAMPLE_RATE:] = 0
    added = forms.in_noise(speech, 7 * sound, snr_db) - speech
    ratio = 1 / np.sqrt(np.square(added).mean())
    assert 20 * np.log10(ratio) == pytest.approx(snr_db, abs=0.2)


def test_a_converter_rounds_and_clips():
    """30 dB less leaves few steps, 20 dB more touches full scale."""
    wave = voice(1.0, rms=0.1)
    quiet, loud = forms.amplified(wave, -30), forms.amplified(wave, 20)
    steps = quiet * 2**15
    np.testing.assert_array_equal(steps, np.rint(steps))
    np.testing.assert_allclose(quiet * 10**1.5, wave, atol=10**1.5 / 2**16)
    assert loud.min() == -1
    assert loud.max() == pytest.approx(1 - 2**-15)


def test_a_room_dies_away():
    """After a click, 60 dB in the time asked for, and the click itself as loud as asked."""
    click = np.zeros(SAMPLE_RATE, np.float32)
    click[0] = 1
    room = forms.reverberant(click, synthetic_tail(np.random.default_rng(0), 0.5), 6.0)
    tail = np.square(room[1:])
    assert 10 * np.log10(1 / tail.sum()) == pytest.approx(6, abs=0.1)
    early, late = (tail[int(t * SAMPLE_RATE) :][:1600].mean() for t in (0.05, 0.35))
    assert 10 * np.log10(early / late) == pytest.approx(60 * 0.3 / 0.5, abs=2)


@pytest.mark.parametrize("speed", [0.9, 1.1])
def test_faster_is_shorter_and_higher(speed: float):
    """A tone of 1 kHz moves, and so does its end."""
    tone = np.sin(2 * np.pi * 1000 * np.arange(SAMPLE_RATE) / SAMPLE_RATE).astype(np.float32)
    wave = forms.faster(tone, speed)
    assert len(wave) == pytest.approx(SAMPLE_RATE / speed, abs=2)
    peak = np.argmax(np.abs(np.fft.rfft(wave))) * SAMPLE_RATE / len(wave)
    assert peak == pytest.approx(1000 * speed, abs=2)


@pytest.mark.parametrize("family", noise.FAMILIES)
def test_a_family_gives_sounds_each_its_own(family: str):
    """Repeatable, finite, of the length asked for, and never twice the same."""
    make = noise.FAMILIES[family]
    for samples in (800, 30_001):
        once, again, other = (make(np.random.default_rng(s), samples) for s in (1, 1, 2))
        np.testing.assert_array_equal(once, again)
        assert once.dtype == np.float32
        assert once.shape == (samples,)
        assert np.isfinite(once).all()
        assert once.std() > 0
        assert np.abs(once - other).max() > 0


def test_a_tone_has_its_pitch_and_its_harmonics():
    """And none that would be mirrored at half of the sample rate."""
    rng = np.random.default_rng(0)
    wave = synthesis.tone(3000.0, [1.0, 0.5, 1.0], SAMPLE_RATE, rng)
    spectrum = np.abs(np.fft.rfft(wave)) * 2 / SAMPLE_RATE
    assert spectrum[3000] == pytest.approx(1, abs=0.01)
    assert spectrum[6000] == pytest.approx(0.5, abs=0.01)
    assert power_above(wave, 6500) < 1e-3
