"""Which recordings are found: nothing in a folder is left out without a word."""

import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import soundfile
from batches import analyse
from fakes import FakeModel, silence, speech

from streamer.bulk import plan
from streamer.config import Config
from streamer.errors import InputError

RATE = 16_000


@dataclass
class Found:
    """What was found and said."""

    recordings: list[Path] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find(paths):
    """Plan all recordings, as they will be analysed."""
    found = Found()

    def task(one):
        return plan.Task(one, one.identity("a model"))

    made = plan.make(map(str, paths), task, found.notes.append, found.failures.append)
    found.recordings = [Path(task.found.location) for task in made.tasks()]
    assert made.count == len(found.recordings)
    made.close()
    return found


@pytest.fixture
def folder(tmp_path):
    """With two recordings and what else lies in folders."""
    path = tmp_path / "calls"
    (path / "sub" / ".cache").mkdir(parents=True)
    for name in ("b.wav", "sub/a.FLAC"):
        soundfile.write(path / name, speech(1.0), RATE)
    for name in (".hidden.wav", "._b.wav", "sub/.cache/c.wav", "list.csv", "x.csv", "README"):
        (path / name).write_bytes(b"no sound")
    (path / "linked").symlink_to(path / "sub")
    return path


def test_a_folder_is_searched_and_all_else_is_named(folder):
    """Hidden files are passed over."""
    found = find([folder])
    assert found.recordings == [folder / "b.wav", folder / "sub" / "a.FLAC"]
    assert found.failures == []
    assert found.notes == [
        f"{folder}/linked: left out, a link to another folder",
        f"{folder}: left out, as no recordings: 2 .csv, 1 no suffix",
    ]


def test_the_rows_of_a_run_before_are_not_named(folder):
    """Neither the CSV nor its ledger and journal are worth a word; the user's own CSV is."""
    for name in ("rows.csv", "rows.csv.ledger", "rows.csv.ledger-wal"):
        (folder / name).write_bytes(b"written by streamer")
    assert find([folder]).notes[1:] == [
        f"{folder}: left out, as no recordings: 2 .csv, 1 no suffix"
    ]


def test_the_current_folder_is_not_in_the_names(folder, monkeypatch):
    """What is found in `.` is called as it would be named."""
    monkeypatch.chdir(folder)
    assert [str(path) for path in find([Path()]).recordings] == ["b.wav", "sub/a.FLAC"]


def test_what_needs_ffmpeg_is_named_where_it_is_missing(folder, monkeypatch):
    """With the cure; where ffmpeg is there, they are recordings."""
    for name in ("a.m4a", "sub/b.WMA"):
        (folder / name).write_bytes(b"?")
    monkeypatch.setattr("streamer.audio.ffmpeg.program", lambda: "/usr/bin/ffmpeg")
    assert len(find([folder]).recordings) == 4
    monkeypatch.setattr("streamer.audio.ffmpeg.program", lambda: None)
    found = find([folder])
    assert len(found.recordings) == 2
    assert [line.partition(" (")[0] for line in found.failures] == [
        f"{folder}/a.m4a: needs ffmpeg: install it",
        f"{folder}/sub/b.WMA: needs ffmpeg: install it",
    ]


def test_what_may_not_be_read_is_named_and_the_rest_goes_on(tmp_path):
    """A locked folder below, a file behind one."""
    path = tmp_path / "calls"
    locked = path / "locked"
    locked.mkdir(parents=True)
    soundfile.write(path / "a.wav", speech(1.0), RATE)
    soundfile.write(locked / "b.wav", speech(1.0), RATE)
    for parent in (tmp_path, *list(tmp_path.parents)[:3]):
        parent.chmod(0o755)
    locked.chmod(0)
    try:
        with as_nobody():
            found = find([path, locked / "b.wav"])
    finally:
        locked.chmod(0o700)
    assert found.recordings == [path / "a.wav"]
    assert found.failures == [
        f"{locked}: cannot be read: Permission denied",
        f"{locked}/b.wav: cannot be read: Permission denied",
    ]


def test_a_link_to_itself_costs_no_other_recording(tmp_path):
    """Those that the folder lists after it are found; a link to nothing is named, too."""
    for number in range(20):
        soundfile.write(tmp_path / f"{number}.wav", speech(0.1), RATE)
        (tmp_path / f"{number}-link.wav").symlink_to(f"{number}-link.wav")
    (tmp_path / "nothing.wav").symlink_to("nowhere")
    found = find([tmp_path])
    assert len(found.recordings) == 20
    assert len([text for text in found.failures if "Too many levels of symbolic" in text]) == 20
    assert f"{tmp_path}/nothing.wav: cannot be read: No such file or directory" in found.failures


