"""Which bias makes logits log-likelihoods: `streamer.training.heads.bias`."""

import numpy as np
import pytest
import torch

from streamer.training.heads.bias import as_log_prior, fit_label_bias


def noisy_logits(targets: torch.Tensor, labels: int, bias: torch.Tensor) -> torch.Tensor:
    """Logits that are right more often than not, and lean as ``bias`` says."""
    noise = torch.from_numpy(np.random.default_rng(0).normal(0, 1, (len(targets), labels)))
    return noise + 2 * torch.nn.functional.one_hot(targets, labels) - bias


def test_a_lean_of_the_head_is_found():
    """What the logits lean by is what is to be added."""
    targets = torch.arange(3).repeat(2000)
    lean = torch.tensor([1.0, 0.0, -1.0])
    known = torch.ones(len(targets), 3, dtype=torch.bool)
    bias = fit_label_bias(noisy_logits(targets, 3, lean), targets, known, torch.ones(len(targets)))
    assert (bias - bias.mean()).tolist() == pytest.approx(lean.tolist(), abs=0.15)


def test_an_emotion_of_one_corpus_is_as_likely_there_as_the_others():
    """One corpus of three has a third emotion: that it is rare over all says nothing."""
    targets = torch.cat([torch.arange(2).repeat(4000), torch.arange(3).repeat(500)])
    known = torch.ones(len(targets), 3, dtype=torch.bool)
    known[:8000, 2] = False
    bias = fit_label_bias(
        noisy_logits(targets, 3, torch.zeros(3)), targets, known, torch.ones(len(targets))
    )
    assert (bias - bias.mean()).tolist() == pytest.approx([0.0, 0.0, 0.0], abs=0.2)


def test_an_emotion_that_nobody_held_out_has_keeps_its_bias():
    """Nothing is known of it; its absence is no reason to rule it out."""
    targets = torch.arange(2).repeat(100)
    known = torch.ones(len(targets), 3, dtype=torch.bool)
    bias = fit_label_bias(
        noisy_logits(targets, 3, torch.zeros(3)), targets, known, torch.ones(len(targets))
    )
    assert float(bias[2]) == 0.0
    assert torch.isfinite(bias).all()


def test_a_bias_is_the_same_as_a_prior_taken_off():
    """Divided by the temperature, as the logits are; up to a constant."""
    bias, temperature = torch.tensor([0.5, -1.0, 2.0], dtype=torch.double), 2.0
    prior = as_log_prior(bias, temperature)
    assert np.exp(prior).sum() == pytest.approx(1.0)
    assert np.diff(-prior) == pytest.approx(np.diff(bias.numpy() / temperature))
