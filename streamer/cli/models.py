"""``streamer models``: list the model bundles that are installed."""

from streamer.cli.parser import CommandParser, Namespace

NAME = "models"
SUMMARY = "list the installed models, their emotions and licences"
EXAMPLE = "streamer models"


def add_arguments(parser: CommandParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument(
        "names", metavar="NAME|DIR", nargs="*", help="only these (default: all installed ones)"
    )


def execute(args: Namespace) -> int:
    """Print what each model's manifest says."""
    from streamer.model.catalog import entry, find_bundle, installed
    from streamer.text import one_line

    for name in args.names or installed():
        found = entry(find_bundle(name))
        print(f"{one_line(name)}: {one_line(found.name)}, in {one_line(str(found.folder))}")
        print(f"  emotions:        {', '.join(map(one_line, found.labels))}")
        print(f"  trained on data: {'; '.join(map(one_line, found.licences))}")
        print(f"  ordinary speech: {one_line(found.quietness) or 'not measured'}")
    return 0
