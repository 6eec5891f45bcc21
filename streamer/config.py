"""The configuration: its schema and defaults, and which source of a value wins.

A flag wins over a ``STREAMER_<SECTION>_<KEY>`` environment variable, that over the configuration
file (``--config``, else ``./config.yaml``, else the user's config folder), that over the default.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import platformdirs
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from streamer.errors import ConfigError

ENV_PREFIX = "STREAMER_"
FILE_NAME = "config.yaml"


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
    block_ms: int = Field(20, ge=5, le=200, description="how much is read from a device at once")
    ring_s: float = Field(30.0, ge=1, le=600, description="how far the analysis may fall behind")


class VadConfig(_Section):
    """Frame -> speech or not."""

    frame_ms: Literal[10, 20, 30] = Field(20, description="length of a frame")
    aggressiveness: int = Field(2, ge=0, le=3, description="webrtcvad's mode: 3 rejects the most")
    min_snr_db: float = Field(
        2.0, ge=0, le=40, description="how far above the noise floor a voice is, over all bands"
    )
    floor_dbfs: float = Field(
        -72.0, ge=-96, le=-20, description="nothing quieter than this is speech"
    )


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
        default=False, description="learn the voices on each channel, to tell mood from voice"
    )
    speakers: tuple[str, ...] = Field(
        default=(), description="enrolled voices: a name; with channels, as agent=NAME"
    )


class OutputConfig(_Section):
    """Where the rows go."""

    csv: str | None = Field(
        "emotions.csv", description="one row per utterance is appended here; null: no CSV"
    )


class DashboardConfig(_Section):
    """The screen."""

    fps: int = Field(6, ge=1, le=30, description="frames per second; 4 to 8 are plenty")
    smoothing_s: float = Field(0.4, ge=0, le=5, description="time constant of the bars")


class Config(_Section):
    """Everything that can be set; each section is handed to the room that needs it."""

    audio: AudioConfig = AudioConfig()
    vad: VadConfig = VadConfig()
    segmenter: SegmenterConfig = SegmenterConfig()
    rolling: RollingConfig = RollingConfig()
    model: ModelConfig = ModelConfig()
    baseline: BaselineConfig = BaselineConfig()
    output: OutputConfig = OutputConfig()
    dashboard: DashboardConfig = DashboardConfig()


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
                value=getattr(getattr(self.config, section), name),
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


def _find_file() -> Path | None:
    candidates = (Path(FILE_NAME), platformdirs.user_config_path("streamer") / FILE_NAME)
    return next((path for path in candidates if path.is_file()), None)


def _read_file(path: Path) -> dict[str, tuple[object, str]]:
    """The file's values and origin by dotted key; unknown keys are errors."""
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: is not valid YAML: {error}") from error
    sections = _sections()
    layer: dict[str, tuple[object, str]] = {}
    for section, content in _mapping(tree, f"{path}", sections).items():
        known = sections[section].model_fields
        for name, value in _mapping(content, f"{path}: {section}", known, f"{section}.").items():
            layer[f"{section}.{name}"] = (value, str(path))
    return layer


def _mapping(
    value: object, where: str, known: Mapping[str, Any], prefix: str = ""
) -> dict[str, object]:
    if value is None:  # an empty file or section
        return {}
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: got {value!r}, expected keys: {', '.join(known)}")
    for key in value:
        if key not in known:
            raise ConfigError(
                f"{where}: unknown key {f'{prefix}{key}'!r}, expected one of: {', '.join(known)}"
            )
    return value


def _read_environment(environ: Mapping[str, str]) -> dict[str, tuple[object, str]]:
    """STREAMER_* variables by dotted key; values are read as YAML, as in the file."""
    keys = {
        f"{ENV_PREFIX}{section}_{name}".upper(): f"{section}.{name}"
        for section, model in _sections().items()
        for name in model.model_fields
    }
    layer: dict[str, tuple[object, str]] = {}
    for variable, text in environ.items():
        if not variable.startswith(ENV_PREFIX):
            continue
        if variable not in keys:
            raise ConfigError(
                f"unknown environment variable {variable}, expected one of: {', '.join(keys)}"
            )
        try:
            layer[keys[variable]] = (yaml.safe_load(text), variable)
        except yaml.YAMLError as error:
            raise ConfigError(f"{variable}={text!r} is not valid YAML: {error}") from error
    return layer


def _explain(error: ValidationError, origins: Mapping[str, str]) -> str:
    """One line per wrong value: the key, its origin, what was got and what is allowed."""
    lines: dict[str, str] = {}
    for item in error.errors():
        section, name = (str(part) for part in item["loc"][:2])
        key = f"{section}.{name}"
        got = item["input"]
        lines[key] = f"{key}: got {got!r} from {origins[key]}, allowed: {allowed(section, name)}"
    return "\n".join(lines.values())


def allowed(section: str, name: str) -> str:
    """What a key may be set to, in words."""
    schema = _sections()[section].model_json_schema()["properties"][name]
    return " or ".join(_describe(choice) for choice in schema.get("anyOf", [schema]))


def _describe(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(str(value) for value in schema["enum"])
    words = {
        "integer": "a whole number", "number": "a number", "string": "a text",
        "array": "a list of texts", "boolean": "true or false", "null": "null",
    }  # fmt: skip
    text = words[schema["type"]]
    if "minimum" in schema:
        text += f" from {schema['minimum']} to {schema['maximum']}"
    return text
