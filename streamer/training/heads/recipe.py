"""The training recipe fits and calibrates the heads; training and evaluation share it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
import torch
from pydantic import Field, TypeAdapter
from torch import Tensor

from streamer.model.calibration import short_utterance_factor
from streamer.model.priors import LogPrior, Prior, log_prior
from streamer.model.speaker.adaptation import VoiceModel
from streamer.training.data.extraction import EmbeddedClips, Embeddings, Seconds
from streamer.training.data.manifest import Clip, labels_of
from streamer.training.evaluation.metrics import Probabilities, Targets
from streamer.training.evaluation.splits import hold_out
from streamer.training.heads.calibration import CalibrationClips, Fitted
from streamer.training.heads.examples import (
    even_weights,
    labels_learned,
    make_examples,
    natural_weights,
    target_indices,
)
from streamer.training.heads.logistic import Examples, Head, fit
from streamer.training.heads.perceptron import add_hidden
from streamer.training.heads.simulated_sessions import Sessions, classify_sessions
from streamer.training.heads.speaker import Tuning, fit_voices, tune_voices, with_choices

NATURAL: Mapping[str, float] = {
    "neutral": 0.25, "calm": 0.032, "happy": 0.15, "sad": 0.18, "angry": 0.25, "fearful": 0.09,
    "disgust": 0.028, "surprised": 0.02,
}  # fmt: skip
"""How common emotions are assumed to be in everyday speech.

Chosen emotion by emotion on the operating curves of held-out speakers and ordinary speech
(``docs/experiments``): with it and the threshold, hardly any ordinary speech gets a certain
emotion. It is not a measured frequency of emotions: from ordinary speech, the heads have learned
that most speech is neutral.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """The parameters of training.

    Three attributes are called by an older name, their alias, in bundles and figures.

    Attributes:
        blocks: How many blocks of the encoder are kept.
        variations: In which forms each clip is learned from (keys of `degrade.VARIATIONS`).
        augmented_weight: How much each form after the first weighs, against it.
        l2: Penalties of a linear head that are tried on held-out speakers.
        hidden: Hidden units of each of the nets that are averaged with the linear head, where that
            is better on held-out speakers; 0 leaves it linear.
        nets: How many nets that are.
        epochs: How often each of them sees as many examples as there are.
        voices: How much more a corpus of many voices weighs: their number to this power.
        disagreement_weight: How much less a clip is learned from in which most listeners heard
            another emotion than the acted one.
        missing_label_weight: Weight, in the loss, of an emotion that the clip's corpus does not
            have, but several others: 0 leaves such emotions alone, which then turn up at
            random; 1 says that nobody had them, as is said of an emotion that only one corpus has.
        ordinary: Share of the weight that ordinary speech has, where there is some.
        softness: Probability that ordinary speech is not neutral.
        natural: How common emotions are in everyday speech: the model's natural prior.
        threshold: A lower confidence is uncertain.
        prior: Neutral utterances of the mean voice that are added to those of a voice.
        made_up: Sounds of each family that are synthesised to learn what is no speech; with 0, and
             no collected ones, that is not learned.
        seed: Of the choice of held-out speakers.
    """

    blocks: int = 3
    variations: tuple[str, ...] = ("plain", "piece")
    augmented_weight: Annotated[float, Field(alias="spoilt")] = 0.5
    l2: tuple[float, ...] = (0.1,)
    hidden: int = 256
    nets: int = 3
    epochs: int = 9
    voices: float = 0.35
    disagreement_weight: Annotated[float, Field(alias="misheard")] = 0.15
    missing_label_weight: Annotated[float, Field(alias="absent")] = 0.003
    ordinary: float = 0.25
    softness: float = 0.05
    natural: Mapping[str, float] = field(default_factory=lambda: dict(NATURAL))
    threshold: float = 0.6
    prior: float = 2.0
    made_up: int = 60
    seed: int = 0

    @property
    def missing_label_bias(self) -> float:
        """What is added to the logits of emotions that a clip's corpus does not have."""
        return float(np.log(self.missing_label_weight)) if self.missing_label_weight else -torch.inf

    @property
    def shares(self) -> Tensor:
        """How a clip's weight is shared among its forms, shape (variations,)."""
        worth = torch.tensor([1.0] + [self.augmented_weight] * (len(self.variations) - 1))
        return worth / worth.sum()

    def natural_of(self, labels: Sequence[str]) -> dict[str, float]:
        """The natural prior of a model that knows these labels; it sums to 1."""
        total = sum(self.natural[label] for label in labels)
        return {label: self.natural[label] / total for label in labels}

    def as_json(self) -> dict[str, object]:
        """For the manifest, with the keys that bundles and figures have."""
        values: dict[str, object] = _JSON.dump_python(self, mode="json", by_alias=True)
        return values


