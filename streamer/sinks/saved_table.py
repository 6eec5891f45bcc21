"""Reads a CSV file as streamer, or a spreadsheet in any language, has saved it.

Spreadsheets write with the separator of their language, in UTF-8, UTF-16 or an older code page,
put ``sep=;`` before the header, break lines within cells and leave out empty cells at the end.
"""

import codecs
import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

DELIMITERS = (",", ";", "\t")

MAX_CELL_LINES = 20
"""Most lines of one cell."""


@dataclass(frozen=True, slots=True)
class SavedTable:
    """The content of a file.

    Attributes:
        header: The names of its columns.
        delimiter: What stands between cells.
        lines: Those below the header, without their ends.
        first_line: The number of the first of these in the file, from 1.
    """

    header: tuple[str, ...]
    delimiter: str
    lines: tuple[str, ...]
    first_line: int

    def records(self, min_cells: int) -> Iterator[tuple[int, list[str]]]:
        """The cells of each line that is not empty, with the line's number in the file.

        The log has one line per row; only a spreadsheet breaks lines within a cell. Lines are
        joined only where they form a whole row, so that a torn one does not take others with it.

        Args:
            min_cells: Least number of cells of a whole row; cells missing after them are empty.
        """
        width = len(self.header)
        index = 0
        while index < len(self.lines):
            taken, cells = 1, self._cells(self.lines[index])
            if self.lines[index].count('"') % 2:
                for count in range(2, min(MAX_CELL_LINES, len(self.lines) - index) + 1):
                    joined = "\n".join(self.lines[index : index + count])
                    found = self._cells(joined)
                    if joined.count('"') % 2 == 0 and min_cells <= len(found) <= width:
                        taken, cells = count, found
                        break
            if any(cells):
                missing = width - len(cells)
                yield self.first_line + index, cells + [""] * missing * (len(cells) >= min_cells)
            index += taken

    def _cells(self, text: str) -> list[str]:
        cells = _split(text, self.delimiter)
        if len(cells) == 1 < len(self.header):  # a row that a spreadsheet took for a single cell
            return _split(cells[0], self.delimiter)
        return cells


def parse(content: bytes, is_header: Callable[[Sequence[str]], int]) -> SavedTable | None:
    """Read a file.

    Args:
        content: All of it.
        is_header: Returns how many of some names are known columns.

    Returns:
        The table; None where there is nothing in the file.
    """
    lines = _decoded(content)
    number = 1
    delimiters: Sequence[str] = DELIMITERS
    while lines and not lines[0].strip():
        del lines[0]
        number += 1
    if lines and (told := _told_delimiter(lines[0])):
        delimiters = (told,)
        del lines[0]
        number += 1
    if not lines:
        return None
    header, delimiter = max(
        ((_split(lines[0], delimiter), delimiter) for delimiter in delimiters),
        key=lambda pair: is_header(pair[0]),
    )
    if len(header) == 1 and delimiter in header[0]:  # in quotes as a whole
        header = _split(header[0], delimiter)
    names = tuple(name.strip() for name in header)
    return SavedTable(names, delimiter, tuple(lines[1:]), number + 1)


def _decoded(content: bytes) -> list[str]:
    """The lines of a file, in whichever encoding it is."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = content.decode("utf-16", errors="replace")
        return [line.removesuffix("\r") for line in text.split("\n")]
    content = content.removeprefix(codecs.BOM_UTF8)
    end = b"\n" if b"\n" in content else b"\r"  # as Excel on a Mac once wrote
    return [_decoded_line(line.removesuffix(b"\r")) for line in content.split(end)]


def _decoded_line(line: bytes) -> str:
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
    try:
        return next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
    except csv.Error as error:  # a cell beyond all measure
        return [str(error)]
