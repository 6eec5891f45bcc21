"""The commands as a user types them: what they print, what they write, how they end."""

import csv
import json
import os
import signal

import numpy as np
import pytest
import soundfile
from commands import streamer
from fakes import silence


def rows(path):
    """The rows of a CSV."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def deaf():
    """An environment in which PortAudio finds no device."""
    env = dict(os.environ) | {"PULSE_SERVER": "unix:/nowhere"}
    if b"no input device" not in streamer("devices", env=env, own_process=True).stdout:
        pytest.skip("this machine has a sound card of its own")
    return env


def test_every_command_has_help_with_an_example():
    """So that nobody has to guess."""
    commands = (
        *("run", "file", "report", "devices", "check", "bench", "train", "evaluate"),
        "config show",
    )
    for command in ([], *(command.split() for command in commands)):
        result = streamer(*command, "--help")
        assert result.returncode == 0
        assert b"example: " in result.stdout


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["run", "--duration", "0"], 2, "got '0', expected a number above 0"),
        (["run", "--rate", "8000"], 2, "--rate and --channels with a number describe raw PCM"),
        (["run", "--config", "none.yaml"], 2, "none.yaml: cannot be read"),
        (["run", "--channels", "a,a"], 2, "expected different names"),
        (["run", "--input", "none.wav", "--no-csv"], 3, "none.wav: no such file"),
        (["run", "--input", ".", "--no-csv"], 3, ".: is a folder, expected a recording"),
        (["run", "--device", "nobody"], 3, "no input device"),
        (["run", "--model", "nobody", "--no-csv"], 4, "nobody"),
        (["file", "none.wav", "--no-csv"], 3, "none.wav: no such file or folder"),
        (["file", ".", "--no-csv"], 3, ".: no recordings in this folder"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(tmp_path, deaf, args, code, message):
    """With the right exit code and no traceback."""
    own = "--device" in args  # PortAudio looks at the environment once
    result = streamer(*args, cwd=tmp_path, env=deaf, own_process=own)
    error = result.stderr.decode()
    assert result.returncode == code, error
    assert message in error
    assert "Traceback" not in error


def test_without_a_microphone_it_is_said_what_to_do(tmp_path, deaf):
    """Nothing is played that was not asked for, and nothing written."""
    result = streamer("run", cwd=tmp_path, env=deaf, own_process=True)
    assert result.returncode == 3
    assert b"no input device" in result.stderr
    assert b"streamer run --demo" in result.stderr
    assert not list(tmp_path.iterdir())


def test_the_demo_writes_nowhere_unless_told_to(tmp_path, deaf):
    """The bundled recording is no session of the user's."""
    result = streamer("run", "--demo", "--duration", "1", cwd=tmp_path, env=deaf)
    assert result.returncode == 0, result.stderr
    assert b"the bundled recording" in result.stdout
    assert not list(tmp_path.iterdir())
    streamer("run", "--demo", "--duration", "4", "--csv", "out.csv", cwd=tmp_path, env=deaf)
    assert {row["source"] for row in rows(tmp_path / "out.csv")} == {"the bundled recording (demo)"}


def test_a_pipe_is_heard_like_a_file(tmp_path, excerpt):
    """Stereo at 8 kHz, faster than real time, and nothing is lost."""
    pcm, _ = soundfile.read(excerpt.path, dtype="int16")
    stereo = np.stack((pcm[::2], pcm[::2]), axis=1)
    result = streamer(
        *("run", "--input", "-", "--rate", "8000", "--channels", "2", "--csv", "out.csv"),
        cwd=tmp_path,
        stdin=stereo.tobytes(),
    )
    assert result.returncode == 0, result.stderr
    got = rows(tmp_path / "out.csv")
    assert len(got) == len(excerpt.utterances)
    assert [float(row["start_s"]) for row in got] == pytest.approx(
        [t.start for t in excerpt.utterances], abs=0.15
    )


