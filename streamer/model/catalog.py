"""Finds the model bundles that came with streamer without loading them; imports no torch."""

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from streamer.errors import ModelError

MANIFEST, WEIGHTS = "bundle.json", "model.safetensors"

NOT_COMMERCIAL = ("NC", "research", "proprietary", "none stated", "not stated")
"""Words in a licence that forbid commercial use or leave it open."""

QUIET = "quiet"
"""The key in a manifest's ``training`` with a line on how quiet the model is, once measured."""

_PACKAGE = Path(__file__).resolve().parents[1]
MODEL_FOLDERS = (_PACKAGE / "models", _PACKAGE.parent / "models")
"""Where bundles are found by name: in an installed wheel, and in a checkout."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The main facts of a bundle's manifest, unchecked.

    Attributes:
        folder: Where it lies.
        name: Name and version, as the CSV has them.
        labels: The emotions that it knows.
        licences: Of what it was trained on, each once.
        quietness: How often it names an emotion in ordinary speech, as a text of the manifest; ""
            where that was not measured.
    """

    folder: Path
    name: str
    labels: tuple[str, ...]
    licences: tuple[str, ...]
    quietness: str
    digest: str = ""


def installed() -> dict[str, Path]:
    """The folders of the bundles that came with streamer, by name."""
    return {
        folder.name: folder
        for parent in reversed(MODEL_FOLDERS)
        if parent.is_dir()
        for folder in sorted(parent.iterdir())
        if (folder / MANIFEST).is_file()
    }


def find_bundle(name_or_path: str | Path) -> Path:
    """The folder of a bundle.

    Args:
        name_or_path: The name of one that came with streamer, or the path of a folder.

    Raises:
        ModelError: There is no such bundle.
    """
    known = installed()
    if isinstance(name_or_path, str) and name_or_path in known:
        return known[name_or_path]
    with suppress(RuntimeError):  # ~ of somebody who is not there
        if os.fspath(name_or_path) and (path := Path(name_or_path).expanduser()).is_dir():
            return path
    raise ModelError(
        f"there is no model {os.fspath(name_or_path)!r}, expected the path of a bundle's folder "
        f"or one of: {', '.join(sorted(known)) or 'none are installed'}"
    )


def entry(folder: Path) -> Entry:
    """Read what a bundle's manifest says.

    Raises:
        ModelError: It cannot be read.
    """
    path = folder / MANIFEST
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        measured = said.get("training", {}).get(QUIET, "")
        return Entry(
            folder=folder,
            name=f"{said['name']}-{said['version']}",
            labels=tuple(said["labels"]),
            licences=tuple(dict.fromkeys(source["licence"] for source in said["sources"])),
            quietness=measured if isinstance(measured, str) else json.dumps(measured),
            digest=said.get("files", {}).get(WEIGHTS, ""),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path}: cannot be read: {error}") from error


def is_commercial(licences: Iterable[str]) -> bool:
    """Whether no licence forbids commercial use, or leaves it open."""
    return not any(word in licence for licence in licences for word in NOT_COMMERCIAL)


def licence_notice(name_or_path: str | Path) -> str | None:
    """A line for users of a model that is not for commercial use; None for other models.

    Raises:
        ModelError: There is no such model.
    """
    found = entry(find_bundle(name_or_path))
    if is_commercial(found.licences):
        return None
    return f"model {found.name} is not for commercial use; a company may use --model open"


def not_commercial(names: Iterable[str]) -> list[str]:
    """Of models as logs call them, those that are installed and not for commercial use."""
    entries = {found.name: found for found in map(entry, installed().values())}
    return [name for name in names if name in entries and not is_commercial(entries[name].licences)]


def licences_of(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The licences of what models were trained on, by the models' names as logs call them.

    Models that are not installed here are left out.
    """
    entries = {found.name: found for found in map(entry, installed().values())}
    return {name: entries[name].licences for name in names if name in entries}
