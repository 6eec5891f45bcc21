"""A voice that was enrolled is known from the first utterance on, to the model that heard it."""

import io
import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest
import soundfile
from bundles import small_bundle
from fakes import FakeModel, blocks, silence, speech
from fakes import ScriptedSource as Script
from voices import Excerpt

from streamer.audio.record import record
from streamer.cli.enrol import read
from streamer.cli.main import main
from streamer.config import Config
from streamer.errors import ConfigError, InputError, ModelError, NoSpeechError
from streamer.model import bundle
from streamer.model.bundle import Bundle
from streamer.model.classifier import Classifier
from streamer.model.speaker import enrolment
from streamer.model.speaker.enrolment import MIN_S, Enrolment
from streamer.pipeline import offline
from streamer.pipeline.classification import new_adaptations
from streamer.types import SAMPLE_RATE, Pcm

CONFIG = Config()
VOICES = Path(__file__).parents[1] / "data" / "voices.flac"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where voices are kept."""
    monkeypatch.setattr(enrolment, "folder", lambda: tmp_path / "speakers")
    return tmp_path / "speakers"


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    """A small model that was on disk."""
    folder = tmp_path_factory.mktemp("model") / "small"
    bundle.save(small_bundle(), folder)
    return Classifier.load(folder)


def enrol(name: str, pcm: Pcm, model: Classifier) -> Enrolment:
    """Learn a voice from all speech in a recording."""
    return enrolment.enrol(name, list(offline.speech_in(pcm, CONFIG)), model)


def speakers(*entries: str, channels: tuple[str, ...] = ()) -> Config:
    """With these enrolled speakers."""
    return Config.model_validate(
        {"audio": {"channels": channels}, "baseline": {"enabled": True, "speakers": entries}}
    )


def test_a_voice_is_kept_and_known(classifier: Classifier, excerpt: Excerpt):
    """Recording -> file -> adaptation: as if it had been heard a moment ago."""
    pcm = read(excerpt.path)
    known = enrol("anna", pcm, classifier)
    assert (known.speaker, known.model) == ("anna", "small-1")
    assert known.seconds == pytest.approx(sum(t.end - t.start for t in excerpt.utterances), rel=0.2)
    enrolment.save(known)
    assert enrolment.load("anna") == known
    (adaptation,) = new_adaptations(classifier, speakers("anna")).values()
    last = pcm[-4 * SAMPLE_RATE :]
    assert classifier.classify(last, adaptation) != classifier.classify(last)
    fresh = classifier.new_adaptation()
    assert classifier.classify(last, fresh) == classifier.classify(last)


def test_each_channel_has_its_speaker(classifier: Classifier, excerpt: Excerpt):
    """And one that has none learns from the beginning."""
    enrolment.save(enrol("anna", read(excerpt.path), classifier))
    adaptations = new_adaptations(
        classifier, speakers("agent=anna", channels=("agent", "customer"))
    )
    known = len(enrolment.load("anna").utterances)
    assert [adaptations[name].utterances for name in ("agent", "customer")] == [known, 0]


@pytest.mark.parametrize(
    ("entries", "channels"),
    [
        (["anna"], ("agent", "customer")),
        (["boss=anna"], ("agent", "customer")),
        (["agent=anna", "agent=bob"], ("agent", "customer")),
        (["anna", "bob"], ()),
    ],
)
def test_a_speaker_without_a_channel_is_named(entries: list[str], channels: tuple[str, ...]):
    """One for each channel, by name where there are several."""
    with pytest.raises(ConfigError, match=r"speakers: got '.*', expected a speaker for each"):
        new_adaptations(FakeModel(), speakers(*entries, channels=channels))


def test_what_says_too_little_is_refused(classifier: Classifier):
    """Silence, and a word."""
    with pytest.raises(NoSpeechError, match=r"got no speech, expected at least 3 s"):
        enrol("anna", silence(2), classifier)
    word = np.concatenate((silence(1), speech(1), silence(1)))
    with pytest.raises(NoSpeechError, match=r"got [01]\.\d s of speech, expected at least 3 s"):
        enrol("anna", word, classifier)


def test_another_models_voice_is_refused(classifier: Classifier, excerpt: Excerpt):
    """What one model heard says nothing to another."""
    known = enrol("anna", read(excerpt.path), classifier)
    enrolment.save(known.model_copy(update={"model": "old-1", "weights": "a" * 64}))
    with pytest.raises(ModelError, match=r"'anna' was enrolled with model old-1 .*, got small-1"):
        new_adaptations(classifier, speakers("anna"))


def test_a_model_without_voices_enrols_nobody(excerpt: Excerpt):
    """It says so, rather than keeping nothing."""
    small = small_bundle()
    deaf = Classifier(Bundle(small.manifest, small.network, ""))
    with pytest.raises(ModelError, match="small-1 learns no voices"):
        enrol("anna", read(excerpt.path), deaf)


def test_who_is_not_enrolled_is_named(home: Path):
    """With those who are; a name is no path."""
    with pytest.raises(ConfigError, match=r"'anna' is not enrolled in .*; it has: nobody"):
        enrolment.load("anna")
    home.mkdir()
    (home / "bob.json").write_text("{}")
    with pytest.raises(ConfigError, match="it has: bob"):
        enrolment.load("anna")
    with pytest.raises(InputError, match=r"bob\.json: is no enrolled voice"):
        enrolment.load("bob")
    with pytest.raises(ConfigError, match=r"got speaker '\.\./bob'"):
        enrolment.load("../bob")


def test_a_damaged_voice_is_refused(home: Path):
    """Numbers that do not fit each other."""
    home.mkdir()
    spoken = [
        {"neutral": 1, "adapted": [0, 1], "mark": [2]},
        {"neutral": 1, "adapted": [0], "mark": []},
    ]
    content = {
        "speaker": "bob", "model": "m", "weights": "w", "seconds": 3.0, "utterances": spoken,
    }  # fmt: skip
    (home / "bob.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="different lengths"):
        enrolment.load("bob")
    content["utterances"] = spoken[:1]
    (home / "bob.json").write_text(json.dumps(content))
    assert isinstance(enrolment.load("bob"), Enrolment)


def test_a_microphone_is_recorded_for_so_long():
    """No longer, and closed afterwards."""
    source = Script(blocks(speech(3)), live=True)
    assert len(record(source, 1.0)) == pytest.approx(SAMPLE_RATE, abs=320)
    assert source.closed == 1
    assert len(record(Script(blocks(speech(1))), MIN_S)) == SAMPLE_RATE


def test_a_long_recording_is_no_voice(tmp_path: Path):
    """Nobody reads an hour of a meeting into memory for it."""
    soundfile.write(tmp_path / "long.flac", np.zeros(8000 * 601, np.int16), 8000)
    with pytest.raises(InputError, match="longer than 600 s"):
        read(tmp_path / "long.flac")


def test_voices_are_listed_deleted_and_private(
    home: Path, classifier: Classifier, excerpt: Excerpt, capsys: pytest.CaptureFixture[str]
):
    """A voice is biometric data: its owner alone reads it, and can be rid of it."""
    for name in ("bob", "anna"):
        enrolment.save(enrol(name, read(excerpt.path), classifier))
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "anna.json").stat().st_mode) == 0o600
    assert main(["enrol", "--list"]) == 0
    assert capsys.readouterr().out.split() == ["anna", "bob"]
    assert main(["enrol", "bob", "--delete"]) == 0
    assert not (home / "bob.json").exists()
    assert main(["enrol", "bob", "--delete"]) == 2
    assert "it has: anna" in capsys.readouterr().err
    assert main(["enrol"]) == 2


def test_a_second_enrolment_replaces_nothing_unasked(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Where nobody can be asked, it is refused."""
    home.mkdir()
    (home / "anna.json").write_text("{}")
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert main(["enrol", "anna", "--input", "none.wav"]) == 2
    assert "'anna' is enrolled already: --replace" in capsys.readouterr().err
    assert main(["enrol", "anna", "--input", "none.wav", "--replace"]) == 3
    assert (home / "anna.json").read_text() == "{}"


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="Windows has no such users")
@pytest.mark.parametrize("words", [["--list"], ["anna", "--delete"]])
def test_a_folder_that_may_not_be_read_is_named(capsys, home: Path, words: list[str]):
    """As where a service keeps the HOME of root."""
    home.mkdir()
    home.chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65_534)  # root may read everything
    try:
        assert main(["enrol", *words]) == 3
    finally:
        os.seteuid(user)
    assert f"{home}: cannot be used: Permission denied" in capsys.readouterr().err


def test_a_recording_of_several_voices_is_refused(capsys, home: Path):
    """By the model that ships; who knows better says so."""
    words = ["enrol", "anna", "--input", str(VOICES)]
    assert main(words) == 3
    error = capsys.readouterr().err
    assert "there seem to be several voices: " in error
    assert "say --one-voice" in error
    assert not home.exists()
    assert main([*words, "--one-voice"]) == 0
    assert (home / "anna.json").exists()
