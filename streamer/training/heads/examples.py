"""Builds the examples that heads are fitted to: clips in their forms, targets, weights."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from streamer.errors import ConfigError
from streamer.training.data.extraction import Embeddings
from streamer.training.data.manifest import Clip, labels_of
from streamer.training.data.ordinary import NEUTRAL
from streamer.training.heads.logistic import Examples, asked_labels, balanced_weights


class ExampleOptions(Protocol):
    """How examples are made; the attributes are those of `Recipe`."""

    @property
    def variations(self) -> tuple[str, ...]:
        """In which forms each clip is learned from."""

    @property
    def shares(self) -> Tensor:
        """How a clip's weight is shared among its forms."""

    @property
    def voices(self) -> float:
        """How much more a corpus of many voices weighs."""

    @property
    def disagreement_weight(self) -> float:
        """How much a clip weighs in which listeners heard another emotion."""

    @property
    def ordinary(self) -> float:
        """Share of the weight that ordinary speech has."""

    @property
    def softness(self) -> float:
        """Probability that ordinary speech is not neutral."""


def labels_learned(clips: Sequence[Clip]) -> list[Clip]:
    """The clips with an emotion that somebody acted: these say which labels there are.

    Raises:
        ConfigError: There is ordinary speech, but nobody acted neutral.
    """
    acted = [clip for clip in clips if not clip.ordinary]
    if len(acted) < len(clips) and not any(clip.emotion == NEUTRAL for clip in acted):
        got = ", ".join(labels_of(acted)) or "nothing"
        raise ConfigError(f"ordinary speech is {NEUTRAL}; got {got} as acted, expected that, too")
    return acted


def target_indices(clips: Sequence[Clip], labels: Sequence[str]) -> Tensor:
    """Index of each clip's emotion among ``labels``, shape (clips,)."""
    index = {label: i for i, label in enumerate(labels)}
    return torch.tensor([index[clip.emotion] for clip in clips], dtype=torch.long)


def soft_targets(clips: Sequence[Clip], labels: Sequence[str], softness: float) -> Tensor:
    """Probabilities of the labels, shape (clips, labels).

    An acted clip has its emotion. Ordinary speech is mostly neutral, not wholly: ``softness`` is
    shared evenly by the other emotions.
    """
    targets = torch.eye(len(labels))[target_indices(clips, labels)]
    rows = torch.tensor([clip.ordinary for clip in clips])
    if not rows.any():
        return targets
    soft = torch.full((len(labels),), softness / max(1, len(labels) - 1))
    soft[labels.index(NEUTRAL)] = 1 - softness if len(labels) > 1 else 1.0
    return torch.where(rows[:, None], soft, targets)


def example_weights(
    clips: Sequence[Clip],
    *,
    ordinary: float,
    voices: float,
    disagreement_weight: float = 1.0,
    size: float = 0.0,
) -> Tensor:
    """Weights of the clips, shape (clips,), summing to 1.

    Acted clips are balanced as `balanced_weights` says. Ordinary speech has the share ``ordinary``
    of the whole; within it, a source weighs by the square root of its number of clips.
    """
    weights = torch.zeros(len(clips))
    acted = [i for i, clip in enumerate(clips) if not clip.ordinary]
    plain = [i for i, clip in enumerate(clips) if clip.ordinary]
    if acted:
        chosen = [clips[i] for i in acted]
        weights[acted] = balanced_weights(
            chosen, size=size, voices=voices, disagreement_weight=disagreement_weight
        )
    if plain:
        sizes = Counter(clips[i].corpus for i in plain)
        each = torch.tensor([sizes[clips[i].corpus] ** -0.5 for i in plain])
        weights[acted] *= 1 - ordinary
        weights[plain] = (ordinary if acted else 1.0) * each / each.sum()
    return weights


def asked_of(clips: Sequence[Clip], labels: Sequence[str]) -> Tensor:
    """Which labels each clip is asked to tell apart, shape (clips, labels); ordinary speech: all.

    As `asked_labels` says of acted clips.
    """
    asked = torch.ones(len(clips), len(labels), dtype=torch.bool)
    rows = [i for i, clip in enumerate(clips) if not clip.ordinary]
    acted = [clips[i] for i in rows]
    if acted:
        asked[rows] = asked_labels(acted, labels, among=acted)
    return asked


def make_examples(
    clips: Sequence[Clip],
    labels: Sequence[str],
    embed: Callable[[Sequence[Clip], str], Embeddings],
    choices: ExampleOptions,
) -> Examples:
    """Every clip in every form, form after form; the weight of a clip is shared among its forms.

    Args:
        clips: What is learned from.
        labels: The emotions that are told apart.
        embed: Turns clips into vectors, in a form.
        choices: How.
    """
    forms = choices.variations
    weights = example_weights(
        clips,
        ordinary=choices.ordinary,
        voices=choices.voices,
        disagreement_weight=choices.disagreement_weight,
    )
    return Examples(
        features=torch.from_numpy(np.concatenate([embed(clips, form) for form in forms])),
        targets=soft_targets(clips, labels, choices.softness).repeat(len(forms), 1),
        known=asked_of(clips, labels).repeat(len(forms), 1),
        weights=torch.kron(choices.shares, weights),
    )


def natural_weights(
    clips: Sequence[Clip], labels: Sequence[str], natural: Sequence[float], *, voices: float
) -> Tensor:
    """Weights that make the clips a natural mixture, shape (clips,), summing to 1.

    Every emotion weighs what the natural prior says. Of neutral speech, half is ordinary and half
    acted, where there is both.
    """
    balanced = example_weights(clips, ordinary=0.5, voices=voices)
    weights = torch.zeros(len(clips))
    for label, share in zip(labels, natural, strict=True):
        rows = torch.tensor([clip.emotion == label for clip in clips])
        groups = [
            rows & torch.tensor([clip.ordinary is kind for clip in clips]) for kind in (False, True)
        ]
        there = [group for group in groups if group.any()]
        for group in there:
            weights[group] = share / len(there) * balanced[group] / balanced[group].sum()
    return weights / weights.sum()


def even_weights(clips: Sequence[Clip], *, voices: float) -> Tensor:
    """Weights that make the acted clips an even mixture, shape (clips,), summing to 1.

    Within a corpus, every emotion weighs the same. Ordinary speech weighs nothing, unless there is
    nothing else.
    """
    return example_weights(clips, ordinary=0.0, voices=voices)
