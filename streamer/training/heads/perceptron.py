"""Adds hidden units to a linear head: small nets, trained with dropout, averaged with it.

One linear layer is too little for many corpora on a frozen encoder, and hidden units alone learn
these corpora a little by heart: on unseen ones, the mean of both is better (``docs/experiments``).
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from streamer.training.heads.logistic import Examples, Head, HiddenUnits, standardised

BATCH = 256  # examples of a step, drawn by their weights
WARM_UP = 50  # steps in which the learning rate rises; then it falls to 0
MIN_STEPS = 200  # of a net, however few examples there are
RATE = 1e-3  # of learning
DECAY = 0.01  # of the weights, by AdamW
INPUT_DROPOUT, HIDDEN_DROPOUT = 0.3, 0.5
DIRECTIONS = 128  # rank that the first layer is cut down to: whole, it is a fifth of a bundle
SHARE = 0.5  # of the nets in the mean; the linear head has the rest


class HiddenOptions(Protocol):
    """How hidden units are learned; the attributes are those of `Recipe`."""

    @property
    def hidden(self) -> int:
        """Hidden units of each net."""

    @property
    def nets(self) -> int:
        """How many nets are averaged."""

    @property
    def epochs(self) -> int:
        """How often a net sees as many examples as there are."""

    @property
    def seed(self) -> int:
        """Of the first net."""

    @property
    def missing_label_bias(self) -> float:
        """Added to the logits of emotions that a clip's corpus does not have."""


@dataclass(frozen=True, slots=True, eq=False)
class _Material:
    """What nets are fitted to: `Examples`, features standardised, with logit offsets."""

    features: Tensor
    targets: Tensor
    offsets: Tensor
    weights: Tensor


def add_hidden(linear: Head, examples: Examples, options: HiddenOptions) -> Head:
    """Fit nets of one hidden layer; the mean of theirs and the linear head's logits is the head.

    Args:
        linear: Fitted to the same examples.
        examples: As for `logistic.fit`.
        options: How.

    Returns:
        A head with as many hidden units as all nets have; the same for the same seed.
    """
    standard, mean, deviation = standardised(examples)
    material = _Material(
        features=standard,
        targets=examples.targets,
        offsets=torch.zeros(examples.known.shape).masked_fill(
            ~examples.known, options.missing_label_bias
        ),
        weights=examples.weights,
    )
    nets = [
        _fit_net(material, options, seed=options.seed + number) for number in range(options.nets)
    ]
    weight, directions = _compressed(torch.cat([first.weight for first, _ in nets]), material)
    projection = directions / deviation
    largest = projection.abs().amax(dim=1).clamp(min=1e-12)
    projection = (projection / largest[:, None]).half().float()  # as a bundle stores it
    weight *= largest
    bias = torch.cat([first.bias for first, _ in nets]) - weight @ (projection @ mean)
    share = SHARE / len(nets)
    return Head(
        weight=(1 - SHARE) * linear.weight,
        bias=(1 - SHARE) * linear.bias
        + share * torch.stack([last.bias for _, last in nets]).sum(0),
        hidden=HiddenUnits(
            projection=projection,
            weight=weight,
            bias=bias,
            out=share * torch.cat([last.weight for _, last in nets], dim=1),
        ),
    )


def _compressed(weight: Tensor, material: _Material) -> tuple[Tensor, Tensor]:
    """A layer as a product of two: the one of so small a rank that changes least what it gives.

    Args:
        weight: Shape (hidden, features).
        material: For which it shall change little.

    Returns:
        Shape (hidden, directions) and (directions, features).
    """
    given = material.features @ weight.T  # of mean 0, as the features are
    axes = torch.linalg.eigh((material.weights[:, None] * given).T @ given).eigenvectors
    kept = axes[:, -DIRECTIONS:]  # the largest eigenvalues come last
    return kept, kept.T @ weight


def _fit_net(
    material: _Material, options: HiddenOptions, *, seed: int
) -> tuple[nn.Linear, nn.Linear]:
    """Its layers, trained by AdamW on batches that are drawn by the weights of the examples."""
    (count, features), labels = material.features.shape, material.targets.shape[1]
    steps = max(MIN_STEPS, options.epochs * (count // BATCH))
    with torch.random.fork_rng(devices=[]):  # dropout draws from torch's own generator
        torch.manual_seed(seed)
        first, last = nn.Linear(features, options.hidden), nn.Linear(options.hidden, labels)
        optimiser = torch.optim.AdamW(
            [
                {"params": [first.weight, last.weight], "weight_decay": DECAY},
                {"params": [first.bias, last.bias], "weight_decay": 0.0},
            ],
            lr=RATE,
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: min(1.0, (step + 1) / WARM_UP) * (1 - step / steps)
        )
        drawn = torch.multinomial(material.weights, steps * BATCH, replacement=True)
        for step in range(steps):
            rows = drawn[step * BATCH : (step + 1) * BATCH]
            hidden = first(F.dropout(material.features[rows], INPUT_DROPOUT)).relu()
            logits = last(F.dropout(hidden, HIDDEN_DROPOUT)) + material.offsets[rows]
            targets = material.targets[rows]
            log_probabilities = logits.log_softmax(1).masked_fill(targets == 0, 0.0)
            loss = -(targets * log_probabilities).sum(1).mean()  # no 0 times inf
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    for layer in (first, last):
        layer.requires_grad_(requires_grad=False)
    return first, last
