"""Makes a small bundle of random weights, and changes its manifest."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from streamer.model import bundle, features
from streamer.model.bundle import Bundle
from streamer.model.encoder import EmotionNet
from streamer.model.manifest import (
    Calibration,
    DataSource,
    Manifest,
    Mood,
    Network,
    Priors,
    Speech,
    Voices,
    content_digest,
)
from streamer.model.priors import log_prior
from streamer.model.speaker.adaptation import VoiceModel
from streamer.model.speaker.clustering import SpeakerModel
from streamer.model.speech import SpeechModel

EVEN = {"neutral": 1 / 3, "happy": 1 / 3, "angry": 1 / 3}
NATURAL = {"neutral": 0.8, "happy": 0.1, "angry": 0.1}


def small_bundle(hidden: int = 0) -> Bundle:
    """Two blocks of random weights, three emotions; the unadapted head may have hidden units."""
    manifest = Manifest(
        name="small",
        version="1",
        labels=("neutral", "happy", "angry"),
        features=features.PARAMETERS,
        network=Network(
            mels=80,
            width=8,
            heads=2,
            blocks=2,
            positions=1500,
            hidden=hidden,
            directions=4 * (hidden > 0),
        ),
        calibration=Calibration(temperature=1.5, threshold=0.4),
        priors=Priors(unadapted=EVEN, adapted=EVEN, natural=NATURAL),
        baseline=Voices(prior=2.0, temperature=1.2, caution=-20.0, directions=2),
        speech=Speech(threshold=0.3),
        mood=Mood(positive=("happy",), negative=("angry",)),
        sources=(DataSource(name="nobody", licence="MIT"),),
        training={"seed": 0},
    )
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    labels, width = len(manifest.labels), manifest.shape.features
    weight, bias, centre = (
        rng.standard_normal(shape).astype(np.float32)
        for shape in ((labels, width), (labels,), (labels,))
    )
    projection = rng.standard_normal((2, width)).astype(np.float32)
    speakers = SpeakerModel(projection, np.ones(2, np.float32), caution=-20.0)
    voices = VoiceModel(
        weight=weight,
        bias=bias,
        centre=centre,
        log_prior=log_prior("even", manifest.labels),
        prior=2.0,
        temperature=1.2,
        speakers=speakers,
    )
    speech = SpeechModel(weight[:1], bias[:1], threshold=0.3)
    return Bundle(manifest, EmotionNet(manifest.shape).eval(), "# small\n", voices, speech)


def edit_manifest(folder: Path, change: Callable[[Any], object]) -> None:
    """Change `bundle.json` as somebody with an editor would."""
    path = folder / bundle.MANIFEST
    content = json.loads(path.read_text())
    change(content)
    if isinstance(content, dict):
        content["digest"] = content_digest(content)
    path.write_text(json.dumps(content))
