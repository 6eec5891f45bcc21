"""What is no speech: where it comes from, and how it is told from speech."""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import fakes
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from streamer.errors import InputError
from streamer.training.data import sounds
from streamer.training.data.manifest import Clip
from streamer.training.data.sounds import COLLECTED, MADE_UP, let_through, make_up, read_sounds
from streamer.training.heads.speech import (
    FOLDS,
    TESTED,
    Material,
    auroc,
    evaluate_speech,
    fit_speech,
    read_speech_figures,
    some_of_each,
    write_speech_figures,
)
from streamer.types import NO_SPEECH, SAMPLE_RATE

WIDTH = 6


def clips_of(corpus: str, speakers: int, each: int = 10) -> list[Clip]:
    """Names alone: nobody opens them."""
    return [
        Clip(path=Path("x"), name=f"{corpus}/{s}/{i}", corpus=corpus, speaker=f"{s}", emotion="sad")
        for s in range(speakers)
        for i in range(each)
    ]


def embed_at(place: float) -> Callable[[Sequence[Clip], str], NDArray[np.float32]]:
    """Vectors around a place, each clip its own, whatever the form."""

    def embed(clips: Sequence[Clip], form: str) -> NDArray[np.float32]:
        rows = [np.random.default_rng(list(f"{form}/{c.name}".encode())) for c in clips]
        noise = [place + rng.standard_normal(WIDTH) for rng in rows]
        return np.array(noise, np.float32).reshape(-1, WIDTH)

    return embed


SPEECH = Material(clips_of("one", 10) + clips_of("two", 5), embed_at(2.0))
SOUNDS = Material(clips_of(MADE_UP, 6) + clips_of(COLLECTED, 6), embed_at(-2.0))


def test_speech_is_told_from_what_is_none():
    """Scores are probabilities; the threshold lets nearly all speech through."""
    model = fit_speech(SPEECH, SOUNDS, forms=["plain", "crop"])
    spoken, quiet = model(SPEECH("first 1 s")), model(SOUNDS("first 1 s"))
    assert spoken.shape == (150,)
    assert quiet.min() >= 0
    assert spoken.max() <= 1
    assert (spoken >= model.threshold).mean() > 0.98
    assert (quiet < model.threshold).mean() > 0.98
    one: NDArray[np.float64] = model(SPEECH("first 1 s")[0])
    assert float(one) == pytest.approx(spoken[0])


def test_without_recordings_of_sounds_more_is_no_speech():
    """A head that knows synthetic sounds alone scores people's sounds higher."""
    synthetic = Material([c for c in SOUNDS.clips if c.corpus == MADE_UP], SOUNDS.embed)
    model = fit_speech(SPEECH, synthetic, forms=["plain"])
    assert model.threshold > fit_speech(SPEECH, SOUNDS, forms=["plain"]).threshold
    assert (model(SPEECH("first 1 s")) >= model.threshold).mean() > 0.98


def test_the_figures_are_of_what_was_not_heard(tmp_path: Path):
    """Every clip is tested once, by a head that knows neither its speaker nor its kind."""
    asked: list[tuple[str, int]] = []

    def counted(material: Material) -> Material:
        def embed(clips: Sequence[Clip], form: str) -> NDArray[np.float32]:
            asked.append((form, len(clips)))
            return material.embed(clips, form)

        return Material(material.clips, embed)

    result = evaluate_speech(counted(SPEECH), SOUNDS, Material([], SOUNDS.embed), forms=["crop"])
    assert sum(count for form, count in asked if form == "room 0.5 s") == len(SPEECH.clips)
    assert max(count for form, count in asked if form == "crop") < len(SPEECH.clips)
    assert set(result.auroc) == set(result.false_rejections) == set(TESTED)
    assert min(result.auroc.values()) > 0.99
    assert max(result.false_rejections.values()) < 0.05
    assert set(result.kinds) == {str(number) for number in range(6)}
    assert result.let_through == 0
    write_speech_figures(result, tmp_path / "new" / "figures.json")
    assert read_speech_figures(tmp_path / "new") == result
    with pytest.raises(InputError, match="are no figures of no-speech"):
        read_speech_figures(tmp_path)


@settings(max_examples=40, deadline=None)
@given(
    higher=st.lists(st.integers(0, 9), min_size=1, max_size=20),
    lower=st.lists(st.integers(0, 9), min_size=1, max_size=20),
)
def test_auroc_counts_pairs(higher: list[int], lower: list[int]):
    """By its definition, ties counting half."""
    wins = [(a > b) + (a == b) / 2 for a in higher for b in lower]
    got = auroc(np.array(higher, np.float64), np.array(lower, np.float64))
    assert got == pytest.approx(np.mean(wins))


