"""What is known about voices in general, learned from many, and tried in simulated sessions."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streamer.model.baseline import Logits, VoiceModel, mix
from streamer.training.corpora import Clip
from streamer.training.extraction import Embeddings
from streamer.training.head import Examples, Head, fit

PAST = 10
"""Utterances of a voice that went before the tested one in a simulated session."""

ALTERNATIONS = 6  # between speakers and emotions: the fit then stands still
WARM_STEPS = 25  # from the cold head to the warm one, which is not far

Sessions = NDArray[np.int64]
"""For each clip the clips that go before it, -1 where there are no more: shape (clips, PAST)."""


def fit_voices(
    clips: Sequence[Clip],
    examples: Examples,
    cold: Head,
    *,
    l2: float,
    absent: float,
) -> VoiceModel:
    """Take the speakers off the features, and fit the warm head to what is left.

    Feature = population + speaker + emotion, by weighted least squares on the clips as they are;
    so a speaker who has mostly angry clips is not taken for somebody with an angry voice.

    Args:
        clips: What is learned from.
        examples: Of the clips, variation after variation, the clips as they are first.
        cold: The head for voices that nobody knows: a good place to begin.
        l2: As for `fit`.
        absent: As for `fit`.

    Returns:
        With prior and temperature still to be chosen.
    """
    count = len(clips)
    plain, weights = examples.features[:count], examples.weights[:count]
    targets = examples.targets[:count]
    names = {voice: i for i, voice in enumerate(sorted({clip.voice for clip in clips}))}
    voices = torch.tensor([names[clip.voice] for clip in clips])
    labels = examples.known.shape[1]
    offsets = torch.zeros(labels, plain.shape[1])
    for _ in range(ALTERNATIONS):
        speakers = _means(plain - offsets[targets], voices, weights, len(names))
        offsets = _means(plain - speakers[voices], targets, weights, labels)
    population = weights @ speakers[voices] / weights.sum()
    shift = (speakers - population)[voices].repeat(len(examples) // count, 1)
    head = fit(
        replace(examples, features=examples.features - shift),
        l2=l2,
        absent=absent,
        start=cold,
        steps=WARM_STEPS,
    )
    return VoiceModel(
        weight=head.weight.numpy(),
        bias=head.bias.numpy(),
        means=head(population + offsets).numpy(),
        prior=1.0,
        temperature=1.0,
    )


def sessions(clips: Sequence[Clip], *, one_emotion: bool, seed: int) -> Sessions:
    """Give every clip a past: other clips of its speaker, in random order, without repeats.

    Args:
        clips: All there are.
        one_emotion: Only clips of the same emotion: somebody keeps a mood, and the baseline must
            not take it for the voice.
        seed: Of the order.
    """
    rng = np.random.default_rng(seed)
    groups: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)

    def key(clip: Clip) -> tuple[str, ...]:
        return (*clip.voice, clip.emotion) if one_emotion else clip.voice

    for row, clip in enumerate(clips):
        groups[key(clip)].append(row)
    past = np.full((len(clips), PAST), -1)
    for row, clip in enumerate(clips):
        others = [other for other in groups[key(clip)] if other != row]
        chosen = rng.permutation(others)[:PAST]
        past[row, : len(chosen)] = chosen
    return past


def judge_sessions(  # noqa: PLR0913 - as many things meet here
    embeddings: Embeddings,
    cold: Logits,
    past: Sessions,
    model: VoiceModel,
    *,
    temperature: float,
    among: Sequence[int] = (),
) -> Logits:
    """What `Baseline` makes of every clip after its past, for all at once.

    Args:
        embeddings: Shape (clips, features).
        cold: Of the cold head, shape (clips, labels).
        past: From `sessions`.
        model: What is known about voices.
        temperature: Of the cold head.
        among: Only these labels are possible, before and now; empty allows all.

    Returns:
        Calibrated logits, shape (clips, labels); of what is impossible, -inf.
    """
    labels = cold.shape[1]
    possible = list(among) or list(range(labels))
    model = replace(
        model,
        weight=model.weight[possible],
        bias=model.bias[possible],
        means=model.means[np.ix_(possible, possible)],
    )
    warm, cold = model.warm(embeddings), cold[:, possible]
    heard = (past >= 0).astype(np.float64)
    trust = model.trust(heard.sum(1, keepdims=True))
    voice = model.estimate(cold[past], warm[past], heard)  # what -1 points at weighs 0
    logits = np.full((len(cold), labels), -np.inf)
    logits[:, possible] = mix(cold, warm, voice, trust)
    return logits / ((1 - trust) * temperature + trust * model.temperature)


def _means(values: Tensor, groups: Tensor, weights: Tensor, count: int) -> Tensor:
    """Weighted mean of the rows of each group, shape (count, columns)."""
    total = torch.zeros(count, values.shape[1]).index_add_(0, groups, values * weights[:, None])
    return total / torch.zeros(count).index_add_(0, groups, weights).clamp(min=1e-12)[:, None]
