"""Checks, before hours of work, that results can be written."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

from streamer.errors import ConfigError, OutputError
from streamer.model.catalog import MANIFEST

FIGURES = "figures.json"
"""The file that every evaluation writes to its folder."""


def check_file(out: Path) -> None:
    """Check that a file can be written there.

    Raises:
        OutputError: It is a folder, or no file can be made beside it.
    """
    if out.is_dir():
        raise OutputError(f"{out}: is a folder, expected a file")
    _try(out.parent, out)


def check_bundle(out: Path) -> None:
    """Check that a model bundle can be written there: it may replace only a bundle.

    Raises:
        ConfigError: Something else is there.
        OutputError: No folder can be made there.
    """
    if out.exists() and not (out / MANIFEST).is_file():
        raise ConfigError(f"{out}: exists and is no model bundle, expected a new name")
    _try(out.parent, out)


def make_folder(folder: Path) -> None:
    """Make a folder, where it is not there yet, in which files can be made.

    Raises:
        OutputError: It cannot be made or written to, or is a file.
    """
    _try(folder, folder)


@contextmanager
def written(out: Path) -> Iterator[None]:
    """Turn errors while writing into an OutputError that names the asked-for path.

    Raises:
        OutputError: Something could not be written.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(f"{out}: cannot be written: {error}") from error


def _try(folder: Path, out: Path) -> None:
    """Make a folder and a file in it; an error names ``out``."""
    with written(out):
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
