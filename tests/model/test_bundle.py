"""A model as a folder: what is saved is loaded, and whatever is damaged is named."""

import hashlib
import json
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from bundles import edit_manifest, small_bundle
from safetensors.torch import load_file, save_file

from streamer.errors import ModelError
from streamer.model import bundle, catalog
from streamer.model.catalog import find_bundle
from streamer.model.manifest import FORMAT, OLDEST

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle on disk."""
    path = tmp_path / "small"
    bundle.save(small_bundle(), path)
    return path


def edit_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Change the weights, and the digest with them: damage that only their shapes tell."""
    path = folder / bundle.WEIGHTS
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    edit_manifest(folder, lambda content: content["files"].update({bundle.WEIGHTS: digest}))


def test_what_is_saved_is_loaded(folder: Path):
    """Manifest and card as they were, weights to half precision, the head exactly."""
    saved, loaded = small_bundle(), bundle.load(folder)
    assert loaded.card == saved.card
    assert loaded.manifest.model_copy(update={"files": {}, "digest": ""}) == saved.manifest
    assert set(loaded.manifest.files) == {bundle.WEIGHTS}
    assert torch.equal(loaded.network.head.weight, saved.network.head.weight)
    mel = torch.randn(1, 80, 21)
    torch.testing.assert_close(loaded.network(mel), saved.network(mel), atol=2e-3, rtol=0)
    assert not loaded.network.training
    assert all(tensor.dtype == torch.float32 for tensor in loaded.network.parameters())


def test_what_is_known_about_voices_is_loaded(folder: Path):
    """To the last digit; what tells them apart in half precision."""
    saved, loaded = small_bundle().voices, bundle.load(folder).voices
    assert saved is not None
    assert loaded is not None
    for name in bundle.VOICE_ARRAYS:
        assert np.array_equal(getattr(loaded, name), getattr(saved, name))
    for name in ("prior", "temperature"):
        assert getattr(loaded, name) == getattr(saved, name)
    for name in bundle.SPEAKER_ARRAYS:
        half = getattr(saved.speakers, name).astype(np.float16)
        assert np.array_equal(getattr(loaded.speakers, name), half)
    assert loaded.speakers.caution == saved.speakers.caution


def test_what_is_no_speech_is_loaded(folder: Path):
    """To the last digit."""
    saved, loaded = small_bundle().speech, bundle.load(folder).speech
    assert saved is not None
    assert loaded is not None
    assert np.array_equal(loaded.weight, saved.weight)
    assert np.array_equal(loaded.bias, saved.bias)
    assert loaded.threshold == saved.threshold


def test_the_prior_of_the_adapted_head_is_loaded(folder: Path):
    """It belongs to the voices, and is kept in the manifest."""
    edit_manifest(
        folder,
        lambda c: c["priors"].update(adapted={"neutral": 0.5, "happy": 0.3, "angry": 0.2}),
    )
    loaded = bundle.load(folder).voices
    assert loaded is not None
    assert np.exp(loaded.log_prior) == pytest.approx([0.5, 0.3, 0.2])


def test_a_bundle_without_voices_and_other_sounds_is_read(folder: Path):
    """It knows nothing about voices or other sounds; it needs no prior of a head it lacks."""
    arrays = (*bundle.VOICE_ARRAYS, *bundle.SPEAKER_ARRAYS)
    edit_weights(folder, lambda t: [t.pop(f"baseline.{name}") for name in arrays])
    edit_weights(folder, lambda t: [t.pop(f"speech.{name}") for name in ("weight", "bias")])
    edit_manifest(folder, lambda content: [content.pop(name) for name in ("baseline", "speech")])
    edit_manifest(folder, lambda content: content["priors"].pop("adapted"))
    loaded = bundle.load(folder)
    assert loaded.voices is None
    assert loaded.speech is None
    assert torch.equal(loaded.network.head.weight, small_bundle().network.head.weight)


