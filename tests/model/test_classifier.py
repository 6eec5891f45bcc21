"""PCM -> probabilities: deterministic, whatever the gain, the silence around and the thread."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import soundfile
from bundles import small_bundle
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from shipped import shipped_classifier
from voices import silence, voice

from streamer.errors import ModelError
from streamer.model import bundle
from streamer.model.catalog import find_bundle
from streamer.model.classifier import Classifier
from streamer.model.embeddings_ahead import MAX_EMBEDDINGS, EmbeddingsAhead
from streamer.model.manifest import Manifest
from streamer.types import EMOTIONS, NO_SPEECH, SAMPLE_RATE

DATA = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    """The model that comes along."""
    return shipped_classifier()


def test_it_answers_with_probabilities(classifier: Classifier):
    """One per label, summing to 1; mood within its bounds."""
    prediction = classifier.classify(voice(2.0))
    assert prediction.labels == classifier.labels == EMOTIONS
    assert sum(prediction.probabilities) == pytest.approx(1, abs=1e-9)
    assert -1 <= prediction.mood <= 1
    assert classifier.name.startswith("default-")


def test_the_open_model_knows_seven_emotions():
    """Nobody in CREMA-D or BanglaSER is calm."""
    labels = Classifier.load("open").labels
    assert labels == ("neutral", "happy", "sad", "angry", "fearful", "disgust", "surprised")


@settings(max_examples=8, deadline=None)
@given(gain_db=st.floats(-40, 20))
def test_gain_does_not_matter(gain_db: float):
    """How loud the microphone is set changes nothing."""
    wave = voice(1.5)
    exact = shipped_classifier(exact=True)
    expected = exact.classify(wave)
    got = exact.classify(wave * np.float32(10 ** (gain_db / 20)))
    assert got.probabilities == pytest.approx(expected.probabilities, abs=2e-3)


@settings(max_examples=8, deadline=None)
@given(cuts=st.lists(st.integers(1, 23_999), max_size=20, unique=True))
def test_blocks_do_not_matter(cuts: list[int]):
    """However the PCM was cut on its way, put together it is the same."""
    pcm = (voice(1.5) * 2**15).astype(np.int16)
    blocks = [block.copy() for block in np.split(pcm, sorted(cuts))]
    classifier = shipped_classifier()
    assert classifier.classify(np.concatenate(blocks)) == classifier.classify(pcm)


def test_silence_at_the_ends_does_not_matter(classifier: Classifier):
    """As when a segmenter is more, or less, generous; the 20 ms grid leaves a little."""
    short = classifier.classify(np.concatenate([silence(0.2), voice(2), silence(0.2)]))
    long = classifier.classify(np.concatenate([silence(0.5), voice(2), silence(1.0)]))
    assert long.probabilities == pytest.approx(short.probabilities, abs=0.05)


def test_int16_and_float32_are_the_same(classifier: Classifier):
    """Full scale is 32768, or 1."""
    pcm = (voice(1.0) * 2**15).astype(np.int16)
    assert classifier.classify(pcm) == classifier.classify(pcm.astype(np.float32) / 2**15)


@pytest.mark.parametrize("seconds", [0, 0.05, 3])
def test_silence_gets_a_flat_answer(classifier: Classifier, seconds: float):
    """Nothing is known about nothing."""
    prediction = classifier.classify(np.zeros(round(seconds * SAMPLE_RATE), np.int16))
    assert prediction.uncertain
    assert set(prediction.probabilities) == {1 / 8}
    assert prediction.mood == pytest.approx((1 - 4) / 8)


@pytest.mark.parametrize("samples", [1, 2, 160, 800, 40 * SAMPLE_RATE])
def test_any_length_is_classified(classifier: Classifier, samples: int):
    """From one sample to more than the net has positions for."""
    pcm = np.random.default_rng(0).integers(-999, 999, samples).astype(np.int16)
    assert sum(classifier.classify(pcm).probabilities) == pytest.approx(1)


@pytest.mark.parametrize(
    ("pcm", "error"),
    [
        (np.zeros((100, 2), np.int16), ValueError),
        (np.full(100, np.nan, np.float32), ValueError),
        (np.zeros(100, np.float64), TypeError),
        (b"\0\0", TypeError),
    ],
)
def test_wrong_input_is_refused(
    classifier: Classifier, pcm: NDArray[np.generic], error: type[Exception]
):
    """With what was got and what is expected."""
    with pytest.raises(error, match=r"got .* expected"):
        classifier.classify(pcm)


def test_what_was_embedded_ahead_is_classified_the_same():
    """With fewer steps, once; another piece does not get its embedding."""
    made = shipped_classifier()
    pcm, other = ((voice(2.0, seed=seed) * 32767).astype(np.int16) for seed in (1, 2))
    expected = [made.classify(piece) for piece in (pcm, other)]
    embedded = Mock(wraps=made.embed)
    made.embed = embedded  # type: ignore[method-assign]
    made.embed_ahead(pcm)
    assert [made.classify(piece) for piece in (pcm, other, pcm)] == [*expected, expected[0]]
    assert embedded.call_count == 3  # ahead, the other one, and the second time
    made.embed_ahead(np.zeros(16_000, np.int16))
    assert made.classify(np.zeros(16_000, np.int16)).uncertain
    made.embed_ahead(pcm)
    with pytest.raises(TypeError):
        made.classify([1, 2, 3])  # type: ignore[arg-type]


def test_embeddings_ahead_are_forgotten():
    """An utterance that goes on leaves one behind."""
    kept = EmbeddingsAhead()
    for number in range(MAX_EMBEDDINGS + 1):
        kept.keep(np.full(10, number, np.int16), None)
    with pytest.raises(KeyError):
        kept.take(np.full(10, 0, np.int16))
    assert kept.take(np.full(10, 1, np.int16)) is None


def test_threads_share_one(classifier: Classifier):
    """Eight at once hear what one hears."""
    pieces = [voice(0.5 + 0.2 * i, seed=i) for i in range(8)]
    expected = [classifier.classify(piece) for piece in pieces]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(classifier.classify, pieces)) == expected


def test_uncertain_below_the_threshold():
    """Calibrated confidence decides."""
    small = small_bundle()
    for threshold, uncertain in ((0.0, False), (1.0, True)):
        calibration = small.manifest.calibration.model_copy(update={"threshold": threshold})
        manifest = small.manifest.model_copy(update={"calibration": calibration})
        classified = Classifier(bundle.Bundle(manifest, small.network, "")).classify(voice(0.3))
        assert classified.uncertain is uncertain


def taking_for_speech(threshold: float) -> Classifier:
    """A small model that asks for so much likeness to speech."""
    small = small_bundle()
    assert small.speech is not None
    return Classifier(replace(small, speech=replace(small.speech, threshold=threshold)))


def test_a_short_piece_proves_less():
    """The shorter it is, the less sure; from two seconds on, length no longer matters."""
    loaded = bundle.load(find_bundle("default"))
    calibration = loaded.manifest.calibration.model_copy(update={"brevity": 1.0})
    manifest = loaded.manifest.model_copy(update={"calibration": calibration})
    hasty = Classifier(replace(loaded, manifest=without_brevity(loaded.manifest)))
    careful = Classifier(replace(loaded, manifest=manifest))
    for seconds, same in ((0.5, False), (1.5, False), (2.5, True)):
        first, second = (each.classify(voice(seconds)) for each in (hasty, careful))
        assert (first.confidence == second.confidence) is same
        assert first.confidence >= second.confidence
        assert first.emotion == second.emotion


def without_brevity(manifest: Manifest) -> Manifest:
    """As before format 4."""
    calibration = manifest.calibration.model_copy(update={"brevity": 0.0})
    return manifest.model_copy(update={"calibration": calibration})


def test_what_is_no_speech_has_no_emotion():
    """Its probabilities are as they would have been, but it is uncertain."""
    spoken, other = (taking_for_speech(threshold).classify(voice(0.3)) for threshold in (0.0, 1.1))
    assert spoken.is_speech
    assert spoken.emotion in spoken.labels
    assert (other.is_speech, other.emotion, other.uncertain) == (False, NO_SPEECH, True)
    assert other.probabilities == spoken.probabilities
    assert 0 < other.speech == spoken.speech < 1


def test_a_voice_is_not_learned_from_what_is_no_speech():
    """A door has no voice."""
    for threshold, learned in ((0.0, 1), (1.1, 0)):
        classifying = taking_for_speech(threshold)
        adaptation = classifying.new_adaptation()
        assert adaptation is not None
        classifying.classify(voice(0.3), adaptation, learn=True)
        assert adaptation.utterances == learned


def test_an_older_bundle_takes_everything_for_speech():
    """It was never told what else there is."""
    noise = np.random.default_rng(0).standard_normal(3000).astype(np.float32)
    heard = Classifier(replace(small_bundle(), speech=None)).classify(noise)
    assert (heard.is_speech, heard.speech) == (True, 1.0)


def test_it_warms_up(classifier: Classifier):
    """Without an answer, and more than once."""
    classifier.warm_up()
    classifier.warm_up()


def test_an_unknown_model_is_named():
    """With what there is."""
    with pytest.raises(ModelError, match=r"no model 'best', expected .*default"):
        Classifier.load("best")


def test_it_hears_actors(classifier: Classifier):
    """Smoke test on recordings that it was trained on: most are right, or the wiring is wrong."""
    names = {
        f"ravdess/03-01-0{number}-02-01-01-{actor:02}.opus": EMOTIONS[number - 1]
        for number in (4, 5, 8)
        for actor in range(1, 9)
    }
    if not DATA.is_dir():
        pytest.skip(f"no recordings in {DATA}")
    heard = [
        classifier.classify(soundfile.read(DATA / name, dtype="float32")[0]).emotion == emotion
        for name, emotion in names.items()
    ]
    assert np.mean(heard) > 0.7
