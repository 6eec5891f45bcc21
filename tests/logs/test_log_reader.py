"""What a log says is read; what it cannot mean is left out, and said."""

import csv
import io
import re
import tracemalloc
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamer.errors import InputError
from streamer.logs.reader import NEEDED, NO_SPEECH, LogReader, read_log
from streamer.logs.sessions import UNCLASSIFIED, LoggedMark
from streamer.sinks.csv_log import CsvLog
from streamer.sinks.row import Session, columns, mark_row, row
from streamer.sinks.summary import UNCERTAIN
from streamer.types import EMOTIONS, EndReason, Mark, Prediction, Utterance

COLUMNS = columns(EMOTIONS)
SESSION = Session("s-1", "call, one.wav", "default", EMOTIONS, 1_700_000_000.0)
PLAIN = {
    "session": "s-1", "utterance": "1", "channel": "mono", "start_s": "1.0", "end_s": "2.5",
    "emotion": "sad", "confidence": "0.5", "mood": "-0.4", "uncertain": "false",
}  # fmt: skip


def write(path, *rows: dict[str, str], header=None):
    """A log as somebody else may have written it; returns its path."""
    text = io.StringIO()
    names = header or list(dict.fromkeys(name for cells in rows for name in cells))
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8")
    return path


def only(path):
    """The single utterance of a log of which nothing is left out."""
    (session,), left_out = read_log(path)
    assert left_out == []
    (utterance,) = session.utterances
    return utterance


def test_what_is_written_is_read(tmp_path):
    """By the log's own writer, a session on two channels and one of another time."""
    heard = Prediction(EMOTIONS, (0.05, 0.05, 0.1, 0.1, 0.4, 0.1, 0.1, 0.1), -0.6, uncertain=False)
    late = Utterance(1, "b", 32_000, 48_000, None, -20.0, EndReason.GAP, None, 1.0)
    early = Utterance(1, "a", 16_000, 40_000, heard, -23.456, EndReason.SILENCE, 431.2, 1.0)
    path = tmp_path / "rows.csv"
    with CsvLog(path, COLUMNS) as log:
        log.add(row(late, SESSION))
        log.add(row(early, Session("s-2", "b.wav", "default", EMOTIONS, None)))
        log.add(row(early, SESSION))
    sessions, left_out = read_log(path)
    assert left_out == []
    assert [(s.id, s.source, s.model) for s in sessions] == [
        ("s-1", "call, one.wav", "default"),
        ("s-2", "b.wav", "default"),
    ]
    assert sessions[0].began == datetime.fromtimestamp(1_700_000_000, UTC)
    assert sessions[1].began is None
    first, second = sessions[0].utterances
    assert (first.channel, first.start_s, first.end_s, first.mood) == ("a", 1.0, 2.5, -0.6)
    assert (first.verdict, first.confidence, first.probabilities["angry"]) == ("angry", 0.4, 0.4)
    assert (first.level_dbfs, first.end_reason) == (-23.5, "silence")
    assert (second.emotion, second.mood, second.verdict) == (None, None, UNCLASSIFIED)


@pytest.mark.parametrize(
    ("cells", "verdict"),
    [
        ({}, "sad"),
        ({"uncertain": "TRUE"}, UNCERTAIN),
        ({"emotion": "", "confidence": "", "mood": "", "uncertain": "true"}, UNCLASSIFIED),
        ({"emotion": "no_speech", "confidence": "", "mood": ""}, NO_SPEECH),
        ({"emotion": "no_speech", "confidence": "", "mood": "", "uncertain": "true"}, NO_SPEECH),
        ({"uncertain": "true", "label": "Angry"}, "angry"),
        ({"label": "no_speech"}, NO_SPEECH),
    ],
)
def test_what_a_row_counts_as(tmp_path, cells, verdict):
    """A person's word before the model's, and a doubt before an emotion."""
    assert only(write(tmp_path / "a.csv", PLAIN | cells)).verdict == verdict


def test_rows_of_other_versions_are_read(tmp_path):
    """Fewer columns, and more, in any order."""
    got = only(write(tmp_path / "a.csv", {"new": "x", "note": "rude", "alert": "anger"} | PLAIN))
    assert (got.note, got.alert, got.level_dbfs, got.probabilities) == ("rude", "anger", None, {})


