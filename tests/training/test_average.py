"""The mean of encoders: their weights, whom they have heard, and what cannot be averaged."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from streamer.cli.main import main
from streamer.errors import ModelError, OutputError
from streamer.training.encoder.average import average
from streamer.training.encoder.files import Provenance, load_encoder, read_provenance
from streamer.training.encoder.finetune import FineTuning, finetune


def changed(encoder: Path, out: Path, by: float, heard: str, blocks: int) -> Path:
    """An encoder of fewer blocks, with other weights, that has heard a voice."""
    body, _ = load_encoder(encoder, blocks=blocks)
    tensors = {name: value + by for name, value in body.state_dict().items()}
    told = Provenance(frozenset({("one", heard)}), ({"steps": by},)).metadata()
    save_file(tensors, out, metadata=told)
    return out


def test_every_weight_is_the_mean(encoder: Path, tmp_path: Path):
    """One that is named twice counts twice; what only some have is left out."""
    more = changed(encoder, tmp_path / "more.safetensors", 3.0, "1", blocks=2)
    out = tmp_path / "new" / "mean.safetensors"
    assert main(["average", str(encoder), str(encoder), str(more), "--out", str(out)]) == 0
    begun, mean = load_file(encoder), load_file(out)
    assert {name for name in mean if name.startswith("blocks.")} == {
        name for name in begun if name.startswith(("blocks.0.", "blocks.1."))
    }
    for name, value in mean.items():
        torch.testing.assert_close(value.float(), begun[name].float() + 1, rtol=1e-3, atol=1e-3)


def test_it_has_heard_whom_any_has(encoder: Path, tmp_path: Path):
    """And says in which rounds; an encoder as it came has heard nobody."""
    first = changed(encoder, tmp_path / "first.safetensors", 1.0, "1", blocks=2)
    second = changed(encoder, tmp_path / "second.safetensors", 2.0, "2", blocks=2)
    out = tmp_path / "mean.safetensors"
    average([encoder, first, second, first], out=out)
    told = read_provenance(out)
    assert told.heard == {("one", "1"), ("one", "2")}
    assert told.finetuning == ({"steps": 1.0}, {"steps": 2.0}, {"mean_of": 4})


def test_another_net_is_refused(encoder: Path, tmp_path: Path):
    """Weights of different shapes, or of an encoder that hears in another way, have no mean."""
    other = tmp_path / "other.safetensors"
    tensors = load_file(encoder)
    save_file(tensors, other, metadata=Provenance(full_rate=2).metadata())
    with pytest.raises(ModelError, match=r"other\.safetensors: is another net than"):
        average([encoder, other], out=tmp_path / "mean.safetensors")
    assert not (tmp_path / "mean.safetensors").exists()


def test_a_missing_encoder_is_an_error(encoder: Path, tmp_path: Path, capsys):
    """It is named, and nothing is written."""
    gone, out = tmp_path / "gone.safetensors", tmp_path / "mean.safetensors"
    assert main(["average", str(encoder), str(gone), "--out", str(out)]) == 4
    assert "gone.safetensors: cannot be read" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("place", ["folder", "file/encoder.safetensors"])
def test_what_cannot_be_written_is_said(place: str, encoder: Path, tmp_path: Path, capsys):
    """Where the new encoder is to be is a folder, or its folder a file."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    assert main(["average", str(encoder), "--out", str(tmp_path / place)]) == 1
    assert f"{place}: " in capsys.readouterr().err
    with pytest.raises(OutputError, match=place):
        finetune([], encoder=encoder, out=tmp_path / place, choices=FineTuning(), cache=tmp_path)