def test_played_or_read_it_is_the_same_and_json_lines_are_json(tmp_path, excerpt):
    """The paced path and the file path find the same utterances and the same emotions."""
    path = str(excerpt.path)
    result = streamer("run", "--input", path, "--json", "--csv", "run.csv", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert b"utterances" in result.stderr
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    kinds = [line["event"] for line in lines]
    assert kinds[0] == "state"
    assert kinds.count("utterance") == len(excerpt.utterances)
    assert kinds.count("rolling") >= 2 * len(excerpt.utterances)

    assert streamer("file", path, "--csv", "file.csv", cwd=tmp_path).returncode == 0
    differ = {"session", "started_at", "latency_ms"}
    played, read = (
        [{key: row[key] for key in row.keys() - differ} for row in rows(tmp_path / name)]
        for name in ("run.csv", "file.csv")
    )
    assert played == read


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_stops_it_cleanly(run, excerpt, number):
    """The open utterance is finished and written; exit code 0."""
    running = run("--input", str(excerpt.path), real_model=False)
    running.wait_for(lambda line: line["event"] == "rolling")
    assert running.stop(number) == 0
    assert running.rows()[-1]["end_reason"] == "stopped"


def test_a_folder_is_classified_though_one_file_is_bad(tmp_path, excerpt):
    """The others go on; the bad one is named; exit code 1."""
    folder = tmp_path / "calls" / "monday"
    folder.mkdir(parents=True)
    pcm, rate = soundfile.read(excerpt.path, dtype="int16")
    soundfile.write(folder / "a.flac", pcm, rate)
    soundfile.write(folder / "b.ogg", pcm, rate)
    soundfile.write(folder / "quiet.wav", silence(2.0), rate)
    (folder / "bad.wav").write_text("not sound")
    (folder / "notes.txt").write_text("not for us")
    result = streamer("file", "calls", "--csv", "out.csv", "--jobs", "1", cwd=tmp_path)
    assert result.returncode == 1
    assert b"bad.wav: cannot be read as a sound file" in result.stderr
    assert b"notes.txt" not in result.stderr
    got = rows(tmp_path / "out.csv")
    for name in ("a.flac", "b.ogg"):
        of_file = [row for row in got if row["source"].endswith(name)]
        assert len(of_file) == len(excerpt.utterances)
        assert len({row["session"] for row in of_file}) == 1
        assert [row["started_at"] for row in of_file] == [""] * len(of_file)
    assert b"quiet.wav: 0 utterances" in result.stdout


def test_a_csv_of_another_kind_is_left_alone(tmp_path, excerpt):
    """Exit code 1, and the file is as it was."""
    (tmp_path / "out.csv").write_text("name,price\n")
    for command in (["file"], ["run", "--input"]):
        result = streamer(*command, str(excerpt.path), "--csv", "out.csv", cwd=tmp_path)
        assert result.returncode == 1
        assert b"out.csv: holds other columns than this model writes" in result.stderr
    assert (tmp_path / "out.csv").read_text() == "name,price\n"


def test_config_show_names_values_and_origins(tmp_path):
    """From flags, environment, file and defaults."""
    (tmp_path / "config.yaml").write_text("dashboard: {fps: 8}")
    env = dict(os.environ) | {"STREAMER_SEGMENTER_HANGOVER_MS": "500", "COLUMNS": "200"}
    result = streamer("config", "show", cwd=tmp_path, env=env)
    lines = {line.split()[1]: line for line in result.stdout.decode().splitlines() if "." in line}
    assert "config.yaml" in lines["dashboard.fps"]
    assert "STREAMER_SEGMENTER_HANGOVER_MS" in lines["segmenter.hangover_ms"]
    assert "default" in lines["audio.device"]


def test_devices_lists_the_virtual_microphone(microphone):
    """With the default one marked."""
    result = streamer("devices", env=microphone.env, own_process=True)
    assert result.returncode == 0
    assert b"default" in result.stdout
    assert b"ALSA" in result.stdout


def test_check_finds_a_machine_with_a_microphone_ready(microphone, tmp_path):
    """A line per part, the latency measured; a microphone that is muted is the only problem."""
    result = streamer("check", cwd=tmp_path, env=microphone.env, own_process=True)
    output = result.stdout.decode()
    assert result.returncode == 3, output
    assert output.count("problem ") == 1
    assert "problem device: default, 16000 Hz, 1 channel: delivers digital silence" in output
    assert "ok      model: default" in output
    assert "end of speech to row 400 ms hangover +" in output
    assert "can be written" in output


def test_check_says_what_is_amiss(tmp_path, deaf):
    """No device, no model, no ffmpeg; the rest is checked all the same."""
    bare = deaf | {"PATH": ""}
    result = streamer("check", "--model", "nobody", cwd=tmp_path, env=bare, own_process=True)
    output = result.stdout.decode()
    assert result.returncode == 3
    assert "problem device: no input device: plug in a microphone" in output
    assert "problem model: " in output
    assert "amr and URLs need ffmpeg: install it (Debian: apt-get install ffmpeg" in output
    assert "ok      log: " in output
