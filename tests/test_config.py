"""Every value is valid, known, and says where it came from."""

import pytest
import yaml

from streamer import config
from streamer.errors import ConfigError


def load(tmp_path, text=None, *, flags=None, environ=None):
    """The configuration from a file with this text, and nothing else from outside."""
    path = tmp_path / "config.yaml"
    path.write_text(text or "")
    return config.load(file=path, flags=flags, environ=environ or {})


def test_the_shipped_file_is_complete_and_holds_the_defaults(pytestconfig, tmp_path):
    """config.yaml at the root documents every key and changes none."""
    text = (pytestconfig.rootpath / "config.yaml").read_text()
    assert load(tmp_path, text).config == config.Config()
    keys = {f"{section}.{name}" for section, keys in yaml.safe_load(text).items() for name in keys}
    assert keys == {setting.key for setting in load(tmp_path).settings()}


def test_a_flag_wins_over_the_environment_over_the_file(tmp_path):
    """And each value knows its origin."""
    text = "segmenter: {hangover_ms: 500, preroll_ms: 100, min_speech_ms: 100}"
    loaded = load(
        tmp_path,
        text,
        flags={"segmenter.hangover_ms": 700},
        environ={"STREAMER_SEGMENTER_HANGOVER_MS": "600", "STREAMER_SEGMENTER_PREROLL_MS": "200"},
    )
    got = {s.key.removeprefix("segmenter."): (s.value, s.source) for s in loaded.settings()}
    assert got["hangover_ms"] == (700, "flag")
    assert got["preroll_ms"] == (200, "STREAMER_SEGMENTER_PREROLL_MS")
    assert got["min_speech_ms"] == (100, str(tmp_path / "config.yaml"))
    assert got["max_length_s"] == (12.0, "default")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("segmenter: {hangover: 3}", "unknown key 'segmenter.hangover', expected one of: min_sp"),
        ("segments: {}", "unknown key 'segments', expected one of: audio, vad"),
        (
            "segmenter: {hangover_ms: 10}",
            "hangover_ms: got 10 from .*, allowed: .* from 50 to 5000",
        ),
        ("segmenter: {hangover_ms: soon}", "hangover_ms: got 'soon' from .*, allowed: a whole num"),
        (
            "segmenter: {max_length_s: .nan}",
            "max_length_s: got nan from .*, allowed: a number from 2",
        ),
        ("vad: {frame_ms: 25}", "vad.frame_ms: got 25 from .*, allowed: 10, 20, 30"),
        ("audio: [1, 2]", r"audio: got \[1, 2\], expected keys: device"),
        ("just text", "got 'just text', expected keys: audio"),
        ("audio: {device: [", "is not valid YAML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, message):
    """The key, what was got, from where, and what is allowed."""
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, text)


def test_all_wrong_values_are_named_at_once(tmp_path):
    """Nobody wants to mend them one by one."""
    with pytest.raises(ConfigError, match=r"(?s)vad\.frame_ms.*dashboard\.fps"):
        load(tmp_path, "vad: {frame_ms: 1}\ndashboard: {fps: 0}")


def test_an_unknown_variable_is_named(tmp_path):
    """A typing error in the environment is not passed over."""
    with pytest.raises(ConfigError, match="unknown environment variable STREAMER_DEVICE"):
        load(tmp_path, environ={"STREAMER_DEVICE": "1"})


def test_an_unreadable_file_is_an_error(tmp_path):
    """As is one that is not text."""
    with pytest.raises(ConfigError, match="cannot be read"):
        config.load(file=tmp_path / "none.yaml", environ={})
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(ConfigError, match="cannot be read"):
        config.load(file=tmp_path / "binary.yaml", environ={})
