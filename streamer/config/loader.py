"""Loads the configuration: merges flags, environment, file and defaults.

A flag wins over a ``STREAMER_<SECTION>_<KEY>`` environment variable, that over the configuration
file (``--config``, else ``./config.yaml``, else the user's config folder), that over the default.
"""

import difflib
import json
import os
import re
import reprlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import platformdirs
import yaml
from pydantic import BaseModel, SecretStr, ValidationError

from streamer.config.schema import CALLS_NAME_CHANNELS, REMOVED_KEYS, Config
from streamer.config.yaml_file import plain_value, read_yaml
from streamer.errors import ConfigError

ENV_PREFIX = "STREAMER_"
ALERT_PREFIX = "STREAMER_ALERT_"
"""Prefix of the variables that an alert's command is given; they are no settings."""

FILE_NAME = "config.yaml"

MAX_QUOTE = 100
"""How many characters of a wrong value a message shows."""

SECRETS = ("alerts.webhook_secret",)
"""Keys whose values are never shown."""

TRUSTED_ONLY = ("alerts.command", "alerts.webhook_url", "alerts.webhook_secret", "model.name")
"""Keys that run programs, send data or name a model's folder: never from a file that was only found
in the current folder. A model's plain name is taken from there, too."""

INSIDE_ONLY = ("output.csv",)
"""Keys that name a file to be written: from such a file, only inside of the current folder."""

PLAIN_NAME = re.compile(r"[\w-][\w.-]*")

_Layer = dict[str, tuple[object, str]]
"""Value and origin by dotted key, of one source."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One value and where it came from: ``default``, a file's path, a variable, or ``flag``."""

    key: str
    value: object
    source: str
    description: str


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A valid configuration, and where its values came from.

    Attributes:
        config: All values.
        origins: Where each value that is no default came from, by dotted key.
        warnings: What was ignored, a line each.
    """

    config: Config
    origins: Mapping[str, str]
    warnings: tuple[str, ...] = field(default=())

    def settings(self) -> list[Setting]:
        """Every value, in the order of the schema."""
        return [
            Setting(
                key=f"{section}.{name}",
                value=_shown_value(getattr(getattr(self.config, section), name)),
                source=self.origins.get(f"{section}.{name}", "default"),
                description=info.description or "",
            )
            for section, model in _sections().items()
            for name, info in model.model_fields.items()
        ]

    def as_yaml(self) -> str:
        """The configuration as a file that `load` takes; secrets are left out."""
        tree = self.config.model_dump(mode="json")
        for key in SECRETS:
            section, _, name = key.partition(".")
            del tree[section][name]
        return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)


def load(
    *,
    file: Path | None = None,
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    calls_name_channels: bool = False,
) -> LoadedConfig:
    """Merge flags, environment, file and defaults.

    Args:
        file: The file named by ``--config``; None looks in the usual places.
        flags: Values given on the command line, by dotted key (``audio.device``).
        environ: The environment; None takes this process's.
        calls_name_channels: Each call brings its channels' names, as those of a server do: where
            ``audio.channels`` names none, ``audio.analyse`` and rules may name any.

    Raises:
        ConfigError: An unreadable file, an unknown key, or a value that is not allowed.
    """
    warnings: list[str] = []
    layers = []
    if (path := file or _find_file(warnings)) is not None:
        layer = _read_file(path)
        if file is None and not _is_users_own(path):
            layer = _without_untrusted(layer, path, warnings)
        layers.append(layer)
    layers.append(_read_environment(os.environ if environ is None else environ, warnings))
    layers.append({key: (value, "flag") for key, value in (flags or {}).items()})
    values: dict[str, object] = {}
    origins: dict[str, str] = {}
    for layer in layers:
        for key, (value, origin) in layer.items():
            values[key], origins[key] = value, origin
    nested: dict[str, dict[str, object]] = {section: {} for section in _sections()}
    for key, value in values.items():
        section, _, name = key.partition(".")
        nested[section][name] = value
    try:
        config = Config.model_validate(nested, context={CALLS_NAME_CHANNELS: calls_name_channels})
    except ValidationError as error:
        raise ConfigError(_explain(error, origins)) from None
    return LoadedConfig(config, origins, tuple(warnings))


def user_file() -> Path:
    """The configuration file in the user's own configuration folder.

    Raises:
        ConfigError: The user has no home, as that of a service may have none.
    """
    try:
        return platformdirs.user_config_path("streamer") / FILE_NAME
    except RuntimeError as error:
        raise ConfigError(
            "this user has no home folder, expected one in HOME or XDG_CONFIG_HOME"
        ) from error


def template() -> str:
    """The text of the shipped ``config.yaml``: every key with its default and its meaning."""
    here = Path(__file__).resolve()
    candidates = (here.with_name(FILE_NAME), here.parents[2] / FILE_NAME)
    return next(path for path in candidates if path.is_file()).read_text(encoding="utf-8")


# --- the file -----------------------------------------------------------------------------------


def _find_file(warnings: list[str]) -> Path | None:
    """The file of the current folder, else the user's; what cannot be looked for is said."""
    paths = [Path(FILE_NAME)]
    with suppress(ConfigError):
        paths.append(user_file())
    for path in paths:
        try:
            if path.is_file():
                return path
        except OSError as error:  # as where HOME is another user's
            warnings.append(
                f"{path}: cannot be looked for, so it counts for nothing: {error.strerror}"
            )
    return None


