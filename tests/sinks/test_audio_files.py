"""Utterances kept as FLAC: named by their rows, whole or not at all, and never waited for."""

import csv
import errno
import os
import stat
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
from batches import analyse
from commands import streamer
from fakes import FakeModel, ScriptedSource, blocks, silence, speech

from streamer.cli.main import main
from streamer.config import Config
from streamer.errors import ConfigError
from streamer.pipeline.live import Pipeline
from streamer.pipeline.offline import segments_of
from streamer.report.make import make
from streamer.session import LiveSession
from streamer.sinks import audio_files
from streamer.sinks.audio_files import MAX_WAITING, AudioFolder, AudioSink, file_name
from streamer.types import SAMPLE_RATE

SAID = np.concatenate((silence(1.0), speech(1.5), silence(1.0), speech(1.0, seed=3), silence(1.0)))
PCM = speech(0.2)


def names(folder: Path) -> list[str]:
    """What is in a folder, hidden files too."""
    return sorted(path.name for path in folder.iterdir())


def rows(path: Path) -> list[dict[str, str]]:
    """A CSV's rows."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def named(row: dict[str, str]) -> str:
    """The file that belongs to a row."""
    return file_name(row["session"], row["channel"], int(row["utterance"]))


def live(folder: AudioFolder | None, path: Path) -> LiveSession:
    """A session on two utterances, run to its end."""
    pipeline = Pipeline(ScriptedSource(blocks(SAID)), FakeModel, Config())
    session = LiveSession(
        pipeline,
        Config(),
        csv=path,
        audio=AudioSink(folder) if folder is not None else None,
        dashboard=None,
        lines=None,
        duration=None,
    )
    session.run()
    return session


def full(monkeypatch: pytest.MonkeyPatch, *, until: int) -> None:
    """The disk is full for the first few files."""
    calls = 0
    sync = os.fsync

    def fails(file: int) -> None:
        nonlocal calls
        calls += 1
        if calls <= until:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(file)

    monkeypatch.setattr(audio_files.os, "fsync", fails)


def test_a_name_is_safe_and_of_one_row_alone():
    """Whatever a channel is called, also where two differ in a letter that no name may have."""
    channels = ["mono", "a/b", "a:b", "a_b", "..", "Kunde 1", "客户" * 100, "客户" * 101, "a%2Fb"]
    made = [file_name("20260101T120000-0a1b2c3d", channel, 7) for channel in channels]
    assert made[0] == "20260101T120000-0a1b2c3d-mono-7.flac"
    assert len(set(made)) == len(made)
    for name in made:
        assert Path(name).name == name
        assert len(name) < 140
        assert not set(name) & set('<>:"/\\|?* ')


def test_what_was_classified_is_kept_for_its_owner_alone(tmp_path):
    """Sample by sample, pre-roll and all, under the row's id."""
    live(AudioFolder(tmp_path / "voices"), tmp_path / "rows.csv")
    logged = rows(tmp_path / "rows.csv")
    assert names(tmp_path / "voices") == sorted(map(named, logged))
    classified = list(segments_of(SAID, Config()))
    assert len(logged) == len(classified) == 2
    for row, segment in zip(logged, classified, strict=True):
        path = tmp_path / "voices" / named(row)
        info = soundfile.info(path)
        assert (info.format, info.subtype) == ("FLAC", "PCM_16")
        assert (info.samplerate, info.channels) == (SAMPLE_RATE, 1)
        assert np.array_equal(soundfile.read(path, dtype="int16")[0], segment.pcm)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "voices").stat().st_mode) == 0o700


def test_nothing_is_recorded_unasked(tmp_path, monkeypatch):
    """No sound is kept."""
    monkeypatch.setattr(AudioFolder, "save", pytest.fail)
    live(None, tmp_path / "rows.csv")
    assert names(tmp_path) == ["rows.csv"]


def test_a_full_disk_costs_recordings_alone(tmp_path, monkeypatch):
    """What went wrong is said once, and how many are lost; nothing half is left behind."""
    writer = AudioSink(AudioFolder(tmp_path / "voices"))
    full(monkeypatch, until=2)
    for number in (1, 2, 3):
        writer.put(f"{number}.flac", PCM)
    writer.join()
    assert names(tmp_path / "voices") == ["3.flac"]
    (trouble,) = writer.drain_warnings()
    assert trouble.endswith("1.flac: audio not saved: No space left on device")
    assert writer.summary() == [
        f"audio of 1 utterance in {tmp_path / 'voices'}",
        "audio of 2 utterances not saved",
    ]


