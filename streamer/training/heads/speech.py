"""Fits and evaluates the speech head: speech against other sounds.

Metrics are about kinds of sounds and speakers that the head never heard: the families and packages
of sounds, and the speakers, are held out in turn.
"""

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from streamer.errors import InputError
from streamer.model.speech import SpeechModel
from streamer.training.data.extraction import Embeddings
from streamer.training.data.manifest import Clip
from streamer.training.data.sounds import COLLECTED
from streamer.training.heads.logistic import Examples, fit
from streamer.training.output import FIGURES, written

PROTOCOL = "no-speech"
FOLDS = 5

TESTED = (
    "plain", "first 1 s", "telephone A-law", "telephone mu-law", "noise 10 dB", "room 0.5 s",
    "gain -30 dB", "gain +20 dB", "degraded",
)  # fmt: skip
"""The forms of speech that are tested."""

SPEECH_CLIPS = 3000
"""Clips of speech to learn from, as many of each corpus: more make no difference."""
L2 = 0.01
THRESHOLD = 0.3
"""A lower score is no speech. Chosen where one in 300 utterances of ordinary speech is below it."""
SYNTHETIC_THRESHOLD = 0.88
"""The same for a head that has learned from synthetic sounds alone, which scores people's laughter
and coughs higher, and speech as well. Chosen where one in 300 utterances is below it, of sources of
ordinary speech that the head has not heard (``docs/experiments``)."""


AS_THEY_ARE, TELEPHONE, LET_THROUGH = "as they are", "over a telephone", "let through by the VAD"
"""The forms of sounds that are tested."""

Voice: TypeAlias = tuple[str, str]
"""A speaker, a family or a package, as `Clip.voice` says it."""


@dataclass(frozen=True, slots=True)
class Material:
    """Clips, and a function that embeds them."""

    clips: Sequence[Clip]
    embed: Callable[[Sequence[Clip], str], Embeddings]

    def __call__(self, form: str) -> Embeddings:
        """Shape (clips, features)."""
        return self.embed(self.clips, form)

    def only(self, clips: Sequence[Clip]) -> "Material":
        """The material of some of the clips."""
        return Material(clips, self.embed)

    def of(self, voices: Collection[Voice]) -> "Material":
        """The material of some voices."""
        return self.only([clip for clip in self.clips if clip.voice in voices])

    def without(self, voices: Collection[Voice]) -> "Material":
        """The material of all other voices."""
        return self.only([clip for clip in self.clips if clip.voice not in voices])


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechFigures:
    """How well speech is separated from other sounds, both unseen.

    Attributes:
        auroc: By form of the speech, against all sounds as they are: how often speech scores
            higher than a sound.
        auroc_let_through: Of speech as it is, against what the program's own VAD lets through.
        false_rejections: By form of the speech: the share that is taken for no speech.
        found: By form of the sounds: the share that is found to be no speech.
        kinds: The same share by family or package, for sounds as they are.
        speech: Number of clips.
        sounds: Number of sounds.
        let_through: Number of utterances that the VAD makes of the sounds.
    """

    auroc: Mapping[str, float]
    auroc_let_through: float
    false_rejections: Mapping[str, float]
    found: Mapping[str, float]
    kinds: Mapping[str, float]
    speech: int
    sounds: int
    let_through: int


_JSON: TypeAdapter[SpeechFigures] = TypeAdapter(SpeechFigures)


def read_speech_figures(path: Path) -> SpeechFigures:
    """Read what `write_speech_figures` wrote.

    Args:
        path: A JSON file, or the folder of a `figures.json`.

    Raises:
        InputError: It cannot be read, or is something else.
    """
    path = path / FIGURES if path.is_dir() else path
    try:
        return _JSON.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise InputError(f"{path}: are no figures of {PROTOCOL}: {error}") from error


def write_speech_figures(result: SpeechFigures, path: Path) -> None:
    """Write figures as JSON.

    Raises:
        OutputError: They cannot be written.
    """
    with written(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_JSON.dump_json(result, indent=2) + b"\n")


def fit_speech(speech: Material, sounds: Material, *, forms: Sequence[str]) -> SpeechModel:
    """Fit the speech head to all clips.

    Args:
        speech: Speech; some of it is used, as much of each corpus.
        sounds: Sounds that are not speech; where none is collected, another threshold holds.
        forms: In which forms both are learned from (keys of `degrade.VARIATIONS`).
    """
    collected = any(clip.corpus == COLLECTED for clip in sounds.clips)
    return _fit(
        speech.only(some_of_each(speech.clips, SPEECH_CLIPS)),
        sounds,
        forms,
        threshold=THRESHOLD if collected else SYNTHETIC_THRESHOLD,
    )


