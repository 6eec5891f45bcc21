"""Writes the tables of an archive in parts, as CSV, JSON lines or Parquet.

A part is made from the CSV of a run, row by row, when all of its recordings are done, so it is
there whole or not at all.
"""

import csv
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from streamer.bulk.plan import Shard
from streamer.errors import OutputError
from streamer.export.tables import pyarrow
from streamer.sinks.csv_format import restored
from streamer.sinks.row import Value
from streamer.sinks.whole_file import whole_file

if TYPE_CHECKING:
    import pyarrow as pa

TableFormat: TypeAlias = Literal["csv", "jsonl", "parquet"]
TABLE_FORMATS: tuple[TableFormat, ...] = ("csv", "jsonl", "parquet")

WORK = ".work"
"""The folder beside the parts with the files that a run needs to continue."""

GROUP_ROWS = 50_000
"""How many rows of Parquet are written at once."""

TEXTS = frozenset(
    (
        "session",
        "channel",
        "started_at",
        "emotion",
        "alert",
        "end_reason",
        "source",
        "model",
        "note",
    )
)
WHOLE = frozenset(("utterance", "call", "utterances", "alerts", "interruptions"))
"""Columns of whole numbers. Those in neither set are numbers, or true and false."""


class Table:
    """One table of an archive.

    Args:
        folder: Where the parts are.
        name: The name of the table.
        shape: The format of the parts.
        shard: The part of the recordings.
    """

    def __init__(self, folder: Path, name: str, shape: TableFormat, shard: Shard) -> None:
        self.work = folder / WORK / f"{name}-{shard.name}.csv"
        """The CSV to which rows are appended."""
        self.part = folder / f"{name}-{shard.name}.{shape}"
        """The part that is made of it."""
        self._shape = shape

    def prepare(self) -> None:
        """Make the folders.

        Raises:
            OutputError: They cannot be made, or a package for this format is not installed.
        """
        if self._shape == "parquet":
            pyarrow()
        try:
            self.work.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{self.part.parent}: cannot be made: {error.strerror}") from error

    def finish(self) -> None:
        """Write the part; it replaces an existing one.

        Raises:
            OutputError: It cannot be written.
        """
        write: Callable[[Path, Path], None] = {
            "csv": _copy, "jsonl": _write_jsonl, "parquet": _write_parquet,
        }[self._shape]  # fmt: skip
        with whole_file(self.part) as draft:
            write(self.work, draft)


def typed(cells: Mapping[str, str], columns: Sequence[str]) -> dict[str, Value]:
    """A row of a CSV with the types that its columns have."""
    return {name: _typed(name, cells[name]) for name in columns}


def schema(columns: Sequence[str]) -> "pa.Schema":
    """The columns of rows or of summaries, with their types.

    Raises:
        OutputError: pyarrow is not installed.
    """
    arrow = pyarrow()
    is_summary = "utterance" not in columns  # where it is a share, and no truth

    def kind(name: str) -> "pa.DataType":
        if name in TEXTS:
            return arrow.string()
        if name in WHOLE:
            return arrow.int64()
        return arrow.bool_() if name == "uncertain" and not is_summary else arrow.float64()

    return arrow.schema([(name, kind(name)) for name in columns])


def _typed(name: str, cell: str) -> Value:
    if not cell:
        return None
    if name in TEXTS:
        return restored(cell)
    if name in WHOLE:
        return int(cell)
    return {"true": True, "false": False}.get(cell) if cell in ("true", "false") else float(cell)


def _rows(work: Path) -> Iterator[dict[str, Value]]:
    with work.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        columns = tuple(reader.fieldnames or ())
        for cells in reader:
            yield typed(cells, columns)


def _copy(work: Path, out: Path) -> None:
    shutil.copyfile(work, out)


def _write_jsonl(work: Path, out: Path) -> None:
    with out.open("w", encoding="utf-8", newline="\n") as file:
        for row in _rows(work):
            file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")


def _write_parquet(work: Path, out: Path) -> None:
    arrow = pyarrow()
    from pyarrow import parquet  # noqa: PLC0415 - an extra

    with work.open(encoding="utf-8") as file:
        types = schema(next(csv.reader(file)))
    with closing(parquet.ParquetWriter(out, types, compression="zstd")) as writer:
        rows = _rows(work)
        while group := list(islice(rows, GROUP_ROWS)):
            writer.write_table(arrow.Table.from_pylist(group, schema=types))
