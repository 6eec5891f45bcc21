"""Adapts a model to one's own recordings: both of its heads change a little, the rest stays.

The same change is made to the unadapted head and to the adapted one, in calibrated logits, so that
both stay one model (see `streamer/model/speaker/adaptation.py`).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from rich.progress import track

from streamer.errors import ConfigError, InputError
from streamer.model import bundle
from streamer.model.bundle import Bundle
from streamer.model.calibration import short_utterance_factor
from streamer.model.catalog import QUIET, find_bundle
from streamer.model.classifier import Classifier
from streamer.model.encoder import EmotionNet
from streamer.model.manifest import DataSource
from streamer.model.priors import log_prior
from streamer.model.speaker.adaptation import VoiceModel
from streamer.training.adapted_card import write_adapted_card
from streamer.training.data.extraction import read_mono
from streamer.training.data.labelled import Labelled, read_labelled
from streamer.training.data.ordinary import NEUTRAL
from streamer.training.heads.transfer import (
    Change,
    LabelledExamples,
    Trial,
    fit_change,
    grouped,
    try_change,
)
from streamer.training.output import check_bundle

OWN_LICENCE = "what their speakers agreed to"
"""Of the recordings that a model is adapted to: whoever adapts it has recorded them."""

ADAPTED = "adaptation"
"""The key in a manifest's ``training`` that says how the bundle was adapted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adaptation:
    """The result of an adaptation.

    Attributes:
        base: Name of the model that it started from.
        labels: How many utterances of each emotion there were.
        left_out: What was left out as a whole to measure: speakers, sessions or utterances.
        trial: What the change is worth, measured on utterances left out.
        folder: The new bundle; None where it is not better, and nothing was written.
    """

    base: str
    labels: Mapping[str, int]
    left_out: str
    trial: Trial
    folder: Path | None = None


def adapt(
    logs: Sequence[Path], *, audio: Path, base: str | Path, out: Path, version: str = "1"
) -> Adaptation:
    """Adapt a model to labelled utterances; write a new bundle if that makes it better.

    Args:
        logs: CSVs of `streamer run` or `streamer file` with ``label`` filled in for some rows.
            Where ``speaker`` is filled in, too, no speaker is both learned from and tested on.
        audio: Folder of the saved utterances.
        base: The model to start from, by name or path.
        out: Folder of the new bundle; a bundle that is there is replaced.
        version: Version of the new model.

    Raises:
        ConfigError: The base was itself adapted, or ``out`` holds something else.
        InputError: A log or a recording cannot be read, or the labels are too few or wrong.
        ModelError: The base cannot be read.
        OutputError: No bundle can be written there.
    """
    check_bundle(out)
    old = bundle.load(find_bundle(base))
    classifier = Classifier(old)
    if ADAPTED in old.manifest.training:
        raise ConfigError(
            f"{classifier.name} was itself adapted and may know these utterances: start from the "
            "model that it was made from, with the old labels and the new ones"
        )
    labelled = read_labelled(logs, audio, old.manifest.labels)
    groups, left_out = _groups(labelled)
    examples = _examples(labelled, groups, classifier, old)
    counts = Counter(one.label for one in labelled)
    result = Adaptation(
        base=classifier.name,
        labels={label: counts[label] for label in old.manifest.labels if label in counts},
        left_out=left_out,
        trial=try_change(examples, old.manifest.labels),
    )
    if not result.trial.is_better:
        return result
    change = fit_change(examples)
    new = _changed(old, change, result, name=out.name, version=version)
    bundle.save(new, out)
    bundle.load(out)
    return replace(result, folder=out)


def _groups(labelled: Sequence[Labelled]) -> tuple[list[str], str]:
    """The group of each utterance, which is left out as a whole, and the word for groups."""
    if all(one.speaker for one in labelled):
        groups, called = [one.speaker for one in labelled], "speakers"
    else:
        groups, called = [one.session for one in labelled], "sessions"
    numbers = np.unique(groups, return_inverse=True)[1]
    alone = len(np.unique(grouped(numbers))) == len(labelled)
    return groups, "utterances" if alone else called


