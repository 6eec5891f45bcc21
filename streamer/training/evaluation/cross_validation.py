"""Cross-validation scores a recipe on unseen speakers or corpora."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from streamer.errors import InputError
from streamer.training.augmentation.rooms import read_rooms
from streamer.training.data.extraction import EmbeddedClips, Extractor, check_variations
from streamer.training.data.manifest import labels_of, read_manifest
from streamer.training.data.manifest import without as leave
from streamer.training.data.ordinary import TRAIN, read_ordinary
from streamer.training.data.sounds import all_sounds, let_through
from streamer.training.evaluation.scoring import (
    EmotionRecall,
    PastScores,
    Scores,
    Scoring,
    check_folder,
)
from streamer.training.evaluation.splits import folds
from streamer.training.heads.recipe import Recipe, choose, fit_recipe
from streamer.training.heads.simulated_sessions import SimulatedPast
from streamer.training.heads.speech import (
    SPEECH_CLIPS,
    Material,
    SpeechFigures,
    evaluate_speech,
    some_of_each,
    write_speech_figures,
)
from streamer.training.output import FIGURES, make_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldResult:
    """One fold: the test clips, the parameters chosen on held-out speakers, and the result."""

    name: str
    clips: int
    uar: float
    l2: float
    temperature: float


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
        found: By emotion, what is found of it after eight neutral utterances.
    """

    protocol: str
    recipe: Recipe
    corpora: tuple[str, ...]
    labels: tuple[str, ...]
    folds: tuple[FoldResult, ...]
    scores: Mapping[str, Scores]
    sessions: Mapping[SimulatedPast, PastScores] = field(default_factory=dict)
    found: Mapping[str, EmotionRecall] = field(default_factory=dict)


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
    without: Collection[str] = (),
    ordinary: Path | None = None,
    rooms: Path | None = None,
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
        without: What is left out of these, see `manifest.without`.
        ordinary: CSV of ordinary speech, see `read_ordinary`, of which ``use=train`` is learned;
            None learns from acted speech alone.
        rooms: Folder of impulse responses for degraded copies, see `read_rooms`.
        recipe: How to train; None for the defaults.
        variations: In which forms the test clips are classified (keys of `degrade.VARIATIONS` or
            `extraction.PARTIALS`).
        out: Folder for `figures.json` and plots; None writes nothing.
        cache: Folder for the encoder's output.
        jobs: Recordings worked on at once; None takes every core.

    Raises:
        ConfigError: An unknown protocol or variation, the encoder has heard somebody of every
            fold, or plots are asked for without matplotlib.
        InputError: The manifest or a recording cannot be read.
        ModelError: The encoder cannot be read.
        OutputError: The figures cannot be written.
    """
    recipe = recipe or Recipe()
    check_variations(variations)
    if out is not None:
        check_folder(out)
    everything = read_manifest(manifest, corpora=corpora)
    clips = leave(everything, without)
    spoken = read_ordinary(ordinary, use=TRAIN) if ordinary else []
    extract = Extractor(
        encoder, blocks=recipe.blocks, cache=cache, jobs=jobs,
        rooms=read_rooms(rooms) if rooms else (),
    )  # fmt: skip
    divisions = folds(protocol, clips, heard=extract.heard)
    learned = EmbeddedClips([*everything, *spoken], extract)  # cached by whole corpora
    rows = sorted(i for fold in divisions for i in fold.test)  # the manifest's order: see the cache
    tested = EmbeddedClips([clips[i] for i in rows], extract)
    scoring = Scoring(variations, labels_of(clips))
    results = []
    for fold in divisions:
        known = [*(clips[i] for i in fold.train), *spoken]
        choices = choose(known, learned, recipe, heard=extract.heard)
        model = fit_recipe(known, learned, recipe, choices)
        fair = [clips[i] for i in fold.test if clips[i].emotion in model.labels]
        results.append(
            FoldResult(
                name=fold.name,
                clips=len(fair),
                uar=scoring.add(fair, model, tested),
                l2=choices.l2,
                temperature=model.temperature,
            )
        )
    evaluation = Evaluation(
        protocol=protocol,
        recipe=recipe,
        corpora=tuple(sorted({clip.corpus for clip in clips})),
        labels=labels_of(clips),
        folds=tuple(results),
        scores=scoring.scores(),
        sessions=scoring.past_scores(),
        found=scoring.found(),
    )
    if out is not None:
        scoring.write(_JSON.dump_json(evaluation, indent=2, by_alias=True), out)
    return evaluation


def evaluate_no_speech(  # noqa: PLR0913 - as `evaluate`
    *,
    manifest: Path,
    encoder: Path,
    corpora: Collection[str] = (),
    without: Collection[str] = (),
    recipe: Recipe | None = None,
    sounds: Path | None = None,
    out: Path | None = None,
    cache: Path = Path(".cache/features"),
    jobs: int | None = None,
) -> SpeechFigures:
    """Measure how well speech is separated from noise, music and other unseen sounds.

    Args:
        manifest: As for `evaluate`.
        encoder: As for `evaluate`.
        corpora: As for `evaluate`.
        without: As for `evaluate`.
        recipe: The forms in which speech and sounds are learned.
        sounds: Sounds that are not speech, see `read_sounds`; None takes synthetic ones alone.
        out: As for `evaluate`.
        cache: As for `evaluate`.
        jobs: As for `evaluate`.

    Raises:
        InputError: A manifest or a recording cannot be read.
        ModelError: The encoder cannot be read.
        OutputError: The figures cannot be written.
    """
    recipe = recipe or Recipe()
    if out is not None:
        make_folder(out)
    clips = some_of_each(leave(read_manifest(manifest, corpora=corpora), without), SPEECH_CLIPS)
    extract = Extractor(encoder, blocks=recipe.blocks, cache=cache, jobs=jobs)
    heard = all_sounds(sounds, made_up=recipe.made_up, cache=cache).clips
    spoken, quiet, passed = (
        Material(part, EmbeddedClips(part, extract))
        for part in (clips, heard, let_through(heard, cache=cache))
    )
    result = evaluate_speech(spoken, quiet, passed, forms=recipe.variations)
    if out is not None:
        write_speech_figures(result, out / FIGURES)
    return result
