"""Adapts a model's logits to a few labelled utterances, cross-validated.

A few dozen utterances are far too few to fit thousands of weights anew. So what is fitted is a
change of the weights that are there, penalised for its size: logistic regression with a Gaussian
prior around them (Chelba & Acero 2006, "Adaptation of maximum entropy capitalizer: little data can
help a lot"). How strongly it is held back, and how sure the answers may be, is chosen on utterances
left out in turn; to measure, all of that is repeated without each part of the utterances in turn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from streamer.training.evaluation.metrics import (
    Metrics,
    Probabilities,
    choose_threshold,
    figures,
    risk_coverage,
)
from streamer.training.heads.logistic import Head, fit_temperature
from streamer.training.heads.recipe import Recipe, softmax

FOLDS = 5
"""Parts of the utterances that are left out in turn, if there are as many groups."""

MAX_SHARE = 2 / 3
"""Largest share of the utterances in one group: without it, too little would be left."""

L2 = (30.0, 10.0, 3.0, 1.0, 0.3, 0.1)
"""Candidates for the penalty on the change of the standardised weights, strictest first."""

BIAS_L2 = 0.01
"""Penalty on the change of the biases: an emotion that nobody labelled stays where it is."""

STEPS = 60  # of LBFGS

FEW = 4.0  # utterances of all emotions that are added to those of each, for their mean

MIN_FOR_THRESHOLD = 50
"""Held-out utterances from which on the threshold of "uncertain" is chosen anew."""

SURE = 1.64
"""Standard errors by which it has to be better: chance alone does that one time in twenty."""

RISK, MIN_COVERAGE = 0.2, 0.5
"""Accepted share of errors among the answers that are not called uncertain, and the smallest
share of such answers."""

RECIPE = Recipe()
"""The defaults of training."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledExamples:
    """Utterances to learn from.

    Attributes:
        embeddings: Shape (utterances, features).
        logits: Calibrated ones of the model as it is, shape (utterances, labels).
        length_factors: Extra temperature of short utterances, shape (utterances, 1), see
            `streamer.model.calibration.short_utterance_factor`.
        targets: Index of the label, shape (utterances,).
        groups: Number of the speaker or session, which stays on one side: shape (utterances,).
    """

    embeddings: Tensor
    logits: Tensor
    length_factors: Tensor
    targets: Tensor
    groups: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, rows: NDArray[np.bool_]) -> Self:
        """The examples of some rows."""
        kept = torch.from_numpy(rows)
        return type(self)(
            self.embeddings[kept],
            self.logits[kept],
            self.length_factors[kept],
            self.targets[kept],
            self.groups[rows],
        )

    def answers(self, added: Tensor | float = 0.0, temperature: float = 1.0) -> Tensor:
        """The logits with something added, over the temperature, shape (utterances, labels)."""
        return (self.logits + added) / (temperature * self.length_factors)

    @property
    def weights(self) -> Tensor:
        """Every label weighs the same, however many utterances it has; summing to 1."""
        each = 1 / self.targets.bincount()[self.targets].double()
        return each / each.sum()


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """What is added to a model's calibrated logits.

    Attributes:
        head: From embeddings to what is added, shape (utterances, labels).
        means: What is added on average to utterances of each label, shape (labels, labels).
        temperature: Divides the sum.
        threshold: A lower confidence is uncertain; None where there are too few utterances to say.
        l2: The chosen penalty.
    """

    head: Head
    means: NDArray[np.float64]
    temperature: float
    threshold: float | None
    l2: float

    def __call__(self, examples: LabelledExamples) -> Tensor:
        """The logits that the changed model answers with, shape (utterances, labels)."""
        return examples.answers(self.head(examples.embeddings), self.temperature)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """The worth of a change, measured on utterances left out of its fit.

    Attributes:
        before: Metrics of the model as it is.
        after: Of models changed without each part of the utterances, on that part.
        gain: By how much the log loss is lower than before, in nats per utterance; the model as it
            is has its temperature fitted in the same way, so that this alone is no gain.
        error: Standard error of that.
    """

    before: Metrics
    after: Metrics
    gain: float
    error: float

    @property
    def is_better(self) -> bool:
        """Whether the UAR is higher, and the log loss lower by more than chance explains."""
        return self.after.uar > self.before.uar and self.gain > SURE * self.error


def fit_change(examples: LabelledExamples) -> Change:
    """Choose penalty, temperature and threshold on utterances left out in turn; fit to all."""
    folds = split(examples)
    added = torch.zeros(len(L2), *examples.logits.shape)
    for fold in np.unique(folds):
        rest, left_out = examples.take(folds != fold), torch.from_numpy(folds == fold)
        for penalty, head in enumerate(_fit(rest, L2)):
            added[penalty, left_out] = head(examples.embeddings[left_out])
    weights = examples.weights.float()
    outcomes = [
        fit_temperature(examples.answers(each), examples.targets, weights) for each in added
    ]
    best = min(range(len(L2)), key=lambda penalty: outcomes[penalty][0])
    _, temperature = outcomes[best]
    *_, head = _fit(examples, L2[: best + 1])
    held_out = softmax(examples.answers(added[best], temperature))
    return Change(
        head=head,
        means=_means(added[best], examples),
        temperature=temperature,
        threshold=_threshold(held_out, examples),
        l2=L2[best],
    )


