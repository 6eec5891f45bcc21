"""Every value is valid, known, and says where it came from."""

import os
import sys
from pathlib import Path

import platformdirs
import pytest
import yaml

from streamer import config
from streamer.cli.main import main
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


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_a_file_that_windows_wrote_is_read(tmp_path, encoding):
    """PowerShell redirects in UTF-16, old editors begin UTF-8 with a mark."""
    text = "audio:\r\n  channels: [b\u00fcro, \u0645\u06cc\u200c\u062e]\r\n"
    path = tmp_path / "config.yaml"
    path.write_bytes(("\ufeff" * (encoding == "utf-16-le") + text).encode(encoding))
    loaded = config.load(file=path, environ={})
    assert loaded.config.audio.channels == ("b\u00fcro", "\u0645\u06cc\u200c\u062e")


def test_a_file_that_is_no_text_is_named(tmp_path):
    """With the cure; what never ends is not read to its end."""
    path = tmp_path / "config.yaml"
    path.write_bytes(b"audio:\n  device: B\xfcro\n")
    with pytest.raises(ConfigError, match=r"byte 19 is not UTF-8; save it as UTF-8"):
        config.load(file=path, environ={})
    with pytest.raises(ConfigError, match=r"is longer than 1048576 bytes"):
        config.load(file=Path("/dev/zero"), environ={})


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
        ("segmenter: {hangover: 3}", "unknown key 'segmenter.hangover', did you mean hangover_ms"),
        ("vad: {engine: builtin}", "vad.engine: got 'builtin' from .*silero replaces it"),
        ("vad: {min_snr_db: 2}", "vad.min_snr_db is gone: .*delete it"),
        ("segments: {}", "unknown key 'segments', did you mean segmenter"),
        (
            "segmenter: {hangover_ms: 10}",
            "hangover_ms: got 10 from .*: input should be greater than or equal to 50",
        ),
        (
            "segmenter: {hangover_ms: soon}",
            "hangover_ms: got 'soon' from .*: input should be a valid integer",
        ),
        (
            "segmenter: {max_length_s: .nan}",
            "max_length_s: got nan from .*: input should be less than or equal to 30",
        ),
        ("vad: {frame_ms: 25}", "vad.frame_ms: got 25 from .*: input should be 10, 20 or 30"),
        ("audio: [1, 2]", r"audio: got \[1, 2\], expected keys: device"),
        ("just text", "got 'just text', expected keys: audio"),
        ("audio: {device: [", "is not valid YAML"),
        ("audio: {channels: [a, a]}", "channels: got .*: expected a list of different names"),
        (
            "audio: {channels: [a, b], analyse: [c]}",
            r"analyse: got \['c'\] .*: expected names from audio.channels, each once: a, b",
        ),
        ("audio: {analyse: [a]}", "expected names from audio.channels, which names none"),
        (
            "alerts: {rules: [{name: x, emotions: [furious]}]}",
            r"alerts\.rules\[0\]\.emotions\[0\]: got 'furious' .*: input should be 'neutral'",
        ),
        ("alerts: {rules: [{name: x}]}", "expected either emotions or mood_below"),
        ("alerts: {rules: [{emotions: [sad]}]}", r"rules\[0\]\.name: got .*: field required"),
        (
            "alerts: {rules: [{name: x, emotions: [sad], count: 3, of: 2}]}",
            r"rules\[0\]\.count: got 3 from .*: expected a whole number from 1 to 2",
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
            r"rules\[0\]\.level: got 3 from .*: extra inputs are not permitted",
        ),
        (
            "alerts: {rules: [{name: x, mood_below: 0, mood_clear: -1}]}",
            "mood_clear: got -1 from .*: expected with mood_below, a number from there to 1",
        ),
        (
            "alerts: {rules: [{name: x, mood_below: 0}, {name: x, mood_below: 1}]}",
            "expected rules with different names",
        ),
        ("alerts: {rules: 3}", "alerts.rules: got 3 from .*: input should be a valid list"),
        ("alerts: {webhook_url: 'ftp://x'}", "got 'ftp://x' from .*: expected http://HOST/PATH or"),
        ("alerts: {webhook_url: 'https://a:b@x'}", "expected .* without user and password"),
        ("alerts: {webhook_url: 'https://x:no'}", "expected http://HOST/PATH or"),
        (
            "dashboard: {language: xx}",
            "language: got 'xx' from .*: input should be 'en', 'de', 'es'",
        ),
        (
            "dashboard: {labels: {cross: x}}",
            "labels.cross: got 'cross' .* should be 'neutral'",
        ),
        (
            "dashboard: {labels: {sad: 5}}",
            "labels.sad: got 5 from .*: .* valid string",
        ),
        ("dashboard: {labels: {sad: ''}}", "expected for sad, a text on one line of 1 to 16 let"),
        ("alerts: {command: 'a b'}", "command: got 'a b' from .*: input should be a valid list"),
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


