"""Evaluates a finished model on labelled recordings."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from streamer.errors import InputError, ModelError
from streamer.model.bundle import Bundle, load
from streamer.model.catalog import find_bundle
from streamer.model.head import HeadLayer
from streamer.model.priors import log_prior
from streamer.training.data.extraction import EmbeddedClips, Extractor, check_variations
from streamer.training.data.manifest import labels_of, read_manifest
from streamer.training.evaluation.metrics import certain
from streamer.training.evaluation.scoring import (
    EmotionRecall,
    PastScores,
    Scores,
    Scoring,
    check_folder,
)
from streamer.training.heads.logistic import Head, HiddenUnits
from streamer.training.heads.recipe import Calibrated
from streamer.training.heads.simulated_sessions import SimulatedPast


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEvaluation:
    """A model on recordings, each corpus of them classified by itself.

    Attributes:
        model: Its name and version.
        corpora: The corpora that were classified.
        heard: Those of them that it was trained on, by their names: figures of these say nothing
            about unseen speakers.
        left_out: How many recordings are of an emotion that it does not know.
        certain: Share of the answers that are not called uncertain, all emotions possible.
        certain_and_right: Share of those that are right.
        scores: By form of the recordings; ``plain`` is always there.
        sessions: With a voice that is learned from earlier recordings, by what these were.
        found: By emotion, how much of it is found after eight neutral recordings.
    """

    model: str
    corpora: tuple[str, ...]
    heard: tuple[str, ...]
    left_out: int
    certain: float
    certain_and_right: float
    scores: Mapping[str, Scores]
    sessions: Mapping[SimulatedPast, PastScores]
    found: Mapping[str, EmotionRecall]


_JSON: TypeAdapter[ModelEvaluation] = TypeAdapter(ModelEvaluation)


def evaluate_model(  # noqa: PLR0913 - each is a choice of the caller, all but two have a default
    *,
    manifest: Path,
    model: str | Path,
    corpora: Collection[str] = (),
    variations: Sequence[str] = ("plain",),
    out: Path | None = None,
    cache: Path = Path(".cache/features"),
    jobs: int | None = None,
) -> ModelEvaluation:
    """Classify recordings as a finished model does, in floating point.

    Args:
        manifest: CSV of the recordings, see `read_manifest`.
        model: One that came with streamer, or a bundle's folder.
        corpora: Only these; empty takes all.
        variations: More forms in which they are classified, see `evaluate`.
        out: Folder for `figures.json` and plots; None writes nothing.
        cache: Folder for the encoder's output.
        jobs: Recordings worked on at once; None takes every core.

    Raises:
        ConfigError: An unknown variation, or plots are asked for without matplotlib.
        InputError: The manifest or a recording cannot be read, or the model knows none of its
            emotions.
        ModelError: There is no such model, it is damaged, or it knows nothing about voices.
        OutputError: The figures cannot be written.
    """
    check_variations(variations)
    if out is not None:
        check_folder(out)
    bundle = load(find_bundle(model))
    labels = bundle.manifest.labels
    given = read_manifest(manifest, corpora=corpora)
    clips = [clip for clip in given if clip.emotion in labels]
    if not clips:
        raise InputError(
            f"{manifest}: got {', '.join(labels_of(given))}, the model knows: {', '.join(labels)}"
        )
    classify = _classify(bundle)
    embedded = EmbeddedClips(clips, Extractor(bundle, cache=cache, jobs=jobs))
    scoring = Scoring(variations, labels)
    names = tuple(sorted({clip.corpus for clip in clips}))
    for name in names:
        scoring.add([clip for clip in clips if clip.corpus == name], classify, embedded)
    answered, right = certain(*scoring.all_label_probabilities(), classify.threshold)
    taught = bundle.manifest.training.get("corpora")
    result = ModelEvaluation(
        model=f"{bundle.manifest.name}-{bundle.manifest.version}",
        corpora=names,
        heard=tuple(sorted(set(names).intersection(taught if isinstance(taught, list) else ()))),
        left_out=len(given) - len(clips),
        certain=answered,
        certain_and_right=right,
        scores=scoring.scores(),
        sessions=scoring.past_scores(),
        found=scoring.found(),
    )
    if out is not None:
        scoring.write(_JSON.dump_json(result, indent=2), out)
    return result


def _classify(bundle: Bundle) -> Calibrated:
    """The bundle's head as a `Calibrated`."""
    manifest, head = bundle.manifest, bundle.network.head
    if bundle.voices is None:
        raise ModelError(f"{manifest.name}: knows nothing about voices: train it anew")
    return Calibrated(
        labels=manifest.labels,
        head=_as_head(head),
        log_prior=log_prior(manifest.priors.unadapted, manifest.labels),
        natural=manifest.priors.natural,
        temperature=manifest.calibration.temperature,
        brevity=manifest.calibration.brevity,
        threshold=manifest.calibration.threshold,
        voices=bundle.voices,
    )


def _as_head(layer: HeadLayer) -> Head:
    hidden = None
    if layer.projection is not None and layer.hidden is not None and layer.out is not None:
        hidden = HiddenUnits(
            projection=layer.projection.weight.detach(),
            weight=layer.hidden.weight.detach(),
            bias=layer.hidden.bias.detach(),
            out=layer.out.weight.detach(),
        )
    return Head(layer.weight.detach(), layer.bias.detach(), hidden)
