"""Fine-tuning: what learns, what stays, what is remembered, and going on after a break."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from streamer.errors import ConfigError, ModelError
from streamer.model.classifier import Classifier
from streamer.training.augmentation import pieces
from streamer.training.data.extraction import Extractor
from streamer.training.data.manifest import leave_out, read_manifest
from streamer.training.data.recordings import Augmented, Recordings
from streamer.training.encoder import finetune as finetune_module
from streamer.training.encoder.average import average
from streamer.training.encoder.files import read_provenance
from streamer.training.encoder.finetune import FineTuning, finetune
from streamer.training.evaluation.cross_validation import evaluate
from streamer.training.heads.recipe import Recipe
from streamer.training.train import train

CHOICES = FineTuning(blocks=2, frozen=1, steps=4, batch_s=3.0, copies=2, l2=1e-2)


def tune(
    manifest: Path, encoder: Path, folder: Path, *without: str, choices: FineTuning = CHOICES
) -> Path:
    """Fine-tune on all but fold 2 of corpus one, and whatever else; the new encoder's file."""
    clips = read_manifest(manifest)
    out = folder / "tuned.safetensors"
    finetune(
        leave_out(clips, ["one:2", *without]), everything=clips, encoder=encoder, out=out,
        choices=choices, cache=manifest.parent / "decoded", jobs=1,
    )  # fmt: skip
    return out


def test_only_the_upper_blocks_change(manifest: Path, encoder: Path, tmp_path: Path):
    """The convolutions and the frozen block stay bit by bit as they were."""
    before, after = load_file(encoder), load_file(tune(manifest, encoder, tmp_path))
    assert set(after) == set(before)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if name.startswith("blocks.1.")}


def test_the_new_encoder_says_whom_it_has_heard(manifest: Path, encoder: Path, tmp_path: Path):
    """Nobody can be tested by mistake on whom it was made from."""
    with safe_open(tune(manifest, encoder, tmp_path), "pt") as file:
        metadata = file.metadata()
    heard = {tuple(voice) for voice in json.loads(metadata["heard"])}
    assert ("one", "1") in heard
    assert ("two", "3") in heard
    assert not heard & {("one", "2"), ("one", "3")}
    assert [choices["steps"] for choices in json.loads(metadata["finetuning"])] == [CHOICES.steps]


def test_a_second_round_remembers_the_first(manifest: Path, encoder: Path, tmp_path: Path):
    """Also whom only the first has heard."""
    first = tune(manifest, encoder, tmp_path / "first")
    second = tune(manifest, first, tmp_path / "second", "two")
    rounds, heard = read_provenance(second).finetuning, read_provenance(second).heard
    assert len(rounds) == 2
    assert heard == read_provenance(first).heard


def test_an_encoder_of_an_older_program_is_refused(encoder: Path, tmp_path: Path):
    """It learned to see every state in every block: with half of them it would hear less."""
    old = tmp_path / "old.safetensors"
    save_file(load_file(encoder), old, {"heard": "[]", "finetuning": "[]"})
    with pytest.raises(ModelError, match=r"old.safetensors: .* older program: fine-tune it anew"):
        Extractor(old, cache=tmp_path)


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """Which copies of clips are learned from, None for those that were not augmented; how fast."""
    copies, speeds = [], []
    as_it_was, augmented, log_mel = Recordings.__getitem__, Augmented.__call__, pieces.log_mel
    monkeypatch.setattr(
        Recordings, "__getitem__", lambda self, clip: copies.append(None) or as_it_was(self, clip)
    )
    monkeypatch.setattr(
        Augmented,
        "__call__",
        lambda self, clip, copy: copies.append(copy) or augmented(self, clip, copy),
    )
    monkeypatch.setattr(
        pieces,
        "log_mel",
        lambda *args, **kwargs: (
            speeds.extend(kwargs["speeds"].tolist()) or log_mel(*args, **kwargs)
        ),
    )
    return {"copies": copies, "speeds": speeds}


def test_some_speech_stays_as_it_was(
    manifest: Path, encoder: Path, tmp_path: Path, heard: dict[str, list[Any]]
):
    """As large a share is augmented as was asked for, in every way that it was augmented."""
    tune(manifest, encoder, tmp_path, choices=replace(CHOICES, augmented=0.0))
    assert set(heard["copies"]) == {None}
    heard["copies"].clear()
    choices = replace(CHOICES, steps=40, augmented=0.5, copies=3)
    tune(manifest, encoder, tmp_path, choices=choices)
    learned = heard["copies"][-len(heard["speeds"]) :]  # before, some were read to be augmented
    assert 0.3 < np.mean([copy is None for copy in learned]) < 0.7
    assert set(learned) == {None, 0, 1, 2}


def test_some_of_the_rest_is_heard_faster_or_slower(
    manifest: Path, encoder: Path, tmp_path: Path, heard: dict[str, list[Any]]
):
    """As large a share as was asked for: so that there are more voices than speakers."""
    choices = replace(CHOICES, steps=40, augmented=0.0, hurried=0.5, speeds=(0.8, 1.2))
    tune(manifest, encoder, tmp_path, choices=choices)
    speeds = np.array(heard["speeds"])
    assert 0.3 < np.mean(speeds != 1) < 0.7
    assert 0.8 < speeds.min() < 0.85
    assert 1.15 < speeds.max() < 1.2
    heard["speeds"].clear()
    tune(manifest, encoder, tmp_path, choices=replace(CHOICES, augmented=1.0))
    assert set(heard["speeds"]) == {1.0}


