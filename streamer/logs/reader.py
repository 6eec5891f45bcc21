"""Reads the CSV log of any version as sessions and their utterances.

A session of several calls is read as one `LoggedSession` for each. Rows of earlier versions, which
have no column for calls, are of one call.

Lines that cannot be read are skipped and reported one by one; the rest is read. Logs may be joined:
a further header is the header of what is below it, and a row that repeats another counts once.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from operator import itemgetter
from pathlib import Path
from typing import TypeAlias

from streamer.errors import InputError
from streamer.logs.sessions import LoggedMark, LoggedSession, LoggedUtterance, Skipped
from streamer.sinks.csv_format import restored
from streamer.sinks.row import MARK, columns
from streamer.sinks.saved_table import open_table
from streamer.sinks.summary import summary_columns
from streamer.text import printable, quantity
from streamer.types import EMOTIONS, NO_SPEECH

NEEDED = (
    "session", "utterance", "channel", "start_s", "end_s", "emotion", "confidence", "mood",
    "uncertain",
)  # fmt: skip
"""Columns that are needed; all others may be missing."""

KNOWN = frozenset(columns(EMOTIONS))
"""What `streamer run` and `streamer file` write."""

TRUTHS = {
    True: ("true", "1", "wahr", "vrai", "verdadero", "verdadeiro", "vero", "waar", "prawda"),
    False: (*("false", "0", "", "falsch", "faux", "falso", "onwaar", "fałsz"),),
}
"""True and false as spreadsheets write them in several languages."""

CURE = "a spreadsheet has rewritten it: write logs that are opened in one with --excel"

SUMMARY = summary_columns(())[:5]
"""How the header of a CSV of ``--summary`` begins, whatever the model."""

MAX_START_S = 1e8
"""Three years: no stream is longer."""

MAX_NUMBER = 1e9
"""Utterances in a session: no stream has more."""

MAX_HEADER = 1000
"""How many letters of a file are read to see what it is."""

MAX_QUOTE = 40
"""How many letters of a cell an error shows."""

BOM = "\ufeff"
"""Begins a log for a spreadsheet, also where it was joined to another."""

_DATE = re.compile(r"\d+[-./ ]+(\d+[-./]|[^\W\d])")
"""A date that a spreadsheet has made of a number: 12.03.26, 5. Mrz."""

_Row: TypeAlias = Mapping[str, str]
"""The cells of a line by column."""

_Key: TypeAlias = tuple[str, int]
"""A session and the number of a call in it."""


def logs_in(path: Path) -> Iterator[Path]:
    """A log itself, or the CSV files in a folder and in those below it, sorted.

    What ``--summary`` wrote lies beside the log that it was made from, and is left out.

    Raises:
        InputError: There is no such file or folder, or no CSV file in it.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if not path.is_dir():
        yield path
        return
    found = sorted(p for p in path.rglob("*") if p.suffix.lower() == ".csv" and p.is_file())
    if not found:
        raise InputError(f"{path}: no CSV files in this folder")
    yield from (file for file in found if not _is_summary(file))


