"""``streamer config``: show the configuration."""

from streamer.cli.options import add_config, load_config
from streamer.cli.parser import CommandParser, Namespace

NAME = "config"
SUMMARY = "show the configuration"
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


def execute(args: Namespace) -> int:
    """Print a table of all values."""
    from rich.console import Console
    from rich.table import Table

    table = Table("key", "value", "from", "what it is")
    for setting in load_config(args).settings():
        value = "null" if setting.value is None else str(setting.value)
        table.add_row(setting.key, value, setting.source, setting.description)
    Console().print(table)
    return 0
