"""The protocol ``ordinary`` measures a recipe's false alarms on ordinary speech, and its recall.

Two models are trained. One is trained on four of five speakers of every corpus and tested on the
others; one is trained without some corpora and tested on these. Both are trained on the ordinary
recordings with ``use=train`` as well; their false alarms are measured on those with ``use=dev``.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from streamer.config import Config
from streamer.errors import InputError
from streamer.training.augmentation.rooms import read_rooms
from streamer.training.data.extraction import EmbeddedClips, Extractor
from streamer.training.data.manifest import Clip, read_manifest
from streamer.training.data.manifest import without as leave
from streamer.training.data.ordinary import DEV, TRAIN, read_ordinary
from streamer.training.data.utterances import cut_recordings
from streamer.training.evaluation import plots
from streamer.training.evaluation.episodes import EpisodesFound, measure_episodes
from streamer.training.evaluation.operating import Curve, Quiet, measure_found, measure_quiet
from streamer.training.evaluation.scoring import check_folder
from streamer.training.evaluation.splits import hold_out
from streamer.training.heads.recipe import Recipe, choose, fit_recipe
from streamer.training.output import FIGURES, written

PROTOCOL = "ordinary"
UNSEEN = ("nemo", "ased", "emotiontts-ko", "savee")
"""The corpora that the second model is not trained on, if they are in the manifest."""
SEED = 1  # of the tested speakers; others are held out to choose on


@dataclass(frozen=True, slots=True, kw_only=True)
class Operating:
    """One model's figures on ordinary speech, and what it finds.

    Attributes:
        quiet: On ordinary speech.
        found: By tested corpus and emotion.
        episodes: By tested corpus, how soon an alert is raised when somebody becomes angry.
    """

    quiet: Quiet
    found: Mapping[str, Mapping[str, Curve]]
    episodes: Mapping[str, EpisodesFound] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrdinaryEvaluation:
    """A recipe under the protocol ``ordinary``.

    Attributes:
        recipe: How both models were trained.
        corpora: What took part.
        speakers: Tested on unseen speakers of the corpora that it learned from.
        unseen: Tested on corpora of which it has heard nothing.
    """

    recipe: Recipe
    corpora: tuple[str, ...]
    speakers: Operating
    unseen: Operating | None


_JSON: TypeAdapter[OrdinaryEvaluation] = TypeAdapter(OrdinaryEvaluation)


def read_ordinary_evaluation(path: Path) -> OrdinaryEvaluation:
    """Read what `evaluate_ordinary` wrote.

    Args:
        path: A `figures.json`, or the folder that holds one.

    Raises:
        InputError: It cannot be read, or is something else.
    """
    path = path / FIGURES if path.is_dir() else path
    try:
        return _JSON.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise InputError(f"{path}: are no figures of {PROTOCOL}: {error}") from error


def evaluate_ordinary(  # noqa: PLR0913 - each is a choice of the caller, all but three have a default
    *,
    manifest: Path,
    encoder: Path,
    ordinary: Path,
    rooms: Path | None = None,
    corpora: Collection[str] = (),
    without: Collection[str] = (),
    unseen: Collection[str] = (),
    recipe: Recipe | None = None,
    out: Path | None = None,
    cache: Path = Path(".cache/features"),
    jobs: int | None = None,
) -> OrdinaryEvaluation:
    """Train without the tested clips; measure false alarms and recall.

    Args:
        manifest: CSV of acted speech, see `read_manifest`.
        encoder: Whisper's encoder as safetensors, original or fine-tuned; speakers that it was
            fine-tuned on are not tested.
        ordinary: CSV of ordinary speech, see `read_ordinary`.
        rooms: Folder of impulse responses for degraded copies, see `read_rooms`.
        corpora: Only these of the manifest; empty takes all.
        without: What is left out of these, see `manifest.without`.
        unseen: Corpora that neither model learns from; empty keeps `UNSEEN` from the second alone.
        recipe: How to train; None for the defaults.
        out: Folder for `figures.json` and the plot; None writes nothing.
        cache: Folder for the encoder's output.
        jobs: Recordings worked on at once; None takes every core.

    Raises:
        ConfigError: No clips are left to train on, or a plot is asked for without matplotlib.
        InputError: A manifest or a recording cannot be read.
        ModelError: The encoder cannot be read.
        OutputError: The figures cannot be written.
    """
    recipe = recipe or Recipe()
    if out is not None:
        check_folder(out)
    everything = read_manifest(manifest, corpora=corpora)
    acted = leave(everything, without)
    spoken = read_ordinary(ordinary, use=TRAIN)
    extract = Extractor(
        encoder, blocks=recipe.blocks, cache=cache, jobs=jobs,
        rooms=read_rooms(rooms) if rooms else (),
    )  # fmt: skip
    learned = EmbeddedClips([*everything, *spoken], extract)  # cached by whole corpora
    recorded = cut_recordings(read_ordinary(ordinary, use=DEV), Config(), cache)
    if not any(one.utterances for one in recorded):
        raise InputError(f"{ordinary}: no speech was found in the recordings with use={DEV}")
    heard = EmbeddedClips([clip for one in recorded for clip in one.utterances], extract)

    def measured(taught: Sequence[Clip], tested: Sequence[Clip]) -> Operating:
        clips = [*taught, *spoken]
        model = fit_recipe(
            clips, learned, recipe, choose(clips, learned, recipe, heard=extract.heard)
        )
        quiet = measure_quiet(model, recorded, heard)
        names = sorted({clip.corpus for clip in tested})
        groups = {name: [clip for clip in tested if clip.corpus == name] for name in names}
        found = {n: measure_found(model, group, learned, quiet) for n, group in groups.items()}
        episodes = {n: measure_episodes(model, group, learned) for n, group in groups.items()}
        return Operating(
            quiet=quiet, found=found, episodes={n: e for n, e in episodes.items() if e is not None}
        )

    there = {clip.corpus for clip in acted} - {corpus for corpus, _ in extract.heard}
    names = [name for name in unseen or UNSEEN if name in there]
    rest = [clip for clip in acted if clip.corpus not in names]
    seen = rest if unseen else acted
    fitted, held = hold_out(seen, seed=SEED, heard=extract.heard)
    result = OrdinaryEvaluation(
        recipe=recipe,
        corpora=tuple(sorted({clip.corpus for clip in acted})),
        speakers=measured([seen[i] for i in fitted], [seen[i] for i in held]),
        unseen=measured(rest, [c for c in acted if c.corpus in names]) if names and rest else None,
    )
    if out is not None:
        _keep(result, out)
    return result


def _keep(result: OrdinaryEvaluation, out: Path) -> None:
    """Write the figures and their plot."""
    parts = {"unseen speakers": result.speakers, "unseen corpora": result.unseen}
    with written(out):
        (out / FIGURES).write_bytes(_JSON.dump_json(result, indent=2, by_alias=True) + b"\n")
        plots.draw_operating({name: part.found for name, part in parts.items() if part}, out=out)
