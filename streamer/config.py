"""The configuration: its schema and defaults, and which source of a value wins.

A flag wins over a ``STREAMER_<SECTION>_<KEY>`` environment variable, that over the configuration
file (``--config``, else ``./config.yaml``, else the user's config folder), that over the default.
"""

import json
import os
import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

import platformdirs
import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from streamer.errors import ConfigError

ENV_PREFIX = "STREAMER_"
ALERT_PREFIX = "STREAMER_ALERT_"
"""Variables that an alert's command is given; streamer itself, started by it, passes over them."""

LONGEST_QUOTE = 100
"""Letters of a wrong value that are shown."""

UNNAMED = ("mono", "left", "right")
"""What channels are called that nobody named: all in one, or the two of a stereo recording."""

ANY = "any"
CUSTOMER = "customer"
FILE_NAME = "config.yaml"
SILERO_PACKAGES = ("onnxruntime", "silero_vad")
"""What the extra `silero` installs: the one runs the network, of the other it is a file."""

SECRETS = ("alerts.webhook_secret",)
"""Keys whose values are never shown."""

NOT_YAML = (
    yaml.YAMLError, AttributeError, LookupError, RecursionError, TypeError, ValueError,
)  # fmt: skip
"""What the parser raises: also for a 13th month, a number of 5000 digits, a thousand brackets."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AudioConfig(_Section):
    """Where the sound comes from."""

    device: str | int | None = Field(
        None, description="input device: its index, or an unambiguous part of its name"
    )
    channels: tuple[str, ...] = Field(
        (), description="names of independent channels; none: all are mixed to one stream"
    )
    analyse: tuple[str, ...] | None = Field(
        None, min_length=1, description="the channels that are analysed; null: all"
    )
    crosstalk: bool = Field(
        default=True, description="what one channel picks up of another is no speech"
    )
    block_ms: int = Field(20, ge=5, le=200, description="how much is read from a device at once")
    ring_s: float = Field(30.0, ge=1, le=600, description="how far the analysis may fall behind")

    @field_validator("channels")
    @classmethod
    def _are_different(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        fine = all(name and name.isprintable() and name != ANY for name in names)
        if len(set(names)) < len(names) or not fine:
            raise ValueError(f"a list of different names on one line, none of them {ANY!r}")
        return names

    @field_validator("analyse")
    @classmethod
    def _are_channels(
        cls, names: tuple[str, ...] | None, info: ValidationInfo
    ) -> tuple[str, ...] | None:
        known = info.data.get("channels")
        if (
            known is not None
            and names is not None
            and (not set(names) <= set(known) or len(set(names)) < len(names))
        ):
            allowed = ", ".join(known) or "null, while audio.channels names none"
            raise ValueError(f"some of audio.channels: {allowed}")
        return names

    @property
    def streams(self) -> tuple[str, ...]:
        """Names of the channels that are analysed, in the order in which they are delivered."""
        if not self.channels:
            return ("mono",)
        return tuple(name for name in self.channels if self.analyse is None or name in self.analyse)


class VadConfig(_Section):
    """Frame -> speech or not."""

    engine: Literal["builtin", "silero"] = Field(
        "builtin", description="who judges; silero needs the extra of that name"
    )
    frame_ms: Literal[10, 20, 30] = Field(20, description="length of a frame")
    aggressiveness: int = Field(
        2, ge=0, le=3, description="builtin: webrtcvad's mode, 3 rejects the most"
    )
    min_snr_db: float = Field(
        2.0, ge=0, le=40, description="builtin: how far a voice is above the noise, over all bands"
    )
    floor_dbfs: float = Field(
        -72.0, ge=-96, le=-20, description="nothing quieter than this is speech"
    )

    @field_validator("engine")
    @classmethod
    def _is_installed(cls, engine: str) -> str:
        if engine == "silero" and not all(map(find_spec, SILERO_PACKAGES)):
            raise ValueError(
                "builtin; silero is not installed: pip install onnxruntime silero-vad adds it"
            )
        return engine


class SegmenterConfig(_Section):
    """Frames -> utterances."""

    min_speech_ms: int = Field(200, ge=20, le=2000, description="less speech is no utterance")
    hangover_ms: int = Field(400, ge=50, le=5000, description="silence that ends an utterance")
    preroll_ms: int = Field(300, ge=0, le=2000, description="kept from before the onset")
    max_length_s: float = Field(12.0, ge=2, le=30, description="longer speech is cut")


class RollingConfig(_Section):
    """Predictions while an utterance is still going on."""

    first_ms: int = Field(500, ge=100, le=5000, description="speech before the first prediction")
    interval_ms: int = Field(250, ge=50, le=5000, description="from one prediction to the next")
    window_s: float = Field(3.0, ge=0.5, le=30, description="the newest seconds that are judged")


class ModelConfig(_Section):
    """Which model judges."""

    name: str = Field("default", description="a bundle in models/, or the path of one")
    threads: int = Field(1, ge=1, le=64, description="torch threads; 1 keeps the screen smooth")


class BaselineConfig(_Section):
    """What a voice sounds like in general."""

    enabled: bool = Field(
        default=True, description="learn the voices on each channel, to tell mood from voice"
    )
    speakers: tuple[str, ...] = Field(
        default=(), description="enrolled voices: a name; with channels, as agent=NAME"
    )


class MoodConfig(_Section):
    """How quickly the running mood of a channel follows what is heard."""

    half_life_s: float = Field(
        30.0, ge=1, le=3600, description="speaking time in which what was heard loses half its say"
    )


Emotion = Literal["neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"]
Label = Literal[Emotion, "uncertain", "no_speech"]
"""What has a label on the screen: an emotion, or what stands in its place."""

Language = Literal["en", "de", "es", "fr", "pl", "zh"]

LONGEST_LABEL = 16


class AlertRule(_Section):
    """When to raise an alert. Each channel that a rule watches is watched on its own.

    An utterance *matches* if it is certain and one of ``emotions`` at ``confidence`` or more; or,
    with ``mood_below`` instead, if the running mood of its channel is no higher after it.
    """

    name: str = Field(min_length=1, max_length=60, description="as it is shown and logged")
    channel: str | None = Field(
        None, description="name of a channel; any; null: customer where there is one, else any"
    )
    emotions: tuple[Emotion, ...] = Field((), description="any of these, or")
    mood_below: float | None = Field(None, ge=-1, le=1, description="a running mood this low")
    confidence: float = Field(0.0, ge=0, le=1, description="least confidence in the emotion")
    of: int = Field(1, ge=1, le=100, description="in the last so many utterances that count")
    count: int = Field(1, ge=1, description="so many have to match")
    for_s: float = Field(0.0, ge=0, le=3600, description="and that has to last so long")
    clear: int = Field(
        2, ge=1, le=100, description="so many in a row have to disagree before it is raised anew"
    )
    mood_clear: float | None = Field(
        None, ge=-1, le=1, description="a mood disagrees only above this; null: above mood_below"
    )
    cooldown_s: float = Field(60.0, ge=0, le=86_400, description="least time between two alerts")

    @field_validator("name")
    @classmethod
    def _is_one_line(cls, name: str) -> str:
        if not name.isprintable() or name != name.strip():
            raise ValueError("a text on one line")
        return name

    @field_validator("count")
    @classmethod
    def _is_possible(cls, count: int, info: ValidationInfo) -> int:
        if count > info.data.get("of", count):
            raise ValueError(f"a whole number from 1 to {info.data['of']} ('of' says how many)")
        return count

    @field_validator("mood_clear")
    @classmethod
    def _is_above(cls, clear: float | None, info: ValidationInfo) -> float | None:
        below = info.data.get("mood_below")
        if clear is not None and (below is None or clear < below):
            raise ValueError("with mood_below, a number from there to 1")
        return clear

    @model_validator(mode="after")
    def _watches_one_thing(self) -> Self:
        if bool(self.emotions) == (self.mood_below is not None):
            raise ValueError("either emotions or mood_below")
        return self

    def watches(self, channel: str, channels: Iterable[str]) -> bool:
        """Whether it is about a channel, one of ``channels``."""
        wanted = self.channel or (CUSTOMER if CUSTOMER in channels else ANY)
        return wanted in (ANY, channel)


ANGRY_CUSTOMER = AlertRule(name="angry customer", emotions=("angry",), of=3, count=2)


class AlertsConfig(_Section):
    """When to raise an alert, and whom to tell."""

    rules: tuple[AlertRule, ...] = Field(
        (ANGRY_CUSTOMER,), description="when to raise an alert; []: never"
    )
    bell: bool = Field(default=False, description="ring the terminal's bell")
    webhook_url: str | None = Field(None, description="alerts are sent there by HTTP POST, as JSON")
    webhook_secret: SecretStr | None = Field(
        None, min_length=8, description="signs what is sent, with HMAC-SHA256"
    )
    command: tuple[str, ...] = Field(
        (), description="program and arguments, run for each alert, without a shell"
    )
    timeout_s: float = Field(10.0, ge=0.1, le=300, description="for one attempt")
    retry_s: float = Field(
        300.0, ge=0, le=86_400, description="a webhook is tried again for so long"
    )
    exit_wait_s: float = Field(
        10.0, ge=0, le=300, description="what is not delivered yet is waited for at the end"
    )

    @field_validator("rules")
    @classmethod
    def _have_names_of_their_own(cls, rules: tuple[AlertRule, ...]) -> tuple[AlertRule, ...]:
        if len({rule.name for rule in rules}) < len(rules):
            raise ValueError("rules with different names")
        return rules

    @field_validator("webhook_url")
    @classmethod
    def _is_a_web_address(cls, url: str | None) -> str | None:
        if url is None:
            return None
        allowed = "http://HOST/PATH or https://HOST/PATH, without user and password"
        try:
            parts = urlsplit(url)
            usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
            usable = usable and "@" not in parts.netloc and " " not in url
        except ValueError:  # a port that is no number
            usable = False
        if not usable or not url.isascii() or not url.isprintable():
            raise ValueError(allowed)
        return url

    @field_validator("command")
    @classmethod
    def _names_a_program(cls, command: tuple[str, ...]) -> tuple[str, ...]:
        if command and not command[0]:
            raise ValueError("a list of texts, the first of them a program")
        return command


class OutputConfig(_Section):
    """Where the rows go."""

    csv: str | None = Field(
        "emotions.csv", description="one row per utterance is appended here; null: no CSV"
    )


class DashboardConfig(_Section):
    """The screen."""

    fps: int = Field(6, ge=1, le=30, description="frames per second; 4 to 8 are plenty")
    smoothing_s: float = Field(0.4, ge=0, le=5, description="time constant of the bars")
    ascii: bool = Field(default=False, description="draw with nothing but ASCII")
    language: Language = Field("en", description="of the labels on the screen")
    labels: dict[Label, str] = Field({}, description="labels of your own, as {angry: livid}")

    @field_validator("labels")
    @classmethod
    def _fit(cls, labels: dict[Label, str]) -> dict[Label, str]:
        for name, text in labels.items():
            if not text.strip() or not text.isprintable() or len(text) > LONGEST_LABEL:
                raise ValueError(f"for {name}, a text on one line of 1 to {LONGEST_LABEL} letters")
        return labels


class Config(_Section):
    """Everything that can be set; each section is handed to the room that needs it."""

    audio: AudioConfig = AudioConfig()
    vad: VadConfig = VadConfig()
    segmenter: SegmenterConfig = SegmenterConfig()
    rolling: RollingConfig = RollingConfig()
    model: ModelConfig = ModelConfig()
    baseline: BaselineConfig = BaselineConfig()
    mood: MoodConfig = MoodConfig()
    alerts: AlertsConfig = AlertsConfig()
    output: OutputConfig = OutputConfig()
    dashboard: DashboardConfig = DashboardConfig()

    def one_stream(self) -> Self:
        """The same, but all channels mixed to one."""
        audio = self.audio.model_copy(update={"channels": (), "analyse": None})
        return self.model_copy(update={"audio": audio})

    @field_validator("alerts")
    @classmethod
    def _watch_channels_that_are_there(
        cls, alerts: AlertsConfig, info: ValidationInfo
    ) -> AlertsConfig:
        audio: AudioConfig = info.data.get("audio", AudioConfig())
        known = (*(audio.streams if audio.channels else UNNAMED), ANY)
        for index, rule in enumerate(alerts.rules):
            if rule.channel is not None and rule.channel not in known:
                raise ValueError(
                    f"alerts.rules[{index}].channel: got {rule.channel!r}, "
                    f"allowed: {', '.join(known)}"
                )
        return alerts


@dataclass(frozen=True, slots=True)
class Setting:
    """One value and where it came from: ``default``, a file's path, a variable, or a flag."""

    key: str
    value: object
    source: str
    description: str


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A valid configuration, and the origin of each of its values, by dotted key."""

    config: Config
    origins: Mapping[str, str]

    def settings(self) -> list[Setting]:
        """Every value, in the order of the schema."""
        return [
            Setting(
                key=f"{section}.{name}",
                value=_plain(getattr(getattr(self.config, section), name)),
                source=self.origins.get(f"{section}.{name}", "default"),
                description=field.description or "",
            )
            for section, model in _sections().items()
            for name, field in model.model_fields.items()
        ]


def load(
    *,
    file: Path | None = None,
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
) -> LoadedConfig:
    """Merge flags, environment, file and defaults.

    Args:
        file: The file named by ``--config``; None looks in the usual places.
        flags: Values given on the command line, by dotted key (``audio.device``).
        environ: The environment; None takes this process's.

    Raises:
        ConfigError: An unreadable file, an unknown key, or a value that is not allowed.
    """
    values: dict[str, object] = {}
    origins: dict[str, str] = {}
    path = file if file is not None else _find_file()
    layers = [_read_file(path)] if path is not None else []
    layers.append(_read_environment(os.environ if environ is None else environ))
    layers.append({key: (value, "flag") for key, value in (flags or {}).items()})
    for layer in layers:
        for key, (value, origin) in layer.items():
            values[key], origins[key] = value, origin
    nested: dict[str, dict[str, object]] = {section: {} for section in _sections()}
    for key, value in values.items():
        section, _, name = key.partition(".")
        nested[section][name] = value
    try:
        config = Config.model_validate(nested)
    except ValidationError as error:
        raise ConfigError(_explain(error, origins)) from None
    return LoadedConfig(config, origins)


def _sections() -> dict[str, type[BaseModel]]:
    return {
        name: field.annotation
        for name, field in Config.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    }


def _plain(value: object) -> object:
    """A value as `config show` writes it: rules as JSON that config.yaml would take."""
    if isinstance(value, tuple) and any(isinstance(item, BaseModel) for item in value):
        return json.dumps([rule.model_dump(exclude_defaults=True) for rule in value])
    return value


def _find_file() -> Path | None:
    candidates = (Path(FILE_NAME), platformdirs.user_config_path("streamer") / FILE_NAME)
    return next((path for path in candidates if path.is_file()), None)


def _read_file(path: Path) -> dict[str, tuple[object, str]]:
    """The file's values and origin by dotted key; unknown keys are errors."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    try:
        tree = yaml.safe_load(text)
    except NOT_YAML as error:
        raise ConfigError(f"{path}: is not valid YAML: {_where(error)}") from None
    sections = _sections()
    layer: dict[str, tuple[object, str]] = {}
    for section, content in _mapping(tree, f"{path}", sections).items():
        known = sections[section].model_fields
        for name, value in _mapping(content, f"{path}: {section}", known, f"{section}.").items():
            layer[f"{section}.{name}"] = (value, str(path))
    return layer