def test_an_unknown_variable_is_worth_a_warning(tmp_path):
    """Others set such variables, too: Kubernetes for a service that is called streamer."""
    loaded = load(tmp_path, environ={"STREAMER_SERVICE_HOST": "10.0.0.1"})
    assert loaded.config == config.Config()
    (warning,) = loaded.warnings
    assert warning.endswith("variable STREAMER_SERVICE_HOST, which is no setting")
    (warning,) = load(tmp_path, environ={"STREAMER_AUDIO_DEVIC": "1"}).warnings
    assert warning.endswith("did you mean STREAMER_AUDIO_DEVICE?")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, each user has a home")
def test_a_user_without_a_home_has_no_file(tmp_path, monkeypatch):
    """As that of a service: the file of the current folder counts, with what it may say."""
    pwd = pytest.importorskip("pwd")
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    monkeypatch.chdir(tmp_path)
    assert config.load(environ={}).config == config.Config()
    (tmp_path / "config.yaml").write_text("mood: {half_life_s: 10}\nalerts: {command: [touch, x]}")
    loaded = config.load(environ={})
    assert loaded.config.mood.half_life_s == 10
    assert loaded.config.alerts.command == ()
    assert "ignored alerts.command" in loaded.warnings[0]
    for args in (["config", "init"], ["enrol", "--list"]):
        assert main(args) == 2


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="Windows has no such users")
def test_a_home_that_may_not_be_read_is_said(tmp_path, monkeypatch):
    """As where a service keeps the HOME of root: the defaults count."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setattr(platformdirs, "user_config_path", lambda _: home / ".config" / "streamer")
    monkeypatch.chdir(tmp_path)
    for parent in (tmp_path, *list(tmp_path.parents)[:3]):
        parent.chmod(0o755)
    home.chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65_534)  # root may read everything
    try:
        loaded = config.load(environ={})
    finally:
        os.seteuid(user)
        home.chmod(0o700)
    assert loaded.config == config.Config()
    (warning,) = loaded.warnings
    assert warning.startswith(f"{home}/.config/streamer/config.yaml: cannot be looked for")
    assert warning.endswith(": Permission denied")


@pytest.mark.parametrize("text", ["010", "1:30", "on", "#x", "null.csv", "yes", "2026-01-01"])
def test_a_text_stays_a_text(tmp_path, text):
    """In the environment whatever it looks like, in the file where YAML sees no comment."""
    environ = {"STREAMER_OUTPUT_CSV": text, "STREAMER_AUDIO_DEVICE": text}
    loaded = load(tmp_path, environ=environ).config
    assert (loaded.output.csv, loaded.audio.device) == (text, text)
    if not text.startswith("#"):
        loaded = load(tmp_path, f"output: {{csv: {text}}}\naudio:\n  device: {text}\n").config
        assert (loaded.output.csv, loaded.audio.device) == (text, text)


@pytest.mark.parametrize("text", ["010", "1:30", "soon", "1_000", "", "0x10", "'600'", "true"])
def test_a_text_is_no_number(tmp_path, text):
    """Neither in the environment nor in the file."""
    expected = "hangover_ms.*valid integer"
    with pytest.raises(ConfigError, match=expected):
        load(tmp_path, environ={"STREAMER_SEGMENTER_HANGOVER_MS": text})
    if text:
        with pytest.raises(ConfigError, match=expected):
            load(tmp_path, f"segmenter:\n  hangover_ms: {text}\n")


def test_what_environment_variables_can_say(tmp_path):
    """Numbers, true and false, null, lists with commas, rules as JSON."""
    environ = {
        "STREAMER_SEGMENTER_MAX_LENGTH_S": "8", "STREAMER_DASHBOARD_ASCII": "true",
        "STREAMER_OUTPUT_CSV": "null", "STREAMER_AUDIO_CHANNELS": "agent, customer",
        "STREAMER_AUDIO_ANALYSE": '["agent"]', "STREAMER_VAD_FRAME_MS": "30",
        "STREAMER_ALERTS_RULES": '[{"name": "x", "emotions": ["sad"]}]',
    }  # fmt: skip
    got = load(tmp_path, environ=environ).config
    assert (got.segmenter.max_length_s, got.dashboard.ascii, got.output.csv) == (8.0, True, None)
    assert (got.audio.channels, got.audio.analyse) == (("agent", "customer"), ("agent",))
    assert (got.vad.frame_ms, got.alerts.rules[0].name) == (30, "x")
    for variable, text in (("DASHBOARD_ASCII", "on"), ("OUTPUT_CSV", ""), ("AUDIO_CHANNELS", "[a")):
        with pytest.raises(ConfigError, match=r"got '.*'"):
            load(tmp_path, environ={f"STREAMER_{variable}": text})


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("audio: {device: a}\nvad: {}\naudio: {device: b}\n", "'audio' is in line 1 .* line 3"),
        ("audio:\n  device: a\n  ring_s: 3\n  device: b\n", "'device' is in line 2 .* line 4"),
        ("alerts:\n  rules:\n    - name: x\n      name: y\n", "'name' is in line 3 .* line 4"),
    ],
)
def test_a_key_given_twice_is_an_error_with_both_lines(tmp_path, text, lines):
    """At any depth."""
    with pytest.raises(ConfigError, match=lines):
        load(tmp_path, text)


def test_a_key_without_a_value_is_an_error(tmp_path):
    """As what begins with # is a comment; a section may be empty, and null can be written."""
    for value in ("", " #1.csv"):
        with pytest.raises(ConfigError, match="line 2: 'csv' has no value; write null if"):
            load(tmp_path, f"output:\n  csv:{value}\n")
    assert load(tmp_path, "output:\n  csv: null\naudio:\n").config.output.csv is None


