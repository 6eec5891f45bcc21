"""Hidden units beside a linear head: what they learn, and that they travel with the bundle."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from streamer.model import bundle
from streamer.model.classifier import Classifier
from streamer.training.heads import perceptron
from streamer.training.heads.logistic import Examples, Head, fit
from streamer.training.heads.perceptron import add_hidden
from streamer.training.heads.recipe import Recipe
from streamer.training.train import train
from streamer.types import SAMPLE_RATE
from tests.bundles import small_bundle

RECIPE = Recipe(blocks=2, variations=("plain",), l2=(1e-2,), hidden=8, nets=2, epochs=1, made_up=0)


@pytest.fixture(scope="module")
def corners() -> Examples:
    """The exclusive or of two signs, each in eight features: no linear head can tell."""
    torch.manual_seed(0)
    sides = torch.randn(600, 2)
    features = sides.repeat(1, 8) * torch.linspace(0.1, 3.0, 16) + 5.0
    targets = ((sides[:, 0] > 0) ^ (sides[:, 1] > 0)).long()
    return Examples(
        features=features,
        targets=torch.eye(2)[targets],
        known=torch.ones(600, 2, dtype=torch.bool),
        weights=torch.full((600,), 1 / 600),
    )


def test_hidden_units_learn_what_a_line_cannot(corners: Examples):
    """The linear head is at chance; with hidden units most are right."""
    linear = fit(corners, l2=1e-2)
    head = add_hidden(linear, corners, replace(RECIPE, hidden=64))

    def right(tested: Head) -> float:
        return float(
            (tested(corners.features).argmax(1) == corners.targets.argmax(1)).float().mean()
        )

    assert right(linear) < 0.65
    assert right(head) > 0.75


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nets that have learned little: enough where it does not matter what."""
    monkeypatch.setattr(perceptron, "MIN_STEPS", 20)


@pytest.mark.usefixtures("few_steps")
def test_the_same_seed_gives_the_same_head(corners: Examples):
    """And nobody else's random numbers change."""
    linear = fit(corners, l2=1e-2)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, second = (add_hidden(linear, corners, RECIPE) for _ in range(2))
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(first(corners.features), second(corners.features))
    other = add_hidden(linear, corners, replace(RECIPE, seed=1))
    assert not torch.equal(first(corners.features), other(corners.features))


@pytest.mark.usefixtures("few_steps")
def test_the_linear_head_has_half_of_the_say(corners: Examples):
    """Its logits are halved; the rest comes from the nets."""
    linear = fit(corners, l2=1e-2)
    head = add_hidden(linear, corners, RECIPE)
    assert torch.equal(head.weight, linear.weight / 2)
    assert head.hidden is not None
    assert head.hidden.out.shape == (2, 16)


def test_a_head_with_hidden_units_travels(manifest: Path, encoder: Path, tmp_path: Path):
    """Train -> bundle -> classifier: nothing is lost when it is written, and it says its kind."""
    result = train(
        manifest=manifest, encoder=encoder, out=tmp_path / "mine",
        recipe=replace(RECIPE, l2=(100.0,)), cache=tmp_path / "cache", jobs=1,
    )  # fmt: skip
    assert (result.manifest.network.hidden, result.manifest.format) == (16, 8)
    assert result.manifest.training["hidden"] == 8
    loaded = bundle.load(result.folder)
    again = tmp_path / "again"
    bundle.save(loaded, again)
    assert bundle.load(again).manifest.files == loaded.manifest.files  # rounded once, not twice
    classifier = Classifier.load(result.folder)
    noise = np.random.default_rng(0).standard_normal(SAMPLE_RATE).astype(np.float32)
    assert sum(classifier.classify(0.1 * noise).probabilities) == pytest.approx(1.0)


def test_without_hidden_units_the_head_is_linear(manifest: Path, encoder: Path, tmp_path: Path):
    """As many bundles are; so it is where nobody can be held out."""
    result = train(
        manifest=manifest, encoder=encoder, out=tmp_path / "mine",
        recipe=replace(RECIPE, hidden=0), cache=tmp_path / "cache", jobs=1,
    )  # fmt: skip
    assert result.manifest.network.hidden == 0
    assert bundle.load(result.folder).network.head.projection is None


def test_a_bundle_with_hidden_units_is_complete():
    """All of its tensors are used: each moves the answer."""
    network = small_bundle(hidden=5).network
    vectors = torch.randn(4, network.head.in_features)
    before = network.head(vectors)
    for name, tensor in network.head.named_parameters():
        with torch.no_grad():
            tensor.add_(1)
            assert not torch.equal(network.head(vectors), before), name
            tensor.sub_(1)
