"""Fine-tuning: what learns, what stays, what is remembered, and going on after a break."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from streamer.errors import ConfigError, InputError, ModelError
from streamer.model import features
from streamer.model.classifier import Classifier
from streamer.training import finetune as finetune_module
from streamer.training.average import average
from streamer.training.corpora import Clip, leave_out, read_manifest
from streamer.training.encoders import read_provenance
from streamer.training.evaluation import evaluate
from streamer.training.extraction import Extractor
from streamer.training.finetune import FineTuning, finetune
from streamer.training.recipe import Recipe
from streamer.training.recordings import Recordings
from streamer.training.train import train
from streamer.types import SAMPLE_RATE

CHOICES = FineTuning(blocks=2, frozen=1, steps=4, batch_s=3.0, l2=1e-2)


def tune(
    manifest: Path, encoder: Path, folder: Path, *without: str, choices: FineTuning = CHOICES
) -> Path:
    """Fine-tune on all but fold 2 of corpus one, and whatever else; the new encoder's file."""
    clips = read_manifest(manifest)
    out = folder / "tuned.safetensors"
    finetune(
        leave_out(clips, ["one:2", *without]), everything=clips, encoder=encoder, out=out,
        choices=choices, cache=folder / "cache", jobs=1,
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
def heard(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each piece of speech that is learned from."""
    pieces, level = [], features.normalise_level
    monkeypatch.setattr(features, "normalise_level", lambda wave: pieces.append(1) or level(wave))
    return pieces


def test_some_speech_stays_as_it_was(
    manifest: Path,
    encoder: Path,
    tmp_path: Path,
    heard: list[int],
    monkeypatch: pytest.MonkeyPatch,
):
    """As large a share is spoilt as was asked for."""
    spoilt, degrade = [], finetune_module.degrade
    monkeypatch.setattr(
        finetune_module, "degrade", lambda wave, *more: spoilt.append(1) or degrade(wave, *more)
    )
    tune(manifest, encoder, tmp_path / "none", choices=replace(CHOICES, spoilt=0.0))
    assert not spoilt
    heard.clear()
    tune(manifest, encoder, tmp_path / "half", choices=replace(CHOICES, steps=40, spoilt=0.5))
    assert 0.3 < len(spoilt) / len(heard) < 0.7


def test_some_of_the_rest_is_heard_faster_or_slower(
    manifest: Path,
    encoder: Path,
    tmp_path: Path,
    heard: list[int],
    monkeypatch: pytest.MonkeyPatch,
):
    """Half of it: so that there are more voices than speakers."""
    speeds, faster = [], finetune_module.faster
    monkeypatch.setattr(
        finetune_module, "faster", lambda wave, speed: speeds.append(speed) or faster(wave, speed)
    )
    tune(manifest, encoder, tmp_path, choices=replace(CHOICES, steps=40, spoilt=0.0))
    assert 0.3 < len(speeds) / len(heard) < 0.7
    assert min(speeds) < 1 < max(speeds)


def test_of_what_a_block_adds_some_is_dropped(manifest: Path, encoder: Path, tmp_path: Path):
    """Where all of it is, nothing can be learned about it."""
    choices = replace(CHOICES, block_dropout=1.0, weight_decay=0.0)
    before = load_file(encoder)
    after = load_file(tune(manifest, encoder, tmp_path, choices=choices))
    assert all(torch.equal(before[name], after[name]) for name in before)


@settings(max_examples=20, deadline=None)
@given(hz=st.floats(300, 3000), factor=st.floats(0.9, 1.1))
def test_a_shorter_vocal_tract_sounds_higher(hz: float, factor: float):
    """The peak of a tone's log-mel moves to where that of a higher tone is."""
    time = np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE

    def peak(mel: torch.Tensor) -> float:
        loud = (mel.mean(1) - mel.mean(1).max() + 0.5).clamp(min=0)
        return float(loud @ torch.arange(len(loud)).float() / loud.sum())

    low, high = (
        features.log_mel(np.sin(2 * np.pi * f * time).astype(np.float32)) for f in (hz, hz * factor)
    )
    assert peak(finetune_module._warped(low, factor)) == pytest.approx(peak(high), abs=1.0)


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
            steps=40,
            batch_s=8.0,
            head_rate=1e-2,
            dropout=0.0,
            block_dropout=0.0,
            spoilt=0.0,
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


def test_a_padded_batch_is_what_each_is_alone():
    """Log-mels of several lengths stand side by side, each as if it were alone."""
    rng = np.random.default_rng(0)
    waves = [rng.standard_normal(n).astype(np.float32) for n in (300, 9000, 16001)]
    mel, frames = features.log_mel_batch(waves)
    assert mel.shape == (3, features.N_MELS, int(frames.max()))
    for row, count, wave in zip(mel, frames.tolist(), waves, strict=True):
        assert torch.equal(row[:, :count], features.log_mel(wave))


def test_speech_is_decoded_once(manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The second time, it comes from the cache: the recordings may be gone."""
    clips = read_manifest(manifest)
    first = Recordings(clips, cache=tmp_path)[clips[3]]
    monkeypatch.delattr("streamer.training.recordings._decode")
    again = Recordings(clips, cache=tmp_path)[clips[3]]
    assert np.array_equal(first, again)
    assert first.dtype == np.float32
    assert 0.5 * SAMPLE_RATE < len(first) <= 0.7 * SAMPLE_RATE + features.LEVEL_FRAME
    assert np.abs(first).max() == pytest.approx(0.5, abs=0.01)


def test_a_silent_recording_is_an_error(tmp_path: Path):
    """There is nothing to learn from it."""
    path = tmp_path / "silent.wav"
    soundfile.write(path, np.zeros(SAMPLE_RATE), SAMPLE_RATE)
    clip = Clip(path=path, name="silent.wav", corpus="x", speaker="1", emotion="happy")
    with pytest.raises(InputError, match=r"silent\.wav: is silent"):
        Recordings([clip], cache=tmp_path)


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
    recipe = Recipe(blocks=2, variations=("plain",), l2=(1e-2,), made_up=0)
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
    recipe = Recipe(blocks=2, variations=("plain",), l2=(1e-2,), made_up=0)
    kwargs = {"manifest": manifest, "out": tmp_path / "mine", "recipe": recipe}
    with pytest.raises(ConfigError, match="heard every speaker"):
        train(encoder=everybody, cache=tmp_path / "cache", **kwargs)
    average([encoder, everybody], out=everybody)
    result = train(encoder=everybody, calibrator=tuned, cache=tmp_path / "cache", **kwargs)
    assert Classifier.load(result.folder).labels == ("neutral", "happy", "sad")
    card = " ".join((result.folder / "README.md").read_text().split())
    assert "fine-tuned in 4 steps" in card
    assert "averaged with what it was before" in card


def test_what_the_encoder_has_heard_is_a_source(manifest: Path, encoder: Path, tmp_path: Path):
    """Also where the head was fitted to other recordings: the licences of both bind."""
    tuned = tune(manifest, encoder, tmp_path)
    result = train(
        manifest=manifest, encoder=tuned, corpora=["one"], out=tmp_path / "mine",
        recipe=Recipe(blocks=2, variations=("plain",), l2=(1e-2,), made_up=0),
        cache=tmp_path / "cache",
    )  # fmt: skip
    assert [source.name for source in result.manifest.sources][1:] == ["one", "two"]
