"""Scores clips group by group, in several forms or after simulated pasts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from streamer.training.data.extraction import EmbeddedClips
from streamer.training.data.manifest import Clip, labels_of
from streamer.training.evaluation import plots
from streamer.training.evaluation.metrics import Metrics, Probabilities, Targets, figures
from streamer.training.heads.examples import target_indices
from streamer.training.heads.recipe import Calibrated
from streamer.training.heads.simulated_sessions import SimulatedPast, sessions
from streamer.training.output import FIGURES, make_folder, written

DRAWS = 3
"""How many simulated pasts every clip gets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """The figures for one form of the test clips.

    Attributes:
        uar: Mean over the folds of the unweighted average recall; only the emotions of the tested
            corpus are possible, as is usual in the literature.
        own: All folds together, with the emotions of the tested corpus.
        all: All folds together, with all emotions of the model possible: what a user gets.
        agreed: As ``own``, on clips in which listeners heard no emotion more often than the acted
            one; None if that is not known.
    """

    uar: float
    own: Metrics
    all: Metrics
    agreed: Metrics | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PastScores:
    """The figures for clips that are classified after a simulated past.

    Attributes:
        uar: As in `Scores`, and the mean of several draws of the past.
        folds: The mean over the draws for each fold.
        all: UAR of all folds together, with all emotions of the model possible.
        ece: ECE of all folds together, with all emotions of the model possible.
    """

    uar: float
    folds: tuple[float, ...]
    all: float
    ece: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EmotionRecall:
    """How much of an emotion is found after eight neutral utterances, under the natural prior.

    Attributes:
        clips: How many have the emotion.
        named: Share in which it is the likeliest one.
        certain: Share in which it is, and not called uncertain.
    """

    clips: int
    named: float
    certain: float


def check_folder(out: Path) -> None:
    """Make the folder to which `Scoring.write` is to write, before there is anything to write.

    Raises:
        ConfigError: matplotlib is not installed.
        OutputError: The folder cannot be made or written to, or is a file.
    """
    make_folder(out)
    plots.check_plots()


class Scoring:
    """Classifies groups of clips (folds of a protocol, or corpora) and computes the scores.

    Args:
        variations: More forms in which the clips are classified.
        labels: The emotions of all groups.
    """

    def __init__(self, variations: Sequence[str], labels: Sequence[str]) -> None:
        self._labels = labels
        self._forms = [_Form(name, labels) for name in dict.fromkeys(["plain", *variations])]
        self._pasts = [  # `_answers` classifies after neutral utterances
            _Past(kind, labels) for kind in SimulatedPast if kind is not SimulatedPast.NEUTRAL
        ]
        self._answers: list[tuple[str, str, bool]] = []

    def add(self, clips: Sequence[Clip], model: Calibrated, embed: EmbeddedClips) -> float:
        """Classify the clips of a group; returns the UAR of these as they are."""
        for form in self._forms:
            form.add(clips, model, embed)
        for past in self._pasts:
            past.add(clips, model, embed)
        self._answers += _answers(clips, model, embed)
        return self._forms[0].uars[-1]

    def scores(self) -> dict[str, Scores]:
        """The scores by form, ``plain`` first."""
        return {form.variation: form.scores() for form in self._forms}

    def past_scores(self) -> dict[SimulatedPast, PastScores]:
        """The scores by kind of past."""
        return {past.kind: past.scores() for past in self._pasts}

    def found(self) -> dict[str, EmotionRecall]:
        """What is found by emotion, of all groups together."""
        result = {}
        for emotion in self._labels:
            own = [(said, sure) for acted, said, sure in self._answers if acted == emotion]
            if own:
                right = [(said == emotion, said == emotion and sure) for said, sure in own]
                named, certain = np.mean(right, axis=0).tolist()
                result[emotion] = EmotionRecall(clips=len(own), named=named, certain=certain)
        return result

    def all_label_probabilities(self) -> tuple[Probabilities, Targets]:
        """All groups together as they are, with all emotions possible: what a user gets."""
        return self._forms[0].all_label_probabilities()

    def write(self, json: bytes, out: Path) -> None:
        """Write figures, plots of all groups together, and the plot by seconds of speech.

        Args:
            json: The figures.
            out: A folder that has passed `check_folder`.

        Raises:
            OutputError: They cannot be written.
        """
        with written(out):
            (out / FIGURES).write_bytes(json + b"\n")
            plots.draw_all(*self.all_label_probabilities(), self._labels, out=out)
            plots.draw_seconds({form.variation: form.uar for form in self._forms}, out=out)


