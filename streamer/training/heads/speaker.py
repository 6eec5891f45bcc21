"""What is known about voices in general, learned from many, and tried in simulated sessions."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streamer.model.speaker.adaptation import Logits, VoiceModel, mix
from streamer.model.speaker.clustering import Mark, Register, SpeakerModel
from streamer.training.data.extraction import Embeddings
from streamer.training.data.manifest import Clip
from streamer.training.heads.logistic import TEMPERATURES, Examples, Head, fit

PAST = 10
"""Utterances that went before the tested one in a simulated session."""

ALTERNATIONS = 6  # between speakers and emotions: the fit then stands still
WARM_STEPS = 25  # from the cold head to the warm one, which is not far
DIRECTIONS = 32  # among which voices are told apart; fewer confuse them, more learn them by heart
SHRINKAGE = 0.6  # of correlations within a voice: features by far outnumber the voices

CAUTION = (-1.0, 0.0, 1.0, 2.0, 3.0)
"""What is tried on held-out speakers as the `SpeakerModel`'s caution."""

Sessions = NDArray[np.int64]
"""For each clip the clips that go before it, -1 where there are no more: shape (clips, PAST)."""


class Session(StrEnum):
    """What went before the tested clip, as far as there is so much of its corpus.

    Attributes:
        MIXED: Clips of its speaker, in all emotions.
        ONE_EMOTION: Clips of its speaker in its emotion: a mood that stays is no voice.
        IN_TURN: Clips of its speaker and of another one in turn, the other one last.
        ANOTHER: Clips of another speaker alone.
    """

    MIXED = "mixed"
    ONE_EMOTION = "one emotion"
    IN_TURN = "two voices in turn"
    ANOTHER = "another voice"


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
    so a speaker who has mostly angry clips is not taken for somebody with an angry voice. What
    spoils speech hides the voice, so that the warm head learns more from whole, clean clips alone.

    Args:
        clips: What is learned from.
        examples: Of the clips, variation after variation, the clips as they are first.
        cold: The head for voices that nobody knows: a good place to begin.
        l2: As for `fit`.
        absent: As for `fit`.

    Returns:
        With prior, doubt, temperature and caution still to be chosen, see `tune_voices`.
    """
    count = len(clips)
    plain, weights = examples.features[:count], examples.weights[:count]
    targets = examples.targets[:count]
    names = sorted({clip.voice for clip in clips})
    index = {voice: i for i, voice in enumerate(names)}
    voices = torch.tensor([index[clip.voice] for clip in clips])
    labels = examples.known.shape[1]
    offsets = torch.zeros(labels, plain.shape[1])
    for _ in range(ALTERNATIONS):
        speakers = _means(plain - offsets[targets], voices, weights, len(names))
        offsets = _means(plain - speakers[voices], targets, weights, labels)
    population = weights @ speakers[voices] / weights.sum()
    head = fit(
        Examples(
            plain - (speakers - population)[voices],
            targets,
            examples.known[:count],
            weights / weights.sum(),
        ),
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
        doubt=0.0,
        temperature=1.0,
        speakers=_tell_apart(plain - speakers[voices], weights, speakers, [n for n, _ in names]),
    )


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
        cold: What the cold head says, shape (clips, labels).
        temperature: Of the cold head.
        targets: Index of the emotion, shape (clips,).
        weights: Shape (clips,), summing to 1.
    """

    clips: Sequence[Clip]
    embeddings: Embeddings
    cold: Logits
    temperature: float
    targets: NDArray[np.int64]
    weights: NDArray[np.float64]

    def accuracy(self, logits: Logits) -> float:
        """Weighted share of what is right."""
        return float(self.weights @ (logits.argmax(1) == self.targets))


def tune_voices(
    model: VoiceModel,
    tuning: Tuning,
    *,
    priors: Sequence[float],
    doubts: Sequence[float],
) -> VoiceModel:
    """Choose caution, prior and doubt, then the temperature of a well-known voice.

    The choice is the one that is right most often, every kind of session counting alike: what is
    best for several moods is worst for one that stays.

    Args:
        model: From `fit_voices`.
        tuning: What is chosen on.
        priors: What is tried.
        doubts: Likewise.
    """
    pasts = {kind: sessions(tuning.clips, kind, seed=0) for kind in Session}

    def worth(tried: VoiceModel) -> float:
        judged = (_mixed(tuning.embeddings, tuning.cold, past, tried) for past in pasts.values())
        return sum(tuning.accuracy(logits) for logits, _ in judged)

    chosen = max(
        (
            replace(model, prior=p, doubt=d, speakers=replace(model.speakers, caution=c))
            for c, p, d in product(CAUTION, priors, doubts)
        ),
        key=worth,
    )
    judged = [_mixed(tuning.embeddings, tuning.cold, past, chosen) for past in pasts.values()]
    logits, trust = (np.concatenate(part) for part in zip(*judged, strict=True))
    targets, weights = np.tile(tuning.targets, len(pasts)), np.tile(tuning.weights, len(pasts))

    def loss(temperature: float) -> float:
        scaled = logits / ((1 - trust) * tuning.temperature + trust * temperature)
        top = scaled.max(axis=1)
        normaliser = top + np.log(np.exp(scaled - top[:, None]).sum(axis=1))
        return float(weights @ (normaliser - scaled[np.arange(len(scaled)), targets]))

    return replace(chosen, temperature=min(TEMPERATURES[::5].tolist(), key=loss))


