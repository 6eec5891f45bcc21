"""The program ``streamer``: finds the command that was typed, runs it, returns its exit code."""

import contextlib
import difflib
import gc
import io
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from typing import NoReturn, Protocol

from streamer import __version__
from streamer.cli import (
    adapt,
    average,
    bench,
    bulk,
    card,
    check,
    config,
    devices,
    enrol,
    evaluate,
    export,
    file,
    finetune,
    models,
    report,
    run,
    serve,
    train,
    wallboard,
)
from streamer.cli.parser import CommandParser, Namespace
from streamer.cli.program_log import add_logging, logging_set_up
from streamer.cli.startup_checks import check_current_folder, open_closed_streams
from streamer.errors import ConfigError, OutputError, StreamerError

logger = logging.getLogger(__name__)

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it: 128 and the number of the signal."""


class CommandModule(Protocol):
    """The protocol of the module of a command."""

    NAME: str
    SUMMARY: str
    EXAMPLE: str

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the command's arguments to its parser."""

    def execute(self, args: Namespace) -> int:
        """Run the command and print its results; returns the exit code."""


GROUPS: dict[str, tuple[CommandModule, ...]] = {
    "listen and analyse": (run, file, bulk, serve, wallboard, report, export),
    "set up": (devices, check, config, models, enrol),
    "build models": (train, finetune, average, evaluate, card, adapt, bench),
}
COMMANDS = {command.NAME: command for commands in GROUPS.values() for command in commands}


def program() -> NoReturn:
    """Run the command of the command line, and end the process with its exit code.

    A thread that was left behind, such as a worker that still classifies, is not waited for. The
    interpreter would stop it when it next asks for the lock: within torch, that is a crash.
    """
    code = main()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # what ends Python is not to be cut short
    if any(thread.daemon for thread in threading.enumerate()):
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):  # closed, or its reader has gone
                stream.flush()
        os._exit(code)
    gc.freeze()  # Python would look through all objects as it ends: 0.2 s where torch is loaded
    sys.exit(code)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code (see `streamer.errors`).

    Raises:
        SystemExit: After ``--help`` and ``--version`` (0) and after a usage error (2).
    """
    open_closed_streams()
    words = list(sys.argv[1:] if argv is None else argv)
    command = COMMANDS.get(words[0]) if words else None
    if command is None:
        return _without_command(words)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names go out in whatever code page there is
            stream.reconfigure(errors="backslashreplace")
    args = command_parser(command).parse_args(words[1:])
    try:
        check_current_folder()
        with logging_set_up(args):
            return _execute(command, args)
    except (ConfigError, OutputError) as error:  # there is nowhere to log to
        print(f"streamer: {error}", file=sys.stderr)
        return error.exit_code


def _execute(command: CommandModule, args: Namespace) -> int:
    """Run a command; log an error and return its exit code."""
    logger.info("streamer %s: %s", __version__, command.NAME)
    try:
        return command.execute(args)
    except StreamerError as error:
        logger.error("%s", error)  # noqa: TRY400 - a traceback says nothing to its user
        return error.exit_code
    except BrokenPipeError:  # the reader of our output has gone
        sys.stderr.close()
        return StreamerError.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # a bug: the user can report it
        logger.exception("a fault in the program, please report it: %r", error)  # noqa: TRY401
        return StreamerError.exit_code


def command_parser(command: CommandModule) -> CommandParser:
    """The parser of one command's arguments."""
    parser = CommandParser(
        prog=f"streamer {command.NAME}",
        description=f"{command.SUMMARY[0].upper()}{command.SUMMARY[1:]}.",
        epilog=f"example: {command.EXAMPLE}",
    )
    command.add_arguments(parser)
    add_logging(parser)
    return parser


def overview() -> str:
    """The text of ``streamer --help``."""
    lines = [
        "usage: streamer COMMAND [OPTION...]",
        "       streamer COMMAND --help",
        "       streamer --version",
        "",
        "Says which emotion is heard, and how sure it is, while somebody speaks.",
    ]
    for group, commands in GROUPS.items():
        lines += ["", f"{group}:"]
        lines += [f"  {command.NAME:<9} {command.SUMMARY}" for command in commands]
    return "\n".join([*lines, "", "example: streamer run --csv calls.csv"])


def _without_command(words: Sequence[str]) -> int:
    """Handle a command line that does not begin with a command."""
    match words:
        case ["-h" | "--help" | "help", *_]:
            print(overview())
            return 0
        case ["--version", *_]:
            print(f"streamer {__version__}")
            return 0
        case []:
            print(overview(), file=sys.stderr)
        case [word, *_]:
            similar = difflib.get_close_matches(word, COMMANDS, n=1)
            hint = f"did you mean {similar[0]!r}?" if similar else "'streamer --help' lists them"
            print(f"streamer: there is no command {word!r}; {hint}", file=sys.stderr)
    return ConfigError.exit_code
