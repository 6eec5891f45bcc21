"""Ordinary speech: read, learned from as mostly neutral, and quiet measured on it."""

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from fakes import silence, speech
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.cli.main import main
from streamer.errors import ConfigError, InputError
from streamer.model import bundle
from streamer.model.features import Waveform
from streamer.training import train as train_module
from streamer.training.augmentation.rooms import read_rooms
from streamer.training.data.extraction import EmbeddedClips, Extractor
from streamer.training.data.manifest import Clip, read_manifest, without
from streamer.training.data.ordinary import DEV, ONLY_SOURCE, TRAIN, read_ordinary
from streamer.training.evaluation import operating
from streamer.training.evaluation import ordinary as ordinary_module
from streamer.training.evaluation.operating import RATES, earlier
from streamer.training.evaluation.ordinary import evaluate_ordinary, read_ordinary_evaluation
from streamer.training.heads.examples import (
    example_weights,
    labels_learned,
    make_examples,
    natural_weights,
    soft_targets,
)
from streamer.training.heads.logistic import Head
from streamer.training.heads.recipe import Recipe, choose, fit_recipe
from streamer.training.heads.speaker import SHRINKAGE_CLIPS, _neutral_means, fit_voices
from streamer.training.train import train
from streamer.types import SAMPLE_RATE

RECIPE = Recipe(blocks=2, variations=("plain",), l2=(1e-2,), hidden=0, made_up=0)
HEADER = ("path", "source", "speaker", "use")


def clip(emotion: str, corpus: str = "c", speaker: str = "s", *, ordinary: bool = False) -> Clip:
    """Nobody opens it."""
    name = f"{corpus}/{speaker}/{emotion}"
    return Clip(Path("x"), name, corpus, speaker, emotion, ordinary=ordinary)


def spoken(source: str, count: int) -> list[Clip]:
    """Ordinary speech of a number of voices."""
    return [clip("neutral", source, f"{i}", ordinary=True) for i in range(count)]


def write(folder: Path, *rows: Sequence[str], header: Sequence[str] = HEADER) -> Path:
    """A manifest of ordinary speech."""
    path = folder / "ordinary.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


@pytest.fixture(scope="module")
def ordinary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Voices to learn from, with and without a name, and two recordings to measure on."""
    folder = tmp_path_factory.mktemp("ordinary")
    rows = []
    for number in range(6):
        soundfile.write(folder / f"{number}.wav", speech(0.8, seed=number), SAMPLE_RATE)
        source, speaker = ("interviews", f"{number // 2}") if number < 4 else ("letters", "")
        rows.append((f"{number}.wav", source, speaker, TRAIN))
    for number in range(2):
        parts = [silence(1.0), speech(1.2, seed=number), silence(1.0), speech(0.9), silence(1.0)]
        soundfile.write(folder / f"long-{number}.wav", np.concatenate(parts), SAMPLE_RATE)
        rows.append((f"long-{number}.wav", "meetings", "", DEV))
    return write(folder, *rows)


def test_ordinary_speech_is_read(ordinary: Path):
    """All of it is neutral, and marked; a use picks some."""
    everything, learned = read_ordinary(ordinary), read_ordinary(ordinary, use=TRAIN)
    assert (len(everything), len(learned), len(read_ordinary(ordinary, use=DEV))) == (8, 6, 2)
    assert {(each.emotion, each.ordinary) for each in everything} == {("neutral", True)}
    assert {each.corpus for each in learned} == {"interviews", "letters"}


def test_an_unknown_speaker_is_a_voice_of_its_own(ordinary: Path):
    """Two recordings without a name are not taken for one person's."""
    voices = [each.voice for each in read_ordinary(ordinary, use=TRAIN)]
    assert len(set(voices)) == 4
    assert len(set(voices[4:])) == 2


def test_a_path_is_enough(tmp_path: Path):
    """The source then has a name that no corpus of acted speech has."""
    (tmp_path / "a.wav").touch()
    (tmp_path / "b.wav").touch()
    path = write(tmp_path, ("a.wav",), ("b.wav",), header=("path",))
    first, second = read_ordinary(path)
    assert first.corpus == second.corpus == ONLY_SOURCE != "recordings"
    assert first.voice != second.voice


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        (("file", "use"), [("a.wav", "train")], "got columns file, use, expected also: path"),
        (HEADER, [("b.wav", "", "", "train")], r"ordinary.csv:2: there is no recording 'b.wav'"),
        (HEADER, [("", "", "", "train")], r"ordinary.csv:2: there is no recording ''"),
        (HEADER, [], "got no recordings with use=train, expected ordinary speech"),
        (HEADER, [("a.wav", "", "", "dev")], "got no recordings with use=train"),
        (("path",), [("a.wav",)], "got no recordings with use=train"),
    ],
)
def test_a_wrong_manifest_is_named(
    tmp_path: Path, header: Sequence[str], rows: list[Sequence[str]], message: str
):
    """What was got and what was expected."""
    (tmp_path / "a.wav").touch()
    with pytest.raises(InputError, match=message):
        read_ordinary(write(tmp_path, *rows, header=header), use=TRAIN)