def test_a_session_says_what_was_not_kept(tmp_path, capsys):
    """Its rows are all there."""
    folder = AudioFolder(tmp_path / "voices")
    (tmp_path / "voices").rmdir()
    session = live(folder, tmp_path / "rows.csv")
    assert len(rows(tmp_path / "rows.csv")) == 2
    assert capsys.readouterr().err.count("audio not saved: No such file or directory") == 1
    assert "audio of 2 utterances not saved" in session.summary()


def test_a_disk_that_hangs_is_not_waited_for(tmp_path, monkeypatch):
    """Utterances wait up to a bound; the rest, and what is never written, is counted."""
    answers = threading.Event()
    begun = threading.Event()

    def hangs(_path, _pcm):
        begun.set()
        answers.wait(60)

    monkeypatch.setattr(audio_files, "_write", hangs)
    folder = AudioFolder(tmp_path)
    writer = AudioSink(folder)
    writer.put("first", PCM)
    assert begun.wait(60)
    for number in range(MAX_WAITING + 5):
        writer.put(f"{number}", PCM)  # a put that waited would never end
    assert folder.lost == 5
    writer.join(timeout_s=0.01)
    assert folder.lost == 1 + MAX_WAITING + 5
    assert "did not take it in time" in writer.drain_warnings()[-1]
    answers.set()


@pytest.mark.parametrize("command", ["run", "file"])
@pytest.mark.parametrize(
    ("folder", "why"),
    [
        ("taken", "taken is a file, expected a folder or a new name"),
        ("taken/within", "cannot be written: Not a directory"),
        ("/proc/voices", "cannot be written: No such file or directory"),
    ],
)
def test_a_folder_that_cannot_be_used_ends_it_at_once(command, folder, why, tmp_path, capsys):
    """Before anything is heard: exit code 2."""
    (tmp_path / "taken").touch()
    heard = {"run": ["--input", "none.wav"], "file": ["none.wav"]}[command]
    assert main([command, *heard, "--no-csv", "--save-audio", str(tmp_path / folder)]) == 2
    assert why in capsys.readouterr().err


def test_an_unwritable_folder_is_named(tmp_path, monkeypatch):
    """Also one that only the attempt shows to be read-only."""

    def refuses(*, dir):  # noqa: A002 - its name
        assert dir == tmp_path
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(audio_files.tempfile, "TemporaryFile", refuses)
    with pytest.raises(ConfigError, match="cannot be written: Read-only file system"):
        AudioFolder(tmp_path)


def test_both_sides_of_a_recording_are_kept_and_found_by_the_report(tmp_path):
    """Two sessions in one log, channels with the same running numbers, every row its own sound."""
    quiet = silence(len(SAID) / SAMPLE_RATE, seed=9)
    for name in ("one", "two"):
        both = np.stack((SAID, np.roll(SAID // 2, SAMPLE_RATE * 3) + quiet), axis=1)
        soundfile.write(tmp_path / f"{name}.wav", both, SAMPLE_RATE)
    done = streamer(
        *("file", "one.wav", "two.wav", "--csv", "rows.csv", "--save-audio", "voices"),
        *("--channels", "agent,customer 1/2", "--model", "open"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    logged = rows(tmp_path / "rows.csv")
    assert {row["channel"] for row in logged} == {"agent", "customer 1/2"}
    assert len({row["session"] for row in logged}) == 2
    assert names(tmp_path / "voices") == sorted(map(named, logged))
    assert f"audio of {len(logged)} utterances in voices" in done.stderr.decode()
    make([tmp_path / "rows.csv"], tmp_path / "out.html", audio=tmp_path / "voices")
    page = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert page.count('"voices/') == len(logged)


def test_a_batch_says_what_was_not_kept(tmp_path, capsys):
    """The rows are there; the exit code is 1."""
    soundfile.write(tmp_path / "one.wav", SAID, SAMPLE_RATE)
    folder = AudioFolder(tmp_path / "voices")
    (tmp_path / "voices").rmdir()
    code = analyse(
        [tmp_path / "one.wav"], FakeModel, Config(), csv=tmp_path / "rows.csv", audio=folder
    )
    told = capsys.readouterr().err
    assert code == 1
    assert len(rows(tmp_path / "rows.csv")) == 2
    assert told.count("audio not saved: No such file") == 1
    assert "audio of 2 utterances not saved" in told