def test_what_could_not_even_be_planned_counts(tmp_path, capsys, monkeypatch):
    """Three of which one was read are not "2 of 2"."""
    monkeypatch.setenv("PATH", "")
    path = tmp_path / "calls"
    path.mkdir()
    soundfile.write(path / "a.wav", speech(1.0), RATE)
    (path / "b.wav").write_bytes(b"no sound")
    (path / "c.m4a").write_bytes(b"no sound")
    assert analyse([path], FakeModel, csv=None) == 1
    said = capsys.readouterr().err
    assert "1 recording analysed: " in said
    assert "2 of 3 recordings could not be read to the end" in said


@contextmanager
def as_nobody():
    """Without root's privilege to read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_nothing_at_all_is_an_error(tmp_path):
    """A missing path, a folder without recordings."""
    with pytest.raises(InputError, match=r"none: no such file or folder"):
        find([tmp_path / "none"])
    with pytest.raises(InputError, match=r"no recordings in this folder .*\.aac"):
        find([tmp_path])


def test_names_that_cannot_be_shown_are_escaped(tmp_path, capfd):
    """Bytes that are no UTF-8, escape sequences: in the CSV, in every line; nothing ends there."""
    said = tmp_path / "said.wav"
    soundfile.write(said, speech(1.0), RATE)
    for name in (b"caf\xe9.wav", b"esc\x1b[31mred.wav", b"z.wav"):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(said.read_bytes())
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff.wav")).write_bytes(b"no sound")
    log = tmp_path / "rows.csv"
    assert analyse([tmp_path], FakeModel, Config(), csv=log) == 1
    out, error = capfd.readouterr()
    text = out + error + log.read_text(encoding="utf-8")
    assert "\x1b[31m" not in text
    for shown in ("caf\\xe9.wav", "esc\\x1b[31mred.wav", "z.wav"):
        assert shown in out
        assert shown in log.read_text(encoding="utf-8")
    assert "bad\\xff.wav: cannot be read as a sound file" in "".join(error.split("\n"))


def test_what_is_amiss_with_a_recording_is_said(tmp_path, capfd):
    """An unfinished one is analysed, with a line about it."""
    path = tmp_path / "call.wav"
    soundfile.write(path, [*silence(0.5), *speech(1.0), *silence(0.5)], RATE)
    data = bytearray(path.read_bytes())
    data[40:44] = bytes(4)
    path.write_bytes(data)
    assert analyse([path], FakeModel, Config(), csv=None) == 0
    out, error = capfd.readouterr()
    assert "1 utterance" in out
    assert "call.wav: its header says 0.0 s, it holds 2.0 s" in error.replace("\n", "")


def test_names_go_out_in_a_legacy_code_page(tmp_path):
    """What it lacks is escaped; and a decoder's chatter stays out of the way."""
    name = "\u8fd9\U0001f600"
    soundfile.write(tmp_path / f"{name}.wav", [*silence(0.5), *speech(1.0)], RATE)
    soundfile.write(tmp_path / "cut.mp3", [*silence(0.5), *speech(3.0)], RATE)
    cut = (tmp_path / "cut.mp3").read_bytes()
    (tmp_path / "cut.mp3").write_bytes(cut[: len(cut) * 2 // 3])
    result = subprocess.run(
        [sys.executable, str(Path(__file__).parents[1] / "child.py"), "file", str(tmp_path),
         "--no-csv"],
        env=os.environ | {"PYTHONIOENCODING": "cp1252"}, capture_output=True, check=False,
    )  # fmt: skip
    assert result.returncode == 1
    assert name.encode("ascii", "backslashreplace") in result.stdout
    error = result.stderr.decode("cp1252")
    assert "cut.mp3: breaks off at" in " ".join(error.split())
    assert "mpg123" not in error
    assert "Traceback" not in error


def test_each_recording_is_planned_once_in_order(folder):
    """Also one that is named and in a folder that is named, by two ways to write its path."""
    named = folder / "sub" / "a.FLAC"
    found = find([named, folder / "." / "sub" / ".." / "sub", folder])
    assert found.recordings == [named, folder / "b.wav"]


def test_a_recording_is_known_by_path_size_time_and_model(tmp_path):
    """Any of these makes it another."""
    path = str(tmp_path / "a.wav")
    one = plan.ListedRecording(path, 10, "20")
    others = [
        (plan.ListedRecording(str(tmp_path / "b.wav"), 10, "20"), "m"),
        (plan.ListedRecording(path, 11, "20"), "m"),
        (plan.ListedRecording(path, 10, "21"), "m"),
        (one, "n"),
    ]
    assert len({one.identity("m"), *(other.identity(model) for other, model in others)}) == 5
    relative = plan.ListedRecording(os.path.relpath(path), 10, "20")
    assert relative.identity("m") == one.identity("m")