class _Form:
    """The test clips in one form, classified by group: folds of a protocol, or corpora."""

    def __init__(self, variation: str, labels: Sequence[str]) -> None:
        self.variation = variation
        self.uars: list[float] = []
        self._labels = labels
        self._clips: list[Clip] = []
        self._own: list[Probabilities] = []
        self._all: list[Probabilities] = []

    def add(self, clips: Sequence[Clip], model: Calibrated, embed: EmbeddedClips) -> None:
        """Classify the clips of a group, and keep the result."""
        vectors = embed(clips, self.variation)
        seconds = embed.seconds(clips, self.variation)
        among = labels_of(clips)
        own = _widen(model.probabilities(vectors, seconds, among=among), model, self._labels)
        targets = target_indices(clips, self._labels).numpy()
        self.uars.append(figures(own, targets, self._labels).uar)
        self._clips += clips
        self._own.append(own)
        self._all.append(_widen(model.probabilities(vectors, seconds), model, self._labels))

    @property
    def uar(self) -> float:
        """The mean over the groups."""
        return float(np.mean(self.uars))

    def all_label_probabilities(self) -> tuple[Probabilities, Targets]:
        """All groups together, with all emotions possible."""
        return np.concatenate(self._all), target_indices(self._clips, self._labels).numpy()

    def scores(self) -> Scores:
        """The figures of all groups."""
        own, (everything, targets) = np.concatenate(self._own), self.all_label_probabilities()
        agreed = np.array([clip.emotion in clip.perceived for clip in self._clips])
        return Scores(
            uar=self.uar,
            own=figures(own, targets, self._labels),
            all=figures(everything, targets, self._labels),
            agreed=figures(own[agreed], targets[agreed], self._labels) if agreed.any() else None,
        )


class _Past:
    """The test clips as they are, each after a simulated past, classified group by group."""

    def __init__(self, kind: SimulatedPast, labels: Sequence[str]) -> None:
        self.kind = kind
        self._labels = labels
        self._uars: list[float] = []
        self._clips: list[Clip] = []
        self._all: list[list[Probabilities]] = [[] for _ in range(DRAWS)]

    def add(self, clips: Sequence[Clip], model: Calibrated, embed: EmbeddedClips) -> None:
        """Classify the clips of a group, and keep the result."""
        vectors, seconds = embed(clips, "plain"), embed.seconds(clips, "plain")
        targets = target_indices(clips, self._labels).numpy()
        uars = []
        for seed, everything in enumerate(self._all):
            past = sessions(clips, self.kind, seed=seed)
            own = model.adapted_probabilities(vectors, seconds, past, among=labels_of(clips))
            uars.append(figures(_widen(own, model, self._labels), targets, self._labels).uar)
            free = model.adapted_probabilities(vectors, seconds, past)
            everything.append(_widen(free, model, self._labels))
        self._uars.append(float(np.mean(uars)))
        self._clips += clips

    def scores(self) -> PastScores:
        """The figures of all groups and draws."""
        targets = target_indices(self._clips, self._labels).numpy()
        draws = [figures(np.concatenate(draw), targets, self._labels) for draw in self._all]
        return PastScores(
            uar=float(np.mean(self._uars)),
            folds=tuple(self._uars),
            all=float(np.mean([draw.uar for draw in draws])),
            ece=float(np.mean([draw.ece for draw in draws])),
        )


def _answers(
    clips: Sequence[Clip], model: Calibrated, embed: EmbeddedClips
) -> list[tuple[str, str, bool]]:
    """Acted and named emotion, and whether that is certain, after eight neutral utterances."""
    vectors, seconds = embed(clips, "plain"), embed.seconds(clips, "plain")
    past = sessions(clips, SimulatedPast.NEUTRAL, seed=0)
    probabilities = model.adapted_probabilities(vectors, seconds, past, prior="natural")
    named = [model.labels[i] for i in probabilities.argmax(1)]
    certain = probabilities.max(1) >= model.threshold
    acted = [clip.emotion for clip in clips]
    return list(zip(acted, named, certain.tolist(), strict=True))


def _widen(probabilities: Probabilities, model: Calibrated, labels: Sequence[str]) -> Probabilities:
    """Widen to the emotions of all corpora: those that a fold's model lacks have probability 0."""
    wide = np.zeros((len(probabilities), len(labels)))
    wide[:, [labels.index(label) for label in model.labels]] = probabilities
    return wide
