"""Reads the CSV log of any version as sessions and their utterances.

A session of several calls is read as one `LoggedSession` for each. Rows of earlier versions, which
have no column for calls, are of one call.

Lines that cannot be read are skipped and reported one by one; the rest is read.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeAlias

from streamer.config.alert_rules import ALERT_SEPARATOR
from streamer.errors import InputError
from streamer.sinks.csv_format import restored
from streamer.sinks.row import MARK, columns
from streamer.sinks.saved_table import parse
from streamer.text import printable
from streamer.types import EMOTIONS, NO_SPEECH, UNCERTAIN

UNCLASSIFIED = "unclassified"

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

MAX_START_S = 1e8
"""Three years: no stream is longer."""

MAX_NUMBER = 1e9
"""Utterances in a session: no stream has more."""

MAX_QUOTE = 40
"""How many letters of a cell an error shows."""

_DATE = re.compile(r"\d+[-./ ]+(\d+[-./]|[^\W\d])")
"""A date that a spreadsheet has made of a number: 12.03.26, 5. Mrz."""

_Row: TypeAlias = Mapping[str, str]
"""The cells of a line by column."""

_Key: TypeAlias = tuple[str, int]
"""A session and the number of a call in it."""


@dataclass(frozen=True, slots=True)
class LoggedUtterance:
    """A row of the log.

    Attributes:
        number: Running number in its channel, from 1.
        channel: The channel's name.
        start_s: Where its speech begins, in seconds from the start of the stream.
        end_s: Where its speech ends.
        emotion: The likeliest one, or `NO_SPEECH`; None where it was not classified.
        confidence: Its probability; None where there is none.
        probabilities: By emotion, of those that the model knows.
        mood: From -1 to 1; None where it was not classified.
        uncertain: True where the model says not to rely on it.
        label: The emotion that a listener wrote into the log; None without one.
        alert: The rules by which it raised an alert; empty for none.
        note: The note that somebody wrote; empty for none.
        level_dbfs: RMS level of the speech; None where it is not known.
        end_reason: Why it ended; empty where it is not known.
        speaker: Who speaks, where somebody wrote that down; else empty.
        latency_ms: From the end of the speech to its row; None where it was not played.
    """

    number: int
    channel: str
    start_s: float
    end_s: float
    emotion: str | None
    confidence: float | None
    probabilities: Mapping[str, float]
    mood: float | None
    uncertain: bool
    label: str | None
    alert: str
    note: str
    level_dbfs: float | None
    end_reason: str
    speaker: str = ""
    latency_ms: float | None = None

    @property
    def duration_s(self) -> float:
        """How long it is, in seconds."""
        return self.end_s - self.start_s

    @property
    def alerts(self) -> tuple[str, ...]:
        """The rules by which it raised an alert, each on its own."""
        return tuple(name for name in self.alert.split(ALERT_SEPARATOR) if name)

    @property
    def verdict(self) -> str:
        """What it counts as: a listener's label, else a certain emotion, else why there is none.

        One of `EMOTIONS`, `UNCERTAIN`, `UNCLASSIFIED` or `NO_SPEECH`.
        """
        if self.label is not None:
            return self.label
        if self.emotion is None:
            return UNCLASSIFIED
        return UNCERTAIN if self.uncertain and self.emotion != NO_SPEECH else self.emotion


@dataclass(frozen=True, slots=True)
class LoggedMark:
    """A row of the log that is no utterance: somebody marked a moment.

    Attributes:
        start_s: When, in seconds from the start of the stream.
        note: What they wrote down; may be empty.
    """

    start_s: float
    note: str

    @property
    def end_s(self) -> float:
        """The same moment."""
        return self.start_s


@dataclass(frozen=True, slots=True)
class LoggedSession:
    """A session, as one file holds it.

    Attributes:
        id: When it began, and what distinguishes it from others.
        path: The file that its rows are in.
        source: What was listened to; empty where it is not known.
        model: Which model classified; empty where it is not known.
        began: Time of day of sample 0; None for recordings that were not played.
        utterances: By start; at least one.
        marks: By time.
        call: Running number of the call in the session, from 1; None where it has only one.
    """

    id: str
    path: Path
    source: str
    model: str
    began: datetime | None
    utterances: tuple[LoggedUtterance, ...]
    marks: tuple[LoggedMark, ...] = ()
    call: int | None = None


@dataclass(frozen=True, slots=True)
class Skipped:
    """A line that could not be read.

    Attributes:
        path: The file.
        line: The line in it, from 1.
        why: What was got and what was expected.
    """

    path: Path
    line: int
    why: str

    def __str__(self) -> str:
        return f"{self.path}, line {self.line}: {self.why}"


def logs_in(path: Path) -> Iterator[Path]:
    """A log itself, or the CSV files in a folder and in those below it, sorted.

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
    yield from found


def read_log(path: Path) -> tuple[list[LoggedSession], list[Skipped]]:
    """The sessions of a CSV log in the order of their first rows, and the lines left out.

    Raises:
        InputError: It cannot be read, lacks a column that is needed, or holds no utterance.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    table = parse(content, lambda names: len(KNOWN.intersection(names)))
    if table is None:
        raise InputError(f"{path}: is empty, expected a CSV of 'streamer run' or 'streamer file'")
    header = table.header
    if missing := [column for column in NEEDED if column not in header]:
        raise InputError(
            f"{path}: is no log that can be read: it lacks the columns {', '.join(missing)}; "
            f"got {', '.join(header)[:200]}"
        )
    # Excel leaves out empty cells at the end: of columns that somebody added, as label
    min_cells = 1 + max(at for at, name in enumerate(header) if name in KNOWN)
    rows: dict[_Key, list[tuple[_Row, LoggedUtterance]]] = {}
    marks: dict[_Key, list[tuple[int, LoggedMark]]] = {}
    skipped: list[Skipped] = []
    for number, cells in table.records(min_cells):
        try:
            row = _by_column(header, cells)
            if _is_mark(row):
                mark = _mark(row)
                marks.setdefault(_key(row), []).append((number, mark))
            else:
                utterance = _utterance(row)  # may raise: then its session has not begun
                rows.setdefault(_key(row), []).append((row, utterance))
        except ValueError as error:
            skipped.append(Skipped(path, number, str(error)))
    skipped += [
        Skipped(path, number, "a mark in a call without utterances")
        for key in marks.keys() - rows.keys()
        for number, _ in marks[key]
    ]
    if not rows:
        left_out = f"; {skipped[0]}" if skipped else ""
        raise InputError(f"{path}: holds no utterance{left_out}")
    calls = Counter(session for session, _ in rows)
    sessions = [
        _session(
            path,
            of_call,
            [mark for _, mark in marks.get((session, call), ())],
            call if calls[session] > 1 else None,
        )
        for (session, call), of_call in rows.items()
    ]
    return sessions, sorted(skipped, key=lambda one: one.line)


def _by_column(header: Sequence[str], cells: Sequence[str]) -> _Row:
    if len(cells) != len(header):
        raise ValueError(f"got {len(cells)} cells, expected {len(header)}")
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