def test_aliases_are_followed_and_cannot_multiply(tmp_path):
    """A billion laughs are a wrong value like any other."""
    bomb = "".join(f"x{i}: &x{i} [{', '.join([f'*x{i - 1}'] * 9)}]\n" for i in range(1, 30))
    with pytest.raises(ConfigError, match="unknown key 'x0'"):
        load(tmp_path, f"x0: &x0 a\n{bomb}")


UNTRUSTED = """
alerts: {command: [touch, planted], webhook_url: "https://example.org/x", webhook_secret: 12345678x}
model: {name: ./planted}
segmenter: {hangover_ms: 500}
"""


def test_a_file_that_was_only_found_runs_nothing(tmp_path, monkeypatch):
    """It is said what was ignored; the rest of it counts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(platformdirs, "user_config_path", lambda _: tmp_path / "home")
    (tmp_path / "config.yaml").write_text(UNTRUSTED)
    loaded = config.load(environ={})
    got = loaded.config
    assert got.segmenter.hangover_ms == 500
    assert (got.alerts, got.model) == (config.Config().alerts, config.Config().model)
    (warning,) = loaded.warnings
    for key in ("alerts.command", "alerts.webhook_url", "alerts.webhook_secret", "model.name"):
        assert key in warning
    assert "--config config.yaml" in warning
    named = config.load(file=Path("config.yaml"), environ={})
    assert named.config.alerts.command == ("touch", "planted")
    assert named.config.model.name == "./planted"
    assert not named.warnings


@pytest.mark.parametrize(
    "path", ["/srv/planted.csv", "../planted.csv", "~/planted.csv", "link.csv"]
)
def test_a_file_that_was_only_found_writes_inside_of_its_folder(tmp_path, monkeypatch, path):
    """A recording's folder may name its log, but no file elsewhere, be it by a link."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    (folder / "link.csv").symlink_to(tmp_path / "elsewhere.csv")
    monkeypatch.chdir(folder)
    (folder / "config.yaml").write_text(f"output: {{csv: {path!r}}}\n")
    loaded = config.load(environ={})
    assert loaded.config.output.csv == config.Config().output.csv
    assert "ignored output.csv" in loaded.warnings[0]
    assert config.load(file=Path("config.yaml"), environ={}).config.output.csv == path
    (folder / "config.yaml").write_text("output: {csv: logs/rows.csv}\n")
    loaded = config.load(environ={})
    assert (loaded.config.output.csv, loaded.warnings) == ("logs/rows.csv", ())


def test_the_users_own_file_is_trusted(tmp_path, monkeypatch):
    """Also while it lies in the current folder; a symbolic link to it is it."""
    monkeypatch.setattr(platformdirs, "user_config_path", lambda _: tmp_path)
    (tmp_path / "config.yaml").write_text(UNTRUSTED)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for folder in (elsewhere, tmp_path):
        monkeypatch.chdir(folder)
        assert config.load(environ={}).config.alerts.command == ("touch", "planted")


