"""How well a recipe does on speakers, or whole corpora, that it has never heard."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter, ValidationError

from streamer.errors import InputError
from streamer.training import plots
from streamer.training.corpora import Clip, labels_of, read_manifest
from streamer.training.extraction import Embedded, Extractor, check_variations
from streamer.training.metrics import Figures, Probabilities, Targets, figures
from streamer.training.protocols import folds
from streamer.training.recipe import Calibrated, Recipe, choose, fit_recipe, target_indices
from streamer.training.sounds import all_sounds, let_through
from streamer.training.speech import (
    SPEECH_CLIPS,
    Material,
    SpeechFigures,
    evaluate_speech,
    some_of_each,
    write_speech_figures,
)
from streamer.training.voices import Session, sessions

FIGURES = "figures.json"

DRAWS = 3
"""So often every clip gets a simulated past."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldResult:
    """One fold: what was tested, what was chosen on held-out speakers, and what came out."""

    name: str
    clips: int
    uar: float
    l2: float
    temperature: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """The figures for one form of the test clips.

    Attributes:
        uar: Mean over the folds of the unweighted average recall; only the emotions of the tested
            corpus are possible, as is usual in the literature.
        own: All folds together, likewise.
        all: All folds together, with all emotions of the model possible: what a user gets.
        agreed: As ``own``, on the clips in which no emotion was heard by more listeners than the
            acted one, if it is known what they heard.
    """

    uar: float
    own: Figures
    all: Figures
    agreed: Figures | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionScores:
    """The figures for clips that are judged after a simulated past.

    Attributes:
        uar: As in `Scores`, and the mean of several draws of the past.
        folds: The mean over the draws for each fold.
        all: With all emotions of the model possible: UAR of all folds together.
        ece: Likewise.
    """

    uar: float
    folds: tuple[float, ...]
    all: float
    ece: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A recipe under a protocol.

    Attributes:
        protocol: A corpus, or ``corpus-out``.
        recipe: How each fold was trained.
        corpora: What took part, in training or in testing.
        labels: The emotions of all of them.
        folds: One each, on the clips as they are.
        scores: By variation of the test clips; ``plain`` is always there.
        sessions: With voices that are learned from earlier clips, by what these were; none in
            figures of a program that learned no voices.
    """

    protocol: str
    recipe: Recipe
    corpora: tuple[str, ...]
    labels: tuple[str, ...]
    folds: tuple[FoldResult, ...]
    scores: Mapping[str, Scores]
    sessions: Mapping[Session, SessionScores] = field(default_factory=dict)


_JSON: TypeAdapter[Evaluation] = TypeAdapter(Evaluation)


def read_evaluation(path: Path) -> Evaluation:
    """What `evaluate` wrote.

    Args:
        path: A `figures.json`, or the folder that holds one.

    Raises:
        InputError: It cannot be read, or is something else.
    """
    path = path / FIGURES if path.is_dir() else path
    try:
        return _JSON.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise InputError(f"{path}: are no figures of an evaluation: {error}") from error


def evaluate(  # noqa: PLR0913 - each is a choice of the caller, all but two have a default
    *,
    manifest: Path,
    encoder: Path,
    protocol: str,
    corpora: Collection[str] = (),
    recipe: Recipe | None = None,
    variations: Sequence[str] = ("plain",),
    out: Path | None = None,
    cache: Path = Path(".cache/features"),
    jobs: int | None = None,
) -> Evaluation:
    """Train by the recipe on each fold and test on what the fold leaves out.

    Args:
        manifest: CSV of the recordings, see `read_manifest`.
        encoder: Whisper's encoder as safetensors, as it came or fine-tuned. Where a fold would test
            whom it was fine-tuned on, that fold is left out.
        protocol: A corpus of the manifest (its folds in turn), or ``corpus-out``.
        corpora: Only these take part; empty takes all.
        recipe: How to train; None for the defaults.
        variations: In which forms the test clips are judged (keys of `augment.VARIATIONS` or
            `extraction.ROLLING`).
        out: Folder for `figures.json` and plots; None writes nothing.
        cache: Folder for the encoder's output.
        jobs: Recordings worked on at once; None takes every core.

    Raises:
        ConfigError: An unknown protocol or variation, or the encoder has heard somebody of every
            fold.
        InputError: The manifest or a recording cannot be read.
        ModelError: The encoder cannot be read.
    """
    recipe = recipe or Recipe()
    check_variations(variations)
    clips = read_manifest(manifest, corpora=corpora)
    extract = Extractor(encoder, blocks=recipe.blocks, cache=cache, jobs=jobs)
    divisions = folds(protocol, clips, heard=extract.heard)
    learned = Embedded(clips, extract)
    rows = sorted(i for fold in divisions for i in fold.test)  # the manifest's order: see the cache
    tested = Embedded([clips[i] for i in rows], extract)
    labels = labels_of(clips)
    tests = [_Test(variation, labels) for variation in dict.fromkeys(["plain", *variations])]
    session_tests = [_SessionTest(kind, labels) for kind in Session]
    results = []
    for fold in divisions:
        known = [clips[i] for i in fold.train]
        choices = choose(known, learned, recipe, heard=extract.heard)
        model = fit_recipe(known, learned, recipe, choices)
        fair = [clips[i] for i in fold.test if clips[i].emotion in model.labels]
        for test in tests:
            test.run(fair, model, tested)
        for session_test in session_tests:
            session_test.run(fair, model, tested)
        results.append(
            FoldResult(
                name=fold.name,
                clips=len(fair),
                uar=tests[0].uars[-1],
                l2=model.l2,
                temperature=model.temperature,
            )
        )
    evaluation = Evaluation(
        protocol=protocol,
        recipe=recipe,
        corpora=tuple(sorted({clip.corpus for clip in clips})),
        labels=labels,
        folds=tuple(results),
        scores={test.variation: test.scores() for test in tests},
        sessions={test.kind: test.scores() for test in session_tests},
    )
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / FIGURES).write_bytes(_JSON.dump_json(evaluation, indent=2) + b"\n")
        plots.draw_all(*tests[0].shipped(), labels, out=out)
        plots.draw_seconds({name: each.uar for name, each in evaluation.scores.items()}, out=out)
    return evaluation


def evaluate_no_speech(  # noqa: PLR0913 - as `evaluate`
    *,
    manifest: Path,
    encoder: Path,
    corpora: Collection[str] = (),
    recipe: Recipe | None = None,
    sounds: Path | None = None,
    out: Path | None = None,
    cache: Path = Path(".cache/features"),
    jobs: int | None = None,
) -> SpeechFigures:
    """How well speech is told from noise, music and other sounds, all of them unheard.

    Args:
        manifest: As for `evaluate`, and so are all others but ``sounds``.
        encoder: Likewise.
        corpora: Likewise.
        recipe: Likewise: in which forms speech and sounds are learned from.
        sounds: What is no speech, see `read_sounds`; None takes the made-up sounds alone.
        out: Likewise.
        cache: Likewise.
        jobs: Likewise.

    Raises:
        InputError: A manifest or a recording cannot be read.
        ModelError: The encoder cannot be read.
    """
    recipe = recipe or Recipe()
    clips = some_of_each(read_manifest(manifest, corpora=corpora), SPEECH_CLIPS)
    extract = Extractor(encoder, blocks=recipe.blocks, cache=cache, jobs=jobs)
    heard = all_sounds(sounds, made_up=recipe.made_up, cache=cache).clips
    spoken, quiet, passed = (
        Material(part, Embedded(part, extract))
        for part in (clips, heard, let_through(heard, cache=cache))
    )
    result = evaluate_speech(spoken, quiet, passed, forms=recipe.variations)
    if out is not None:
        write_speech_figures(result, out / FIGURES)
    return result


class _Test:
    """The test clips in one form, judged fold by fold."""

    def __init__(self, variation: str, labels: Sequence[str]) -> None:
        self.variation = variation
        self.uars: list[float] = []
        self._labels = labels
        self._clips: list[Clip] = []
        self._own: list[Probabilities] = []
        self._all: list[Probabilities] = []

    def run(self, clips: Sequence[Clip], model: Calibrated, embed: Embedded) -> None:
        """Judge the clips of a fold, and remember what came out."""
        vectors = embed(clips, self.variation)
        seconds = embed.seconds(clips, self.variation)
        among = labels_of(clips)
        own = _widen(model.probabilities(vectors, seconds, among=among), model, self._labels)
        targets = target_indices(clips, self._labels).numpy()
        self.uars.append(figures(own, targets, self._labels).uar)
        self._clips += clips
        self._own.append(own)
        self._all.append(_widen(model.probabilities(vectors, seconds), model, self._labels))

    def shipped(self) -> tuple[Probabilities, Targets]:
        """All folds together, with all emotions possible."""
        return np.concatenate(self._all), target_indices(self._clips, self._labels).numpy()

    def scores(self) -> Scores:
        """The figures of all folds."""
        own, (everything, targets) = np.concatenate(self._own), self.shipped()
        agreed = np.array([clip.emotion in clip.heard_as for clip in self._clips])
        return Scores(
            uar=float(np.mean(self.uars)),
            own=figures(own, targets, self._labels),
            all=figures(everything, targets, self._labels),
            agreed=figures(own[agreed], targets[agreed], self._labels) if agreed.any() else None,
        )


class _SessionTest:
    """The test clips as they are, each after a simulated past, judged fold by fold."""

    def __init__(self, kind: Session, labels: Sequence[str]) -> None:
        self.kind = kind
        self._labels = labels
        self._uars: list[float] = []
        self._clips: list[Clip] = []
        self._all: list[list[Probabilities]] = [[] for _ in range(DRAWS)]

    def run(self, clips: Sequence[Clip], model: Calibrated, embed: Embedded) -> None:
        """Judge the clips of a fold, and remember what came out."""
        vectors, seconds = embed(clips, "plain"), embed.seconds(clips, "plain")
        targets = target_indices(clips, self._labels).numpy()
        uars = []
        for seed, everything in enumerate(self._all):
            past = sessions(clips, self.kind, seed=seed)
            own = model.warm_probabilities(vectors, seconds, past, among=labels_of(clips))
            uars.append(figures(_widen(own, model, self._labels), targets, self._labels).uar)
            free = model.warm_probabilities(vectors, seconds, past)
            everything.append(_widen(free, model, self._labels))
        self._uars.append(float(np.mean(uars)))
        self._clips += clips

    def scores(self) -> SessionScores:
        """The figures of all folds and draws."""
        targets = target_indices(self._clips, self._labels).numpy()
        draws = [figures(np.concatenate(draw), targets, self._labels) for draw in self._all]
        return SessionScores(
            uar=float(np.mean(self._uars)),
            folds=tuple(self._uars),
            all=float(np.mean([draw.uar for draw in draws])),
            ece=float(np.mean([draw.ece for draw in draws])),
        )


def _widen(probabilities: Probabilities, model: Calibrated, labels: Sequence[str]) -> Probabilities:
    """To the emotions of all corpora: what a fold's model never heard of has probability 0."""
    wide = np.zeros((len(probabilities), len(labels)))
    wide[:, [labels.index(label) for label in model.labels]] = probabilities
    return wide
