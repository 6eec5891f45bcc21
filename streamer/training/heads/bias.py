"""Fits the bias that makes the logits of a head log-likelihoods of the emotions.

A head is fitted to corpora that know different emotions, and to ordinary speech. How common an
emotion is among all of its examples says little about how readily the head names it: only RAVDESS
has calm, but there it is as common as the others. So the bias is measured on held-out speakers
instead (bias-corrected temperature scaling: Alexandari et al. 2020, "Maximum likelihood with
bias-corrected calibration is hard-to-beat at label shift adaptation").
"""

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from streamer.model.priors import LogPrior

PENALTY = 1e-3
"""Penalty on the squared bias: an emotion with few held-out clips keeps a bias near 0."""

MAX_STEPS = 100  # of LBFGS, for one parameter a label
IMPOSSIBLE = -1e4  # a logit; an infinite one would have no gradient


def fit_label_bias(logits: Tensor, targets: Tensor, known: Tensor, weights: Tensor) -> Tensor:
    """Fit the bias under which a head names every emotion of a corpus equally readily.

    Scale and bias are fitted together, by weighted cross-entropy over the emotions that the corpus
    of a clip has.

    Args:
        logits: Of clips that the head was not fitted to, shape (clips, labels).
        targets: Index of the emotion, shape (clips,).
        known: Which labels the corpus of each clip has, shape (clips, labels).
        weights: Weights of the clips, equal for the emotions of a corpus, shape (clips,).

    Returns:
        The bias to be added to the logits, shape (labels,); 0 for a label that no clip has.
    """
    logits, weights = logits.detach().double(), weights.double() / weights.double().sum()
    there = torch.zeros(logits.shape[1], dtype=torch.bool)
    there[targets] = True
    logits = logits.masked_fill(~(known & there), IMPOSSIBLE)
    bias = torch.zeros(logits.shape[1], dtype=torch.double, requires_grad=True)
    log_scale = torch.zeros((), dtype=torch.double, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [bias, log_scale], max_iter=MAX_STEPS, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimiser.zero_grad()
        each = F.cross_entropy(logits * log_scale.exp() + bias, targets, reduction="none")
        loss = weights @ each + PENALTY * bias.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return (bias / log_scale.exp()).detach()


def as_log_prior(bias: Tensor, temperature: float) -> LogPrior:
    """The log prior whose subtraction is equal to adding ``bias``, shape (labels,).

    Args:
        bias: From `fit_label_bias`.
        temperature: Divides the logits first.
    """
    prior: LogPrior = (-bias / temperature).log_softmax(0).numpy()
    return prior
