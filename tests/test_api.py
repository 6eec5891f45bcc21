"""The Python API, on real recordings in every shape."""

import numpy as np
import pytest
import soundfile
import torch
from fakes import silence
from voices import VOICES, truth

from streamer import Predictor
from streamer.config import Config
from streamer.errors import InputError, InputWarning, NoSpeechError
from streamer.types import EMOTIONS


@pytest.fixture(scope="module")
def predictor():
    """One for all: loading takes a moment."""
    return Predictor()


@pytest.fixture(scope="module")
def voice(excerpt):
    """One utterance of the bundled recording: int16 PCM at 16 kHz, shape (samples,)."""
    pcm, rate = soundfile.read(excerpt.path, dtype="int16")
    first = excerpt.utterances[0]
    return pcm[round((first.start - 0.3) * rate) : round((first.end + 0.3) * rate)]


def test_an_emotion_or_all_probabilities(predictor, voice, tmp_path):
    """As the forerunner did."""
    path = tmp_path / "voice.wav"
    soundfile.write(path, voice, 16_000)
    probabilities = predictor.predict(path, return_all=True)
    assert predictor.labels == EMOTIONS
    assert probabilities.shape == (len(EMOTIONS),)
    assert probabilities.sum() == pytest.approx(1)
    assert predictor.predict(str(path)) == EMOTIONS[probabilities.argmax()]
    assert predictor.predict(path, True) == pytest.approx(probabilities)  # noqa: FBT003 - so it was called


def test_pcm_is_classified_as_its_recording_is(predictor, voice, tmp_path):
    """int16, float32, at another rate, in stereo, louder and softer: the same voice."""
    path = tmp_path / "voice.wav"
    soundfile.write(path, voice, 16_000)
    expected = predictor.predict(path, return_all=True)
    same = predictor.predict(voice, return_all=True, sample_rate=16_000)
    assert same == pytest.approx(expected)
    as_float = (voice / 32_768).astype(np.float32)
    stereo = np.stack((as_float, as_float), axis=1)
    for pcm in (as_float, stereo, as_float / 4):
        got = predictor.predict(pcm, return_all=True, sample_rate=16_000)
        assert got == pytest.approx(expected, abs=0.02)
    import soxr

    at_48k = soxr.resample(as_float, 16_000, 48_000)
    got = predictor.predict(at_48k, return_all=True, sample_rate=48_000)
    assert got == pytest.approx(expected, abs=0.05)


def test_a_long_recording_is_the_mean_of_its_utterances(predictor, tmp_path):
    """Weighted by their length."""
    path = tmp_path / "long.wav"
    pcm, rate = soundfile.read(VOICES, dtype="int16")
    pcm = pcm[: 34 * rate]
    soundfile.write(path, pcm, rate)
    utterances = list(predictor.utterances(path))
    assert len(utterances) >= 5
    weights = [u.duration_s for u in utterances]
    mean = np.average([u.prediction.probabilities for u in utterances], axis=0, weights=weights)
    assert predictor.predict(path, return_all=True) == pytest.approx(mean)


def test_without_speech_there_is_no_emotion(predictor, tmp_path):
    """Silence, a quiet room, nothing at all."""
    for name, pcm in (("room", silence(3.0)), ("none", silence(3.0) * 0)):
        path = tmp_path / f"{name}.wav"
        soundfile.write(path, pcm, 16_000)
        with pytest.raises(NoSpeechError, match=f"{name}.wav: no speech in it"):
            predictor.predict(path)
        assert list(predictor.utterances(path)) == []


def test_in_a_header_alone_there_is_no_emotion(predictor, tmp_path):
    """What is odd about the file is said as well."""
    path = tmp_path / "empty.wav"
    soundfile.write(path, silence(0), 16_000)
    with (
        pytest.warns(InputWarning, match="nothing but a header"),
        pytest.raises(NoSpeechError, match=r"empty.wav: no speech in it"),
    ):
        predictor.predict(path)
    with pytest.warns(InputWarning, match="nothing but a header"):
        assert list(predictor.utterances(path)) == []


def test_what_makes_no_sense_is_refused(predictor, voice, tmp_path):
    """What was got and what was expected."""
    with pytest.raises(ValueError, match="got sample_rate=None, expected the rate"):
        predictor.predict(voice)
    with pytest.raises(TypeError, match=r"got PCM of type int64, expected float32 .* or int16"):
        predictor.predict(voice.astype(np.int64), sample_rate=16_000)
    with pytest.raises(ValueError, match=r"got PCM of shape \(2, 2, 2\), expected \(samples,\)"):
        predictor.predict(np.zeros((2, 2, 2), np.float32), sample_rate=16_000)
    with pytest.raises(InputError, match="NaN"):
        predictor.predict(np.full(16_000, np.nan, np.float32), sample_rate=16_000)
    with pytest.raises(InputError, match="is a folder"):
        predictor.predict(tmp_path)