def with_choices(model: VoiceModel, tuned: VoiceModel) -> VoiceModel:
    """What was fitted to everybody, with what was chosen on the few that were held out."""
    return replace(
        model,
        prior=tuned.prior,
        doubt=tuned.doubt,
        temperature=tuned.temperature,
        speakers=replace(model.speakers, caution=tuned.speakers.caution),
    )


def sessions(clips: Sequence[Clip], kind: Session, *, seed: int) -> Sessions:
    """Give every clip a past: clips before it, in random order, without repeats.

    Args:
        clips: All there are.
        kind: What goes before. Where a corpus has no other speaker, nobody else speaks.
        seed: Of the order.
    """
    rng = np.random.default_rng(seed)
    by_voice: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    by_mood: defaultdict[tuple[tuple[str, str], str], list[int]] = defaultdict(list)
    for row, clip in enumerate(clips):
        by_voice[clip.voice].append(row)
        by_mood[clip.voice, clip.emotion].append(row)
    past = np.full((len(clips), PAST), -1)
    for row, clip in enumerate(clips):
        one_mood = kind is Session.ONE_EMOTION
        group = by_mood[clip.voice, clip.emotion] if one_mood else by_voice[clip.voice]
        own = rng.permutation([other for other in group if other != row])[:PAST]
        strangers = [v for v in by_voice if v[0] == clip.corpus and v != clip.voice]
        theirs = by_voice[strangers[rng.integers(len(strangers))]] if strangers else []
        match kind:
            case Session.MIXED | Session.ONE_EMOTION:
                chosen = own
            case Session.ANOTHER:
                chosen = rng.permutation(theirs)[:PAST]
            case Session.IN_TURN:
                half = PAST // 2
                pairs = zip(own[:half], rng.permutation(theirs)[:half], strict=False)
                chosen = np.array([row for pair in pairs for row in pair]) if strangers else own
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
    mixed, trust = _mixed(embeddings, cold[:, possible], past, model)
    logits = np.full((len(cold), labels), -np.inf)
    logits[:, possible] = mixed
    return logits / ((1 - trust) * temperature + trust * model.temperature)


def _mixed(
    embeddings: Embeddings, cold: Logits, past: Sessions, model: VoiceModel
) -> tuple[Logits, NDArray[np.float64]]:
    """Logits of every clip after its past, and how far they are the warm ones, (clips, 1)."""
    warm = model.warm(embeddings)
    same, probability = _same_voice(model.speakers.mark(embeddings), past, model.speakers)
    trust = probability[:, None] * model.trust(same.sum(1, keepdims=True))
    voice = model.estimate(cold[past], warm[past], same)  # what -1 points at weighs 0
    return mix(cold, warm, voice, trust), trust


def _same_voice(
    marks: Mark, past: Sessions, model: SpeakerModel
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Which of the past are taken for the voice that each clip is, (clips, PAST), and how surely.

    Args:
        marks: Of the clips, shape (clips, directions).
        past: From `sessions`.
        model: Tells voices apart.
    """
    register = Register(model, len(past))
    places = np.full(past.shape, -1)
    for turn, rows in enumerate(past.T):
        heard = rows >= 0
        place, new = register.add(marks[rows], heard)
        places[(places == place[:, None]) & (new & heard)[:, None]] = -1  # they made room
        places[heard, turn] = place[heard]
    place, probability = register.match(marks)
    return (places == place[:, None]).astype(np.float64), probability


def _means(values: Tensor, groups: Tensor, weights: Tensor, count: int) -> Tensor:
    """Weighted mean of the rows of each group, shape (count, columns)."""
    total = torch.zeros(count, values.shape[1]).index_add_(0, groups, values * weights[:, None])
    return total / torch.zeros(count).index_add_(0, groups, weights).clamp(min=1e-12)[:, None]
