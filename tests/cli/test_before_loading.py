"""What is wrong is found before the model is loaded and before the screen is taken."""

import functools
import os
import shutil
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from streamer.cli import preflight
from streamer.cli.main import main
from streamer.model.classifier import Classifier
from streamer.sinks import csv_log
from streamer.sinks.row import columns
from streamer.types import EMOTIONS


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty folder with a second of stereo silence in it."""
    monkeypatch.chdir(tmp_path)
    soundfile.write(tmp_path / "call.wav", np.zeros((8000, 2), np.int16), 8000)
    (tmp_path / "taken").mkdir()
    (tmp_path / "old.csv").write_text(",".join(columns(EMOTIONS)[:-1]) + "\n")
    (tmp_path / "new.csv").write_text(",".join(columns(EMOTIONS)) + "\n")
    return tmp_path


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["none.wav", "--no-csv"], 3, "none.wav: no such file"),
        (["call.wav", "--csv", "taken"], 1, "taken: is a folder, expected a CSV file"),
        (["call.wav", "--csv", "no/rows.csv"], 1, "no/rows.csv: cannot be written: there is no"),
        (
            ["call.wav", "--csv", "old.csv"],
            1,
            "it lacks call; rename that file, or choose another w",
        ),
        (["call.wav", "--csv", "new.csv", "--excel"], 1, "new.csv: has ',' between its cells"),
        (["call.wav", "--no-csv", "--model", "nobody"], 4, "there is no model 'nobody'"),
    ],
)
def test_no_model_is_loaded_for_nothing(options, code, message, capsys, monkeypatch):
    """The message comes at once."""
    monkeypatch.setattr(Classifier, "load", lambda *_, **__: pytest.fail("the model was loaded"))
    assert main(["run", "--input", *options]) == code
    assert message in capsys.readouterr().err
    if "none.wav" not in options:  # of several recordings one may be missing
        assert main(["file", *options]) == code
        assert message in capsys.readouterr().err


@pytest.fixture
def address(folder, monkeypatch):
    """A web server with what is in the folder."""
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_a_url_is_opened_before_the_model(address, capsys, monkeypatch):
    """What is not there, and what has too few channels, is said before anything is drawn."""
    monkeypatch.setattr(Classifier, "load", lambda *_, **__: pytest.fail("the model was loaded"))
    assert main(["run", "--input", f"{address}/none.wav", "--no-csv"]) == 3
    names = ["--channels", "a,b,c"]
    assert main(["run", "--input", f"{address}/call.wav", "--no-csv", *names]) == 3
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "/none.wav: cannot be read: " in printed.err
    assert "call.wav: has 2 channels, expected 3: a, b, c" in printed.err


@pytest.mark.skipif(not hasattr(os, "statvfs"), reason="Windows has none")
@pytest.mark.parametrize("read_only", [True, False])
def test_why_a_csv_cannot_be_written_is_said(capsys, monkeypatch, read_only):
    """A file system that is read-only is not a matter of permissions."""
    flags = os.ST_RDONLY if read_only else 0
    monkeypatch.setattr(preflight.os, "access", lambda *_: False)
    monkeypatch.setattr(preflight.os, "statvfs", lambda _: SimpleNamespace(f_flag=flags))
    assert main(["run", "--input", "call.wav", "--csv", "rows.csv"]) == 1
    reason = "Read-only file system" if read_only else "Permission denied"
    assert f"rows.csv: cannot be written: {reason}" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes in folders there")
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (os.mkfifo, "is a device or a pipe, expected a CSV file"),
        (
            lambda path: path.symlink_to("nowhere/rows.csv"),
            "cannot be written: there is no folder",
        ),
        (lambda path: path.symlink_to(path.name), "cannot be written: Too many levels of"),
    ],
)
def test_a_csv_that_can_be_no_file_is_named(capsys, monkeypatch, tmp_path, make, reason):
    """Also behind a link."""
    monkeypatch.setattr(Classifier, "load", lambda *_, **__: pytest.fail("the model was loaded"))
    path = tmp_path / "rows.csv"
    make(path)
    assert main(["run", "--input", "call.wav", "--csv", str(path)]) == 1
    assert f"{path}: {reason}" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="files are not locked there")
def test_a_csv_that_another_program_keeps_locked_is_named(capsys, monkeypatch, tmp_path):
    """Before anything is heard whose rows would be in no file."""
    monkeypatch.setattr(Classifier, "load", lambda *_, **__: pytest.fail("the model was loaded"))
    monkeypatch.setattr(csv_log, "LOCK_S", 0.01)
    path = tmp_path / "rows.csv"
    with path.open("wb") as file, csv_log.locked(file.fileno(), path):
        assert main(["run", "--input", "call.wav", "--csv", str(path)]) == 1
    assert f"{path}: another program keeps it locked" in capsys.readouterr().err


def test_too_few_channels_are_named(capsys):
    """With those that were expected."""
    names = "agent,customer,supervisor"
    assert main(["run", "--input", "call.wav", "--no-csv", "--channels", names]) == 3
    expected = "call.wav: has 2 channels, expected 3: agent, customer, supervisor"
    assert expected in capsys.readouterr().err


def test_models_says_what_is_installed(capsys):
    """Emotions and licences, of all or of one."""
    assert main(["models"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("default: default-")
    assert "\nopen: open-" in text
    assert text.count("emotions:        neutral, ") == 3
    assert main(["models", "open"]) == 0
    assert "default" not in capsys.readouterr().out.split("\n")[0]
    assert main(["models", "taken"]) == 4
    assert main(["models", "nobody"]) == 4
