"""Reads a configuration file: YAML in which texts stay texts and keys are unique.

PyYAML follows YAML 1.1, in which ``010`` is 8, ``1:30`` is 90 and ``on`` is true. Here, as in the
core schema of YAML 1.2, everything but ``true``, ``false``, decimal numbers and ``null`` is a text.
"""

import codecs
import re
from pathlib import Path

import yaml

from streamer.errors import ConfigError

NOT_YAML = (
    yaml.YAMLError, AttributeError, LookupError, RecursionError, TypeError, ValueError,
)  # fmt: skip
"""What the parser raises, also for a number of 5000 digits or a thousand brackets."""

MAX_BYTES = 2**20
"""Of a configuration; what never ends, as ``/dev/zero``, is not read to its end."""

BOOL, INT, FLOAT, NULL = (f"tag:yaml.org,2002:{kind}" for kind in ("bool", "int", "float", "null"))
PATTERNS = {
    BOOL: re.compile(r"^(?:true|false)$"),
    INT: re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$"),
    FLOAT: re.compile(
        r"^[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?|\.inf)$|^\.nan$"
    ),
    NULL: re.compile(r"^(?:null|~|)$"),
}


class _Loader(yaml.SafeLoader):
    """SafeLoader with `PATTERNS` for what is no text."""

    yaml_implicit_resolvers = {None: list(PATTERNS.items())}  # noqa: RUF012 - PyYAML's own attribute


def read_yaml(path: Path) -> object:
    """What a file holds: mappings, lists, texts, numbers, true, false and None.

    Raises:
        ConfigError: It cannot be read, is not YAML, has a key twice, or has a key without a value.
            No value is quoted: it may be a secret.
    """
    text = _text(path)
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _check_keys(node, path)
        return loader.construct_document(node)
    except NOT_YAML as error:
        raise ConfigError(f"{path}: is not valid YAML: {_where(error)}") from None


def _text(path: Path) -> str:
    """The text of a file or pipe: UTF-8, or UTF-16 with its mark, as Windows redirects output.

    Raises:
        ConfigError: It cannot be read, is too long for a configuration, or is no such text.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{path}: is longer than {MAX_BYTES} bytes, expected a configuration")
    encoding = "UTF-8-SIG"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "UTF-16"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        place = f"byte {error.start + 1} is not {encoding.removesuffix('-SIG')}"
        raise ConfigError(f"{path}: cannot be read: {place}; save it as UTF-8") from None


def plain_value(text: str) -> bool | int | float | str | None:
    """The value of a text that stands in YAML without quotes.

    Raises:
        ValueError: A number has too many digits.
    """
    for tag, pattern in PATTERNS.items():
        if pattern.match(text):
            loader = _Loader("")
            value: bool | int | float | None = loader.construct_object(yaml.ScalarNode(tag, text))
            return value
    return text


def _check_keys(root: yaml.Node, path: Path) -> None:
    """Check that keys differ, and that all but the sections have a value.

    Raises:
        ConfigError: They do not, or have none.
    """
    seen: set[int] = set()  # an alias is the node that it stands for
    waiting = [(root, 0)]
    while waiting:
        node, depth = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += [(child, depth + 1) for child in node.value]
        if not isinstance(node, yaml.MappingNode):
            continue
        lines: dict[str, int] = {}
        for key, value in node.value:
            waiting.append((value, depth + 1))
            if not isinstance(key, yaml.ScalarNode):
                continue
            line = key.start_mark.line + 1
            if key.value in lines:
                raise ConfigError(
                    f"{path}: the key {key.value!r} is in line {lines[key.value]} "
                    f"and again in line {line}"
                )
            lines[key.value] = line
            if depth and isinstance(value, yaml.ScalarNode) and not (value.value or value.style):
                raise ConfigError(
                    f"{path}: line {line}: {key.value!r} has no value; write null if that is meant"
                )


def _where(error: Exception) -> str:
    """What is wrong in which line."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return type(error).__name__