def test_every_corpus_has_its_share():
    """Of the large one no more than of the small one; the order stays."""
    clips = clips_of("large", 9) + clips_of("small", 2)
    chosen = some_of_each(clips, 30)
    assert [c.corpus for c in chosen] == ["large"] * 15 + ["small"] * 15
    assert chosen == sorted(chosen, key=clips.index)
    assert some_of_each(clips, 1000) == clips


def test_made_up_sounds_are_kept(tmp_path: Path):
    """Each family its own, half a second to six, mono, the same the next time."""
    clips = make_up(tmp_path, each=1)
    assert {clip.corpus for clip in clips} == {MADE_UP}
    assert {clip.emotion for clip in clips} == {NO_SPEECH}
    assert len({clip.speaker for clip in clips}) == len(clips) >= FOLDS
    for clip in clips:
        wave, rate = soundfile.read(clip.path)
        assert (rate, wave.ndim) == (SAMPLE_RATE, 1)
        assert 0.5 * rate <= len(wave) <= 6 * rate
        assert 0 < np.abs(wave).max() <= 1
    before = clips[0].path.read_bytes()
    clips[0].path.unlink()
    assert make_up(tmp_path, each=1) == clips
    assert clips[0].path.read_bytes() == before


def test_what_the_vad_lets_through(tmp_path: Path):
    """What has syllables is cut out as an utterance; a click is none."""
    waves = {"song": fakes.speech(2.0), "click": np.repeat([9999, 0], [2, 998]).astype(np.int16)}
    clips = []
    for name, wave in waves.items():
        path = tmp_path / f"{name}.wav"
        soundfile.write(path, wave, SAMPLE_RATE)
        clips.append(Clip(path=path, name=name, corpus="c", speaker=name, emotion=NO_SPEECH))
    pieces = let_through(clips, cache=tmp_path)
    assert {piece.voice for piece in pieces} == {("c", "song")}
    assert all(soundfile.info(piece.path).duration < 5 for piece in pieces)
    assert len({piece.name for piece in pieces}) == len(pieces)


def write_sounds(folder: Path, header: Sequence[str], *rows: Sequence[str]) -> Path:
    """A manifest."""
    with (folder / sounds.MANIFEST).open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return folder


def test_collected_sounds_are_read(tmp_path: Path):
    """A package is held together and named with its licence, if it has one."""
    for name in ("a.wav", "b.wav", "c.wav"):
        (tmp_path / name).touch()
    header = ("path", "package", "licence", "url")
    rows = (
        ("b.wav", "two", "GPL-2", "x"),
        ("a.wav", "one", "CC0", ""),
        ("c.wav", "one", "CC0", ""),
    )
    folder = write_sounds(tmp_path, header, *rows)
    heard = read_sounds(folder)
    assert read_sounds(folder / sounds.MANIFEST) == heard
    assert [clip.voice for clip in heard.clips] == [
        (COLLECTED, "two"), (COLLECTED, "one"), (COLLECTED, "one"),
    ]  # fmt: skip
    assert [(source.name, source.licence) for source in heard.sources] == [
        ("sounds of one", "CC0"), ("sounds of two", "GPL-2"),
    ]  # fmt: skip
    (source,) = read_sounds(write_sounds(tmp_path, ("path",), ("a.wav",))).sources
    assert source.licence.startswith("not stated")


def test_wrong_collections_are_named(tmp_path: Path):
    """What is missing, and where."""
    with pytest.raises(InputError, match="cannot be read"):
        read_sounds(tmp_path)
    with pytest.raises(
        InputError, match=r"got 1 rows of file, expected sounds, with a column path"
    ):
        read_sounds(write_sounds(tmp_path, ("file",), ("a.wav",)))
    with pytest.raises(InputError, match=r"manifest.csv:2: there is no sound 'a.wav'"):
        read_sounds(write_sounds(tmp_path, ("path",), ("a.wav",)))


def test_a_list_of_sounds_by_speaker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Paths may be relative to the folder above, and ``speaker`` keeps sounds together."""
    folder = tmp_path / "lists"
    folder.mkdir()
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a.wav").touch()
    (folder / "b.wav").touch()
    header = ("path", "speaker", "licence")
    write_sounds(folder, header, ("clips/a.wav", "doors", "CC0"), ("b.wav", "cars", "CC0"))
    heard = read_sounds(folder)
    assert [clip.voice for clip in heard.clips] == [(COLLECTED, "doors"), (COLLECTED, "cars")]
    assert [clip.path.name for clip in heard.clips] == ["a.wav", "b.wav"]
    assert [(source.name, source.licence) for source in heard.sources] == [
        ("sounds of lists", "CC0")
    ]
    monkeypatch.chdir(folder)
    assert read_sounds(Path(sounds.MANIFEST)).sources[0].licence == "CC0"