_JSON: TypeAdapter[Recipe] = TypeAdapter(Recipe)


@dataclass(frozen=True, slots=True, eq=False)
class Calibrated:
    """A head with what was chosen on speakers that it was not fitted to at the time.

    Attributes:
        labels: One per logit.
        head: Fitted to everybody.
        log_prior: Logarithm of the prior that the head has in effect, shape (labels,).
        natural: The model's natural prior.
        temperature: Divisor of the logits.
        brevity: How much less short pieces are trusted, see `short_utterance_factor`.
        threshold: A lower confidence is uncertain.
        voices: What is known about voices in general.
    """

    labels: tuple[str, ...]
    head: Head
    log_prior: LogPrior
    natural: Mapping[str, float]
    temperature: float
    brevity: float
    threshold: float
    voices: VoiceModel

    def probabilities(
        self,
        embeddings: Embeddings,
        seconds: Seconds,
        *,
        among: Sequence[str] = (),
        prior: Prior = "even",
    ) -> Probabilities:
        """Calibrated probabilities, shape (clips, labels).

        Args:
            embeddings: Shape (clips, features).
            seconds: How long the clips are, shape (clips,).
            among: Only these emotions are possible; empty allows all.
            prior: How common the emotions are.
        """
        scores = self.scores(embeddings) / short_utterance_factor(seconds, self.brevity)[:, None]
        return self._softmax(scores, among, prior)

    def adapted_probabilities(
        self,
        embeddings: Embeddings,
        seconds: Seconds,
        past: Sessions,
        *,
        among: Sequence[str] = (),
        prior: Prior = "even",
    ) -> Probabilities:
        """As `probabilities`, each clip after its past, adapted to the voices of that.

        Args:
            embeddings: Shape (clips, features).
            seconds: As for `probabilities`.
            past: Which of these go before each.
            among: As for `probabilities`.
            prior: As for `probabilities`.
        """
        scores, _ = classify_sessions(
            embeddings,
            self.scores(embeddings),
            past,
            self.voices,
            log_natural=log_prior(self.natural, self.labels),
            labels=self.labels,
        )
        return self._softmax(
            scores / short_utterance_factor(seconds, self.brevity)[:, None], among, prior
        )

    def scores(self, embeddings: Embeddings) -> Probabilities:
        """Calibrated log-likelihoods of the unadapted head, shape (clips, labels)."""
        logits = self.head(torch.from_numpy(embeddings)).double().numpy()
        scores: Probabilities = logits / self.temperature - self.log_prior
        return scores

    def _softmax(self, scores: Probabilities, among: Sequence[str], prior: Prior) -> Probabilities:
        scores = scores + log_prior(prior, self.labels, self.natural)
        if among:
            impossible = np.array([label not in among for label in self.labels])
            scores = np.where(impossible, -np.inf, scores)
        return softmax(torch.from_numpy(scores))


@dataclass(frozen=True, slots=True, eq=False)
class ChosenParameters:
    """What was chosen on speakers that were not fitted.

    Attributes:
        l2: The penalty of the linear head.
        hidden: Whether hidden units are added to it.
        temperature: Divisor of the logits.
        brevity: How much less short pieces are trusted, see `short_utterance_factor`.
        log_prior: Logarithm of the prior that the head has in effect, shape (labels,).
        voices: With the temperature and the caution that suit it.
        held_out: What it was chosen on, acted speech alone: probabilities under the even prior,
            and targets.
        unseen_speakers: Whether that was of speakers who were not fitted.
    """

    l2: float
    hidden: bool
    temperature: float
    brevity: float
    log_prior: LogPrior
    voices: VoiceModel
    held_out: tuple[Probabilities, Targets]
    unseen_speakers: bool


