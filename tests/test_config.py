"""Every value is valid, known, and says where it came from."""

import pytest
import yaml

from streamer import config
from streamer.errors import ConfigError

WATCHES_A = "{rules: [{name: x, emotions: [sad], channel: a}]}"


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
        ("audio: {channels: [a, a]}", "channels: got .*, allowed: a list of different names"),
        ("audio: {channels: [a, b], analyse: [c]}", r"analyse: got \['c'\] .*, allowed: .*: a, b"),
        ("audio: {analyse: [a]}", "allowed: some of audio.channels: null, while .* names none"),
        (
            "alerts: {rules: [{name: x, emotions: [furious]}]}",
            r"alerts\.rules\[0\]\.emotions\[0\]: got 'furious' from .*, allowed: neutral, calm",
        ),
        ("alerts: {rules: [{name: x}]}", "allowed: either emotions or mood_below"),
        ("alerts: {rules: [{emotions: [sad]}]}", "allowed: the key 'name' is needed, too"),
        (
            "alerts: {rules: [{name: x, emotions: [sad], count: 3, of: 2}]}",
            r"rules\[0\]\.count: got 3 from .*, allowed: a whole number from 1 to 2",
        ),
        (
            "alerts: {rules: [{name: x, emotions: [sad], channel: bob}]}",
            r"rules\[0\]\.channel: got 'bob', allowed: mono, left, right, any",
        ),
        (
            f"audio: {{channels: [a, b], analyse: [b]}}\nalerts: {WATCHES_A}",
            r"rules\[0\]\.channel: got 'a', allowed: b, any",
        ),
        (
            "alerts: {rules: [{name: x, emotions: [sad], level: 3}]}",
            r"rules\[0\]\.level: got 3 from .*, allowed: one of the keys name, channel",
        ),
        (
            "alerts: {rules: [{name: x, mood_below: 0, mood_clear: -1}]}",
            "mood_clear: got -1 from .*, allowed: with mood_below, a number from there to 1",
        ),
        (
            "alerts: {rules: [{name: x, mood_below: 0}, {name: x, mood_below: 1}]}",
            "allowed: rules with different names",
        ),
        ("alerts: {rules: 3}", "alerts.rules: got 3 from .*, allowed: a list of rules"),
        ("alerts: {webhook_url: 'ftp://x'}", "got 'ftp://x' from .*, allowed: http://HOST/PATH or"),
        ("alerts: {webhook_url: 'https://a:b@x'}", "allowed: .* without user and password"),
        ("alerts: {webhook_url: 'https://x:no'}", "allowed: http://HOST/PATH or"),
        (
            "dashboard: {language: xx}",
            "language: got 'xx' from .*, allowed: en, de, es",
        ),
        ("dashboard: {labels: {cross: x}}", "labels: got 'cross' from .*, allowed: a text for any"),
        ("dashboard: {labels: {sad: 5}}", "labels: got 5 from .*, allowed: a text for any of neu"),
        ("dashboard: {labels: {sad: ''}}", "allowed: for sad, a text on one line of 1 to 16 let"),
        ("alerts: {command: 'a b'}", "command: got 'a b' from .*, allowed: a list of texts"),
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


@pytest.mark.parametrize(
    "text",
    [
        "alerts: {webhook_secret: hush}",  # too short
        "alerts: {webhook_secret: [hush]}",
        "alerts: {webhook_secret: hush: hush}",  # no YAML
        'alerts:\n  webhook_secret: "hush',
    ],
)
def test_a_secret_is_in_no_message(tmp_path, text):
    """Whatever is wrong with it."""
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert "hush" not in str(caught.value)


def test_a_secret_in_the_environment_is_text_and_not_shown(tmp_path):
    """Though it looks like a number, or like YAML that is broken."""
    for secret in ("0012345678", "[12345678", "yes: no: 12345678"):
        loaded = load(tmp_path, environ={"STREAMER_ALERTS_WEBHOOK_SECRET": secret})
        kept = loaded.config.alerts.webhook_secret
        assert kept is not None
        assert kept.get_secret_value() == secret
        shown = {setting.key: str(setting.value) for setting in loaded.settings()}
        assert secret not in "".join(shown.values())
        assert secret not in repr(loaded)


def test_what_an_alert_tells_its_command_is_no_setting(tmp_path):
    """So that a command may run streamer."""
    assert load(tmp_path, environ={"STREAMER_ALERT_RULE": "x"}).config == config.Config()


def test_rules_are_shown_as_they_are_written(tmp_path):
    """What `config show` prints may be put into the file again."""
    rules = "[{name: low, mood_below: -0.4, channel: any}]"
    loaded = load(tmp_path, f"alerts: {{rules: {rules}}}")
    (shown,) = [s.value for s in loaded.settings() if s.key == "alerts.rules"]
    assert load(tmp_path, f"alerts: {{rules: {shown}}}").config == loaded.config
