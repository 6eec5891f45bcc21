"""Defines the options for archives that `streamer file` and `streamer bulk` share."""

from argparse import ArgumentTypeError
from pathlib import Path
from typing import TYPE_CHECKING

from streamer.cli.parser import CommandParser, names

if TYPE_CHECKING:
    from streamer.bulk.parts import Table, TableFormat
    from streamer.bulk.plan import Shard

# As in `streamer.bulk.parts`, which is only imported once it is needed.
TABLE_FORMATS = ("csv", "jsonl", "parquet")
MAX_SHARDS = 99_999


def add_archive(parser: CommandParser) -> None:
    """Add the options that ``file`` and ``bulk`` share."""
    parser.add_argument(
        "--channels",
        metavar="NAMES",
        type=names,
        help="independent channels, such as agent,customer (default for stereo: left,right)",
    )
    parser.add_argument(
        "--mono", action="store_true", help="mix a stereo recording to one channel instead"
    )
    parser.add_argument(
        "--format",
        choices=TABLE_FORMATS,
        default="csv",
        help="of the tables (default: %(default)s)",
    )
    parser.add_argument(
        "--shard",
        metavar="K/N",
        type=_shard,
        help="only the K-th of N parts of the recordings; each recording is always in the same one",
    )
    parser.add_argument(
        "--again",
        action="store_true",
        help="also analyse what has rows already (default: only what is new or was changed)",
    )
    parser.add_argument(
        "--retry-failed",
        action="store_true",
        help="try again recordings that could not be read at all",
    )


def source(path: str) -> str:
    """A path or URL as it is given to the plan. Raises InputError where it makes no sense."""
    from streamer.audio.inputs import recording_path
    from streamer.bulk.remote import is_remote

    return path if is_remote(path) else str(recording_path(path))


def part(given: tuple[int, int] | None) -> "Shard":
    """The shard of ``--shard``; all without it."""
    from streamer.bulk.plan import Shard

    return Shard(*given) if given else Shard()


def tables(out: Path, form: "TableFormat", shard: "Shard") -> "tuple[Table, Table]":
    """The tables of ``--out``: of utterances and of calls."""
    from streamer.bulk.parts import Table

    return Table(out, "utterances", form, shard), Table(out, "calls", form, shard)


def _shard(text: str) -> tuple[int, int]:
    """A value such as 3/16. Raises ArgumentTypeError for anything else."""
    number, _, count = text.partition("/")
    if number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count) <= MAX_SHARDS:
        return int(number), int(count)
    raise ArgumentTypeError(f"got {text!r}, expected a part such as 3/16: from 1/16 to 16/16")