def test_without_directions_everybody_is_the_same_voice(folder: Path):
    """Nobody is told apart."""
    edit_weights(folder, lambda t: [t.pop(f"baseline.{name}") for name in bundle.SPEAKER_ARRAYS])
    edit_manifest(folder, lambda c: [c["baseline"].pop(n) for n in ("caution", "directions")])
    voices = bundle.load(folder).voices
    assert voices is not None
    nothing = voices.speakers.mark(np.ones((2, 32), np.float32))
    assert voices.speakers.odds(nothing, nothing, np.ones(2)).tolist() == [np.inf, np.inf]


@pytest.mark.parametrize("older", range(1, OLDEST))
def test_an_older_bundle_is_refused(folder: Path, older: int):
    """It was trained without priors: with them it would be read wrongly."""
    edit_manifest(folder, lambda content: content.update(format=older))
    with pytest.raises(ModelError, match=f"got format {older}, expected 7 or later: .*train"):
        bundle.load(folder)


def test_the_card_may_be_edited(folder: Path):
    """It is prose: nothing is calculated from it."""
    (folder / bundle.CARD).write_text("# small, in our words\n")
    assert bundle.load(folder).card == "# small, in our words\n"


def test_line_ends_and_spaces_of_the_manifest_do_not_matter(folder: Path):
    """Git or an editor may change them; the content stays the same."""
    path = folder / bundle.MANIFEST
    expected = bundle.load(folder).manifest
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert bundle.load(folder).manifest == expected
    path.write_text(json.dumps(dict(reversed(json.loads(path.read_text()).items()))))
    assert bundle.load(folder).manifest == expected


@pytest.mark.parametrize(
    ("section", "change"),
    [
        ("priors", {"natural": {"neutral": 0.7, "happy": 0.2, "angry": 0.1}}),
        ("calibration", {"threshold": 0.41}),
        ("training", {"seed": 1}),
        ("baseline", {"prior": 2.0000001}),
    ],
)
def test_a_changed_value_of_the_manifest_is_refused(folder: Path, section: str, change: object):
    """A number that makes sense, but is not the one that the model was made with."""
    path = folder / bundle.MANIFEST
    content = json.loads(path.read_text())
    content[section].update(change)
    path.write_text(json.dumps(content))
    with pytest.raises(ModelError, match=r"bundle.json: got SHA-256 .*, expected .*was changed"):
        bundle.load(folder)
    content["digest"] = ""
    path.write_text(json.dumps(content))
    with pytest.raises(ModelError, match=r"got SHA-256 .* of its content, expected none"):
        bundle.load(folder)


def test_priors_of_a_few_digits_are_loaded(folder: Path):
    """Their sum misses 1 by as much as rounding explains."""
    edit_manifest(
        folder,
        lambda c: c["priors"].update(
            adapted={"neutral": 0.33334, "happy": 0.3334, "angry": 0.3334}
        ),
    )
    assert bundle.load(folder).voices is not None


def test_everybody_may_read_it(folder: Path):
    """A bundle installed by root serves all users."""
    for file in folder.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) & 0o044 == 0o044


def test_saving_replaces_the_whole_folder(folder: Path):
    """Nothing of the old bundle stays, nothing temporary is left beside it."""
    (folder / "old.txt").write_text("left over")
    bundle.save(small_bundle(), folder)
    assert sorted(file.name for file in folder.iterdir()) == [
        "README.md", "bundle.json", "model.safetensors",
    ]  # fmt: skip
    assert [path.name for path in folder.parent.iterdir()] == ["small"]
    bundle.load(folder)


