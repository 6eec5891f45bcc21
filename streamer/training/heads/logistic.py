"""Fits the linear head: multinomial logistic regression, and its temperature.

Corpora have different emotions: CREMA-D has no surprise. Therefore the loss of a clip includes only
the emotions that its corpus has (``known``); the others are left out instead of being wrong.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from streamer.training.data.manifest import Clip, labels_of

MAX_STEPS = 80  # of LBFGS; more of them move the loss, but not what is right
TEMPERATURES = torch.logspace(-0.7, 1.0, 171)  # 0.2 to 10, in steps of 2.4 %


@dataclass(frozen=True, slots=True, eq=False)
class HiddenUnits:
    """What a head has beside its linear layer, see `streamer.model.head`.

    Attributes:
        projection: Shape (directions, features).
        weight: Shape (hidden, directions).
        bias: Shape (hidden,).
        out: Shape (labels, hidden).
    """

    projection: Tensor
    weight: Tensor
    bias: Tensor
    out: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """What is added to the logits, shape (clips, labels)."""
        seen = F.linear(features, self.projection)
        return F.linear(F.linear(seen, self.weight, self.bias).relu(), self.out)


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """A head on raw features, as `streamer.model.head`: the standardisation is folded in.

    Attributes:
        weight: Shape (labels, features).
        bias: Shape (labels,).
        hidden: None for a linear head.
    """

    weight: Tensor
    bias: Tensor
    hidden: HiddenUnits | None = None

    def __call__(self, features: Tensor) -> Tensor:
        """Logits, shape (clips, labels)."""
        logits = F.linear(features, self.weight, self.bias)
        return logits if self.hidden is None else logits + self.hidden(features)


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """What a head is fitted to.

    Attributes:
        features: Shape (examples, features).
        targets: Probabilities of the labels, shape (examples, labels).
        known: Which labels the corpus of the example has, shape (examples, labels).
        weights: Shape (examples,), summing to 1.
    """

    features: Tensor
    targets: Tensor
    known: Tensor
    weights: Tensor

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def prior(self) -> Tensor:
        """How common each label is among them, shape (labels,)."""
        total = self.weights @ self.targets
        return total / total.sum()


def known_labels(
    clips: Sequence[Clip], labels: Sequence[str], *, among: Sequence[Clip] = ()
) -> Tensor:
    """Which of ``labels`` the corpus of each clip has, shape (clips, labels).

    Args:
        clips: The rows.
        labels: The columns.
        among: Where to look for what a corpus has; empty looks in ``clips``.
    """
    source = among or clips
    by_corpus = {
        corpus: labels_of([clip for clip in source if clip.corpus == corpus])
        for corpus in {clip.corpus for clip in source}
    }
    rows = {
        corpus: torch.tensor([label in has for label in labels])
        for corpus, has in by_corpus.items()
    }
    return torch.stack([rows[clip.corpus] for clip in clips])


def asked_labels(
    clips: Sequence[Clip], labels: Sequence[str], *, among: Sequence[Clip] = ()
) -> Tensor:
    """As `known_labels`, and what only one corpus has is asked of the others, too: nobody had it.

    Otherwise the head would learn such an emotion from that corpus alone, apart from the few other
    emotions of it, and name it wherever somebody sounds a little like them.
    """
    known = known_labels(clips, labels, among=among)
    having = Counter(label for _, label in {(clip.corpus, clip.emotion) for clip in among or clips})
    return known | torch.tensor([having[label] == 1 for label in labels])


def balanced_weights(
    clips: Sequence[Clip],
    *,
    size: float = 0.0,
    voices: float = 0.0,
    disagreement_weight: float = 1.0,
) -> Tensor:
    """Weights of the clips, shape (clips,), summing to 1.

    Args:
        clips: Within a corpus, every emotion weighs the same, however many clips it has.
        size: How a corpus weighs: by its number of clips to this power; at 0, all the same.
        voices: How a corpus weighs by its number of voices, to this power.
        disagreement_weight: How much a clip weighs in which most listeners heard another
            emotion than the acted one, against one in which they did not, or nobody was asked. So
            an emotion that listeners often disagree about weighs less.
    """
    cells = Counter((clip.corpus, clip.emotion) for clip in clips)
    worth = [
        (disagreement_weight if clip.perceived and clip.emotion not in clip.perceived else 1.0)
        / cells[clip.corpus, clip.emotion]
        for clip in clips
    ]
    worth_in: dict[str, float] = defaultdict(float)
    for clip, each in zip(clips, worth, strict=True):
        worth_in[clip.corpus] += each
    clips_in = Counter(clip.corpus for clip in clips)
    voices_in = Counter(corpus for corpus, _ in {clip.voice for clip in clips})
    shares = {
        corpus: clips_in[corpus] ** size * voices_in[corpus] ** voices / total
        for corpus, total in worth_in.items()
    }
    weights = torch.tensor(
        [each * shares[clip.corpus] for clip, each in zip(clips, worth, strict=True)]
    )
    return weights / weights.sum()


def fit(
    examples: Examples,
    *,
    l2: float,
    missing_label_bias: float = -torch.inf,
    start: Head | None = None,
    steps: int = MAX_STEPS,
) -> Head:
    """Minimise weighted cross-entropy + ``l2`` / 2 times the squared, standardised weights.

    Args:
        examples: Their weights sum to 1, so that ``l2`` means the same for any number of them.
        l2: Strength of the penalty; the bias is free.
        missing_label_bias: Added to the logits of emotions that the example's corpus does not have.
        start: Where to begin: a similar head saves most of the steps.
        steps: Maximum number of steps.
    """
    standard, mean, deviation = standardised(examples)
    bias_of_missing = torch.zeros(examples.known.shape).masked_fill(
        ~examples.known, missing_label_bias
    )
    labels = examples.known.shape[1]
    if start is None:
        weight, bias = torch.zeros(labels, standard.shape[1]), torch.zeros(labels)
    else:
        weight, bias = start.weight * deviation, start.bias + start.weight @ mean
    weight.requires_grad_()
    bias.requires_grad_()
    optimiser = torch.optim.LBFGS(
        [weight, bias], max_iter=steps, tolerance_grad=1e-6, tolerance_change=1e-6,
        history_size=10, line_search_fn="strong_wolfe",
    )  # fmt: skip

    def closure() -> Tensor:
        optimiser.zero_grad()
        logits = F.linear(standard, weight, bias) + bias_of_missing
        log_probabilities = logits.log_softmax(dim=1).masked_fill(
            examples.targets == 0, 0.0
        )  # no 0 times inf
        each = -(examples.targets * log_probabilities).sum(dim=1)
        loss = examples.weights @ each + l2 / 2 * weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    folded = weight.detach() / deviation
    return Head(folded, bias.detach() - folded @ mean)


def standardised(examples: Examples) -> tuple[Tensor, Tensor, Tensor]:
    """The features, standardised; their weighted mean and deviation, shape (features,)."""
    share = examples.weights[:, None]
    mean = (share * examples.features).sum(0)
    standard = examples.features - mean
    deviation = (share * standard.square()).sum(0).sqrt().clamp(min=1e-6)
    standard /= deviation
    return standard, mean, deviation


def fit_temperature(logits: Tensor, targets: Tensor, weights: Tensor) -> tuple[float, float]:
    """The divisor of the logits with the least weighted cross-entropy.

    Args:
        logits: Of clips that the head was not fitted to, shape (clips, labels).
        targets: Index of the emotion, shape (clips,).
        weights: Shape (clips,).

    Returns:
        The loss, and the temperature.
    """
    return min(
        (float(weights @ F.cross_entropy(logits / t, targets, reduction="none")), float(t))
        for t in TEMPERATURES
    )
