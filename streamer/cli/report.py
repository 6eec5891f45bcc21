"""``streamer report``: make a page of logged sessions."""

import sys
from collections.abc import Sequence
from pathlib import Path

from streamer.cli.parser import CommandParser, Namespace, user_path

NAME = "report"
SUMMARY = "make a page of logged sessions for people to read and print"
EXAMPLE = "streamer report calls.csv -o calls.html --open"

MAX_SHOWN = 5
"""How many skipped lines of a log are printed on stderr; the page lists them all."""


def add_arguments(parser: CommandParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument(
        "logs", nargs="+", metavar="CSV", type=user_path, help="a log, or a folder of them"
    )
    parser.add_argument(
        *("-o", "--out"),
        metavar="PATH",
        type=user_path,
        default=Path("report.html"),
        help="the page, one HTML file without links to others (default: %(default)s)",
    )
    parser.add_argument(
        "--audio",
        metavar="DIR",
        type=user_path,
        help="saved utterances, from --save-audio, to be played from the page",
    )
    parser.add_argument("--session", metavar="ID", help="only this session of the logs")
    parser.add_argument("--open", action="store_true", help="show it in a browser")


def execute(args: Namespace) -> int:
    """Write the page; returns 1 where a log could not be read at all."""
    import webbrowser

    from streamer.report.make import make

    made = make(args.logs, args.out, audio=args.audio, session=args.session)
    print_silent(made.silent)
    _print_left_out(made.left_out)
    print(args.out)
    if args.open and not webbrowser.open(args.out.resolve().as_uri()):
        print("streamer: no browser found; open the page by hand", file=sys.stderr)
    return 1 if made.unread else 0


def print_silent(logs: Sequence[Path]) -> None:
    """Say on stderr in which logs nothing was said."""
    for path in logs[:MAX_SHOWN]:
        print(f"streamer: {path}: holds no utterance", file=sys.stderr)
    if len(logs) > MAX_SHOWN:
        print(f"streamer: {len(logs) - MAX_SHOWN} more logs hold none", file=sys.stderr)


def _print_left_out(left_out: Sequence[str]) -> None:
    for one in left_out[:MAX_SHOWN]:
        print(f"streamer: {one}", file=sys.stderr)
    if len(left_out) > MAX_SHOWN:
        print(f"streamer: {len(left_out) - MAX_SHOWN} more of these; see the page", file=sys.stderr)
