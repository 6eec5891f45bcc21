"""A CSV format defines separators, and cells that no spreadsheet takes for a formula."""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

from streamer.sinks.row import Value
from streamer.text import printable

UTF8_BOM = b"\xef\xbb\xbf"
"""Bytes before the header by which a spreadsheet recognises UTF-8."""

_FORMULA = re.compile(r"""(?:\A|(?<=[;,\t]))(?=[\s'"]*[=+\-@\t\r\n＝＋－＠])""")  # noqa: RUF001 - wide ones
"""Where a spreadsheet may see a formula begin: a cell, or what it may take for the next cell."""

_HARMLESS = re.compile(r"""(?:\A|(?<=[;,\t]))'(?=[\s'"]*[=+\-@\t\r\n＝＋－＠])""")  # noqa: RUF001 - wide ones


@dataclass(frozen=True, slots=True)
class CsvFormat:
    """How rows become lines.

    Attributes:
        delimiter: Stands between cells.
        decimal: Stands within numbers.
        bom: Whether a new file begins with a byte-order mark.
    """

    delimiter: str = ","
    decimal: str = "."
    bom: bool = False

    def line(self, cells: Sequence[str]) -> bytes:
        """A row as a line of the file, with its end."""
        text = io.StringIO()
        csv.writer(text, delimiter=self.delimiter, lineterminator="\n").writerow(cells)
        return text.getvalue().encode(errors="replace")

    def header(self, columns: Sequence[str]) -> bytes:
        """The beginning of a new file: the header, and a byte-order mark where wanted."""
        return (UTF8_BOM if self.bom else b"") + self.line(columns)

    def cells(self, line: bytes) -> list[str]:
        """The cells of a line; none where it is not CSV."""
        text = line.decode(errors="replace").rstrip("\r")
        try:
            return next(csv.reader([text], delimiter=self.delimiter), [])
        except csv.Error:
            return []

    def cell(self, value: Value) -> str:
        """A value as text on one line: many readers take a line break in a cell for a new row."""
        match value:
            case None:
                return ""
            case bool():
                return "true" if value else "false"
            case float():
                return str(value).replace(".", self.decimal)
            case str():
                return harmless(printable(" ".join(value.splitlines())))
            case _:
                return str(value)


STANDARD = CsvFormat()
"""RFC 4180, UTF-8."""

EXCEL = CsvFormat(delimiter=";", decimal=",", bom=True)
"""What Excel opens right by a double click, where the decimal sign is a comma."""


def harmless(text: str) -> str:
    """The text with an apostrophe wherever a spreadsheet would begin to calculate."""
    return _FORMULA.sub("'", text)


def restored(text: str) -> str:
    """The text that `harmless` was given."""
    return _HARMLESS.sub("", text)
