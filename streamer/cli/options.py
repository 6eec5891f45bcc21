"""Defines options that several commands share: configuration, model, outputs."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from streamer.cli.parser import CommandParser, Namespace, positive_float, user_path
from streamer.errors import ConfigError

if TYPE_CHECKING:
    from streamer.config import Config, LoadedConfig
    from streamer.model.classifier import Classifier
    from streamer.model.priors import Prior
    from streamer.model.protocol import Model
    from streamer.sinks.audio_files import AudioFolder


logger = logging.getLogger(__name__)

STDOUT = Path("-")

BOTH = "--csv - and --json both write to standard output: choose one of them"

# --- definitions ---


def add_config(parser: CommandParser) -> None:
    """Add ``--config``."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        type=user_path,
        help="configuration file (default: ./config.yaml, else that in the user's config folder)",
    )


def add_model(parser: CommandParser) -> None:
    """Add ``--model``."""
    parser.add_argument("--model", metavar="NAME|DIR", help="model bundle (default: default)")


def add_output(parser: CommandParser) -> None:
    """Add ``--csv``, ``--no-csv``, ``--json`` and ``--save-audio``."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--csv",
        metavar="PATH",
        help="append a row per utterance to this file (default: emotions.csv); - is stdout",
    )
    where.add_argument("--no-csv", action="store_true", help="write no CSV")
    parser.add_argument(
        "--excel",
        action="store_true",
        help="write CSVs for an Excel whose decimal sign is a comma",
    )
    parser.add_argument(
        "--json", action="store_true", help="print one line of JSON per event on stdout"
    )
    parser.add_argument(
        "--save-audio",
        metavar="DIR",
        type=user_path,
        help="save the audio of each utterance in this folder, as FLAC named by its row",
    )


def add_call_gap(parser: CommandParser) -> None:
    """Add ``--call-gap``."""
    parser.add_argument(
        "--call-gap",
        metavar="SECONDS",
        type=positive_float,
        help="a silence of this length on all channels ends a call (default: no silence does)",
    )


# --- meanings ---


def load_config(args: Namespace, *, calls_name_channels: bool = False) -> "LoadedConfig":
    """Merge the command's flags with the environment, the configuration file and the defaults.

    Args:
        args: The command's flags.
        calls_name_channels: As `streamer.config.load` takes it.

    Raises:
        ConfigError: A value is not allowed, or the file cannot be read.
    """
    from streamer.config import load

    given = vars(args)
    flags = {
        key: given[flag]
        for key, flag in (
            ("model.name", "model"),
            ("audio.device", "device"),
            ("output.csv", "csv"),
            ("audio.channels", "channels"),
            ("baseline.speakers", "speakers"),
            ("calls.gap_s", "call_gap"),
        )
        if given.get(flag) is not None and not isinstance(given[flag], int)
    }
    if given.get("speakers"):
        flags["baseline.enabled"] = True
    if given.get("ascii"):
        flags["dashboard.ascii"] = True
    if given.get("no_csv"):
        flags["output.csv"] = None
    if given.get("excel"):
        flags["output.excel"] = True
    loaded = load(file=args.config, flags=flags, calls_name_channels=calls_name_channels)
    for warning in loaded.warnings:
        logger.warning("%s", warning)
    return loaded


def csv_path(config: "Config") -> Path | None:
    """Where rows go; None for nowhere.

    Raises:
        ConfigError: It begins with ``~`` and the name of an unknown user.
    """
    if not config.output.csv:
        return None
    try:
        return Path(config.output.csv).expanduser()
    except RuntimeError as error:
        raise ConfigError(
            f"output.csv: got {config.output.csv!r}, and nobody has such a home folder"
        ) from error


def is_stdout(csv: Path | None) -> bool:
    """Whether rows go to standard output."""
    return csv == STDOUT


def audio_folder(args: Namespace) -> "AudioFolder | None":
    """Where the sound of utterances is kept, with ``--save-audio``."""
    from streamer.sinks.audio_files import AudioFolder

    return AudioFolder(args.save_audio) if args.save_audio is not None else None


def warn_of_licence(config: "Config") -> None:
    """Say that the model is not for commercial use, where that is so.

    A missing model is reported when it is loaded.
    """
    from contextlib import suppress

    from streamer.errors import ModelError
    from streamer.model.catalog import licence_notice

    with suppress(ModelError):
        if notice := licence_notice(config.model.name):
            logger.warning(notice)


@dataclass(frozen=True, slots=True)
class ModelLoader:
    """Loads the configured model, here or in another process; imports torch when it is called."""

    config: "Config"

    def __call__(self) -> "Classifier":
        """Load it.

        Raises:
            ConfigError, ModelError: As `Classifier.load` does.
        """
        from streamer.model.catalog import find_bundle

        model = self.config.model
        find_bundle(model.name)  # a name that nobody knows is said before torch is loaded
        from streamer.model.classifier import Classifier

        prior = cast("Prior", model.prior)  # an emotion is a str, which a key's type hides
        return Classifier.load(model.name, prior=prior, threads=model.threads)


def model_loader(config: "Config") -> "Callable[[], Classifier]":
    """A function that loads the configured model; torch is only imported once it is called."""
    return ModelLoader(config)


def model_process_loader(config: "Config") -> "Callable[[], Model]":
    """A function that loads the configured model in a process of its own."""
    from streamer.server.model_process import ModelProcess

    return partial(ModelProcess, ModelLoader(config))


def read_text(path: Path) -> str:
    """Read the text of a file.

    Raises:
        ConfigError: It cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: got bytes that are no UTF-8, expected text") from error
