"""What the program says of itself: on stderr, in a log file that rotates, never raw."""

import logging
import stat
import subprocess
import sys
from argparse import Namespace

import pytest

from streamer.cli import program_log
from streamer.cli.main import main


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Nothing of the user's own settings counts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    return tmp_path


def test_errors_and_warnings_are_on_stderr(capsys, monkeypatch):
    """With the program's name; how it got there only with -v."""
    monkeypatch.setenv("STREAMER_SERVICE_HOST", "10.0.0.1")
    assert main(["config", "show", "--config", "none.yaml"]) == 2
    assert capsys.readouterr().err.startswith("streamer: none.yaml: cannot be read")
    assert main(["config", "show"]) == 0
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert "ignored the environment variable STREAMER_SERVICE_HOST" in captured.err
    assert main(["config", "-v", "show"]) == 0
    assert ": config\n" in capsys.readouterr().err
    assert not logging.getLogger("streamer").handlers


MUTED = """
import logging
from argparse import Namespace
from streamer.audio.devices import native_stderr_muted
from streamer.cli.program_log import logging_set_up
with logging_set_up(Namespace(verbose=0, log_json=False, log_file=None)), native_stderr_muted():
    logging.getLogger("streamer.x").warning("not for commercial use")
"""


def test_messages_are_on_stderr_while_native_code_is_muted():
    """As all of them are in `run`, `check` and `enrol`, which open PortAudio."""
    done = subprocess.run([sys.executable, "-c", MUTED], capture_output=True, text=True, check=True)
    assert done.stderr == "streamer: not for commercial use\n"


def test_a_log_file_has_times_is_private_and_rotates(folder, capsys, monkeypatch):
    """What is no warning is in it, too, and stderr stays as it is."""
    monkeypatch.setattr(program_log, "MAX_FILE_BYTES", 500)
    for _ in range(12):
        assert main(["config", "--log-file", "log.txt", "show", "--config", "no\x1b[2J.yaml"]) == 2
    files = sorted(path.name for path in folder.glob("log.txt*"))
    assert files == ["log.txt", "log.txt.1", "log.txt.2", "log.txt.3"]
    for name in files:
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
        assert (folder / name).stat().st_size <= 500
    text = (folder / "log.txt.1").read_text()
    assert "ERROR   streamer.cli.main [MainThread] no\\x1b[2J.yaml: cannot be read" in text
    assert "\x1b" not in text + capsys.readouterr().err


def test_a_log_file_that_cannot_be_written_is_an_error(capsys):
    """Before anything is done."""
    assert main(["config", "--log-file", "no/such/log.txt", "show"]) == 1
    assert "--log-file no/such/log.txt: cannot be written" in capsys.readouterr().err


def test_a_fault_of_the_program_is_reported_with_its_traceback(capsys, monkeypatch):
    """So that it can be mended."""
    monkeypatch.setattr("streamer.cli.config.load_config", lambda _: 1 / 0)
    assert main(["config", "show"]) == 1
    error = capsys.readouterr().err
    assert "a fault in the program, please report it: ZeroDivisionError" in error
    assert "Traceback" in error


def test_messages_wait_while_something_is_drawn(capsys):
    """And none is lost."""
    logger = logging.getLogger("streamer.test")
    with program_log.logging_set_up(Namespace(verbose=0, log_json=False, log_file=None)):
        with program_log.stderr_held_back():
            logger.warning("one")
            assert capsys.readouterr().err == ""
        assert capsys.readouterr().err == "streamer: one\n"
        logger.warning("two")
        assert capsys.readouterr().err == "streamer: two\n"