def test_marks_are_no_utterances(tmp_path):
    """They have their place in time and their note; one that belongs to no session is said."""
    path = tmp_path / "rows.csv"
    heard = Utterance(1, "a", 16_000, 40_000, None, -20.0, EndReason.SILENCE, None, 1.0)
    with CsvLog(path, COLUMNS) as log:
        log.add(mark_row(Mark(2, 48_000, "shouts"), SESSION))
        log.add(row(heard, SESSION))
        log.add(mark_row(Mark(1, 8_000), SESSION))
        log.add(mark_row(Mark(1, 0, "lost"), Session("s-2", "", "", EMOTIONS, None)))
    (session,), (left_out,) = read_log(path)
    assert session.marks == (LoggedMark(0.5, ""), LoggedMark(3.0, "shouts"))
    assert [u.number for u in session.utterances] == [1]
    assert str(left_out).endswith("line 5: a mark in a call without utterances")
    mark = PLAIN | {"emotion": "", "end_reason": "mark"}
    assert len(read_log(write(tmp_path / "a.csv", PLAIN, mark))[0][0].marks) == 1
    broken = write(tmp_path / "b.csv", PLAIN, mark | {"start_s": "x"})
    assert "start_s: got 'x'" in str(read_log(broken)[1][0])


@pytest.mark.parametrize("column", NEEDED)
def test_a_missing_column_is_named(tmp_path, column):
    """Each that is needed, and what is there instead."""
    kept = {name: cell for name, cell in PLAIN.items() if name != column}
    with pytest.raises(InputError, match=rf"a.csv: .* lacks the columns {column}; got "):
        read_log(write(tmp_path / "a.csv", kept))


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ({"start_s": "soon"}, "start_s: got 'soon', expected a number from 0"),
        ({"start_s": "nan"}, "start_s: got 'nan'"),
        ({"end_s": "0.5"}, r"end_s: got '0.5', expected a number from 1 to"),
        ({"end_s": "inf"}, "end_s: got 'inf'"),
        ({"confidence": ""}, "confidence: got ''"),
        ({"mood": "-7"}, "mood: got '-7', expected a number from -1 to 1"),
        ({"emotion": "grumpy"}, "emotion: got 'grumpy', expected one of neutral, calm"),
        ({"label": "x" * 99}, "label: got 'x+…', expected one of"),
        ({"uncertain": "perhaps"}, "uncertain: got 'perhaps', expected true or false"),
        ({"session": ""}, "session: got nothing"),
    ],
)
def test_a_foreign_line_is_left_out(tmp_path, cells, why):
    """And accounted for by its number and its reason; the others are read."""
    (session,), (left_out,) = read_log(
        write(tmp_path / "a.csv", PLAIN, PLAIN | cells, PLAIN | {"utterance": "3"})
    )
    assert len(session.utterances) == 2
    assert left_out.line == 3
    assert str(left_out).startswith(f"{tmp_path / 'a.csv'}, line 3: ")
    assert re.match(why, left_out.why)


@pytest.mark.parametrize("between", ["", "\ufeff"])
def test_logs_that_were_joined_are_read(tmp_path, between):
    """A further header is no row, says which columns follow, and costs no line of a report."""
    first = write(tmp_path / "a.csv", PLAIN)
    second = write(tmp_path / "b.csv", PLAIN | {"session": "s-2", "note": "a column more"})
    third = write(tmp_path / "c.csv", PLAIN | {"session": "s-3"})
    path = tmp_path / "joined.csv"
    path.write_text(between.join(part.read_text() for part in (first, second, third)))
    sessions, left_out = read_log(path)
    assert left_out == []
    assert [s.id for s in sessions] == ["s-1", "s-2", "s-3"]
    assert [s.utterances[0].note for s in sessions] == ["", "a column more", ""]


def test_a_row_that_repeats_another_counts_once(tmp_path):
    """As where a log was joined with itself; a mark likewise. It is said once."""
    mark = PLAIN | {"emotion": "", "end_reason": "mark"}
    other = PLAIN | {"channel": "b"}
    rows = [PLAIN | {"end_reason": "gap"}, mark, other]
    (session,), (left_out,) = read_log(write(tmp_path / "a.csv", *rows, *rows))
    assert [one.channel for one in session.utterances] == ["mono", "b"]
    assert len(session.marks) == 1
    assert str(left_out).endswith(
        "line 5: 3 rows from here on, each the same as one above, not counted again"
    )


def test_a_session_of_foreign_lines_is_none(tmp_path):
    """Nothing of it can be read, the others can."""
    foreign = {**PLAIN, "session": "s-2", "confidence": "high"}
    (session,), left_out = read_log(write(tmp_path / "rows.csv", PLAIN, foreign))
    assert session.id == "s-1"
    assert [one.line for one in left_out] == [3]


