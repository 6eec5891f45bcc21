"""Trains a model bundle from a manifest of recordings."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from streamer.model import bundle, features
from streamer.model.bundle import Bundle
from streamer.model.encoder import EmotionNet, NetworkShape
from streamer.model.manifest import (
    Calibration,
    DataSource,
    Manifest,
    Mood,
    Network,
    Priors,
    Speech,
    Voices,
)
from streamer.model.priors import LogPrior
from streamer.model.speech import SpeechModel
from streamer.training.augmentation.rooms import read_rooms
from streamer.training.card import write_card
from streamer.training.data.extraction import EmbeddedClips, Extractor
from streamer.training.data.licences import ordinary_sources_of, sources_of
from streamer.training.data.manifest import Clip, read_manifest
from streamer.training.data.manifest import without as leave
from streamer.training.data.ordinary import TRAIN, read_ordinary
from streamer.training.data.sounds import all_sounds
from streamer.training.encoder.files import load_encoder
from streamer.training.evaluation.metrics import Metrics, certain, figures
from streamer.training.heads.logistic import Head
from streamer.training.heads.recipe import (
    Calibrated,
    ChosenParameters,
    Recipe,
    choose,
    fit_recipe,
)
from streamer.training.heads.speech import Material, fit_speech
from streamer.training.output import check_bundle

POSITIVE = ("happy",)
NEGATIVE = ("sad", "angry", "fearful", "disgust")
# neutral, calm and surprised count for neither: a surprise may be a good or a bad one


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingResult:
    """A new bundle.

    Attributes:
        folder: Its folder.
        manifest: Its manifest.
        held_out: Metrics on the speakers that penalty, temperature and threshold were chosen on.
        unseen_speakers: Whether the head was not fitted to these; if it was, its confidence is too
            high.
    """

    folder: Path
    manifest: Manifest
    held_out: Metrics
    unseen_speakers: bool


def train(  # noqa: PLR0913 - each is a choice of the caller, all but three have a default
    *,
    manifest: Path,
    encoder: Path,
    out: Path,
    calibrator: Path | None = None,
    corpora: Collection[str] = (),
    ordinary: Path | None = None,
    rooms: Path | None = None,
    without: Collection[str] = (),
    name: str | None = None,
    version: str = "1",
    recipe: Recipe | None = None,
    sounds: Path | None = None,
    cache: Path = Path(".cache/features"),
    jobs: int | None = None,
) -> TrainingResult:
    """Train a head on a frozen encoder, calibrate it, and write both as a bundle.

    Args:
        manifest: CSV of the recordings, see `read_manifest`.
        encoder: Whisper's encoder as safetensors, as it came or fine-tuned.
        calibrator: An encoder made like that one, but without some of the speakers: penalty,
            temperature and threshold are chosen with it, on them. None: with ``encoder`` itself.
        out: Folder of the bundle; a bundle that is there is replaced.
        corpora: Only these; empty takes all.
        ordinary: CSV of ordinary speech, see `read_ordinary`, of which ``use=train`` is learned;
            None learns from acted speech alone, and such a model is not quiet.
        rooms: Folder of impulse responses for degraded copies, see `read_rooms`.
        without: Speakers, or emotions of a corpus, that are left out, see `manifest.without`.
        name: The name of the model; None takes the name of the folder.
        version: The version of the model.
        recipe: How to train; None for the defaults.
        sounds: Sounds that are not speech, see `read_sounds`; None takes synthetic ones alone.
        cache: Folder for the encoder's output.
        jobs: Recordings worked on at once; None takes every core.

    Raises:
        ConfigError: The encoder was trained on every speaker, so that none is left to calibrate
            on; or ``out`` holds something else.
        InputError: The manifest or a recording cannot be read.
        ModelError: The encoder cannot be read.
        OutputError: No bundle can be written there.
    """
    check_bundle(out)
    recipe = recipe or Recipe()
    everything = read_manifest(manifest, corpora=corpora)
    acted = leave(everything, without)
    spoken = read_ordinary(ordinary, use=TRAIN) if ordinary else []
    clips = [*acted, *spoken]
    whole = [*everything, *spoken]  # the cache is by whole corpora
    extractor = partial(
        Extractor, blocks=recipe.blocks, cache=cache, jobs=jobs,
        rooms=read_rooms(rooms) if rooms else (),
    )  # fmt: skip
    extract = extractor(encoder)
    embedded = EmbeddedClips(whole, extract)
    if calibrator is None:
        choices = choose(clips, embedded, recipe, heard=extract.heard)
    else:
        unseen = extractor(calibrator)
        choices = choose(clips, EmbeddedClips(whole, unseen), recipe, heard=unseen.heard)
    model = fit_recipe(clips, embedded, recipe, choices)
    sound = all_sounds(sounds, made_up=recipe.made_up, cache=cache)
    speech = None
    if sound.clips:
        quiet = Material(sound.clips, EmbeddedClips(sound.clips, extract))
        speech = fit_speech(Material(clips, embedded), quiet, forms=recipe.variations)
    facts = {
        **recipe.as_json(),
        **_held_out(choices, model),
        **_learned_from(acted, spoken, extract, without),
        "sounds": len(sound.clips),
    }
    sources = (*_sources(acted, spoken, extract), *sound.sources)
    shape = _with_head(replace(extract.shape, blocks=recipe.blocks), model.head)
    description = _manifest(
        (name or out.name, version), model, shape, speech, sources=sources, training=facts
    )
    network = _assemble(encoder, model, blocks=recipe.blocks)
    bundle.save(Bundle(description, network, write_card(description), model.voices, speech), out)
    return TrainingResult(
        folder=out,
        manifest=bundle.load(out).manifest,
        held_out=figures(*choices.held_out, model.labels),
        unseen_speakers=choices.unseen_speakers,
    )


def _held_out(choices: ChosenParameters, model: Calibrated) -> dict[str, object]:
    """What was chosen on the speakers held out, and what the model is worth on them."""
    answered, right = certain(*choices.held_out, model.threshold)
    return {
        "chosen_l2": choices.l2,
        "held_out": {"certain": round(answered, 4), "certain_and_right": round(right, 4)},
    }


def _corpora(acted: Sequence[Clip], extract: Extractor) -> list[str]:
    """The corpora that the head or its encoder has learned from."""
    return sorted({clip.corpus for clip in acted} | {corpus for corpus, _ in extract.heard})


def _sources(
    acted: Sequence[Clip], spoken: Sequence[Clip], extract: Extractor
) -> tuple[DataSource, ...]:
    """Whose licences bind."""
    ordinary = sorted({clip.corpus for clip in spoken})
    acted_sources = sources_of(_corpora(acted, extract), extract.shape.width)
    return (*acted_sources, *ordinary_sources_of(ordinary))


def _learned_from(
    acted: Sequence[Clip], spoken: Sequence[Clip], extract: Extractor, without: Collection[str]
) -> dict[str, object]:
    """What the head and its encoder have learned from, and how much of it."""
    return {
        "corpora": _corpora(acted, extract),
        "ordinary_sources": sorted({clip.corpus for clip in spoken}),
        "without": sorted(without),
        "finetuning": list(extract.finetuning),
        "clips": len(acted) + len(spoken),
        "ordinary_clips": len(spoken),
        "speakers": len({clip.voice for clip in (*acted, *spoken)}),
    }


def _manifest(  # noqa: PLR0913 - as many things are described
    name_and_version: tuple[str, str],
    model: Calibrated,
    shape: NetworkShape,
    speech: SpeechModel | None,
    *,
    sources: tuple[DataSource, ...],
    training: Mapping[str, object],
) -> Manifest:
    """The manifest of a bundle, without the digests of its files."""
    name, version = name_and_version
    return Manifest(
        name=name,
        version=version,
        labels=model.labels,
        features=features.PARAMETERS,
        network=Network(
            mels=shape.mels,
            width=shape.width,
            heads=shape.heads,
            blocks=shape.blocks,
            full_rate=shape.full_rate,
            positions=shape.positions,
            hidden=shape.hidden,
            directions=shape.directions,
        ),
        calibration=Calibration(
            temperature=model.temperature, threshold=model.threshold, brevity=model.brevity
        ),
        priors=Priors(
            unadapted=_by_label(model.labels, model.log_prior),
            adapted=_by_label(model.labels, model.voices.log_prior),
            natural=dict(model.natural),
        ),
        baseline=Voices(
            prior=model.voices.prior,
            temperature=model.voices.temperature,
            caution=model.voices.speakers.caution,
            directions=len(model.voices.speakers.spread),
        ),
        speech=speech and Speech(threshold=speech.threshold),
        mood=Mood(
            positive=tuple(label for label in POSITIVE if label in model.labels),
            negative=tuple(label for label in NEGATIVE if label in model.labels),
        ),
        sources=sources,
        training=dict(training),
    )


def _by_label(labels: Sequence[str], logarithm: LogPrior) -> dict[str, float]:
    return dict(zip(labels, np.exp(logarithm).round(6).tolist(), strict=True))


def _assemble(encoder: Path, model: Calibrated, *, blocks: int) -> EmotionNet:
    body, shape = load_encoder(encoder, blocks=blocks)
    head = model.head
    network = EmotionNet(_with_head(shape, head))
    network.encoder = body
    state = {"weight": head.weight, "bias": head.bias}
    if head.hidden is not None:
        state |= {
            "projection.weight": head.hidden.projection,
            "hidden.weight": head.hidden.weight,
            "hidden.bias": head.hidden.bias,
            "out.weight": head.hidden.out,
        }
    network.head.load_state_dict(state)
    return network.eval().requires_grad_(requires_grad=False)


def _with_head(shape: NetworkShape, head: Head) -> NetworkShape:
    directions, hidden = (0, 0) if head.hidden is None else head.hidden.weight.shape[::-1]
    return replace(shape, labels=len(head.weight), hidden=hidden, directions=directions)
