"""``streamer config``: what it shows can be used, and what it writes replaces nothing."""

import pytest

from streamer import config
from streamer.cli.main import main


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A user without settings, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_init_writes_the_commented_file_once(home, capsys):
    """Into the user's own folder, where it is trusted, and every value is the default."""
    assert main(["config", "init"]) == 0
    path = home / "streamer" / "config.yaml"
    assert capsys.readouterr().out.strip() == str(path)
    assert path.read_text().startswith("# streamer's configuration")
    loaded = config.load(environ={})
    assert loaded.config == config.Config()
    assert loaded.origins["alerts.command"] == str(path)
    path.write_text("vad: {frame_ms: 30}")
    assert main(["config", "init"]) == 1
    assert "is there already, and stays as it is" in capsys.readouterr().err
    assert path.read_text() == "vad: {frame_ms: 30}"


def test_init_writes_where_it_is_told(tmp_path, capsys):
    """A file, a folder, or standard output."""
    assert main(["config", "init", "mine.yaml"]) == 0
    (tmp_path / "folder").mkdir()
    assert main(["config", "init", "folder"]) == 0
    assert (tmp_path / "folder" / "config.yaml").read_text() == (tmp_path / "mine.yaml").read_text()
    capsys.readouterr()
    assert main(["config", "init", "-"]) == 0
    assert capsys.readouterr().out == (tmp_path / "mine.yaml").read_text()


def test_show_as_yaml_is_a_configuration(tmp_path, capsys, monkeypatch):
    """With what flags, environment and file came to."""
    monkeypatch.setenv("STREAMER_VAD_FRAME_MS", "30")
    assert main(["config", "show", "--yaml"]) == 0
    (tmp_path / "shown.yaml").write_text(capsys.readouterr().out)
    monkeypatch.delenv("STREAMER_VAD_FRAME_MS")
    loaded = config.load(file=tmp_path / "shown.yaml", environ={})
    assert loaded.config.vad.frame_ms == 30
    assert loaded.config.alerts == config.Config().alerts