def try_change(examples: LabelledExamples, labels: Sequence[str]) -> Trial:
    """Repeat `fit_change` without each part of the utterances, and measure it on that part."""
    folds = split(examples)
    changed, cooled = torch.zeros_like(examples.logits), examples.answers()
    for fold in np.unique(folds):
        left_out = folds == fold
        learned, tested = examples.take(~left_out), torch.from_numpy(left_out)
        changed[tested] = fit_change(learned)(examples.take(left_out))
        cooled[tested] /= fit_temperature(
            learned.answers(), learned.targets, learned.weights.float()
        )[1]
    before, after = (
        F.cross_entropy(logits, examples.targets, reduction="none") for logits in (cooled, changed)
    )
    differences = len(examples) * examples.weights * (before - after)
    targets = examples.targets.numpy()
    return Trial(
        before=figures(softmax(examples.answers()), targets, labels),
        after=figures(softmax(changed), targets, labels),
        gain=float(differences.mean()),
        error=float(differences.std() / len(examples) ** 0.5),
    )


def split(examples: LabelledExamples) -> NDArray[np.int64]:
    """The fold of each utterance: groups stay together, labels are spread evenly.

    Groups are dealt out, the largest first, each to the fold that has the fewest of its labels.
    """
    labels = examples.logits.shape[1]
    names = grouped(examples.groups)
    counts = np.zeros((names.max() + 1, labels), np.int64)
    np.add.at(counts, (names, examples.targets.numpy()), 1)
    folds = np.zeros((min(FOLDS, len(counts)), labels), np.int64)
    fold_of = np.zeros(len(counts), np.int64)
    for group in np.argsort(-counts.sum(axis=1), kind="stable"):
        crowd = folds @ counts[group] * len(examples) + folds.sum(axis=1)  # labels, then size
        fold_of[group] = crowd.argmin()
        folds[fold_of[group]] += counts[group]
    return fold_of[names]


def grouped(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """The groups as numbers from 0; every utterance by itself where one group is most of them."""
    _, numbers, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    alone = sizes.max() > MAX_SHARE * len(groups)
    return np.arange(len(groups)) if alone else numbers


def _fit(examples: LabelledExamples, penalties: Sequence[float]) -> list[Head]:
    """The change for each penalty, from the strictest on: each starts where the last one ended.

    There are fewer utterances than features, and a penalised change lies in what they span: so
    little has to be fitted.
    """
    mean = examples.embeddings.mean(0)
    deviation = examples.embeddings.std(0).clamp(min=1e-6)
    standard = (examples.embeddings - mean) / deviation
    axes = torch.linalg.svd(standard, full_matrices=False).Vh
    reduced = standard @ axes.T
    labels = examples.logits.shape[1]
    missing = torch.ones(labels, dtype=torch.bool)
    missing[examples.targets] = False
    offsets = examples.logits + torch.zeros(labels).masked_fill(missing, RECIPE.missing_label_bias)
    weight = torch.zeros(labels, len(axes), requires_grad=True)
    bias = torch.zeros(labels, requires_grad=True)
    shares = examples.weights.float()
    heads = []
    for l2 in penalties:
        optimiser = torch.optim.LBFGS(
            [weight, bias], max_iter=STEPS, tolerance_grad=1e-5, tolerance_change=1e-5,
            line_search_fn="strong_wolfe",
        )  # fmt: skip

        def closure(l2: float = l2, optimiser: torch.optim.Optimizer = optimiser) -> Tensor:
            optimiser.zero_grad()
            logits = (offsets + F.linear(reduced, weight, bias)) / examples.length_factors
            loss = shares @ F.cross_entropy(logits, examples.targets, reduction="none")
            loss = loss + l2 / 2 * weight.square().sum() + BIAS_L2 / 2 * bias.square().sum()
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        optimiser.step(closure)  # type: ignore[no-untyped-call]
        unfolded = weight.detach() @ axes / deviation
        heads.append(Head(unfolded, bias.detach() - unfolded @ mean))
    return heads


def _means(added: Tensor, examples: LabelledExamples) -> NDArray[np.float64]:
    """The mean of what was added, by label, drawn towards the mean of all where a label is rare."""
    each = added.double().numpy()
    targets = np.eye(each.shape[1])[examples.targets.numpy()]
    overall = examples.weights.numpy() @ each
    means: NDArray[np.float64] = (targets.T @ each + FEW * overall) / (
        targets.sum(0)[:, None] + FEW
    )
    return means


def _threshold(held_out: Probabilities, examples: LabelledExamples) -> float | None:
    if len(examples) < MIN_FOR_THRESHOLD:
        return None
    return choose_threshold(
        risk_coverage(held_out, examples.targets.numpy()),
        risk=RISK,
        least_coverage=MIN_COVERAGE,
    )
