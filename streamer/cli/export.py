"""``streamer export``: write logged sessions in the formats of other programs."""

import sys
from pathlib import Path

from streamer.cli.parser import CommandParser, Namespace, user_path
from streamer.cli.report import print_silent

NAME = "export"
SUMMARY = "write a log as subtitles, labels of Praat, ELAN or Audacity, RTTM or Parquet"
EXAMPLE = "streamer export calls.csv --to textgrid --out labels/"

FORMATS = ("srt", "vtt", "textgrid", "elan", "audacity", "rttm", "parquet", "calls")

MAX_SHOWN = 5
"""How many skipped lines of a log are printed on stderr."""


def add_arguments(parser: CommandParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument(
        "logs", nargs="+", metavar="CSV", type=user_path, help="a log, or a folder of them"
    )
    parser.add_argument("--to", required=True, choices=FORMATS, help="the format")
    parser.add_argument(
        *("-o", "--out"),
        metavar="PATH",
        type=user_path,
        default=Path(),
        help="a folder, made where it does not exist, or one file (default: the current folder)",
    )
    parser.add_argument("--replace", action="store_true", help="replace files that exist")


def execute(args: Namespace) -> int:
    """Write the files and print their names; returns 1 where a log could not be read at all."""
    from streamer.export.export import export

    exported = export(args.logs, args.to, args.out, replace=args.replace)
    for path in exported.files:
        print(path)
    print_silent(exported.silent)
    for line in exported.left_out[:MAX_SHOWN]:
        print(f"streamer: {line}", file=sys.stderr)
    if len(exported.left_out) > MAX_SHOWN:
        print(f"streamer: {len(exported.left_out) - MAX_SHOWN} more of these", file=sys.stderr)
    return 1 if exported.unread else 0