def test_a_voice_is_learned_within_a_recording(tmp_path):
    """From the past alone, and anew with each recording; switched off, utterances stand alone."""
    learning = Predictor()
    deaf = Predictor(config=Config.model_validate({"baseline": {"enabled": False}}))
    path = tmp_path / "voices.wav"
    pcm, rate = soundfile.read(VOICES, dtype="int16")
    soundfile.write(path, pcm[: 13 * rate], rate)
    alone = [u.prediction for u in deaf.utterances(path)]
    adapted = [u.prediction for u in learning.utterances(path)]
    assert len(adapted) > 2
    assert adapted[0] == alone[0]
    assert any(a != b for a, b in zip(adapted[1:], alone[1:], strict=True))
    assert [u.prediction for u in learning.utterances(path)] == adapted
    beginning = pcm[: round((truth()[1].end + 0.3) * rate)]
    earlier = [u.prediction for u in learning.utterances(beginning, sample_rate=rate)]
    assert earlier[0] == adapted[0]
    assert earlier[1].probabilities == pytest.approx(adapted[1].probabilities, abs=0.02)


@pytest.mark.parametrize(
    ("pcm", "options", "error", "message"),
    [
        (np.zeros((1, 16_000), np.float32), {}, ValueError, r"\(1, 16000\), .*transpose it"),
        (np.zeros((2, 16_000), np.int16), {}, ValueError, r"\(2, 16000\), .*transpose it"),
        (np.zeros((16_000, 65), np.int16), {}, ValueError, r"with up to 64 channels"),
        (np.full(16_000, 9000.0), {}, ValueError, r"samples up to 9000, expected full scale 1.0"),
        (np.zeros(16_000, np.complex64), {}, TypeError, "type complex64, expected float32"),
        ([0.0] * 16_000, {}, TypeError, r"got a list, expected the path .* \(numpy.asarray"),
        (b"call.wav", {}, TypeError, "got a bytes, expected the path"),
        (None, {}, TypeError, "got a NoneType, expected the path of a recording or a NumPy array"),
        (torch.zeros(16_000), {}, TypeError, r"got a torch.Tensor, expected .*its .numpy\(\)"),
        (np.zeros(16_000), {"sample_rate": np.nan}, ValueError, "got sample_rate=nan, expected"),
        (np.zeros(16_000), {"sample_rate": np.inf}, ValueError, "got sample_rate=inf, expected"),
        (np.zeros(16_000), {"sample_rate": 1}, ValueError, "got sample_rate=1, expected"),
        (np.zeros(16_000), {"sample_rate": "16k"}, ValueError, "got sample_rate='16k', expected"),
        (np.zeros(16_000), {"sample_rate": True}, ValueError, "got sample_rate=True, expected"),
    ],
    ids=repr,
)
def test_arguments_that_make_no_sense_are_refused_before_any_work(
    predictor, pcm, options, error, message
):
    """What was got and what is expected, from both ways to ask."""
    options = {"sample_rate": 16_000} | options
    with pytest.raises(error, match=message):
        predictor.predict(pcm, **options)
    with pytest.raises(error, match=message):
        list(predictor.utterances(pcm, **options))


def test_pcm_of_any_byte_order_and_a_float_rate_are_taken(predictor, voice):
    """As they come from files."""
    expected = predictor.predict(voice, return_all=True, sample_rate=16_000)
    for pcm, rate in ((voice.astype(">i2"), 16_000), (voice[:, np.newaxis], np.float64(16_000))):
        got = predictor.predict(pcm, return_all=True, sample_rate=rate)
        assert got == pytest.approx(expected)


def test_what_is_amiss_with_a_recording_is_a_warning(predictor, voice, tmp_path):
    """And it is read all the same."""
    path = tmp_path / "loud.wav"
    soundfile.write(path, voice.astype(np.float32), 16_000, subtype="FLOAT")
    expected = predictor.predict(voice, return_all=True, sample_rate=16_000)
    with pytest.warns(InputWarning, match="loud.wav: its samples go up to .* integers of 16 bits"):
        assert predictor.predict(path, return_all=True) == pytest.approx(expected)
    with pytest.warns(InputWarning, match="integers of 16 bits"):
        assert len(list(predictor.utterances(path))) == 1
    with pytest.warns(InputWarning, match="opposite phase"):
        predictor.predict(np.stack((voice, -voice), axis=1), sample_rate=16_000)


def test_probabilities_and_a_table(predictor, excerpt):
    """predict_proba is predict with return_all; the table has the columns and types of the CSV."""
    probabilities = predictor.predict_proba(excerpt.path)
    assert probabilities == pytest.approx(predictor.predict(excerpt.path, return_all=True))
    table = predictor.dataframe(excerpt.path)
    assert len(table) == len(excerpt.utterances)
    assert list(table["emotion"]) == [
        u.prediction.emotion for u in predictor.utterances(excerpt.path)
    ]
    assert table[list(predictor.labels)].sum(axis=1).to_numpy() == pytest.approx(1, abs=0.001)
    assert table["duration_s"].dtype == float
    pcm, rate = soundfile.read(excerpt.path)
    assert len(predictor.dataframe(pcm, sample_rate=rate)) == len(table)
