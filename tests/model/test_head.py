"""Heads with hidden units: in the classifier, in partial results, adapted, and in integers."""

from pathlib import Path

import numpy as np
import pytest
import torch

from streamer.model import bundle
from streamer.model.bundle import Bundle
from streamer.model.calibration import short_utterance_factor
from streamer.model.classifier import Classifier
from streamer.model.head import HeadLayer
from streamer.model.priors import log_prior
from streamer.model.quantization import quantised
from streamer.types import SAMPLE_RATE, Excerpt
from tests.bundles import edit_manifest, small_bundle

PCM = (0.1 * np.random.default_rng(3).standard_normal(2 * SAMPLE_RATE)).astype(np.float32)


@pytest.fixture(scope="module")
def model() -> Bundle:
    """Of random weights."""
    return small_bundle(hidden=5)


def test_the_formula():
    """Linear part, and hidden units where these are above 0."""
    head = HeadLayer(3, 2, hidden=4, directions=2)
    assert head.projection is not None
    assert head.hidden is not None
    assert head.out is not None
    x = torch.randn(7, 3)
    units = x @ head.projection.weight.T @ head.hidden.weight.T + head.hidden.bias
    expected = x @ head.weight.T + head.bias + units.clamp(min=0) @ head.out.weight.T
    torch.testing.assert_close(head(x), expected)
    assert set(HeadLayer(3, 2).state_dict()) == {"weight", "bias"}


def test_the_classifier_answers_with_hidden_units(model: Bundle):
    """By hand: logits, calibration, prior; the first partial result is the same."""
    classifier = Classifier(model, prior="even", exact=True)
    embedded = classifier.embed(PCM)
    assert embedded is not None
    with torch.inference_mode():
        logits = model.network.head(torch.from_numpy(embedded.embedding)).double().numpy()
    fitted = model.manifest.calibration
    scores = logits / fitted.temperature - log_prior(
        model.manifest.priors.unadapted, model.manifest.labels
    )
    powers = np.exp(scores / short_utterance_factor(embedded.seconds, fitted.brevity))
    answer = classifier.classify(PCM)
    assert answer.probabilities == pytest.approx((powers / powers.sum()).tolist(), abs=1e-9)
    partial = classifier.open_stream().classify(Excerpt(1, len(PCM), PCM))
    assert partial.probabilities == pytest.approx(answer.probabilities, abs=1e-4)


def test_a_voice_is_adapted_to(model: Bundle):
    """The adapted head is linear, the other is not: both have their share."""
    classifier = Classifier(model, exact=True)
    adaptation = classifier.new_adaptation()
    assert adaptation is not None
    before = classifier.classify(PCM, adaptation).probabilities
    heard = classifier.embed(PCM)
    assert heard is not None
    adaptation.observe(heard.embedding, neutral=1.0)
    after = classifier.classify(PCM, adaptation).probabilities
    assert before == classifier.classify(PCM).probabilities
    assert after != before


def test_integers_leave_the_head_as_it_is(model: Bundle):
    """Only the blocks are rounded."""
    vectors = torch.randn(4, model.network.head.in_features)
    rounded = quantised(model.network)
    assert torch.equal(rounded.head(vectors), model.network.head(vectors))


def test_a_linear_bundle_of_the_format_before_is_read(tmp_path: Path):
    """It says nothing of hidden units; written again, it is of today's format."""
    folder = tmp_path / "small"
    bundle.save(small_bundle(), folder)

    def older(content: dict[str, object]) -> None:
        network = content["network"]
        assert isinstance(network, dict)
        content["format"] = 7
        del network["hidden"], network["directions"]

    edit_manifest(folder, older)
    read = bundle.load(folder)
    assert (read.manifest.format, read.network.head.hidden) == (7, None)
    bundle.save(read, folder)
    assert bundle.load(folder).manifest.format == 8