def _examples(
    labelled: Sequence[Labelled], groups: Sequence[str], classifier: Classifier, base: Bundle
) -> LabelledExamples:
    """Embeddings and logits of the utterances, without speaker adaptation."""
    heard = []
    for one in track(labelled, "listening", transient=True):
        embedded = classifier.embed(read_mono(one.path))
        if embedded is None:
            raise InputError(f"{one.path}: is silent, expected speech")
        heard.append(embedded)
    embeddings = torch.from_numpy(np.stack([one.embedding for one in heard]))
    with torch.inference_mode():
        logits = base.network.head(embeddings).clone()
    calibration = base.manifest.calibration
    factors = short_utterance_factor(
        np.array([[one.seconds] for one in heard]), calibration.brevity
    )
    return LabelledExamples(
        embeddings=embeddings,
        logits=logits / calibration.temperature
        - torch.from_numpy(log_prior(base.manifest.priors.unadapted, base.manifest.labels)).float(),
        length_factors=torch.from_numpy(factors).float(),
        targets=torch.tensor([base.manifest.labels.index(one.label) for one in labelled]),
        groups=np.unique(groups, return_inverse=True)[1],
    )


def _changed(
    base: Bundle, change: Change, result: Adaptation, *, name: str, version: str
) -> Bundle:
    """The bundle with the change in both heads, and a card and a manifest that say so."""
    old = base.manifest
    calibration = old.calibration
    kept = {key: value for key, value in old.training.items() if key != QUIET}  # measure it anew
    manifest = old.model_copy(
        update={
            "name": name,
            "version": version,
            "calibration": calibration.model_copy(
                update={
                    "temperature": calibration.temperature * change.temperature,
                    "threshold": change.threshold or calibration.threshold,
                }
            ),
            "baseline": old.baseline
            and old.baseline.model_copy(
                update={"temperature": old.baseline.temperature * change.temperature}
            ),
            "sources": (
                *old.sources,
                DataSource(name="one's own recordings", licence=OWN_LICENCE),
            ),
            "training": {**kept, ADAPTED: _as_json(result, change)},
        }
    )
    return Bundle(
        manifest=manifest,
        network=_changed_network(base, change),
        card=write_adapted_card(
            manifest,
            base.card,
            base=result.base,
            labels=result.labels,
            left_out=result.left_out,
            trial=result.trial,
            change=change,
        ),
        voices=base.voices
        and _changed_voices(
            base.voices, change, old.labels.index(NEUTRAL) if NEUTRAL in old.labels else None
        ),
        speech=base.speech,
    )


def _changed_network(base: Bundle, change: Change) -> EmotionNet:
    """Apply the change to the unadapted head.

    The change is one of log-likelihoods, so the temperature divides the prior of training, too. The
    bundle subtracts that prior undivided; the bias makes up for the difference.
    """
    scale = base.manifest.calibration.temperature  # the change is one of calibrated logits
    with torch.random.fork_rng(devices=[]):
        network = EmotionNet(base.manifest.shape)
    network.load_state_dict(base.network.state_dict())
    network.head.weight = torch.nn.Parameter(network.head.weight + scale * change.head.weight)
    log_trained = log_prior(base.manifest.priors.unadapted, base.manifest.labels)
    kept = torch.from_numpy(scale * (change.temperature - 1) * log_trained).float()
    network.head.bias = torch.nn.Parameter(network.head.bias + scale * change.head.bias + kept)
    return network.eval().requires_grad_(requires_grad=False)


def _changed_voices(voices: VoiceModel, change: Change, neutral: int | None) -> VoiceModel:
    """Apply the change to the adapted head, and to the mean neutral voice."""
    scale = voices.temperature
    kept = scale * (change.temperature - 1) * voices.log_prior  # as in `_changed_network`
    added = 0.0 if neutral is None else change.means[neutral]
    return replace(
        voices,
        weight=(voices.weight + scale * change.head.weight.numpy()).astype(np.float32),
        bias=(voices.bias + scale * change.head.bias.numpy() + kept).astype(np.float32),
        centre=(voices.centre + scale * added + kept).astype(np.float32),
        temperature=voices.temperature * change.temperature,
    )


def _as_json(result: Adaptation, change: Change) -> dict[str, object]:
    trial = result.trial
    return {
        "base": result.base,
        "labels": dict(result.labels),
        "left_out": result.left_out,
        "l2": change.l2,
        "uar": [round(trial.before.uar, 4), round(trial.after.uar, 4)],
        "accuracy": [round(trial.before.wa, 4), round(trial.after.wa, 4)],
        "ece": [round(trial.before.ece, 4), round(trial.after.ece, 4)],
        "gain": round(trial.gain, 4),
        "error": round(trial.error, 4),
    }