def damage(name: str) -> Callable[[Path], object]:
    """Ways to break a bundle."""

    def truncate(folder: Path) -> None:
        path = folder / bundle.WEIGHTS
        path.write_bytes(path.read_bytes()[:-100])

    return {
        "no manifest": lambda f: (f / bundle.MANIFEST).unlink(),
        "bad JSON": lambda f: (f / bundle.MANIFEST).write_text("{"),
        "not UTF-8": lambda f: (f / bundle.MANIFEST).write_bytes(b"\xff\xfe{}"),
        "a list": lambda f: (f / bundle.MANIFEST).write_text("[]"),
        "no format": lambda f: edit_manifest(f, lambda c: c.pop("format")),
        "newer format": lambda f: edit_manifest(f, lambda c: c.update(format=FORMAT + 1)),
        "unknown key": lambda f: edit_manifest(f, lambda c: c.update(colour="red")),
        "missing key": lambda f: edit_manifest(f, lambda c: c.pop("calibration")),
        "foreign network": lambda f: edit_manifest(f, lambda c: c["network"].update(kind="lstm")),
        "odd heads": lambda f: edit_manifest(f, lambda c: c["network"].update(heads=3)),
        "other features": lambda f: edit_manifest(f, lambda c: c["features"].update(hop=80)),
        "unknown label": lambda f: edit_manifest(f, lambda c: c["labels"].append("bored")),
        "repeated label": lambda f: edit_manifest(f, lambda c: c["labels"].append("angry")),
        "odd order": lambda f: edit_manifest(f, lambda c: c["labels"].reverse()),
        "unknown mood": lambda f: edit_manifest(f, lambda c: c["mood"]["positive"].append("calm")),
        "zero temperature": lambda f: edit_manifest(
            f, lambda c: c["calibration"].update(temperature=0)
        ),
        "no digest": lambda f: edit_manifest(f, lambda c: c["files"].pop(bundle.WEIGHTS)),
        "path outside": lambda f: edit_manifest(f, lambda c: c["files"].update({"../x": "0" * 64})),
        "no weights": lambda f: (f / bundle.WEIGHTS).unlink(),
        "truncated weights": truncate,
        "no card": lambda f: (f / bundle.CARD).unlink(),
        "a prior of other labels": lambda f: edit_manifest(
            f, lambda c: c["priors"]["natural"].pop("happy")
        ),
        "no prior of a head": lambda f: edit_manifest(f, lambda c: c["priors"].pop("adapted")),
        "a prior over 1": lambda f: edit_manifest(
            f, lambda c: c["priors"]["unadapted"].update(happy=0.9)
        ),
        "missing tensor": lambda f: edit_weights(f, lambda t: t.pop("head.bias")),
        "odd tensor": lambda f: edit_weights(
            f, lambda t: t.update({"head.weight": torch.zeros(3, 7)})
        ),
        "integer tensor": lambda f: edit_weights(
            f, lambda t: t.update({"head.bias": torch.zeros(3, dtype=torch.int8)})
        ),
        "NaN": lambda f: edit_weights(f, lambda t: t["head.bias"].fill_(float("nan"))),
        "no voices": lambda f: edit_weights(f, lambda t: t.pop("baseline.centre")),
        "no speakers": lambda f: edit_weights(f, lambda t: t.pop("baseline.spread")),
        "odd voices": lambda f: edit_weights(
            f, lambda t: t.update({"baseline.centre": torch.zeros(3, 7)})
        ),
        "odd speech": lambda f: edit_weights(
            f, lambda t: t.update({"speech.bias": torch.zeros(2)})
        ),
        "speech unasked": lambda f: edit_manifest(f, lambda c: c.pop("speech")),
        "voices unasked": lambda f: edit_manifest(f, lambda c: c.pop("baseline")),
        "surplus tensor": lambda f: edit_weights(f, lambda t: t.update(more=torch.zeros(1))),
    }[name]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("no manifest", "not a model bundle: expected bundle.json"),
        ("bad JSON", "cannot be read as JSON"),
        ("not UTF-8", "cannot be read as JSON"),
        ("a list", "got format None, expected a number up to 8"),
        ("no format", "got format None, expected a number up to 8"),
        ("newer format", "got format 9, expected 8: .* update streamer"),
        ("unknown key", "colour: .*got 'red'"),
        ("missing key", "calibration: Field required"),
        ("foreign network", "network.kind: .*whisper-encoder.*, got 'lstm'"),
        ("odd heads", "network: got 3 heads"),
        ("other features", "features: got .*'hop': 80.*, expected .*'hop': 160"),
        ("unknown label", "unknown label 'bored', expected: neutral, calm"),
        ("repeated label", "repeat or are not in the order"),
        ("odd order", "repeat or are not in the order"),
        ("unknown mood", "unknown label 'calm' in mood"),
        ("zero temperature", "calibration.temperature: .*greater than 0, got 0"),
        ("no digest", "files: expected the digest of model.safetensors"),
        ("path outside", r"files.*\.\./x"),
        ("no weights", "model.safetensors: cannot be read"),
        ("truncated weights", "model.safetensors: got SHA-256 .*, expected .*damaged"),
        ("no card", "cannot be read: .*README.md"),
        ("a prior of other labels", r"got natural prior of \['angry', 'neutral'\], expected: "),
        ("no prior of a head", r"got adapted prior of \[\], expected: "),
        ("a prior over 1", r"got unadapted prior that sums to 1\.56667, not 1"),
        ("missing tensor", "tensor head.bias is missing"),
        ("odd tensor", r"head.weight: got \(3, 7\) .*, expected \(3, 32\)"),
        ("integer tensor", "head.bias: got .*int8"),
        ("NaN", "head.bias: got NaN"),
        ("no voices", "tensor baseline.centre is missing"),
        ("no speakers", "tensor baseline.spread is missing"),
        ("odd voices", r"baseline.centre: got \(3, 7\) .*, expected \(3,\)"),
        ("odd speech", r"speech.bias: got \(2,\) .*, expected \(1,\)"),
        ("speech unasked", "no place for: .*speech.bias"),
        ("voices unasked", "no place for: .*baseline.bias"),
        ("surplus tensor", r"no place for: \['more'\]"),
    ],
)
def test_damage_is_named(folder: Path, how: str, message: str):
    """Each part damaged in turn: a ModelError says what was got and what was expected."""
    damage(how)(folder)
    with pytest.raises(ModelError, match=message):
        bundle.load(folder)


