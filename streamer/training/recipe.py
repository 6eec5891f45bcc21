"""The recipe: from embedded clips to a calibrated head. Training and evaluation share it."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streamer.model.baseline import VoiceModel
from streamer.training.corpora import Clip, labels_of
from streamer.training.extraction import Embeddings
from streamer.training.head import (
    Examples,
    Head,
    balanced_weights,
    fit,
    fit_temperature,
    known_labels,
)
from streamer.training.metrics import (
    Probabilities,
    Targets,
    choose_threshold,
    risk_coverage,
)
from streamer.training.protocols import hold_out
from streamer.training.voices import PAST, Sessions, fit_voices, judge_sessions, sessions

Embed = Callable[[Sequence[Clip], str], Embeddings]
"""Clips and the name of a variation -> one vector per clip; `Extractor` is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Every choice in training.

    Attributes:
        blocks: How many blocks of the encoder are kept.
        variations: In which forms each clip is learned from (keys of `augment.VARIATIONS`).
        l2: Penalties that are tried on held-out speakers.
        size: How much more a large corpus weighs: its number of clips to this power.
        absent: Weight, in the loss, of an emotion that the clip's corpus does not have: 0 leaves
            such emotions alone, which then turn up at random; 1 says that nobody had them.
        risk: Accepted share of errors among the answers that are not called uncertain.
        least_coverage: At least this share of the answers is not called uncertain.
        prior: What is tried on held-out speakers as the `VoiceModel`'s prior.
        patience: How much accuracy the baseline may cost somebody who keeps one mood.
        made_up: Sounds of each family that are synthesised to learn what is no speech; with 0, and
            no collected ones, that is not learned.
        seed: Of the choice of held-out speakers.
    """

    blocks: int = 3
    variations: tuple[str, ...] = ("plain", "crop", "degraded")
    l2: tuple[float, ...] = (0.05,)
    size: float = 0.25
    absent: float = 0.03
    risk: float = 0.2
    least_coverage: float = 0.5
    prior: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 16.0)
    patience: float = 0.01
    made_up: int = 60
    seed: int = 0

    def as_json(self) -> dict[str, object]:
        """For the manifest."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


@dataclass(frozen=True, slots=True, eq=False)
class Calibrated:
    """A head with what was chosen on speakers that it was not fitted to at the time.

    Attributes:
        labels: One per logit.
        head: Fitted to everybody, with the chosen penalty.
        l2: The chosen penalty.
        temperature: Divisor of the logits.
        threshold: A lower confidence is uncertain.
        voices: What is known about voices in general.
        held_out: What the choices were made on: probabilities and targets.
    """

    labels: tuple[str, ...]
    head: Head
    l2: float
    temperature: float
    threshold: float
    voices: VoiceModel
    held_out: tuple[Probabilities, Targets]

    def probabilities(self, embeddings: Embeddings, *, among: Sequence[str] = ()) -> Probabilities:
        """Calibrated probabilities, shape (clips, labels).

        Args:
            embeddings: Shape (clips, features).
            among: Only these emotions are possible; empty allows all.
        """
        logits = self.head(torch.from_numpy(embeddings)) / self.temperature
        if among:
            impossible = torch.tensor([label not in among for label in self.labels])
            logits = logits.masked_fill(impossible, -torch.inf)
        return _softmax(logits)

    def warm_probabilities(
        self, embeddings: Embeddings, past: Sessions, *, among: Sequence[str] = ()
    ) -> Probabilities:
        """As `probabilities`, each clip after its past, with a baseline that learned from that.

        Args:
            embeddings: Shape (clips, features).
            past: Which of these go before each.
            among: As for `probabilities`.
        """
        logits = judge_sessions(
            embeddings,
            self.head(torch.from_numpy(embeddings)).double().numpy(),
            past,
            self.voices,
            temperature=self.temperature,
            among=[self.labels.index(label) for label in among if label in self.labels],
        )
        return _softmax(torch.from_numpy(logits))


