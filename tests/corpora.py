"""Makes small corpora of tones, and an encoder of random weights, for training in tests."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import save_file

from streamer.model.encoder import Encoder, NetworkShape
from streamer.types import SAMPLE_RATE

TINY = NetworkShape(mels=80, width=64, heads=1, blocks=2, full_rate=1, positions=1500, labels=0)


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder of random weights, as a file."""
    path = tmp_path_factory.mktemp("encoder") / "tiny.safetensors"
    torch.manual_seed(0)
    save_file({name: value.half() for name, value in Encoder(TINY).state_dict().items()}, path)
    return path


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two corpora of four speakers: the emotion is in the pitch, so that it can be learned."""
    folder = tmp_path_factory.mktemp("corpora")
    emotions = {"one": ("neutral", "happy", "sad"), "two": ("neutral", "happy")}
    rng = np.random.default_rng(0)
    time = np.arange(round(0.7 * SAMPLE_RATE)) / SAMPLE_RATE
    rows = []
    for corpus, known in emotions.items():
        for speaker in range(4):
            for emotion in known:
                for take in range(2):
                    hz = {"neutral": 300, "happy": 1200, "sad": 3000}[emotion]
                    hz *= rng.uniform(0.9, 1.1)
                    wave = np.sin(2 * np.pi * hz * time) + 0.05 * rng.standard_normal(len(time))
                    path = f"{corpus}-{speaker}-{emotion}-{take}.wav"
                    soundfile.write(folder / path, 0.1 * wave, SAMPLE_RATE)
                    fold = str(1 + speaker // 2) if corpus == "one" else ""
                    rows.append((path, corpus, f"{speaker}", emotion, fold))
    return write_manifest(folder, rows)


def write_manifest(
    folder: Path,
    rows: Sequence[Sequence[str]],
    header: Sequence[str] = ("path", "corpus", "speaker", "emotion", "fold"),
) -> Path:
    """A CSV in ``folder``."""
    path = folder / "manifest.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path