def test_every_byte_of_the_weights_counts(folder: Path):
    """A single flipped bit is noticed."""
    path = folder / bundle.WEIGHTS
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match="SHA-256"):
        bundle.load(folder)


def test_a_missing_folder_is_named(tmp_path: Path):
    """Rather than its manifest."""
    with pytest.raises(ModelError, match="there is no such folder"):
        bundle.load(tmp_path / "nowhere")


def test_bundles_are_found_by_name_and_by_path(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """A name that came with streamer, a path as text, a path."""
    monkeypatch.setattr(catalog, "MODEL_FOLDERS", (folder.parent, folder.parent / "nowhere"))
    assert find_bundle("small") == folder
    assert find_bundle(str(folder)) == folder
    assert find_bundle(folder) == folder


def test_an_unknown_name_lists_what_there_is(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """So that a typing error is seen at once."""
    monkeypatch.setattr(catalog, "MODEL_FOLDERS", (folder.parent,))
    for name in ("smal", ""):
        with pytest.raises(ModelError, match=rf"no model '{name}', expected .* one of: small"):
            find_bundle(name)


@pytest.mark.parametrize("name", ["default", "open", "small"])
def test_the_bundles_that_come_along(name: str):
    """Whole, small enough, with a card that begins with what it is and its licences."""
    folder = find_bundle(name)
    loaded = bundle.load(folder)
    assert loaded.manifest.name == name
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 24 * 1024**2
    assert "licence" in loaded.card[:500]
    assert all(source.licence for source in loaded.manifest.sources)