def _where(error: Exception) -> str:
    """What is wrong in which line, without quoting it: it may hold the secret."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return type(error).__name__


def _shown(value: object) -> str:
    """A value in a message, cut short: aliases make a terabyte of a line of YAML."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = LONGEST_QUOTE
    return short.repr(value)


def _mapping(
    value: object, where: str, known: Mapping[str, Any], prefix: str = ""
) -> dict[str, object]:
    if value is None:  # an empty file or section
        return {}
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: got {_shown(value)}, expected keys: {', '.join(known)}")
    for key in value:
        if key not in known:
            raise ConfigError(
                f"{where}: unknown key {f'{prefix}{key}'!r}, expected one of: {', '.join(known)}"
            )
    return value


def _read_environment(environ: Mapping[str, str]) -> dict[str, tuple[object, str]]:
    """STREAMER_* variables by dotted key; values are read as YAML, as in the file.

    But for secrets: whatever they look like, they are text.
    """
    keys = {
        f"{ENV_PREFIX}{section}_{name}".upper(): f"{section}.{name}"
        for section, model in _sections().items()
        for name in model.model_fields
    }
    layer: dict[str, tuple[object, str]] = {}
    for variable, text in environ.items():
        if not variable.startswith(ENV_PREFIX) or variable.startswith(ALERT_PREFIX):
            continue
        if variable not in keys:
            raise ConfigError(
                f"unknown environment variable {variable}, expected one of: {', '.join(keys)}"
            )
        if keys[variable] in SECRETS:
            layer[keys[variable]] = (text, variable)
            continue
        try:
            layer[keys[variable]] = (yaml.safe_load(text), variable)
        except NOT_YAML as error:
            shown = _shown(text)
            raise ConfigError(f"{variable}={shown} is not valid YAML: {_where(error)}") from None
    return layer