def _is_users_own(path: Path) -> bool:
    """Whether a file lies in the user's own configuration folder."""
    try:
        return path.resolve() == user_file().resolve()
    except ConfigError:
        return False


def _without_untrusted(layer: _Layer, path: Path, warnings: list[str]) -> _Layer:
    """Leave out what a file that merely lies in the current folder must not decide."""
    trusted = {key: entry for key, entry in layer.items() if key not in TRUSTED_ONLY}
    name = layer.get("model.name", (None, ""))[0]
    if isinstance(name, str) and PLAIN_NAME.fullmatch(name) and not Path(name).exists():
        trusted["model.name"] = layer["model.name"]
    said = [key for key, (value, _) in layer.items() if value not in (None, [], "")]  # not empty
    for key in INSIDE_ONLY:
        if key in trusted and _leads_outside(trusted[key][0]):
            del trusted[key]
    elsewhere = ""
    with suppress(ConfigError):
        elsewhere = f", or keep these keys in {user_file()}"
    if ignored := [key for key in said if key not in trusted]:
        warnings.append(
            f"{path.resolve()}: ignored {', '.join(ignored)}: a file that was only found in the "
            f"current folder may not run programs, send data, name a model's folder or write "
            f"outside of the current folder; name it with --config {path}{elsewhere}"
        )
    return trusted


def _leads_outside(name: object) -> bool:
    """Whether a path lies outside of the current folder, as a symbolic link in it may, too."""
    if not isinstance(name, str):
        return False
    try:
        return not Path(name).expanduser().resolve().is_relative_to(Path.cwd())
    except (OSError, RuntimeError, ValueError):  # no such home, a loop of links, a null character
        return True


def _read_file(path: Path) -> _Layer:
    """The file's values and origin by dotted key; unknown keys are errors."""
    sections = _sections()
    layer: _Layer = {}
    for section, content in _mapping(read_yaml(path), f"{path}", sections).items():
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
        raise ConfigError(f"{where}: got {_quoted(value)}, expected keys: {', '.join(known)}")
    for key in value:
        if (removed := REMOVED_KEYS.get(f"{prefix}{key}")) is not None:
            raise ConfigError(f"{where}: {prefix}{key} {removed}")
        if key not in known:
            hint = _similar(str(key), known) or f"expected one of: {', '.join(known)}"
            raise ConfigError(f"{where}: unknown key {f'{prefix}{key}'!r}, {hint}")
    return value


# --- the environment ----------------------------------------------------------------------------