def test_a_manifest_that_cannot_be_read_is_named(tmp_path: Path):
    """Missing, or no text."""
    with pytest.raises(InputError, match=r"none.csv: cannot be read"):
        read_ordinary(tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(InputError, match=r"binary.csv: cannot be read"):
        read_ordinary(tmp_path / "binary.csv")


def test_ordinary_speech_is_mostly_neutral():
    """The others share the rest; what was acted is what it was."""
    labels = ("neutral", "happy", "sad")
    targets = soft_targets([clip("sad"), *spoken("o", 1)], labels, softness=0.1)
    assert targets.tolist()[0] == [0, 0, 1]
    assert targets.tolist()[1] == pytest.approx([0.9, 0.05, 0.05])
    assert torch.allclose(targets.sum(1), torch.ones(2))
    assert soft_targets([clip("sad")], ("happy", "sad"), softness=0.1).tolist() == [[0, 1]]


def test_ordinary_speech_without_acted_neutral_is_refused():
    """There would be no label for it."""
    assert labels_learned([clip("sad")]) == [clip("sad")]
    with pytest.raises(ConfigError, match="got happy, sad as acted, expected that, too"):
        labels_learned([clip("sad"), clip("happy"), *spoken("o", 1)])


@settings(max_examples=40, deadline=None)
@given(
    acted=st.integers(1, 9), sizes=st.lists(st.integers(1, 30), min_size=1, max_size=4),
    share=st.floats(0.05, 0.95),
)  # fmt: skip
def test_shares_add_up(acted: int, sizes: list[int], share: float):
    """Ordinary speech has its share; a source weighs by the root of its size, in any order."""
    clips = [clip("neutral", "a"), *[clip("sad", "a")] * acted]
    clips += [each for i, size in enumerate(sizes) for each in spoken(f"o{i}", size)]
    order = np.random.default_rng(0).permutation(len(clips)).tolist()
    clips = [clips[i] for i in order]
    weights = example_weights(clips, ordinary=share, voices=0.35)
    assert float(weights.sum()) == pytest.approx(1, abs=1e-5)
    rows = torch.tensor([each.ordinary for each in clips])
    assert float(weights[rows].sum()) == pytest.approx(share, abs=1e-5)
    for i, size in enumerate(sizes):
        own = torch.tensor([each.corpus == f"o{i}" for each in clips])
        expected = share * size**0.5 / sum(each**0.5 for each in sizes)
        assert float(weights[own].sum()) == pytest.approx(expected, rel=1e-4)


def test_of_one_kind_alone_the_weights_add_up_too():
    """Acted or ordinary."""
    for clips in ([clip("sad"), clip("neutral")], spoken("o", 3)):
        weights = example_weights(clips, ordinary=0.25, voices=0.35)
        assert weights.tolist() == pytest.approx([1 / len(clips)] * len(clips))


def test_examples_are_asked_for_all_labels_in_ordinary_speech():
    """A corpus says nothing about what it does not have; ordinary speech is no emotion at all."""
    clips = [clip("neutral", "a"), clip("sad", "a"), clip("happy", "b"), clip("sad", "b")]
    clips += [clip("happy", "c"), clip("neutral", "c"), *spoken("o", 2)]
    made = make_examples(
        clips, ("neutral", "happy", "sad"), lambda some, _: np.zeros((len(some), 1), np.float32),
        RECIPE,
    )  # fmt: skip
    assert made.known[-2:].all()
    assert made.known[0].tolist() == [True, False, True]
    assert float(made.prior.sum()) == pytest.approx(1)
    assert float(made.weights[-2:].sum()) == pytest.approx(RECIPE.ordinary)
    expected = made.weights @ made.targets
    assert made.prior.tolist() == pytest.approx(expected.tolist())


def test_natural_weights_are_a_natural_mixture():
    """Every emotion as the prior says, half of neutral speech ordinary; others have none."""
    labels = ("neutral", "happy", "sad")
    clips = [clip("neutral"), *[clip("happy")] * 5, *spoken("o", 3)]
    weights = natural_weights(clips, labels, [0.6, 0.2, 0.2], voices=0.35)
    assert float(weights.sum()) == pytest.approx(1)
    parts = (slice(1), slice(1, 6), slice(6, 9))
    acted, happy, ordinary = (float(weights[part].sum()) for part in parts)
    assert acted == pytest.approx(ordinary) == pytest.approx(0.3 / 0.8)
    assert happy == pytest.approx(0.2 / 0.8)
    alone = natural_weights(clips[:6], labels, [0.6, 0.2, 0.2], voices=0.35)
    assert float(alone[0]) == pytest.approx(0.6 / 0.8)


def test_a_neutral_clip_is_left_out_of_its_own_mean():
    """Otherwise the adapted head would learn from what no past can hold."""
    clips = [
        *[clip("neutral", speaker="a")] * 3, clip("sad", speaker="a"),
        clip("neutral", speaker="b"), clip("sad", speaker="c"),
    ]  # fmt: skip
    plain = torch.tensor([[1.0], [2.0], [6.0], [10.0], [4.0], [7.0]])
    centre, shift, known = _neutral_means(clips, plain)
    assert centre.tolist() == pytest.approx([3.5])  # of a: 3, of b: 4; c is never neutral
    assert known.tolist() == [True, True, True, True, False, False]
    offsets = plain[:3, 0] - centre
    rest = [offsets[1] + offsets[2], offsets[0] + offsets[2], offsets[0] + offsets[1]]
    assert shift[:3, 0].tolist() == pytest.approx([float(r) / (2 + SHRINKAGE_CLIPS) for r in rest])
    assert float(shift[3]) == pytest.approx(float(offsets.sum()) / (3 + SHRINKAGE_CLIPS))
    assert shift[4:].tolist() == [[0.0], [0.0]]


@pytest.mark.parametrize(
    "emotions", [("happy", "sad"), ("neutral", "happy"), ("calm", "happy", "sad")]
)
def test_voices_are_learned_whatever_is_missing(emotions: tuple[str, ...]):
    """Nobody is neutral, or each speaker once: everything that is kept is a number."""
    clips = [clip(e, speaker=s) for s in "abcd" for e in emotions]
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((len(clips), 6)).astype(np.float32)
    start = Head(torch.zeros(len(emotions), 6), torch.zeros(len(emotions)))
    voices = fit_voices(clips, emotions, lambda *_: vectors, start, RECIPE, l2=0.1)
    for array in (voices.weight, voices.bias, voices.centre, voices.log_prior):
        assert np.isfinite(array).all()
    assert np.exp(voices.log_prior).sum() == pytest.approx(1)


def test_two_manifests_may_hold_the_same_name(tmp_path: Path, encoder: Path):
    """Each recording has its own vectors."""
    clips = []
    for corpus, hz in (("a", 300), ("b", 3000)):
        (tmp_path / corpus).mkdir()
        samples = SAMPLE_RATE + hz  # the cache on disk tells them apart by their size
        wave = 0.1 * np.sin(2 * np.pi * hz * np.arange(samples) / SAMPLE_RATE)
        soundfile.write(tmp_path / corpus / "1.wav", wave, SAMPLE_RATE)
        clips.append(Clip(tmp_path / corpus / "1.wav", "1.wav", corpus, "s", "sad"))
    extract = Extractor(encoder, cache=tmp_path / "cache", jobs=1)
    embed = EmbeddedClips(clips, extract)
    for each in clips:
        assert np.array_equal(embed([each], "plain"), extract([each]))
    assert not np.array_equal(*embed(clips, "plain"))


def room(seconds: float, rt60: float) -> Waveform:
    """An impulse response."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tail = np.random.default_rng(0).standard_normal(len(time)) * 10 ** (-3 * time / rt60)
    tail[0] = 20.0
    return np.concatenate((np.zeros(100), tail)).astype(np.float32) / 25


def test_rooms_are_read(tmp_path: Path):
    """What comes after the direct sound, of the first channel; too long a room is left out."""
    soundfile.write(tmp_path / "a.wav", np.stack([room(0.4, 0.3), room(0.4, 0.1)], 1), SAMPLE_RATE)
    soundfile.write(tmp_path / "b.flac", room(3.0, 1.0), SAMPLE_RATE)
    soundfile.write(tmp_path / "cathedral.flac", room(8.0, 6.0), SAMPLE_RATE)
    (tmp_path / "readme.txt").write_text("rooms")
    first, second = read_rooms(tmp_path)
    expected = room(0.4, 0.3)[100 + 40 :]
    assert first == pytest.approx(expected, abs=1e-4)
    assert len(second) / SAMPLE_RATE == pytest.approx(1.5, abs=0.01)


def test_rooms_that_will_not_do_are_named(tmp_path: Path):
    """None, of another rate, empty, or no sound."""
    with pytest.raises(InputError, match="holds no impulse responses, expected FLAC or WAV"):
        read_rooms(tmp_path)
    path = tmp_path / "a.wav"
    soundfile.write(path, room(0.4, 0.3), 48_000)
    with pytest.raises(InputError, match=r"a.wav: got 48000 Hz, expected 16000"):
        read_rooms(tmp_path)
    soundfile.write(path, np.zeros(0), SAMPLE_RATE)
    with pytest.raises(InputError, match=r"a.wav: is empty, expected an impulse response"):
        read_rooms(tmp_path)
    path.write_bytes(b"noise")
    with pytest.raises(InputError, match=r"a.wav: cannot be read"):
        read_rooms(tmp_path)


def test_speakers_and_emotions_are_left_out(manifest: Path):
    """Of one corpus, not of another that numbers alike; a wrong name is said so."""
    clips = read_manifest(manifest)
    left = without(clips, ["one:2"])
    assert {each.voice for each in clips} - {each.voice for each in left} == {("one", "2")}
    left = without(clips, ["one:happy"])
    assert {each.corpus for each in left if each.emotion == "happy"} == {"two"}
    assert len(left) == len(clips) - 8
    with pytest.raises(ConfigError, match="cannot leave out one:9: no clips are of these"):
        without(clips, ["one:9", "one:2"])


@settings(max_examples=60, deadline=None)
@given(
    scores=st.lists(st.floats(0, 1, width=32), min_size=0, max_size=40),
    allowed=st.lists(st.floats(0, 50), min_size=1, max_size=5),
)
def test_no_more_than_allowed_is_above_a_threshold(scores: list[float], allowed: list[float]):
    """And the more is allowed, the lower it is."""
    values = np.array(scores, np.float64)
    thresholds = [operating._threshold(values, each) for each in sorted(allowed)]
    assert thresholds == sorted(thresholds, reverse=True)
    for each, threshold in zip(sorted(allowed), thresholds, strict=True):
        assert (values > threshold).sum() <= each
        lower = values[values < threshold]
        if len(lower):  # a lower one would let more through
            assert (values >= threshold).sum() > int(each)


def test_earlier_utterances_are_of_the_same_recording():
    """The newest of them, none later."""
    past = earlier([2, 0, 40])
    assert past.shape == (42, 32)
    assert (past[[0, 2]] == -1).all()
    assert past[1, :2].tolist() == [0, -1]
    assert past[41].tolist() == list(range(9, 41))
    assert all(before.max() < row for row, before in enumerate(past))


def test_one_speaker_and_many_ordinary_ones(
    manifest: Path, encoder: Path, ordinary: Path, tmp_path: Path
):
    """Of ordinary speech alone, nothing can be chosen: it is done on what was learned."""
    acted = [c for c in read_manifest(manifest, corpora=["one"]) if c.speaker == "0"]
    clips = [*acted, *read_ordinary(ordinary, use=TRAIN)]
    embed = EmbeddedClips(clips, Extractor(encoder, blocks=2, cache=tmp_path, jobs=1))
    choices = choose(clips, embed, RECIPE)
    assert not choices.unseen_speakers
    assert len(choices.held_out[1]) == len(acted)
    assert fit_recipe(clips, embed, RECIPE, choices).labels == ("neutral", "happy", "sad")


@pytest.fixture
def small_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands train by a recipe that fits an encoder of two blocks."""
    for module in (train_module, ordinary_module):
        monkeypatch.setattr(module, "Recipe", lambda: RECIPE)


@pytest.mark.usefixtures("small_recipe")
def test_a_model_is_trained_with_ordinary_speech(
    manifest: Path, encoder: Path, ordinary: Path, tmp_path: Path, capsys
):
    """The whole way: its priors, sources and who was left out are in the bundle."""
    (tmp_path / "rooms").mkdir()
    soundfile.write(tmp_path / "rooms" / "a.wav", room(0.4, 0.3), SAMPLE_RATE)
    out = tmp_path / "mine"
    command = [
        "train", "--manifest", str(manifest), "--encoder", str(encoder), "--out", str(out),
        "--ordinary", str(ordinary), "--rooms", str(tmp_path / "rooms"), "--without", "one:3,two:1",
        "--cache", str(tmp_path / "cache"), "--jobs", "1",
    ]  # fmt: skip
    assert main(command) == 0
    assert "mine in" in capsys.readouterr().out
    made = bundle.load(out)
    told = made.manifest.training
    assert told["ordinary_sources"] == ["interviews", "letters"]
    assert told["without"] == ["one:3", "two:1"]
    assert told["clips"] == 40 - 6 - 4 + 6
    assert {"interviews", "letters"} <= {source.name for source in made.manifest.sources}
    priors = made.manifest.priors
    assert priors.natural == pytest.approx(RECIPE.natural_of(made.manifest.labels))
    for prior in (priors.unadapted, priors.adapted):
        assert sum(prior.values()) == pytest.approx(1.0)
    command[command.index("one:3,two:1")] = "one:nobody"
    assert main(command) == 2
    assert "cannot leave out one:nobody" in capsys.readouterr().err


@pytest.mark.usefixtures("small_recipe")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of matplotlib, about its own imports
def test_quiet_and_what_is_found_are_measured(  # noqa: PLR0913, PLR0917 - fixtures
    manifest: Path, encoder: Path, ordinary: Path, tmp_path: Path, capsys, monkeypatch
):
    """The whole way: figures, a plot, and a line for each corpus and emotion."""
    monkeypatch.setattr(ordinary_module, "UNSEEN", ("two", "nowhere"))
    out = tmp_path / "figures"
    command = [
        "evaluate", "--protocol", "ordinary", "--manifest", str(manifest), "--encoder",
        str(encoder), "--ordinary", str(ordinary), "--out", str(out),
        "--cache", str(tmp_path / "cache"), "--jobs", "1",
    ]  # fmt: skip
    assert main(command) == 0
    told = capsys.readouterr().out
    assert "unseen speakers: ordinary speech, 0 min: certain of an emotion in" in told
    result = read_ordinary_evaluation(out)
    assert read_ordinary_evaluation(out / "figures.json") == result
    assert (result.recipe, result.corpora) == (RECIPE, ("one", "two"))
    assert result.unseen is not None
    assert set(result.speakers.found) == {"one", "two"}
    assert set(result.unseen.found) == {"two"}
    for part in (result.speakers, result.unseen):
        quiet = part.quiet
        assert quiet.hours * 3600 == pytest.approx(2 * 5.1, abs=0.1)
        assert 0 < quiet.speech_hours < quiet.hours
        assert set(quiet.sources) == {"meetings"}
        assert 0 <= quiet.certain <= 1
        for thresholds in quiet.thresholds.values():
            assert list(thresholds) == sorted(thresholds, reverse=True)
        for curves in part.found.values():
            for curve in curves.values():
                assert len(curve.found) == len(RATES)
                assert list(curve.found) == sorted(curve.found)
                assert curve.certain <= curve.named
    assert json.loads((out / "figures.json").read_text())["corpora"] == ["one", "two"]
    assert any(path.suffix == ".png" for path in out.iterdir())
    with pytest.raises(InputError, match="are no figures of ordinary"):
        read_ordinary_evaluation(tmp_path)
    command[command.index("--ordinary") : command.index("--out")] = []
    assert main(command) == 2
    assert "--ordinary is missing" in capsys.readouterr().err


def test_recordings_without_speech_measure_nothing(manifest: Path, encoder: Path, tmp_path: Path):
    """It is said, rather than a share of nothing."""
    soundfile.write(tmp_path / "a.wav", speech(0.8), SAMPLE_RATE)
    soundfile.write(tmp_path / "b.wav", silence(2.0), SAMPLE_RATE)
    path = write(tmp_path, ("a.wav", "o", "", TRAIN), ("b.wav", "o", "", DEV))
    with pytest.raises(InputError, match="no speech was found in the recordings with use=dev"):
        evaluate_ordinary(
            manifest=manifest, encoder=encoder, ordinary=path, recipe=RECIPE,
            cache=tmp_path / "cache", jobs=1,
        )  # fmt: skip


def test_without_ordinary_speech_nothing_of_it_is_said(
    manifest: Path, encoder: Path, tmp_path: Path
):
    """Acted speech alone, of which only one corpus is neutral."""
    rows = [(str(c.path), c.corpus, c.speaker, c.emotion) for c in read_manifest(manifest)]
    rows = [row for row in rows if row[1] == "one" or row[3] != "neutral"]
    path = write(tmp_path, *rows, header=("path", "corpus", "speaker", "emotion"))
    result = train(
        manifest=path, encoder=encoder, out=tmp_path / "mine", recipe=replace(RECIPE, softness=0.0),
        cache=tmp_path / "cache", jobs=1,
    )  # fmt: skip
    assert result.manifest.training["ordinary_sources"] == []
