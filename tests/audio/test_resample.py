"""Any rate and channel count become streams at 16 kHz, without seams between blocks."""

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.audio.resample import StreamConverter
from streamer.errors import InputError
from streamer.types import SAMPLE_RATE

RATES = (8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000)


def tone(rate: int, seconds: float, channels: int = 1, hertz: float = 440.0) -> np.ndarray:
    """A tone, shape (samples, channels)."""
    t = np.arange(round(rate * seconds)) / rate
    wave = (8000 * np.sin(2 * np.pi * hertz * t)).astype(np.int16)
    return np.repeat(wave[:, np.newaxis], channels, axis=1)


def convert(converter: StreamConverter, pcm: np.ndarray, block: int) -> np.ndarray:
    """All of it, a block at a time."""
    pieces = [converter.convert(pcm[i : i + block]) for i in range(0, len(pcm), block)]
    return np.concatenate([*pieces, converter.flush()])


@pytest.mark.parametrize("rate", RATES)
def test_a_tone_keeps_its_pitch_level_and_length(rate):
    """At every rate that devices and files have."""
    out = convert(StreamConverter(rate, 1), tone(rate, 1.0), rate // 50)
    assert out.shape == (SAMPLE_RATE, 1)
    expected = tone(SAMPLE_RATE, 1.0)
    inside = slice(800, -800)  # away from the filter's edges
    assert np.abs(out[inside].astype(int) - expected[inside]).max() < 80


@settings(deadline=None, max_examples=25)
@given(block=st.integers(1, 3_000), rate=st.sampled_from((8_000, 44_100, 48_000)))
def test_the_cut_into_blocks_does_not_matter(block, rate):
    """The same samples, give or take a rounding."""
    pcm = tone(rate, 0.25)
    whole = convert(StreamConverter(rate, 1), pcm, len(pcm))
    cut = convert(StreamConverter(rate, 1), pcm, block)
    assert len(cut) == len(whole)
    assert np.abs(cut.astype(int) - whole).max() <= 1


def test_channels_are_mixed_without_names_and_kept_with_them():
    """Eight channels to one; agent and customer to two."""
    pcm = tone(SAMPLE_RATE, 0.1, channels=8)
    pcm[:, 1] = 0
    mixed = StreamConverter(SAMPLE_RATE, 8).convert(pcm)
    assert mixed.shape == (1600, 1)
    assert np.abs(mixed[:, 0] - pcm[:, 0] * (7 / 8)).max() <= 1
    named = StreamConverter(SAMPLE_RATE, 8, ("agent", "customer")).convert(pcm)
    assert (named == pcm[:, :2]).all()


def test_more_names_than_channels_is_an_error():
    """It says how many there are."""
    with pytest.raises(
        InputError, match=r"got names of 2 channels \(agent, customer\), the input has 1"
    ):
        StreamConverter(SAMPLE_RATE, 1, ("agent", "customer"))


def test_the_rate_of_the_telephone_is_doubled_as_soxr_does_it():
    """Of noise up to 3.4 kHz, to a rounding; of noise above, too, but for the filter's slope."""
    noise = np.random.default_rng(0).standard_normal(16_000)
    spectrum = np.fft.rfft(noise)
    spectrum[len(spectrum) * 34 // 40 :] = 0
    pcm = np.rint(4000 * np.fft.irfft(spectrum)).astype(np.int16)[:, np.newaxis]
    ours = convert(StreamConverter(8_000, 1), pcm, 160)
    theirs = soxr.resample(pcm.astype(np.float32), 8_000, SAMPLE_RATE, "HQ")
    assert np.abs(ours - theirs)[200:-200].max() < 1.0
    full = np.rint(4000 * noise).astype(np.int16)[:, np.newaxis]
    doubled = convert(StreamConverter(8_000, 1), full, 160)[:, 0]
    heard = np.abs(np.fft.rfft(doubled * np.hanning(len(doubled))))
    assert heard[len(heard) // 2 + 10 :].max() < 1e-4 * heard.max()


def test_nothing_of_the_telephone_comes_out_late():
    """Every 20 ms, all is there but the 9 ms that the filter looks ahead."""
    converter = StreamConverter(8_000, 2, ("agent", "customer"))
    came = 0
    for number in range(1, 50):
        came += len(converter.convert(np.zeros((160, 2), np.int16)))
        assert number * 320 - came <= 0.010 * SAMPLE_RATE