def _is_summary(path: Path) -> bool:
    """Whether a CSV begins as ``--summary`` begins one; False where it cannot be read."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            return re.split("[,;]", file.readline(MAX_HEADER))[: len(SUMMARY)] == SUMMARY
    except (OSError, UnicodeDecodeError):
        return False


class LogReader:
    """Reads the sessions of a CSV log, one at a time.

    The log is gone through twice: first for where each session ends, then for what it holds. Only
    sessions that have begun and not yet ended are in memory.

    Args:
        path: The log.
        session: Only this one; None for all.

    Attributes:
        skipped: The lines left out, so far as it was read.
        is_silent: True once all of it was read and nothing was said: no row is of an utterance.

    Raises:
        InputError: It cannot be read, or lacks a column that is needed.
    """

    def __init__(self, path: Path, session: str | None = None) -> None:
        self.path = path
        self.skipped: list[Skipped] = []
        self.is_silent = False
        self._only = session
        if path.exists() and not path.is_file():
            raise InputError(f"{path}: is no file, expected a CSV")
        with self._explained():
            table = open_table(path, lambda names: len(KNOWN.intersection(names)))
        if table is None:
            raise InputError(
                f"{path}: is empty, expected a CSV of 'streamer run' or 'streamer file'"
            )
        header = table.header
        if missing := [column for column in NEEDED if column not in header]:
            raise InputError(
                f"{path}: is no log that can be read: it lacks the columns {', '.join(missing)}; "
                f"got {', '.join(header)[:200]}"
            )
        self._table = table
        # Excel leaves out empty cells at the end: of columns that somebody added, as label
        self._min_cells = 1 + max(at for at, name in enumerate(header) if name in KNOWN)

    def sessions(self) -> Iterator[LoggedSession]:
        """All of them, in the order in which they end.

        Raises:
            InputError: It cannot be read, or no line of what it holds can.
        """
        return (session for _, session in self.numbered())

    def numbered(self) -> Iterator[tuple[int, LoggedSession]]:
        """Likewise, each with the line of its first row."""
        last, calls, end = self._survey()
        open_: dict[_Key, _Open] = {}
        found, unreadable = False, False
        repeating, first_repeating = 0, 0
        for number, names, cells in self._records():
            if number > end:
                break  # was written meanwhile
            key = None
            try:
                row = _by_column(names, cells)
                key = _key(row)
                if self._only in (None, key[0]):
                    if not open_.setdefault(key, _Open(number)).add(number, row):
                        repeating += 1
                        first_repeating = first_repeating or number
                else:
                    _ = _mark(row) if _is_mark(row) else _utterance(row)
            except ValueError as error:
                unreadable = True
                self.skipped.append(Skipped(self.path, number, str(error)))
            if key is not None and last.get(key) == number and key in open_:
                of_call = open_.pop(key)
                if of_call.rows:
                    found = True
                    call = key[1] if calls[key[0]] > 1 else None
                    made = _session(self.path, of_call.rows, of_call.marks, call)
                    yield of_call.begins, made
                why = "a mark in a call without utterances"
                places = [] if of_call.rows else of_call.marked_at
                self.skipped += [Skipped(self.path, place, why) for place in places]
        if repeating:
            rows = quantity(repeating, "row")
            why = f"{rows} from here on, each the same as one above, not counted again"
            self.skipped.append(Skipped(self.path, first_repeating, why))
        self.skipped.sort(key=lambda one: one.line)
        self.is_silent = not (found or unreadable) and self._only is None
        if unreadable and not found and self._only is None:
            raise InputError(f"{self.path}: no utterance can be read; {self.skipped[0]}")

    def _survey(self) -> tuple[dict[_Key, int], Counter[str], int]:
        """The last line of each call, how many calls each session has, the last line."""
        names: Sequence[str] = ()
        last: dict[_Key, int] = {}
        spoken: set[_Key] = set()
        number = 0
        for number, header, cells in self._records():
            if len(cells) != len(header):
                continue
            if header is not names:
                names = header
                session_at, emotion_at = names.index("session"), names.index("emotion")
                call_at = names.index("call") if "call" in names else None
                end_at = names.index("end_reason") if "end_reason" in names else None
            row = {"session": printable(restored(cells[session_at]))}
            if call_at is not None:
                row["call"] = cells[call_at]
            with suppress(ValueError):
                key = _key(row)
                last[key] = number
                if cells[emotion_at] or end_at is None or cells[end_at] != MARK:
                    spoken.add(key)
        return last, Counter(session for session, _ in spoken), number

    def _records(self) -> Iterator[tuple[int, Sequence[str], list[str]]]:
        """The line, column names and cells of each row; further headers change the names."""
        names: Sequence[str] = self._table.header
        with self._explained():
            for number, cells in self._table.records(self._min_cells):
                if cells[0].removeprefix(BOM) in KNOWN and "start_s" in cells:
                    found = [cell.removeprefix(BOM).strip() for cell in cells]
                    if set(NEEDED) <= set(found):
                        names = names if tuple(found) == tuple(names) else found
                        continue
                yield number, names, cells

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read: {error.strerror}") from error


class _Open:
    """A call of which more is to come."""

    def __init__(self, begins: int) -> None:
        self.begins = begins
        self.rows: list[tuple[_Row, LoggedUtterance]] = []
        self.marks: list[LoggedMark] = []
        self.marked_at: list[int] = []
        self._known: set[int] = set()

    def add(self, number: int, row: _Row) -> bool:
        """Take a row unless it repeats another, cell by cell: then return False.

        Raises ValueError as `_utterance` does.
        """
        cells = hash(tuple(filter(None, row.values())))
        if cells in self._known:
            return False
        if _is_mark(row):
            self.marks.append(_mark(row))
            self.marked_at.append(number)
        else:
            utterance = _utterance(row)
            first = row if not self.rows else {}  # of the others nothing more is needed
            self.rows.append((first, utterance))
        self._known.add(cells)
        return True


def read_log(path: Path) -> tuple[list[LoggedSession], list[Skipped]]:
    """The sessions of a CSV log in the order of their first rows, and the lines left out.

    Raises:
        InputError: It cannot be read, lacks a column that is needed, or no line of it can be read.
    """
    reader = LogReader(path)
    sessions = sorted(reader.numbered(), key=itemgetter(0))
    return [session for _, session in sessions], reader.skipped


def _by_column(header: Sequence[str], cells: Sequence[str]) -> _Row:
    if len(cells) != len(header):
        raise ValueError(f"got {len(cells)} cells, expected {len(header)}")
    whole = "".join(cells)
    if whole.isprintable() and "'" not in whole:  # as nearly all are: nothing to restore
        row = dict(zip(header, cells, strict=True))
    else:
        row = {name: printable(restored(cell)) for name, cell in zip(header, cells, strict=True)}
    if not row["session"]:
        raise ValueError("session: got nothing, expected a name")
    return row


def _key(row: _Row) -> _Key:
    """Raises ValueError as `_utterance` does."""
    return row["session"], int(_number(row, "call", 1, MAX_NUMBER)) if row.get("call") else 1


def _session(
    path: Path,
    rows: Sequence[tuple[_Row, LoggedUtterance]],
    marks: Sequence[LoggedMark],
    call: int | None,
) -> LoggedSession:
    first, utterance = rows[0]
    return LoggedSession(
        id=first["session"],
        path=path,
        source=first.get("source", ""),
        model=first.get("model", ""),
        began=_began(first.get("started_at", ""), utterance.start_s),
        utterances=tuple(sorted((u for _, u in rows), key=lambda u: u.start_s)),
        marks=tuple(sorted(marks, key=lambda mark: mark.start_s)),
        call=call,
    )


def _began(started_at: str, start_s: float) -> datetime | None:
    """When sample 0 was; None where a spreadsheet has rewritten the time in its own way."""
    try:
        return datetime.fromisoformat(started_at) - timedelta(seconds=start_s)
    except (ValueError, OverflowError):
        return None


def _is_mark(row: _Row) -> bool:
    return row.get("end_reason") == MARK and not row["emotion"]


def _mark(row: _Row) -> LoggedMark:
    """Raises ValueError as `_utterance` does."""
    return LoggedMark(_number(row, "start_s", 0, MAX_START_S), row.get("note", ""))


def _utterance(row: _Row) -> LoggedUtterance:
    """Raises ValueError naming the column, what it holds and what was expected."""
    start_s = _number(row, "start_s", 0, MAX_START_S)
    emotion = _word(row, "emotion")
    classified = emotion is not None and emotion != NO_SPEECH
    return LoggedUtterance(
        number=int(_number(row, "utterance", 0, MAX_NUMBER)),
        channel=row["channel"],
        start_s=start_s,
        end_s=_number(row, "end_s", start_s, MAX_START_S),
        emotion=emotion,
        confidence=_number(row, "confidence", 0, 1) if classified else None,
        probabilities={name: _number(row, name, 0, 1) for name in EMOTIONS if row.get(name)},
        mood=_number(row, "mood", -1, 1) if classified else None,
        uncertain=_truth(row, "uncertain"),
        label=_word(row, "label"),
        alert=row.get("alert", ""),
        note=row.get("note", ""),
        level_dbfs=_number(row, "level_dbfs", -math.inf, 0) if row.get("level_dbfs") else None,
        end_reason=row.get("end_reason", ""),
        speaker=row.get("speaker", "").strip(),
        latency_ms=_number(row, "latency_ms", 0, math.inf) if row.get("latency_ms") else None,
    )


def _number(row: _Row, column: str, low: float, high: float) -> float:
    """A number with a point or a comma in it."""
    got = row[column]
    try:
        number = float(got)
    except ValueError:
        try:
            number = float("".join(got.split()).replace(",", "."))
        except ValueError:
            number = math.nan
    if not low <= number <= high:
        why = f"{column}: got {_short(got)}, expected a number from {low:g} to {high:g}"
        rewritten = _DATE.match(got) or (number > high and "." not in got and "," not in got)
        raise ValueError(f"{why}; {CURE}" if rewritten and high <= 1 else why)
    return number


def _word(row: _Row, column: str) -> str | None:
    word = row.get(column, "").strip().lower()
    if word and word not in (*EMOTIONS, NO_SPEECH):
        known = ", ".join((*EMOTIONS, NO_SPEECH))
        raise ValueError(f"{column}: got {_short(word)}, expected one of {known}")
    return word or None


def _truth(row: _Row, column: str) -> bool:
    word = row[column].strip().lower()  # spreadsheets shout
    for truth, words in TRUTHS.items():
        if word in words:
            return truth
    raise ValueError(f"{column}: got {_short(word)}, expected true or false")


def _short(text: str) -> str:
    return repr(text if len(text) <= MAX_QUOTE else text[:MAX_QUOTE] + "…")
