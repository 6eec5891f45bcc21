"""Reads a CSV file as streamer, or a spreadsheet in any language, has saved it.

Spreadsheets write with the separator of their language, in UTF-8, UTF-16 or an older code page,
put ``sep=;`` before the header, break lines within cells and leave out empty cells at the end.
"""

import codecs
import csv
import io
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

DELIMITERS = (",", ";", "\t")

MAX_CELL_LINES = 20
"""Lines that a cell somebody wrote into may have."""

MAX_PLAIN = 131_072
"""Letters of a line that is split at its separators alone; a longer one may be beyond measure."""

_NOT_PLAIN = frozenset('"\r\n\0')


@dataclass(frozen=True, slots=True)
class SavedTable:
    """What a file holds; read line by line, each time anew.

    Attributes:
        path: The file.
        header: The names of its columns.
        delimiter: What stands between cells.
        first_line: The number of the first line below the header in the file, from 1.
    """

    path: Path
    header: tuple[str, ...]
    delimiter: str
    first_line: int

    def records(self, min_cells: int) -> Iterator[tuple[int, list[str]]]:
        """The cells of each line that is not empty, with the line's number in the file.

        The log keeps to one line per row; only a spreadsheet breaks lines within a cell. Lines are
        put together where they make up a whole row, so that a torn one swallows none of those
        after it.

        Args:
            min_cells: A row with at least this many cells is whole: what it lacks are empty cells.

        Raises:
            OSError: The file cannot be read.
        """
        width = len(self.header)
        number = self.first_line
        with closing(_lines(self.path)) as below:
            lines = islice(below, number - 1, None)
            ahead: deque[str] = deque()
            while (line := ahead.popleft() if ahead else next(lines, None)) is not None:
                taken, cells = 1, self._cells(line)
                if line.count('"') % 2:
                    ahead.extend(islice(lines, MAX_CELL_LINES - 1 - len(ahead)))
                    for count in range(2, len(ahead) + 2):
                        joined = "\n".join([line, *islice(ahead, count - 1)])
                        found = self._cells(joined)
                        if joined.count('"') % 2 == 0 and min_cells <= len(found) <= width:
                            taken, cells = count, found
                            break
                if any(cells):
                    missing = width - len(cells)
                    yield number, cells + [""] * missing * (len(cells) >= min_cells)
                for _ in range(taken - 1):
                    ahead.popleft()
                number += taken

    def _cells(self, text: str) -> list[str]:
        cells = _split(text, self.delimiter)
        if len(cells) == 1 < len(self.header):  # a row that a spreadsheet took for a single cell
            return _split(cells[0], self.delimiter)
        return cells


def open_table(path: Path, is_header: Callable[[Sequence[str]], int]) -> SavedTable | None:
    """Look at the beginning of a file.

    Args:
        path: The file.
        is_header: How many known columns there are among some names.

    Returns:
        The table; None where there is nothing in the file.

    Raises:
        OSError: The file cannot be read.
    """
    with closing(_lines(path)) as lines:
        numbered = enumerate(lines, start=1)
        number, line = next(((n, line) for n, line in numbered if line.strip()), (0, ""))
        line = line.removeprefix("\ufeff")  # a second one, of a program that put one before it
        delimiters: Sequence[str] = DELIMITERS
        if told := _told_delimiter(line):
            delimiters = (told,)
            number, line = next(numbered, (0, ""))
    if not number:
        return None
    header, delimiter = max(
        ((_split(line, delimiter), delimiter) for delimiter in delimiters),
        key=lambda pair: is_header(pair[0]),
    )
    if len(header) == 1 and delimiter in header[0]:  # in quotes as a whole
        header = _split(header[0], delimiter)
    return SavedTable(path, tuple(name.strip() for name in header), delimiter, number + 1)


def _lines(path: Path) -> Generator[str]:
    """The lines of a file, in whichever encoding it is."""
    with path.open("rb") as file:
        begin = file.read(len(codecs.BOM_UTF8))
        if begin.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            file.seek(0)
            text = io.TextIOWrapper(file, "utf-16", errors="replace", newline="\n")
            for line in text:
                yield line.removesuffix("\n").removesuffix("\r")
            return
        if begin != codecs.BOM_UTF8:
            file.seek(0)
        first = file.readline()
        if first.endswith(b"\n"):
            yield _decoded_line(first)
            yield from map(_decoded_line, file)
        else:  # all of it, with line ends as Excel on a Mac once wrote
            yield from map(_decoded_line, first.split(b"\r"))


def _decoded_line(line: bytes) -> str:
    line = line.removesuffix(b"\n").removesuffix(b"\r")
    try:
        return line.decode()
    except UnicodeDecodeError:  # what Excel calls "CSV": the code page of western Windows
        return line.decode("cp1252", errors="replace")


def _told_delimiter(line: str) -> str | None:
    """The delimiter that a line like ``sep=;`` names; None for another line."""
    text = line.strip('"')
    found = text[4:5] if text[:4].lower() == "sep=" else ""
    return found or None


def _split(text: str, delimiter: str) -> list[str]:
    if text and not _NOT_PLAIN.intersection(text) and len(text) < MAX_PLAIN:
        return text.split(delimiter)
    try:
        return next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
    except csv.Error as error:  # a cell beyond all measure
        return [str(error)]
