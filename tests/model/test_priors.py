"""Priors: probabilities under one become those under another, and back."""

import numpy as np
import pytest
from bundles import NATURAL, small_bundle
from hypothesis import given, settings
from hypothesis import strategies as st
from voices import voice

from streamer.api import Predictor
from streamer.errors import ConfigError
from streamer.model import bundle
from streamer.model.classifier import Classifier
from streamer.model.priors import MIN_PROBABILITY, Prior, check_prior, log_prior
from streamer.types import EMOTIONS

LABELS = ("neutral", "happy", "angry")


@st.composite
def priors(draw: st.DrawFn) -> dict[str, float]:
    """Probabilities of all emotions."""
    weights = draw(st.lists(st.floats(0.01, 1), min_size=8, max_size=8))
    return dict(zip(EMOTIONS, (np.array(weights) / sum(weights)).tolist(), strict=True))


def softmax(scores: np.ndarray) -> np.ndarray:
    """Probabilities of scores."""
    powers = np.exp(scores - scores.max())
    return powers / powers.sum()


@settings(max_examples=50, deadline=None)
@given(first=priors(), second=priors(), seed=st.integers(0, 99))
def test_corrected_there_and_back_is_the_same(
    first: dict[str, float], second: dict[str, float], seed: int
):
    """By the ratio of the priors, and by that of their reciprocals."""
    given_first = np.random.default_rng(seed).dirichlet(np.ones(8))
    there = log_prior(second, EMOTIONS) - log_prior(first, EMOTIONS)
    given_second = softmax(np.log(given_first) + there)
    ratio = np.array([second[e] / first[e] for e in EMOTIONS])
    assert given_second == pytest.approx(given_first * ratio / (given_first @ ratio))
    assert softmax(np.log(given_second) - there) == pytest.approx(given_first)


@pytest.mark.parametrize("labels", [LABELS, EMOTIONS])
def test_even_is_over_the_labels_of_the_model(labels: tuple[str, ...]):
    """Not over all emotions; natural is even where a bundle says nothing."""
    even = log_prior("even", labels, NATURAL)
    assert np.exp(even) == pytest.approx(np.full(len(labels), 1 / len(labels)))
    assert log_prior("natural", labels) == pytest.approx(even)


def test_natural_is_what_the_bundle_says():
    """By label."""
    assert np.exp(log_prior("natural", LABELS, NATURAL)) == pytest.approx([0.8, 0.1, 0.1])


def test_the_others_share_the_rest():
    """Evenly; probabilities of all labels need no rest, an emotion the model lacks takes none."""
    assert np.exp(log_prior({"angry": 0.2}, LABELS)) == pytest.approx([0.4, 0.4, 0.2])
    assert np.exp(log_prior({}, LABELS)) == pytest.approx(np.full(3, 1 / 3))
    whole = {"neutral": 0.1, "happy": 0.2, "angry": 0.2}
    assert np.exp(log_prior(whole, LABELS)) == pytest.approx([0.2, 0.4, 0.4])
    with_sad = np.exp(log_prior({"sad": 0.4, "angry": 0.2}, LABELS))
    assert with_sad == pytest.approx(np.full(3, 1 / 3))


def test_what_never_occurs_has_a_finite_logarithm():
    """A prior of 0 is the least that there is."""
    got = np.exp(log_prior({"angry": 0.0, "neutral": 1.0}, LABELS))
    assert got == pytest.approx([1, MIN_PROBABILITY, MIN_PROBABILITY], rel=1e-3)


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        ({"bored": 0.1}, "got emotion 'bored', expected: neutral, calm"),
        ({"angry": 1.5}, r"got probability 1\.5 of angry, expected 0 to 1"),
        ({"angry": -0.1}, r"got probability -0\.1 of angry"),
        ({"angry": float("nan")}, "got probability nan of angry"),
        ({"angry": 0.6, "sad": 0.6}, r"got probabilities that sum to 1\.2, expected 1"),
        ("evn", "got prior 'evn', expected natural, even or probabilities"),
    ],
)
def test_a_prior_that_makes_no_sense_is_named(prior: Prior, message: str):
    """With what was expected."""
    with pytest.raises(ConfigError, match=message):
        log_prior(prior, LABELS)


def test_rounded_probabilities_are_some():
    """Eight of them with six digits may add up to a little more than 1."""
    check_prior(dict.fromkeys(EMOTIONS, 0.125001))


def test_a_classifier_answers_under_the_prior_of_its_use():
    """The ratio of two answers is that of the priors; what is common becomes likelier."""
    piece = voice(0.3)
    even, natural, angry = (
        np.array(Classifier(small_bundle(), prior=prior, exact=True).classify(piece).probabilities)
        for prior in ("even", "natural", {"angry": 0.9})
    )
    assert natural / even == pytest.approx(
        np.array(list(NATURAL.values())) / (even @ list(NATURAL.values())), rel=1e-4
    )
    assert natural[0] > even[0]
    assert angry[2] > even[2] > natural[2]


def test_what_a_head_was_trained_under_does_not_count():
    """Its prior is taken off before that of the use is put on."""
    small, piece = small_bundle(), voice(0.3)
    taught = small.manifest.model_copy(
        update={
            "priors": small.manifest.priors.model_copy(
                update={"unadapted": {"neutral": 0.5, "happy": 0.25, "angry": 0.25}}
            )
        }
    )
    known = bundle.Bundle(taught, small.network, small.card)
    plain, corrected = (
        np.array(Classifier(each, prior="even", exact=True).classify(piece).probabilities)
        for each in (small, known)
    )
    assert corrected[0] / corrected[1] == pytest.approx(plain[0] / plain[1] / 2, rel=1e-4)


def test_a_predictor_takes_a_prior(tmp_path):
    """Even where nothing is said: somebody who picked a clip asks which emotion it has."""
    bundle.save(small_bundle(), tmp_path / "small")
    pcm = voice(2.0)
    answers = {}
    for prior in ("even", "natural"):
        answers[prior] = (
            Classifier.load(tmp_path / "small", prior=prior).classify(pcm).probabilities
        )
        predictor = Predictor(tmp_path / "small", prior=prior)
        assert predictor._classifier.classify(pcm).probabilities == answers[prior]
    assert Predictor(tmp_path / "small")._classifier.classify(pcm).probabilities == answers["even"]
    with pytest.raises(ConfigError, match="got prior 'evn'"):
        Predictor(tmp_path / "small", prior="evn")  # type: ignore[arg-type]
