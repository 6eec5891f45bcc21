"""``streamer config``: show the configuration, or write a file to start from."""

import json
import sys
from pathlib import Path

from streamer.cli.options import add_config, load_config
from streamer.cli.parser import CommandParser, Namespace, user_path
from streamer.errors import OutputError

NAME = "config"
SUMMARY = "show the configuration, or write a file to start from"
EXAMPLE = "streamer config show"


def add_arguments(parser: CommandParser) -> None:
    """Add the sub-commands to the command's parser."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    show = commands.add_parser(
        "show",
        help="list every value and where it came from",
        description="List every value and where it came from.",
        epilog="example: STREAMER_VAD_FRAME_MS=30 streamer config show",
    )
    add_config(show)
    show.add_argument(
        "--yaml", action="store_true", help="as a configuration file, without the secrets"
    )
    show.set_defaults(sub_command=_show)
    init = commands.add_parser(
        "init",
        help="write a configuration file with every key, its default and its meaning",
        description="Write a configuration file with every key, its default and its meaning.",
        epilog="example: streamer config init",
    )
    init.add_argument(
        "path",
        metavar="PATH",
        type=user_path,
        nargs="?",
        help="where (default: config.yaml in the user's config folder); -: standard output",
    )
    init.set_defaults(sub_command=_init)


def execute(args: Namespace) -> int:
    """Run the sub-command."""
    code: int = args.sub_command(args)
    return code


def _show(args: Namespace) -> int:
    """Print all values, as a table or as YAML."""
    from rich.console import Console
    from rich.table import Table

    loaded = load_config(args)
    if args.yaml:
        print(loaded.as_yaml(), end="")
        return 0
    table = Table()
    table.add_column("key", no_wrap=True)
    for title in ("value", "from", "what it is"):
        table.add_column(title, overflow="fold")  # the end of a path is what matters in it
    for setting in loaded.settings():
        table.add_row(setting.key, _as_yaml(setting.value), setting.source, setting.description)
    Console().print(table)
    return 0


def _as_yaml(value: object) -> str:
    """A value on one line, as config.yaml would take it."""
    from pydantic import SecretStr

    if isinstance(value, (str, SecretStr)):
        return str(value)  # of a secret, asterisks
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)


def _init(args: Namespace) -> int:
    """Write the file, where there is none yet."""
    from streamer.config.loader import template, user_file

    if args.path == Path("-"):
        sys.stdout.write(template())
        return 0
    path = args.path or user_file()
    if path.is_dir():
        path /= user_file().name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(template())
    except FileExistsError:
        raise OutputError(f"{path}: is there already, and stays as it is") from None
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error
    print(path)
    return 0