def test_a_models_name_is_taken_from_anywhere(tmp_path, monkeypatch):
    """Unless a folder of that name lies beside the file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text("model: {name: open}")
    assert config.load(environ={}).config.model.name == "open"
    (tmp_path / "open").mkdir()
    assert config.load(environ={}).config.model.name == "default"


@pytest.mark.parametrize(
    ("audio", "name", "watched"),
    [
        ({}, "angry speaker", ["mono"]),
        ({"channels": ["agent", "customer"]}, "angry customer", ["customer"]),
        ({"channels": ["agent", "caller"]}, "angry speaker", ["caller"]),
        ({"channels": ["agent", "customer"], "analyse": ["agent"]}, None, []),
    ],
)
def test_the_default_rule_is_named_by_whom_it_watches(audio, name, watched):
    """And never watches an agent."""
    made = config.Config.model_validate({"audio": audio})
    assert [rule.name for rule in made.alerts.rules] == ([name] if name else [])
    streams = made.audio.streams
    for rule in made.alerts.rules:
        assert [stream for stream in streams if rule.watches(stream, streams)] == watched


def test_calls_may_name_the_channels():
    """Then what is analysed and watched need not be in the configuration; what is, is compared."""
    environ = {
        "STREAMER_AUDIO_ANALYSE": "customer",
        "STREAMER_ALERTS_RULES": '[{"name": "x", "emotions": ["sad"], "channel": "customer"}]',
    }
    with pytest.raises(ConfigError, match=r"audio.channels, which names none"):
        config.load(environ=environ)
    loaded = config.load(environ=environ, calls_name_channels=True).config
    assert loaded.audio.analyse == ("customer",)
    assert loaded.alerts.rules[0].channel == "customer"
    environ["STREAMER_AUDIO_CHANNELS"] = "agent,caller"
    with pytest.raises(ConfigError, match=r"audio.channels, each once: agent, caller"):
        config.load(environ=environ, calls_name_channels=True)


def test_yaml_that_is_shown_is_taken(tmp_path):
    """All of it, without the secret."""
    text = "output: {csv: '010'}\naudio: {channels: ['on', b]}\nalerts: {webhook_secret: hushhush1}"
    loaded = load(tmp_path, text)
    shown = loaded.as_yaml()
    assert "hush" not in shown
    again = load(tmp_path, shown).config
    assert again.output == loaded.config.output
    assert again.audio == loaded.config.audio
    assert again.alerts.rules == loaded.config.alerts.rules


def test_an_unreadable_file_is_an_error(tmp_path):
    """As is one that is not text."""
    with pytest.raises(ConfigError, match="cannot be read"):
        config.load(file=tmp_path / "none.yaml", environ={})
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x80\x00")
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


def test_a_short_secret_is_explained(tmp_path):
    """In words that somebody who sets it understands."""
    with pytest.raises(ConfigError, match=r"webhook_secret: .*: expected at least 8 characters$"):
        load(tmp_path, "alerts: {webhook_secret: hush}")


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


@pytest.mark.parametrize(("sensitivity", "mean"), [("low", 0.6), ("normal", 0.45), ("high", 0.3)])
@pytest.mark.parametrize("channels", ["[]", "[agent, customer]"])
def test_sensitivity_changes_the_default_rule(tmp_path, channels, sensitivity, mean):
    """Also once the channels are others."""
    text = f"audio: {{channels: {channels}}}\nalerts: {{sensitivity: {sensitivity}}}"
    made = load(tmp_path, text).config
    for each in (made, made.one_stream(), made.with_channels(("agent", "customer"))):
        (rule,) = each.alerts.rules
        assert (rule.of, rule.mean_probability) == (3, mean)
        assert rule.emotions == ("angry",)
        streams = each.audio.streams
        assert rule.name == ("angry customer" if "customer" in streams else "angry speaker")


@pytest.mark.parametrize("sensitivity", ["low", "high"])
def test_sensitivity_leaves_rules_alone_that_somebody_wrote(tmp_path, sensitivity):
    """Also none at all."""
    for rules in ("[]", "[{name: mine, emotions: [angry, sad], of: 5, count: 4}]"):
        text = f"alerts: {{sensitivity: {sensitivity}, rules: {rules}}}"
        made, plain = load(tmp_path, text), load(tmp_path, f"alerts: {{rules: {rules}}}")
        assert made.config.alerts.rules == plain.config.alerts.rules


@pytest.mark.parametrize("prior", ["natural", "even", "{neutral: 0.7, angry: 0.1}"])
def test_a_prior_is_a_name_or_probabilities(tmp_path, prior):
    """As the model takes it."""
    assert load(tmp_path, f"model: {{prior: {prior}}}").config.model.prior == yaml.safe_load(prior)


@pytest.mark.parametrize("prior", ["evn", "{bored: 0.1}", "{angry: much}"])
def test_a_wrong_prior_is_named(tmp_path, prior):
    """With its key."""
    with pytest.raises(ConfigError, match=r"model\.prior"):
        load(
            tmp_path,
            f"model: {{prior: '{prior}'}}" if prior == "evn" else f"model: {{prior: {prior}}}",
        )


@pytest.mark.parametrize("sensitivity", ["lowest", "3"])
def test_an_unknown_sensitivity_is_named(tmp_path, sensitivity):
    """With those that there are."""
    with pytest.raises(ConfigError, match=r"alerts\.sensitivity: got .*'low', 'normal' or 'high'"):
        load(tmp_path, f"alerts: {{sensitivity: {sensitivity}}}")