def _read_environment(environ: Mapping[str, str], warnings: list[str]) -> _Layer:
    """STREAMER_* variables by dotted key; an unknown one is only worth a warning.

    Others may set them: Kubernetes gives a service called ``streamer`` STREAMER_SERVICE_HOST.
    """
    keys = {
        f"{ENV_PREFIX}{section}_{name}".upper(): (f"{section}.{name}", info.annotation)
        for section, model in _sections().items()
        for name, info in model.model_fields.items()
    }
    layer: _Layer = {}
    for variable, text in environ.items():
        if not variable.startswith(ENV_PREFIX) or variable.startswith(ALERT_PREFIX):
            continue
        if variable not in keys:
            hint = _similar(variable, keys, ENV_PREFIX)
            warnings.append(
                f"ignored the environment variable {variable}, which is no setting"
                + (f"; {hint}" if hint else "")
            )
            continue
        key, annotation = keys[variable]
        layer[key] = (_from_text(text, annotation, variable), variable)
    return layer


def _from_text(text: str, annotation: object, variable: str) -> object:
    """The value of an environment variable, by the type that its key has.

    A text stays as it is, but for ``null`` where that is allowed; a list of texts has commas
    between them; rules and labels are JSON.
    """
    kinds = _kinds(annotation)
    if text == "null" and NoneType in kinds:
        return None
    if kinds & {tuple, dict}:
        if text.lstrip().startswith(("[", "{")):
            try:
                return json.loads(text)
            except (ValueError, RecursionError):
                expected = "JSON, or texts with commas between them"
                raise ConfigError(f"{variable}: got {_quoted(text)}, expected {expected}") from None
        return [part.strip() for part in text.split(",")] if text else []
    if kinds & {str, SecretStr}:
        return text
    try:
        return plain_value(text)
    except ValueError:  # thousands of digits
        return text


def _kinds(annotation: object) -> set[object]:
    """The plain types that an annotation is made of: of ``int | None``, int and NoneType."""
    if isinstance(annotation, type):
        return {annotation}
    origin = get_origin(annotation)
    if origin is Literal:
        return {type(value) for value in get_args(annotation)}
    if origin in (tuple, dict):
        return {origin}
    return {kind for part in get_args(annotation) for kind in _kinds(part)}


# --- messages -----------------------------------------------------------------------------------


def _explain(error: ValidationError, origins: Mapping[str, str]) -> str:
    """One line per wrong value: the key, what was got, its origin, and what is expected."""
    lines: dict[str, str] = {}
    for item in error.errors():
        section, *path = (part for part in item["loc"] if part != "[key]")
        key = str(section) + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path)
        if item["type"] == "value_error":
            text = str(item["ctx"]["error"])
        else:
            text = f"{item['msg'][0].lower()}{item['msg'][1:]}".replace("tuple", "list")
        if not path:  # values that contradict each other, already explained
            lines[key] = text
            continue
        got = "a secret" if key in SECRETS else _quoted(item["input"])
        origin = origins.get(f"{section}.{path[0]}", "default")
        if item["type"] == "value_error":
            text = f"expected {text}"
        lines[key] = f"{key}: got {got} from {origin}: {text}"
    return "\n".join(lines.values())


def _similar(word: str, known: Iterable[str], prefix: str = "") -> str:
    """A question for the likeliest name; what all names begin with makes none alike."""
    names = [name.removeprefix(prefix) for name in known]
    similar = difflib.get_close_matches(word.removeprefix(prefix), names, n=1)
    return f"did you mean {prefix}{similar[0]}?" if similar else ""


def _quoted(value: object) -> str:
    """A value in a message, cut short: aliases make a terabyte of a line of YAML."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = MAX_QUOTE
    return short.repr(value)


def _shown_value(value: object) -> object:
    """A value as `config show` writes it: rules as JSON that config.yaml would take."""
    if isinstance(value, tuple) and any(isinstance(item, BaseModel) for item in value):
        return json.dumps([rule.model_dump(exclude_defaults=True) for rule in value])
    return value


def _sections() -> dict[str, type[BaseModel]]:
    return {
        name: info.annotation
        for name, info in Config.model_fields.items()
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel)
    }
