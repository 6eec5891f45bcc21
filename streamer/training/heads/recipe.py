"""The recipe: from embedded clips to a calibrated head. Training and evaluation share it."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from streamer.model.calibration import hesitation
from streamer.model.speaker.adaptation import VoiceModel
from streamer.training.data.extraction import Embedded, Embeddings, Seconds
from streamer.training.data.manifest import Clip, labels_of
from streamer.training.evaluation.metrics import (
    Probabilities,
    Targets,
    choose_threshold,
    risk_coverage,
)
from streamer.training.evaluation.protocols import hold_out
from streamer.training.heads.logistic import (
    Examples,
    Head,
    asked_labels,
    balanced_weights,
    fit,
    fit_temperature,
)
from streamer.training.heads.speaker import (
    Sessions,
    Tuning,
    fit_voices,
    judge_sessions,
    tune_voices,
    with_choices,
)

BREVITIES = np.linspace(0.0, 2.0, 41)  # that are tried


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Every choice in training.

    Attributes:
        blocks: How many blocks of the encoder are kept.
        variations: In which forms each clip is learned from (keys of `augment.VARIATIONS`).
        spoilt: How much each form after the first weighs, against it.
        l2: Penalties that are tried on held-out speakers.
        voices: How much more a corpus of many voices weighs: their number to this power.
        misheard: How much less a clip is learned from in which most listeners heard another emotion
            than the acted one.
        absent: Weight, in the loss, of an emotion that the clip's corpus does not have, but several
            others: 0 leaves such emotions alone, which then turn up at random; 1 says that nobody
            had them, as is said of an emotion that only one corpus has.
        risk: Accepted share of errors among the answers that are not called uncertain.
        least_coverage: At least this share of the answers is not called uncertain.
        prior: What is tried on held-out speakers as the `VoiceModel`'s prior.
        doubt: Likewise as its doubt.
        made_up: Sounds of each family that are synthesised to learn what is no speech; with 0, and
             no collected ones, that is not learned.
        seed: Of the choice of held-out speakers.
    """

    blocks: int = 3
    variations: tuple[str, ...] = ("plain", "piece")
    spoilt: float = 0.5
    l2: tuple[float, ...] = (0.1,)
    voices: float = 0.35
    misheard: float = 0.15
    absent: float = 0.03
    risk: float = 0.2
    least_coverage: float = 0.5
    prior: tuple[float, ...] = (2.0,)
    doubt: tuple[float, ...] = (0.5,)
    made_up: int = 60
    seed: int = 0

    @property
    def handicap(self) -> float:
        """What is added to the logits of emotions that a clip's corpus does not have."""
        return float(np.log(self.absent)) if self.absent else -torch.inf

    @property
    def shares(self) -> Tensor:
        """How a clip's weight is shared among its forms, shape (variations,)."""
        worth = torch.tensor([1.0] + [self.spoilt] * (len(self.variations) - 1))
        return worth / worth.sum()

    def weigh(self, clips: Sequence[Clip]) -> Tensor:
        """How much each clip counts when it is judged, shape (clips,)."""
        return balanced_weights(clips, voices=self.voices)

    def as_json(self) -> dict[str, object]:
        """For the manifest."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


@dataclass(frozen=True, slots=True, eq=False)
class Calibrated:
    """A head with what was chosen on speakers that it was not fitted to at the time.

    Attributes:
        labels: One per logit.
        head: Fitted to everybody.
        temperature: Divisor of the logits.
        brevity: How much less short pieces are trusted, see `hesitation`.
        threshold: A lower confidence is uncertain.
        voices: What is known about voices in general.
    """

    labels: tuple[str, ...]
    head: Head
    temperature: float
    brevity: float
    threshold: float
    voices: VoiceModel

    def probabilities(
        self, embeddings: Embeddings, seconds: Seconds, *, among: Sequence[str] = ()
    ) -> Probabilities:
        """Calibrated probabilities, shape (clips, labels).

        Args:
            embeddings: Shape (clips, features).
            seconds: How long the clips are, shape (clips,).
            among: Only these emotions are possible; empty allows all.
        """
        logits = self.head(torch.from_numpy(embeddings)) / self.temperature
        if among:
            impossible = torch.tensor([label not in among for label in self.labels])
            logits = logits.masked_fill(impossible, -torch.inf)
        return softmax(logits / self._hesitation(seconds))

    def warm_probabilities(
        self,
        embeddings: Embeddings,
        seconds: Seconds,
        past: Sessions,
        *,
        among: Sequence[str] = (),
    ) -> Probabilities:
        """As `probabilities`, each clip after its past, with a baseline that learned from that.

        Args:
            embeddings: Shape (clips, features).
            seconds: As for `probabilities`.
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
        return softmax(torch.from_numpy(logits) / self._hesitation(seconds))

    def _hesitation(self, seconds: Seconds) -> Tensor:
        return torch.from_numpy(hesitation(seconds, self.brevity)[:, None])


@dataclass(frozen=True, slots=True, eq=False)
class Choices:
    """What was chosen on speakers that were not fitted.

    Attributes:
        l2: The penalty.
        temperature: Divisor of the logits.
        brevity: How much less short pieces are trusted, see `hesitation`.
        threshold: A lower confidence is uncertain.
        voices: With the prior, the doubt, the temperature and the caution that suit it.
        held_out: What it was chosen on: probabilities and targets.
        strangers: Whether that was of speakers who were not fitted.
    """

    l2: float
    temperature: float
    brevity: float
    threshold: float
    voices: VoiceModel
    held_out: tuple[Probabilities, Targets]
    strangers: bool