def evaluate_speech(
    speech: Material, sounds: Material, let_through: Material, *, forms: Sequence[str]
) -> SpeechFigures:
    """Fit without each fifth of speakers and kinds of sounds in turn, and test on these.

    Args:
        speech: As for `fit_speech`.
        sounds: As for `fit_speech`.
        let_through: What the program's own VAD makes of the sounds.
        forms: As for `fit_speech`.
    """
    speech = speech.only(some_of_each(speech.clips, SPEECH_CLIPS))
    voices = sorted({clip.voice for clip in (*speech.clips, *sounds.clips)})
    tests = {
        **{form: (speech, form) for form in TESTED},
        AS_THEY_ARE: (sounds, "plain"),
        TELEPHONE: (sounds, "telephone A-law"),
        LET_THROUGH: (let_through, "plain"),
    }
    scores: dict[str, list[NDArray[np.float64]]] = {name: [] for name in tests}
    taken: dict[str, list[NDArray[np.bool_]]] = {name: [] for name in tests}
    order: list[str] = []
    for fold in range(FOLDS):
        here = set(voices[fold::FOLDS])
        model = fit_speech(speech.without(here), sounds.without(here), forms=forms)
        for name, (material, form) in tests.items():
            scores[name].append(model(material.of(here)(form)))
            taken[name].append(scores[name][-1] >= model.threshold)
        order += [clip.speaker for clip in sounds.of(here).clips]
    score = {name: np.concatenate(parts) for name, parts in scores.items()}
    spoken = {name: np.concatenate(parts) for name, parts in taken.items()}
    found = ~spoken[AS_THEY_ARE]
    return SpeechFigures(
        auroc={form: auroc(score[form], score[AS_THEY_ARE]) for form in TESTED},
        auroc_let_through=auroc(score["plain"], score[LET_THROUGH]),
        false_rejections={form: float(1 - spoken[form].mean()) for form in TESTED},
        found={
            name: float(1 - spoken[name].mean()) if len(spoken[name]) else 1.0
            for name in (AS_THEY_ARE, TELEPHONE, LET_THROUGH)
        },
        kinds={kind: float(found[np.array(order) == kind].mean()) for kind in sorted(set(order))},
        speech=len(speech.clips),
        sounds=len(sounds.clips),
        let_through=len(let_through.clips),
    )


def auroc(higher: NDArray[np.float64], lower: NDArray[np.float64]) -> float:
    """How often one of the first scores above one of the second, ties counting half; 1 for none."""
    if not len(higher) or not len(lower):
        return 1.0
    ordered = np.sort(lower)
    below = np.searchsorted(ordered, higher, "left") + np.searchsorted(ordered, higher, "right")
    return float(below.mean() / 2 / len(lower))


def some_of_each(clips: Sequence[Clip], count: int) -> list[Clip]:
    """About ``count`` of them, as many of each corpus, in order; all where there are fewer."""
    corpora = sorted({clip.corpus for clip in clips})
    each = -(-count // max(1, len(corpora)))
    chosen: list[int] = []
    for corpus in corpora:
        rows = [i for i, clip in enumerate(clips) if clip.corpus == corpus]
        chosen += random.Random(0).sample(rows, min(each, len(rows)))  # noqa: S311 - no secret
    return [clips[i] for i in sorted(chosen)]


def _fit(
    speech: Material, sounds: Material, forms: Sequence[str], *, threshold: float
) -> SpeechModel:
    """Logistic regression, in which speech weighs as much as no speech."""
    spoken, quiet = (
        np.concatenate([material(form) for form in forms]) for material in (speech, sounds)
    )
    targets = torch.tensor([1] * len(spoken) + [0] * len(quiet))
    counts = torch.tensor([len(quiet), len(spoken)])
    examples = Examples(
        features=torch.from_numpy(np.concatenate((spoken, quiet))),
        targets=torch.eye(2)[targets],
        known=torch.ones(len(targets), 2, dtype=torch.bool),
        weights=1 / (2 * counts[targets]),
    )
    head = fit(examples, l2=L2)
    weight, bias = ((part[1] - part[0]).numpy() for part in (head.weight, head.bias))
    return SpeechModel(weight[np.newaxis], bias[np.newaxis], threshold=threshold)
