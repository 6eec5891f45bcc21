"""PCM -> log-mel: neither gain nor surrounding silence changes what the model hears."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from voices import silence, voice

from streamer.model import features
from streamer.types import SAMPLE_RATE


def mel_of(pcm: NDArray[np.generic]) -> torch.Tensor:
    """From PCM to log-mel in one step."""
    wave = features.prepare(pcm)
    assert wave is not None
    return features.log_mel(wave)


@settings(max_examples=15, deadline=None)
@given(gain_db=st.floats(-40, 20), seed=st.integers(0, 9))
def test_gain_does_not_matter(gain_db: float, seed: int):
    """40 dB quieter or 20 dB louder: the same picture."""
    wave = voice(0.8, seed=seed)
    louder = wave * np.float32(10 ** (gain_db / 20))
    torch.testing.assert_close(mel_of(louder), mel_of(wave), atol=2e-4, rtol=0)


@settings(max_examples=15, deadline=None)
@given(gain_db=st.floats(-20, 20))
def test_gain_does_not_matter_beyond_rounding_to_16_bit(gain_db: float):
    """Rounding is noise 60 dB below the speech: it shows where the speech has nothing."""
    gain = 10 ** (gain_db / 20)
    pcm = np.round(voice(0.8) * gain * 2**15).clip(-(2**15), 2**15 - 1).astype(np.int16)
    difference = (mel_of(pcm) - mel_of(voice(0.8))).abs()
    assert difference.mean() < 0.15


@settings(max_examples=15, deadline=None)
@given(before=st.integers(0, 60), after=st.integers(0, 60))
def test_silence_around_speech_does_not_matter(before: int, after: int):
    """Whole frames of silence at the ends leave the same speech and the same margins."""
    frame = features.LEVEL_FRAME / SAMPLE_RATE
    least = [silence(0.2), voice(1.0), silence(0.2)]
    more = [silence(before * frame), *least, silence(after * frame)]
    a, b = (features.prepare(np.concatenate(parts)) for parts in (least, more))
    assert a is not None
    assert b is not None
    np.testing.assert_allclose(a, b, atol=2e-4)


def test_trimming_keeps_a_margin():
    """Speech of 1 s in 3 s of silence: 1 s and a tenth on each side are left."""
    wave = np.concatenate([silence(2), voice(1), silence(1)])
    assert len(features.trim_silence(wave)) == pytest.approx(1.2 * SAMPLE_RATE, abs=640)


@pytest.mark.parametrize("snr_db", [30, 20])
def test_trimming_works_in_noise(snr_db: float):
    """Noise around speech is silence too, as long as it is well below."""
    rng = np.random.default_rng(0)
    wave = np.concatenate([silence(2), voice(1, rms=0.1), silence(1)])
    wave += (rng.standard_normal(len(wave)) * 0.1 / 10 ** (snr_db / 20)).astype(np.float32)
    assert len(features.trim_silence(wave)) == pytest.approx(1.2 * SAMPLE_RATE, abs=1600)


def test_trimming_loses_nothing_of_speech_close_to_the_noise():
    """Where speech and background cannot be told apart, everything is kept."""
    noise = np.random.default_rng(0).standard_normal(SAMPLE_RATE).astype(np.float32)
    assert len(features.trim_silence(noise)) == SAMPLE_RATE


def test_level_is_that_of_the_speech_not_of_the_pauses():
    """A long pause in the middle moves it by less than 1 dB."""
    wave = np.concatenate([voice(1), silence(3), voice(1)])
    assert features.speech_rms(wave) == pytest.approx(features.speech_rms(voice(1)), rel=0.12)
    level = features.prepare(wave)
    assert level is not None
    assert features.speech_rms(level) == pytest.approx(0.1, rel=1e-4)


@pytest.mark.parametrize(
    "pcm",
    [
        np.zeros(0, np.int16),
        np.zeros(SAMPLE_RATE, np.int16),
        np.full(SAMPLE_RATE, 1000, np.int16),  # an offset is no sound
        np.full(SAMPLE_RATE, 1e-30, np.float32),
        np.zeros(1, np.float32),
    ],
    ids=["nothing", "zeros", "offset", "tiny", "one sample"],
)
def test_silence_is_not_amplified(pcm: NDArray[np.generic]):
    """Digital silence has no level to normalise."""
    assert features.prepare(pcm) is None


@pytest.mark.parametrize("samples", [2, 7, 100, 399, 401, 800])
def test_the_shortest_pieces_have_a_spectrogram(samples: int):
    """Padded to one window where there is less."""
    pcm = np.random.default_rng(0).integers(-3000, 3000, samples).astype(np.int16)
    mel = mel_of(pcm)
    assert mel.shape == (80, max(samples, 400) // 160)
    assert mel.isfinite().all()


def test_no_more_than_thirty_seconds():
    """The net has no positions for more."""
    pcm = np.random.default_rng(0).integers(-3000, 3000, 40 * SAMPLE_RATE).astype(np.int16)
    assert mel_of(pcm).shape == (80, 3000)


def test_the_spectrogram_is_whispers():
    """Against its definition, computed in numpy, on a window away from the edges."""
    wave = voice(1.0)
    mel = features.log_mel(wave)
    assert mel.shape == (80, 100)
    hann = np.hanning(401)[:-1]
    power = np.stack(
        [np.abs(np.fft.rfft(wave[160 * t - 200 : 160 * t + 200] * hann)) ** 2 for t in (40, 50, 60)]
    )
    log = np.log10(np.maximum(power @ slaney_filters().T, 1e-10))
    ours = mel[:, [40, 50, 60]].numpy().T * 4 - 4
    shown = ours > ours.max() - 7  # the clamp below depends on the loudest frame
    np.testing.assert_allclose(ours[shown], log[shown], atol=2e-3)
    assert mel.max() - mel.min() <= 2.0 + 1e-6


def slaney_filters() -> NDArray[np.float64]:
    """80 triangles of equal area, linear to 1 kHz and logarithmic above, shape (80, 201)."""
    step, log_step = 200 / 3, np.log(6.4) / 27
    top = 15 + np.log(8) / log_step
    mels = np.linspace(0, top, 82)
    edges = np.where(mels < 15, mels * step, 1000 * np.exp(log_step * (mels - 15)))
    hz = np.linspace(0, 8000, 201)
    rows = []
    for low, centre, high in zip(edges, edges[1:], edges[2:], strict=False):
        triangle = np.minimum((hz - low) / (centre - low), (high - hz) / (high - centre))
        rows.append(np.maximum(0, triangle) * 2 / (high - low))
    return np.stack(rows)


@pytest.mark.parametrize(
    ("pcm", "error", "message"),
    [
        ([0, 1], TypeError, "list"),
        (np.zeros(9), TypeError, "float64"),
        (np.zeros(9, np.int32), TypeError, "int32"),
        (np.zeros((9, 2), np.int16), ValueError, r"\(9, 2\)"),
        (np.array([0, np.nan], np.float32), ValueError, "NaN"),
        (np.array([0, np.inf], np.float32), ValueError, "infinite"),
    ],
)
def test_wrong_input_is_named(pcm: NDArray[np.generic], error: type[Exception], message: str):
    """What was got, and what was expected."""
    with pytest.raises(error, match=f"{message}.*expected"):
        features.prepare(pcm)


def test_the_input_is_left_alone():
    """Normalising works on a copy."""
    wave = voice(0.5)
    before = wave.copy()
    features.prepare(wave)
    np.testing.assert_array_equal(wave, before)


def test_importing_warns_of_nothing_and_needs_no_extension():
    """An extension of torchaudio that cannot be linked is passed over, and only that.

    With the extension as it is here, all tests import it, and none would be read after a warning.
    """
    code = (
        "import sys, importlib.abc\n"
        "class Broken(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'torchaudio._extension':\n"
        "            raise OSError('libc10_cuda.so: cannot open shared object file')\n"
        "sys.meta_path.insert(0, Broken())\n"
        "import numpy\n"
        "from streamer.model import features\n"
        "print(features.log_mel(numpy.ones(9, 'f')).shape[0])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "80", "")