def choose(
    clips: Sequence[Clip],
    embed: EmbeddedClips,
    recipe: Recipe,
    *,
    heard: Collection[tuple[str, str]] = (),
) -> ChosenParameters:
    """Fit to some of the speakers, and choose parameters on the others.

    Where every corpus has a single speaker there is nobody to hold out: then the choices are made
    on what was fitted, and the confidence will be too high.

    Args:
        clips: All that there is to learn from, acted and ordinary.
        embed: Turns them into vectors.
        recipe: How.
        heard: Voices that the encoder was made from.

    Raises:
        ConfigError: The encoder has heard everybody.
    """
    labels = labels_of(labels_learned(clips))
    fitted, held = hold_out(clips, seed=recipe.seed, heard=heard)
    if all(clips[i].ordinary for i in held):  # of ordinary speech alone, nothing can be chosen
        fitted, held = list(range(len(clips))), []
    held_out_clips = [clips[i] for i in held] or list(clips)
    learned = [clips[i] for i in fitted]
    examples = make_examples(learned, labels, embed, recipe)
    calibration = CalibrationClips.of(held_out_clips, recipe.natural_of(labels), embed, recipe)
    chosen, l2, linear = _best_linear(examples, calibration, recipe)
    head, hidden = linear, False
    if recipe.hidden and held:
        other = add_hidden(linear, examples, recipe)
        if (outcome := calibration.fit(other)).loss < chosen.loss:
            chosen, head, hidden = outcome, other, True
    temperature, brevity, prior = chosen.temperature, chosen.brevity, chosen.log_prior
    vectors = embed(held_out_clips, "plain")
    scores = head(torch.from_numpy(vectors)).double().numpy() / temperature - prior
    voices = tune_voices(
        fit_voices(learned, labels, embed, linear, recipe, l2=l2),
        Tuning(
            clips=held_out_clips,
            embeddings=vectors,
            unadapted=scores,
            targets=target_indices(held_out_clips, labels).numpy(),
            weights=natural_weights(
                held_out_clips,
                labels,
                [recipe.natural_of(labels)[e] for e in labels],
                voices=recipe.voices,
            ).double().numpy(),
            even=even_weights(held_out_clips, voices=recipe.voices),
            labels=labels,
            log_natural=log_prior(recipe.natural_of(labels), labels),
        ),
    )  # fmt: skip
    acted = np.array([not clip.ordinary for clip in held_out_clips])
    hesitant = short_utterance_factor(embed.seconds(held_out_clips, "plain"), brevity)[:, None]
    return ChosenParameters(
        l2=l2,
        hidden=hidden,
        temperature=temperature,
        brevity=brevity,
        log_prior=prior,
        voices=voices,
        held_out=(
            softmax(torch.from_numpy((scores / hesitant)[acted])),
            target_indices([clip for clip in held_out_clips if not clip.ordinary], labels).numpy(),
        ),
        unseen_speakers=bool(held),
    )


def _best_linear(
    examples: Examples, calibration: CalibrationClips, recipe: Recipe
) -> tuple[Fitted, float, Head]:
    """The linear head with the least loss on held-out clips, and its penalty."""
    head, tried = None, []
    for l2 in sorted(recipe.l2, reverse=True):  # each starts where the stricter one ended
        head = fit(examples, l2=l2, missing_label_bias=recipe.missing_label_bias, start=head)
        tried.append((calibration.fit(head), l2, head))
    return min(tried, key=lambda outcome: outcome[0].loss)


def fit_recipe(
    clips: Sequence[Clip], embed: EmbeddedClips, recipe: Recipe, choices: ChosenParameters
) -> Calibrated:
    """Fit to everybody with the chosen parameters.

    Args:
        clips: To learn from.
        embed: Turns them into vectors.
        recipe: How.
        choices: From `choose`, on the same clips.
    """
    labels = labels_of(labels_learned(clips))
    examples = make_examples(clips, labels, embed, recipe)
    linear = fit(examples, l2=choices.l2, missing_label_bias=recipe.missing_label_bias)
    head = add_hidden(linear, examples, recipe) if choices.hidden else linear
    voices = fit_voices(clips, labels, embed, linear, recipe, l2=choices.l2)
    return Calibrated(
        labels=labels,
        head=head,
        log_prior=choices.log_prior,
        natural=recipe.natural_of(labels),
        temperature=choices.temperature,
        brevity=choices.brevity,
        threshold=recipe.threshold,
        voices=with_choices(voices, choices.voices),
    )


def softmax(logits: Tensor) -> Probabilities:
    """Probabilities of logits, shape (clips, labels) both."""
    probabilities: Probabilities = logits.double().softmax(dim=1).numpy()
    return probabilities
