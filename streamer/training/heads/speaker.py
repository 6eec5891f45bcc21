"""Fits speaker adaptation, and tunes it in simulated sessions."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streamer.model.priors import LogPrior
from streamer.model.speaker.adaptation import NEUTRAL, Scores, VoiceModel
from streamer.model.speaker.clustering import SpeakerModel
from streamer.training.data.extraction import Embeddings
from streamer.training.data.manifest import Clip
from streamer.training.heads.bias import as_log_prior, fit_label_bias
from streamer.training.heads.examples import (
    ExampleOptions,
    example_weights,
    labels_learned,
    soft_targets,
)
from streamer.training.heads.logistic import (
    TEMPERATURES,
    Examples,
    Head,
    asked_labels,
    fit,
    known_labels,
)
from streamer.training.heads.simulated_sessions import (
    Sessions,
    SimulatedPast,
    classify_sessions,
    sessions,
)

ALTERNATIONS = 6  # between speakers and emotions: the fit then stands still
ADAPTED_STEPS = 40  # from the unadapted head to the adapted one, which is not far
SHRINKAGE_CLIPS = 0.5  # clips of the mean neutral voice that are added to those of a speaker
DIRECTIONS = 32  # among which voices are told apart; fewer confuse them, more learn them by heart
SHRINKAGE = 0.6  # of correlations within a voice: features by far outnumber the voices

CAUTION = (-1.0, 0.0, 1.0, 2.0, 3.0)
"""Candidates for the caution of the `SpeakerModel`, chosen on held-out speakers."""


class SpeakerOptions(ExampleOptions, Protocol):
    """How voices are learned; the attributes are those of `Recipe`."""

    @property
    def missing_label_bias(self) -> float:
        """What is added to the logits of emotions that a clip's corpus does not have."""

    @property
    def prior(self) -> float:
        """The `VoiceModel`'s prior."""


SHARES = {
    SimulatedPast.EIGHT_NEUTRAL: 0.5,
    SimulatedPast.MIXED: 0.125,
    SimulatedPast.ONE_EMOTION: 0.125,
    SimulatedPast.IN_TURN: 0.125,
    SimulatedPast.ANOTHER: 0.125,
}
"""How much each kind of session counts in the choice of the caution."""


def fit_voices(  # noqa: PLR0913 - what is learned from, and how
    clips: Sequence[Clip],
    labels: Sequence[str],
    embed: Callable[[Sequence[Clip], str], Embeddings],
    unadapted: Head,
    choices: SpeakerOptions,
    *,
    l2: float,
) -> VoiceModel:
    """Take each speaker's neutral mean off the features, and fit the adapted head to what is left.

    The mean of a clip that is itself neutral is that of the speaker's other neutral clips. Clips of
    speakers without any are left out, unless there would be none of an emotion. Degraded speech
    hides the voice: the adapted head learns from clips as they are.

    Args:
        clips: What is learned from.
        labels: The emotions that are told apart.
        embed: Turns clips into vectors, in a form.
        unadapted: The head for unknown voices, from which the fit starts.
        choices: How voices are learned.
        l2: As for `fit`.

    Returns:
        With temperature, prior and caution still to be chosen, see `tune_voices`.
    """
    plain = torch.from_numpy(embed(clips, "plain"))
    weights = example_weights(
        clips,
        ordinary=choices.ordinary,
        voices=choices.voices,
        disagreement_weight=choices.disagreement_weight,
    )
    centre, shift, known = _neutral_means(clips, plain)
    if {clip.emotion for clip in clips} != {clips[i].emotion for i in known.nonzero()[:, 0]}:
        known = torch.ones_like(known)  # an emotion would be missing: better with its voice
    rows = known.nonzero()[:, 0]
    chosen = [clips[i] for i in rows.tolist()]
    acted = labels_learned(clips)
    asked = torch.ones(len(chosen), len(labels), dtype=torch.bool)
    own = [i for i, clip in enumerate(chosen) if not clip.ordinary]
    asked[own] = asked_labels([chosen[i] for i in own], labels, among=acted)
    examples = Examples(
        features=(plain - shift)[rows],
        targets=soft_targets(chosen, labels, choices.softness),
        known=asked,
        weights=weights[rows] / weights[rows].sum(),
    )
    head = fit(
        examples,
        l2=l2,
        missing_label_bias=choices.missing_label_bias,
        start=unadapted,
        steps=ADAPTED_STEPS,
    )
    return VoiceModel(
        weight=head.weight.numpy(),
        bias=head.bias.numpy(),
        centre=head(centre).numpy(),
        log_prior=examples.prior.double().log().numpy(),
        prior=choices.prior,
        temperature=1.0,
        speakers=_fit_clustering(acted, labels, plain, weights, clips),
    )