def _explain(error: ValidationError, origins: Mapping[str, str]) -> str:
    """One line per wrong value: the key, its origin, what was got and what is allowed."""
    lines: dict[str, str] = {}
    for item in error.errors():
        section, *path = item["loc"]
        if not path:  # values that contradict each other, already explained
            lines[str(section)] = str(item["ctx"]["error"])
            continue
        key, schema = _resolve(str(section), path)
        origin = origins[f"{section}.{path[0]}"]
        if item["type"] == "value_error":
            text = str(item["ctx"]["error"])
        elif item["type"] == "extra_forbidden":
            text = f"one of the keys {', '.join(schema['properties'])}"
            key = f"{key}.{item['loc'][-1]}"
        elif item["type"] == "missing":
            text = f"the key {item['loc'][-1]!r} is needed, too"
        else:
            text = " or ".join(_describe(choice) for choice in schema.get("anyOf", [schema]))
        got = "a secret" if key in SECRETS else _shown(item["input"])
        lines[key] = f"{key}: got {got} from {origin}, allowed: {text}"
    return "\n".join(lines.values())


@cache
def _schema() -> dict[str, Any]:
    return Config.model_json_schema()


def _resolve(section: str, path: Iterable[str | int]) -> tuple[str, dict[str, Any]]:
    """The key at the end of a path as it is written in prose, and its schema."""
    whole = _schema()
    schema: dict[str, Any] = whole["$defs"][_sections()[section].__name__]
    key = section
    for part in path:
        if isinstance(part, int) and "items" in schema:
            schema = schema["items"]
            key += f"[{part}]"
        elif part in schema.get("properties", ()):
            schema = schema["properties"][part]
            key += f".{part}"
        else:  # one of several choices, or a key that is not there
            break
        if "$ref" in schema:
            schema = whole["$defs"][schema["$ref"].rpartition("/")[2]]
    return key, schema


def _describe(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(str(value) for value in schema["enum"])
    words = {
        "integer": "a whole number", "number": "a number", "string": "a text",
        "array": "a list of texts", "boolean": "true or false", "null": "null",
        "object": "keys and values",
    }  # fmt: skip
    text = words[schema["type"]]
    if "$ref" in schema.get("items", {}):
        text = "a list of rules"
    if "propertyNames" in schema:
        text = f"a text for any of {', '.join(schema['propertyNames']['enum'])}"
    if "minimum" in schema:
        text += f" from {schema['minimum']} to {schema.get('maximum', 'as many as there are')}"
    if schema["type"] == "string" and "minLength" in schema:
        text += f" of at least {schema['minLength']} letters"
    return text