def choose(
    clips: Sequence[Clip],
    embed: Embedded,
    recipe: Recipe,
    *,
    heard: Collection[tuple[str, str]] = (),
) -> Choices:
    """Fit to some of the speakers, and choose on the others.

    Where every corpus has a single speaker there is nobody to hold out: then the choices are made
    on what was fitted, and the confidence will be too high.

    Args:
        clips: All that there is to learn from.
        embed: Turns them into vectors.
        recipe: How.
        heard: Voices that the encoder was made from.

    Raises:
        ConfigError: The encoder has heard everybody.
    """
    labels = labels_of(clips)
    fitted, held = hold_out(clips, seed=recipe.seed, heard=heard)
    judged = [clips[i] for i in held] or list(clips)
    vectors = torch.from_numpy(embed(judged, "plain"))
    targets = target_indices(judged, labels)
    weights = recipe.weigh(judged)
    learned = [clips[i] for i in fitted]
    examples = _examples(learned, labels, embed, recipe, among=clips)
    head, tried = None, []
    for l2 in sorted(recipe.l2, reverse=True):  # each starts where the stricter one ended
        head = fit(examples, l2=l2, absent=recipe.handicap, start=head)
        tried.append((*_calibrate(head, judged, embed, targets, weights, recipe), l2, head))
    _, temperature, brevity, l2, head = min(tried, key=lambda outcome: outcome[0])
    voices = tune_voices(
        fit_voices(learned, examples, head, l2=l2, absent=recipe.handicap),
        Tuning(
            clips=judged,
            embeddings=vectors.numpy(),
            cold=head(vectors).double().numpy(),
            temperature=temperature,
            targets=targets.numpy(),
            weights=weights.double().numpy(),
        ),
        priors=recipe.prior,
        doubts=recipe.doubt,
    )
    seconds = embed.seconds(judged, "plain")
    hesitant = temperature * torch.from_numpy(hesitation(seconds, brevity)[:, None])
    held_out = (softmax(head(vectors) / hesitant), targets.numpy())
    threshold = choose_threshold(
        risk_coverage(*held_out), risk=recipe.risk, least_coverage=recipe.least_coverage
    )
    return Choices(l2, temperature, brevity, threshold, voices, held_out, strangers=bool(held))


def _calibrate(  # noqa: PLR0913, PLR0917 - what is judged, and by what
    head: Head,
    clips: Sequence[Clip],
    embed: Embedded,
    targets: Tensor,
    weights: Tensor,
    recipe: Recipe,
) -> tuple[float, float, float]:
    """The least loss over clips that were not fitted, and the temperature and brevity that give it.

    In all forms, also spoilt: on clean recordings alone, a model of an unheard room is too sure.
    The brevity is fitted after the temperature, and so says only what that leaves over.
    """
    forms = recipe.variations
    logits = torch.cat([head(torch.from_numpy(embed(clips, form))) for form in forms]).double()
    seconds = np.concatenate([embed.seconds(clips, form) for form in forms])
    targets = targets.repeat(len(forms))
    weights = torch.kron(recipe.shares, weights).double()
    _, temperature = fit_temperature(logits, targets, weights)

    def loss(brevity: float) -> float:
        divisor = temperature * torch.from_numpy(hesitation(seconds, brevity)[:, None])
        return float(weights @ F.cross_entropy(logits / divisor, targets, reduction="none"))

    brevity = float(min(BREVITIES, key=loss))
    return loss(brevity), temperature, brevity


def fit_recipe(
    clips: Sequence[Clip], embed: Embedded, recipe: Recipe, choices: Choices
) -> Calibrated:
    """Fit to everybody, as was chosen.

    Args:
        clips: To learn from.
        embed: Turns them into vectors.
        recipe: How.
        choices: From `choose`, on the same clips.
    """
    labels = labels_of(clips)
    examples = _examples(clips, labels, embed, recipe, among=clips)
    head = fit(examples, l2=choices.l2, absent=recipe.handicap)
    voices = fit_voices(clips, examples, head, l2=choices.l2, absent=recipe.handicap)
    return Calibrated(
        labels=labels,
        head=head,
        temperature=choices.temperature,
        brevity=choices.brevity,
        threshold=choices.threshold,
        voices=with_choices(voices, choices.voices),
    )


def target_indices(clips: Sequence[Clip], labels: Sequence[str]) -> Tensor:
    """Index of each clip's emotion among ``labels``, shape (clips,)."""
    index = {label: i for i, label in enumerate(labels)}
    return torch.tensor([index[clip.emotion] for clip in clips])


def _examples(
    clips: Sequence[Clip],
    labels: Sequence[str],
    embed: Embedded,
    recipe: Recipe,
    *,
    among: Sequence[Clip],
) -> Examples:
    """Every clip in every variation; the weight of a clip is shared among its variations."""
    times = len(recipe.variations)
    weights = balanced_weights(clips, voices=recipe.voices, misheard=recipe.misheard)
    vectors = np.concatenate([embed(clips, variation) for variation in recipe.variations])
    return Examples(
        features=torch.from_numpy(vectors),
        targets=target_indices(clips, labels).repeat(times),
        known=asked_labels(clips, labels, among=among).repeat(times, 1),
        weights=torch.kron(recipe.shares, weights),
    )


def softmax(logits: Tensor) -> Probabilities:
    """Probabilities of logits, shape (clips, labels) both."""
    probabilities: Probabilities = logits.double().softmax(dim=1).numpy()
    return probabilities
