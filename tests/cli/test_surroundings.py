"""What the program is started with: streams that are closed, a folder that is gone."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
from fakes import speech
from virtual_microphone import missing

PROGRAM = Path(__file__).parents[1] / "child.py"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="shells close streams on POSIX")


def shell(line, folder):
    """Run a line in which ``streamer`` is the program with a scripted model."""
    line = line.replace("streamer", f"'{sys.executable}' '{PROGRAM}'")
    return subprocess.run(
        ["sh", "-c", line], cwd=folder, capture_output=True, timeout=100, check=False, text=True
    )


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_cost_nothing(tmp_path, closed):
    """Nothing that is printed gets into the file that would have taken the free descriptor."""
    soundfile.write(tmp_path / "call.wav", speech(1.0), 16_000)
    result = shell(f"streamer file call.wav --csv out.csv {closed}", tmp_path)
    assert result.returncode == 0, result.stderr
    with (tmp_path / "out.csv").open(newline="") as file:
        assert [row["utterance"] for row in csv.DictReader(file)] == ["1"]


def test_closed_standard_input_is_an_empty_one(tmp_path):
    """As where what fills the pipe fails: it is said, and is no session without utterances."""
    result = shell("streamer run --input - --no-csv <&-", tmp_path)
    assert result.returncode == 3, result.stderr
    assert "Traceback" not in result.stderr
    assert "streamer: standard input: is empty" in result.stderr


def test_a_mistake_in_the_configuration_of_alsa_is_no_fault_of_ours(tmp_path):
    """PortAudio does not start then, and says nothing that helps."""
    if missing():
        pytest.skip(missing())
    (tmp_path / ".asoundrc").write_text("pcm.!default { type pulse")
    result = shell(f"HOME={tmp_path} streamer devices", tmp_path)
    assert result.returncode == 3, result.stderr
    assert "streamer: PortAudio does not start" in result.stderr
    assert "look for a mistake in ~/.asoundrc" in result.stderr


def test_a_current_folder_that_is_gone_is_named(tmp_path):
    """And what to do."""
    (tmp_path / "gone").mkdir()
    result = shell("cd gone && rmdir ../gone && streamer file call.wav", tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith("streamer: the current folder cannot be used (No such file")
    assert "Traceback" not in result.stderr


LATE_CTRL_C = """
import atexit, os, signal, sys
from streamer.cli.main import program
sys.argv = ["streamer", "models"]
signal.signal(signal.SIGINT, signal.default_int_handler)
atexit.register(os.kill, os.getpid(), signal.SIGINT)
program()
"""


def test_ctrl_c_while_python_ends_is_no_fault():
    """A second one, in haste: the session has ended, and torch's own ending is not interrupted."""
    done = subprocess.run([sys.executable, "-c", LATE_CTRL_C], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