def _neutral_means(clips: Sequence[Clip], plain: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The mean neutral voice, what to take off each clip, and of which clips that is known.

    Returns:
        Shape (features,), (clips, features) and (clips,).
    """
    by_voice: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for row, clip in enumerate(clips):
        if clip.emotion in NEUTRAL:
            by_voice[clip.voice].append(row)
    acted = [rows for rows in by_voice.values() if not clips[rows[0]].ordinary]
    voices = acted or list(by_voice.values())
    means = [plain[rows].mean(0) for rows in voices] or [plain.mean(0)]  # nobody is neutral
    centre = torch.stack(means).mean(0)
    shift, known = torch.zeros_like(plain), torch.zeros(len(clips), dtype=torch.bool)
    sums = {voice: (plain[rows] - centre).sum(0) for voice, rows in by_voice.items()}
    for row, clip in enumerate(clips):
        rows = by_voice.get(clip.voice, [])
        own = clip.emotion in NEUTRAL
        count = len(rows) - own
        if count:
            total = sums[clip.voice] - (plain[row] - centre) * own
            shift[row], known[row] = total / (count + SHRINKAGE_CLIPS), True
    return centre, shift, known


def _fit_clustering(
    acted: Sequence[Clip],
    labels: Sequence[str],
    plain: Tensor,
    weights: Tensor,
    clips: Sequence[Clip],
) -> SpeakerModel:
    """Tell voices apart, by the acted clips: feature = population + speaker + emotion.

    By weighted least squares, so that a speaker who has mostly angry clips is not taken for
    somebody with an angry voice.
    """
    rows = torch.tensor([i for i, clip in enumerate(clips) if not clip.ordinary])
    plain, weights = plain[rows], weights[rows]
    names = sorted({clip.voice for clip in acted})
    index = {voice: i for i, voice in enumerate(names)}
    voices = torch.tensor([index[clip.voice] for clip in acted])
    targets = torch.tensor([labels.index(clip.emotion) for clip in acted])
    offsets = torch.zeros(len(labels), plain.shape[1])
    for _ in range(ALTERNATIONS):
        speakers = _means(plain - offsets[targets], voices, weights, len(names))
        offsets = _means(plain - speakers[voices], targets, weights, len(labels))
    return _tell_apart(plain - speakers[voices], weights, speakers, [name for name, _ in names])


def _tell_apart(
    within: Tensor, weights: Tensor, speakers: Tensor, corpora: Sequence[str]
) -> SpeakerModel:
    """Linear discriminant analysis of voices.

    The emotions stay in the variation within a voice, so that directions in which they move it are
    avoided; the corpora are taken out of the variation between voices, since two people on one
    channel are recorded alike.

    Args:
        within: The clips less their speaker, shape (clips, features).
        weights: Of the clips.
        speakers: Shape (speakers, features).
        corpora: That of each speaker.
    """
    share = (weights / weights.sum())[:, None]
    within = within - (share * within).sum(0)
    deviation = (share * within.square()).sum(0).sqrt().clamp(min=1e-6)
    within /= deviation
    size = len(deviation)
    covariance = (share * within).T @ within
    shrunk = (1 - SHRINKAGE) * covariance + SHRINKAGE * torch.eye(size)
    root = torch.linalg.cholesky(shrunk)
    names = sorted(set(corpora))
    groups = torch.tensor([names.index(corpus) for corpus in corpora])
    each = torch.ones(len(corpora))
    between = (speakers - _means(speakers, groups, each, len(names))[groups]) / deviation
    whitened = torch.linalg.solve_triangular(root, between.T, upper=False)
    left, strength, _ = torch.linalg.svd(whitened, full_matrices=False)
    useful = strength[:DIRECTIONS] > 1e-4 * strength.max().clamp(min=1e-12)
    axes = torch.linalg.solve_triangular(root.T, left[:, :DIRECTIONS][:, useful], upper=True).T
    axes /= (axes @ covariance * axes).sum(1, keepdim=True).sqrt()
    freedom = max(1, len(corpora) - len(names))
    return SpeakerModel(
        projection=(axes / deviation).numpy(),
        spread=((between @ axes.T).square().sum(0) / freedom).numpy(),
        caution=0.0,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Tuning:
    """Clips of speakers that were not fitted, for `tune_voices`.

    Attributes:
        clips: The clips.
        embeddings: Shape (clips, features).
        unadapted: Scores of the unadapted head, shape (clips, labels).
        targets: Index of the emotion, shape (clips,).
        weights: Weights that make them a natural mixture, shape (clips,), summing to 1.
        even: Weights that make the acted ones an even mixture, shape (clips,), summing to 1.
        labels: The emotions that are told apart.
        log_natural: Logarithm of the natural prior, shape (labels,).
    """

    clips: Sequence[Clip]
    embeddings: Embeddings
    unadapted: Scores
    targets: NDArray[np.int64]
    weights: NDArray[np.float64]
    even: Tensor
    labels: Sequence[str]
    log_natural: LogPrior

    def loss(self, scores: Scores) -> float:
        """Weighted cross-entropy under the natural prior."""
        logits = scores + self.log_natural
        top = logits.max(axis=1)
        normaliser = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
        return float(self.weights @ (normaliser - logits[np.arange(len(logits)), self.targets]))

    def accuracy(self, scores: Scores) -> float:
        """Mean over the emotions of what is right, under the even prior."""
        right = scores.argmax(1) == self.targets
        return float(np.mean([right[self.targets == k].mean() for k in np.unique(self.targets)]))


def tune_voices(model: VoiceModel, tuning: Tuning) -> VoiceModel:
    """Choose the prior of the adapted head, the caution, then that head's temperature.

    The prior is chosen where the neutral voice is known, as in training. The caution is the one
    that is right most often, sessions of mostly neutral speech counting as much as all others. The
    temperature is fitted in these.

    Args:
        model: From `fit_voices`.
        tuning: What is chosen on.
    """
    pasts: dict[SimulatedPast, Sessions] = {
        kind: sessions(tuning.clips, kind, seed=0) for kind in SHARES
    }

    def classified(tried: VoiceModel, kind: SimulatedPast) -> Scores:
        return classify_sessions(
            tuning.embeddings, tuning.unadapted, pasts[kind], tried,
            log_natural=tuning.log_natural, labels=tuning.labels,
        )[0]  # fmt: skip

    def worth(tried: VoiceModel) -> float:
        return sum(
            share * tuning.accuracy(classified(tried, kind)) for kind, share in SHARES.items()
        )

    bias = _adapted_bias(model, tuning)

    def at(temperature: float, tried: VoiceModel) -> VoiceModel:
        return replace(tried, temperature=temperature, log_prior=as_log_prior(bias, temperature))

    chosen = max(
        (at(1.0, replace(model, speakers=replace(model.speakers, caution=c))) for c in CAUTION),
        key=worth,
    )

    def loss(temperature: float) -> float:
        return tuning.loss(classified(at(temperature, chosen), SimulatedPast.EIGHT_NEUTRAL))

    return at(min(TEMPERATURES[::5].tolist(), key=loss), chosen)


def _adapted_bias(model: VoiceModel, tuning: Tuning) -> Tensor:
    """What makes the adapted logits even where the neutral voice is known, shape (labels,)."""
    plain = torch.from_numpy(tuning.embeddings)
    _, shift, known = _neutral_means(tuning.clips, plain)
    rows = known & (tuning.even > 0)
    if not rows.any():  # nobody speaks neutrally
        rows, shift = tuning.even > 0, torch.zeros_like(shift)
    return fit_label_bias(
        torch.from_numpy(model.logits((plain - shift)[rows].numpy())),
        torch.from_numpy(tuning.targets)[rows],
        known_labels(tuning.clips, tuning.labels)[rows],
        tuning.even[rows],
    )


def with_choices(model: VoiceModel, tuned: VoiceModel) -> VoiceModel:
    """What was fitted to everybody, with what was chosen on the few that were held out."""
    return replace(
        model,
        temperature=tuned.temperature,
        log_prior=tuned.log_prior,
        speakers=replace(model.speakers, caution=tuned.speakers.caution),
    )


def _means(values: Tensor, groups: Tensor, weights: Tensor, count: int) -> Tensor:
    """Weighted mean of the rows of each group, shape (count, columns)."""
    total = torch.zeros(count, values.shape[1]).index_add_(0, groups, values * weights[:, None])
    return total / torch.zeros(count).index_add_(0, groups, weights).clamp(min=1e-12)[:, None]