def test_of_what_a_block_adds_some_is_dropped(manifest: Path, encoder: Path, tmp_path: Path):
    """Where all of it is, nothing can be learned about it."""
    choices = replace(CHOICES, block_dropout=1.0, weight_decay=0.0)
    before = load_file(encoder)
    after = load_file(tune(manifest, encoder, tmp_path, choices=choices))
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_loss_falls(manifest: Path, encoder: Path, tmp_path: Path):
    """From a head that knows next to nothing on."""
    losses = []

    class Watched(finetune_module._Run):
        def advance(self) -> None:
            super().advance()
            losses.append(self.loss)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finetune_module, "_Run", Watched)
        choices = FineTuning(
            blocks=2,
            steps=20,
            batch_s=4.0,
            head_rate=1e-2,
            dropout=0.0,
            block_dropout=0.0,
            augmented=0.0,
            copies=0,
            l2=100.0,
        )
        tune(manifest, encoder, tmp_path, choices=choices)
    assert np.mean(losses[-5:]) < np.mean(losses[:5])


def test_a_run_that_broke_off_goes_on(
    manifest: Path, encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """What comes out is, bit by bit, what an unbroken run gives."""
    whole = load_file(tune(manifest, encoder, tmp_path / "whole"))
    monkeypatch.setattr(finetune_module, "KEEP_EVERY", 2)
    advance, broken = finetune_module._Run.advance, []

    def break_once(run: finetune_module._Run) -> None:
        if run.step == 3 and not broken:
            broken.append(run.step)
            raise KeyboardInterrupt
        advance(run)

    monkeypatch.setattr(finetune_module._Run, "advance", break_once)
    with pytest.raises(KeyboardInterrupt):
        tune(manifest, encoder, tmp_path / "broken")
    resumed = load_file(tune(manifest, encoder, tmp_path / "broken"))
    assert broken
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_what_is_left_out(manifest: Path):
    """A corpus, or a fold of one; an unknown name is an error that lists the known ones."""
    clips = read_manifest(manifest)
    assert {clip.corpus for clip in leave_out(clips, ["two"])} == {"one"}
    left = leave_out(clips, ["one:1"])
    assert {clip.speaker for clip in left if clip.corpus == "one"} == {"2", "3"}
    with pytest.raises(ConfigError, match="cannot leave out one:9, there are: one, one:1, one:2"):
        leave_out(clips, ["one:9"])
    with pytest.raises(ConfigError, match="nothing is left"):
        leave_out(clips, ["one", "two"])


def test_nobody_is_tested_whom_the_encoder_has_heard(manifest: Path, encoder: Path, tmp_path: Path):
    """Only the fold that was left out is tested; where none was, there is nothing to test."""
    tuned = tune(manifest, encoder, tmp_path, "two")
    recipe = Recipe(blocks=2, variations=("plain",), l2=(1e-2,), hidden=0, made_up=0)
    result = evaluate(
        manifest=manifest, encoder=tuned, protocol="one", recipe=recipe,
        cache=tmp_path / "cache", jobs=1,
    )  # fmt: skip
    assert [fold.name for fold in result.folds] == ["2"]
    tuned = tune(manifest, encoder, tmp_path)
    with pytest.raises(ConfigError, match="'corpus-out': the encoder has heard somebody"):
        evaluate(
            manifest=manifest, encoder=tuned, protocol="corpus-out", recipe=recipe,
            cache=tmp_path / "cache",
        )  # fmt: skip


def test_nobody_is_calibrated_on_whom_the_encoder_has_heard(
    manifest: Path, encoder: Path, tmp_path: Path
):
    """An encoder that has heard everybody needs another one to be calibrated with."""
    tuned, everybody = tune(manifest, encoder, tmp_path), tmp_path / "everybody.safetensors"
    finetune(
        read_manifest(manifest), encoder=encoder, out=everybody, choices=CHOICES,
        cache=tmp_path / "cache", jobs=1,
    )  # fmt: skip
    recipe = Recipe(blocks=2, variations=("plain",), l2=(1e-2,), hidden=0, made_up=0)
    kwargs = {"manifest": manifest, "out": tmp_path / "mine", "recipe": recipe}
    with pytest.raises(ConfigError, match="heard every speaker"):
        train(encoder=everybody, cache=tmp_path / "cache", **kwargs)
    average([encoder, everybody], out=everybody)
    result = train(encoder=everybody, calibrator=tuned, cache=tmp_path / "cache", **kwargs)
    assert Classifier.load(result.folder).labels == ("neutral", "happy", "sad")
    card = " ".join((result.folder / "README.md").read_text().split())
    assert "fine-tuned (`streamer finetune`)" in card


def test_what_the_encoder_has_heard_is_a_source(manifest: Path, encoder: Path, tmp_path: Path):
    """Also where the head was fitted to other recordings: the licences of both bind."""
    tuned = tune(manifest, encoder, tmp_path)
    result = train(
        manifest=manifest, encoder=tuned, corpora=["one"], out=tmp_path / "mine",
        recipe=Recipe(blocks=2, variations=("plain",), l2=(1e-2,), hidden=0, made_up=0),
        cache=tmp_path / "cache",
    )  # fmt: skip
    assert [source.name for source in result.manifest.sources][1:] == ["one", "two"]