@pytest.mark.parametrize("torn", ["s-2", 's-2,7,"mo', "s-2,7,mono,1.0", ",,,,", 's-1,"', '"' * 7])
def test_a_torn_line_swallows_no_other(tmp_path, torn):
    """Wherever it was torn, also within quotes."""
    path = write(tmp_path / "a.csv", PLAIN, PLAIN | {"channel": 'the "other", too'})
    header, first, second = path.read_text().splitlines()
    path.write_text(f"{header}\n{first}\n{torn}\n{second}\n{first.replace('2.5', '2.6')}\n")
    (session,), left_out = read_log(path)
    assert [u.channel for u in session.utterances] == ["mono", 'the "other", too', "mono"]
    assert [one.line for one in left_out] == ([] if torn == ",,,," else [3])


def test_what_a_spreadsheet_makes_of_it_is_read(tmp_path):
    """A byte-order mark, other line ends, shouting, and a note of two lines."""
    rows = [PLAIN | {"uncertain": "FALSE", "note": 'says:\n"no"'}, PLAIN | {"note": ""}]
    path = write(tmp_path / "a.csv", *rows)
    text = path.read_text().replace("\n", "\r\n")
    for saved in (b"\xef\xbb\xbf" + text.encode(), f"\ufeff{text}".encode("utf-16")):
        path.write_bytes(saved)
        (session,), left_out = read_log(path)
        assert left_out == []
        assert [u.note for u in session.utterances] == ['says:\n"no"', ""]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"\xff\xfe\x00\x01", "lacks the columns session"),
        ((",".join(COLUMNS) + "\nhello\n").encode(), "no utterance can .* line 2: got 1 cells"),
    ],
)
def test_a_file_of_which_nothing_can_be_read_is_an_error(tmp_path, content, message):
    """Which says what it is."""
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_log(tmp_path / "a.csv")


def test_a_day_on_which_nothing_was_said_is_no_error(tmp_path):
    """A header alone, whoever saved it, or a mark that somebody set; a torn row is an error."""
    header = ",".join(COLUMNS) + "\n"
    for content in (header.encode(), header.encode("utf-16"), header.replace(",", ";").encode()):
        (tmp_path / "a.csv").write_bytes(content)
        reader = LogReader(tmp_path / "a.csv")
        assert list(reader.sessions()) == []
        assert reader.is_silent
        assert reader.skipped == []
    with CsvLog(tmp_path / "b.csv", COLUMNS) as log:
        log.add(mark_row(Mark(1, 16_000, "quiet today"), SESSION))
    sessions, skipped = read_log(tmp_path / "b.csv")
    assert sessions == []
    assert "a mark in a call without utterances" in str(skipped[0])
    said = LogReader(write(tmp_path / "c.csv", PLAIN), "none")
    assert list(said.sessions()) == []
    assert not said.is_silent


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(st.text(max_size=40), max_size=8))
def test_no_file_breaks_it(tmp_path, lines):
    """Whatever stands below the header, good rows are all found."""
    path = write(tmp_path / "a.csv", PLAIN, PLAIN | {"utterance": "2"})
    header, good, other = path.read_text().splitlines()
    harmless = [line.replace('"', "'") for line in lines]
    text = "\n".join([header, good, *harmless, other])
    path.write_text(text, encoding="utf-8", errors="replace")
    sessions, _ = read_log(path)
    assert sum(len(session.utterances) for session in sessions) == 2


def test_what_steers_a_terminal_is_shown(tmp_path):
    """In a log that somebody else has written: names and notes are named on screens and pages."""
    hostile = "a\x1b]0;owned\x07\u202eb"
    got = only(write(tmp_path / "a.csv", PLAIN | {"channel": hostile, "note": hostile}))
    assert got.channel == got.note == "a\\x1b]0;owned\\x07\\u202eb"


def test_a_session_is_there_when_its_last_row_was_read(tmp_path):
    """Whatever others go on meanwhile; what is written while it is read is of the next time."""
    ids = ["s-1", "s-2", "s-1", "s-3", "s-2", "s-3"]
    path = write(tmp_path / "log.csv", *(PLAIN | {"session": name} for name in ids))
    sessions = LogReader(path).sessions()
    first = next(sessions)
    with path.open("a", encoding="utf-8") as file:
        file.write(",".join((PLAIN | {"session": "s-4"}).values()) + "\n")
    assert [first.id, *(one.id for one in sessions)] == ["s-1", "s-2", "s-3"]
    assert [one.id for one in LogReader(path, "s-2").sessions()] == ["s-2"]


def test_memory_does_not_grow_with_the_sessions(tmp_path):
    """Of an archive, only what has not yet ended is held."""

    def peak(count):
        rows = (
            PLAIN | {"session": f"s-{number // 4}", "utterance": str(number % 4)}
            for number in range(4 * count)
        )
        path = write(tmp_path / "log.csv", *rows, header=list(PLAIN))
        tracemalloc.start()
        assert sum(1 for _ in LogReader(path).sessions()) == count
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(800) - peak(100) < 700 * 500  # where each ends; its utterances take 3 kB