def fit_recipe(clips: Sequence[Clip], embed: Embed, recipe: Recipe) -> Calibrated:
    """Choose on held-out speakers, then fit to all.

    Where every corpus has a single speaker there is nobody to hold out: then the choices are made
    on what was fitted, and the confidence will be too high.

    Args:
        clips: To learn from.
        embed: Turns them into vectors.
        recipe: How.
    """
    labels = labels_of(clips)
    fitted, held = hold_out(clips, seed=recipe.seed)
    judged = [clips[i] for i in held] or list(clips)
    vectors = torch.from_numpy(embed(judged, "plain"))
    targets = target_indices(judged, labels)
    weights = balanced_weights(judged, size=recipe.size)
    absent = float(np.log(recipe.absent)) if recipe.absent else -torch.inf

    examples = _examples([clips[i] for i in fitted], labels, embed, recipe, among=clips)
    head, tried = None, []
    for l2 in sorted(recipe.l2, reverse=True):  # each starts where the stricter one ended
        head = fit(examples, l2=l2, absent=absent, start=head)
        tried.append((*fit_temperature(head(vectors), targets, weights), l2, head))
    _, temperature, l2, chosen = min(tried, key=lambda outcome: outcome[0])
    learned = [clips[i] for i in fitted]
    voices = fit_voices(learned, examples, chosen, l2=l2, absent=absent)
    prior, warm_temperature = _choose_prior(
        judged, vectors, targets, weights, chosen, voices, recipe, temperature
    )
    del examples  # hundreds of megabytes, needed no more
    probabilities = _softmax(chosen(vectors) / temperature)
    threshold = choose_threshold(
        risk_coverage(probabilities, targets.numpy()),
        risk=recipe.risk,
        least_coverage=recipe.least_coverage,
    )
    everything = _examples(clips, labels, embed, recipe, among=clips)
    head = fit(everything, l2=l2, absent=absent, start=chosen)
    voices = fit_voices(clips, everything, head, l2=l2, absent=absent)
    return Calibrated(
        labels=labels,
        head=head,
        l2=l2,
        temperature=temperature,
        threshold=threshold,
        voices=replace(voices, prior=prior, temperature=warm_temperature),
        held_out=(probabilities, targets.numpy()),
    )


def _choose_prior(  # noqa: PLR0913, PLR0917 - what the caller has at hand
    clips: Sequence[Clip],
    vectors: Tensor,
    targets: Tensor,
    weights: Tensor,
    head: Head,
    voices: VoiceModel,
    recipe: Recipe,
    temperature: float,
) -> tuple[float, float]:
    """The prior and the temperature of a well-known voice, on speakers held out.

    The prior that is best after mixed sessions, among those that do little harm to somebody who
    keeps one mood; the temperature is right for sessions of both kinds.
    """
    cold = head(vectors).double().numpy()
    pasts = [sessions(clips, one_emotion=one, seed=0) for one in (False, True)]

    def accuracy(logits: NDArray[np.float64]) -> float:
        return float(weights @ torch.from_numpy(logits.argmax(1) == targets.numpy()).float())

    def judged(prior: float) -> list[NDArray[np.float64]]:
        model = replace(voices, prior=prior, temperature=1.0)
        return [judge_sessions(vectors.numpy(), cold, past, model, temperature=1) for past in pasts]

    tried = []
    for prior in recipe.prior:
        mixed, one_emotion = map(accuracy, judged(prior))
        harmless = one_emotion >= accuracy(cold) - recipe.patience
        tried.append((harmless, mixed if harmless else one_emotion, prior))
    prior = max(tried)[2]
    logits = torch.from_numpy(np.concatenate(judged(prior))).float()
    _, mixture = fit_temperature(logits, targets.repeat(2), weights.repeat(2) / 2)
    trust = float(replace(voices, prior=prior).trust(PAST))
    return prior, max(0.1, (mixture - (1 - trust) * temperature) / trust)


def target_indices(clips: Sequence[Clip], labels: Sequence[str]) -> Tensor:
    """Index of each clip's emotion among ``labels``, shape (clips,)."""
    index = {label: i for i, label in enumerate(labels)}
    return torch.tensor([index[clip.emotion] for clip in clips])


def _examples(
    clips: Sequence[Clip],
    labels: Sequence[str],
    embed: Embed,
    recipe: Recipe,
    *,
    among: Sequence[Clip],
) -> Examples:
    """Every clip in every variation; the weight of a clip is shared among its variations."""
    times = len(recipe.variations)
    vectors = np.concatenate([embed(clips, variation) for variation in recipe.variations])
    return Examples(
        features=torch.from_numpy(vectors),
        targets=target_indices(clips, labels).repeat(times),
        known=known_labels(clips, labels, among=among).repeat(times, 1),
        weights=balanced_weights(clips, size=recipe.size).repeat(times) / times,
    )


def _softmax(logits: Tensor) -> Probabilities:
    probabilities: Probabilities = logits.double().softmax(dim=1).numpy()
    return probabilities
