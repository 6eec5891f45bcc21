"""No cell is a formula, nothing is lost by that, and what spreadsheets save is read."""

import csv
import os
import stat
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from test_csv_log import COLUMNS, SESSION, utterance

from streamer.errors import OutputError
from streamer.logs.reader import read_log
from streamer.sinks.csv_format import EXCEL, STANDARD, harmless, restored
from streamer.sinks.csv_log import CsvLog
from streamer.sinks.row import mark_row, row
from streamer.types import Mark

FORMULAS = (
    '=HYPERLINK("x")', "+1", "-1+1", "@SUM(A1)", "\t=1", "\uff1d1+1", "'=1", " =1", '"=1',
    "fine;=1+1", "fine,@x", "fine\t=1", 'fine; "=1',
)  # fmt: skip


@pytest.mark.parametrize("text", FORMULAS)
def test_a_cell_is_no_formula_and_read_as_it_was(tmp_path, text):
    """In names, notes and calls; also where another separator is expected."""
    path = tmp_path / "rows.csv"
    session = replace(SESSION, source=text)
    with CsvLog(path, COLUMNS) as log:
        log.add(row(replace(utterance(), channel=text, alerts=(text,)), session))
        log.add(mark_row(Mark(1, 0, text), session))
    with path.open(newline="") as file:
        said, mark = csv.DictReader(file)
    for cell in (said["source"], said["channel"], said["alert"], mark["note"]):
        for part in (cell, *cell.replace(",", ";").replace("\t", ";").split(";")):
            assert not part.strip(' "').startswith(("=", "+", "-", "@", "\t", "\uff1d"))
        assert not cell.startswith("\t")
    ((read,), skipped) = read_log(path)
    assert skipped == []
    assert (read.source, read.utterances[0].channel, read.utterances[0].alert) == (text,) * 3
    assert read.marks[0].note == text


@given(st.text(st.sampled_from("=+-@'\"\t\r\n;, ax\uff0b"), max_size=12) | st.text(max_size=20))
@example("'=")
@example("''=1;'+")
def test_what_is_made_harmless_can_be_restored(text):
    """Whatever it is, also where it was made harmless before."""
    assert restored(harmless(text)) == text
    assert restored(restored(harmless(harmless(text)))) == text
    assert STANDARD.cell(text).lstrip(" \"'")[:1] not in set("=+-@\t") or harmless(text)[0] == "'"


def test_numbers_are_no_texts():
    """A negative one begins like a formula and is none."""
    assert STANDARD.cell(-23.5) == "-23.5"
    assert EXCEL.cell(-23.5) == "-23,5"


def test_control_characters_are_shown(tmp_path):
    """A file's name steers no terminal on which the CSV is looked at."""
    path = tmp_path / "rows.csv"
    with CsvLog(path, COLUMNS) as log:
        log.add(mark_row(Mark(1, 0, "a\x1b[31mb\u202ec\x07"), SESSION))
    content = path.read_bytes()
    assert b"a\\x1b[31mb\\u202ec\\x07" in content
    assert b"\x1b" not in content


def test_excel_opens_what_is_written_for_it(tmp_path):
    """With a byte-order mark, semicolons and decimal commas; later runs append."""
    path = tmp_path / "rows.csv"
    for number in (1, 2):
        with CsvLog(path, COLUMNS, form=EXCEL) as log:
            log.add(row(utterance(number), SESSION))
    content = path.read_bytes()
    assert content.startswith(b"\xef\xbb\xbfsession;utterance;")
    assert content.count(b"\xef\xbb\xbf") == content.count(b"session;") == 1
    with path.open(newline="", encoding="utf-8-sig") as file:
        first, second = csv.DictReader(file, delimiter=";", strict=True)
    assert (first["confidence"], first["level_dbfs"], second["utterance"]) == ("0,3", "-23,5", "2")
    ((session,), skipped) = read_log(path)
    assert [u.number for u in session.utterances] == [1, 2]
    assert session.utterances[0].confidence == 0.3
    assert skipped == []
    with pytest.raises(
        OutputError, match=r"has ';' between its cells, expected ',': append.*--exc"
    ):
        CsvLog(path, COLUMNS)


def logged(tmp_path):
    """A log with a note, a mark and an alert, as lists of cells."""
    path = tmp_path / "rows.csv"
    with CsvLog(path, COLUMNS) as log:
        for number in range(1, 20):
            said = replace(utterance(number), alerts=("zornig; laut",) if number == 2 else ())
            log.add(row(said, SESSION))
        log.add(mark_row(Mark(1, 20_000, "Käufer sagt: „nö“, €"), SESSION))
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def excel(rows, *, decimal, truth, delimiter=";", padded=True):
    """What Excel in another language makes of a log to which somebody has added labels."""
    label = "Angry"
    lines = []
    for number, cells in enumerate(rows):
        made = [*cells, "label" if number == 0 else label if number == 3 else ""]
        if number:
            made = [cell.replace(".", decimal) if is_number(cell) else cell for cell in made]
            made = [truth.get(cell, cell) for cell in made]
        if not padded and number > 4:
            del made[-1]
        lines.append(delimiter.join(quoted(cell, delimiter) for cell in made))
    return "\r\n".join(lines) + "\r\n"


def is_number(cell):
    """Whether Excel takes it for one."""
    return cell.replace(".", "", 1).lstrip("-").isdigit()


def quoted(cell, delimiter):
    """As Excel does."""
    return '"' + cell.replace('"', '""') + '"' if delimiter in cell or '"' in cell else cell


GERMAN = {"true": "WAHR", "false": "FALSCH"}
FRENCH = {"true": "VRAI", "false": "FAUX"}


@pytest.mark.parametrize(
    ("encoding", "options"),
    [
        ("utf-8-sig", {"decimal": ",", "truth": GERMAN}),
        ("cp1252", {"decimal": ",", "truth": GERMAN, "padded": False}),
        ("utf-16", {"decimal": ",", "truth": FRENCH, "delimiter": "\t"}),
        ("utf-8", {"decimal": ".", "truth": {"true": "TRUE"}, "delimiter": ","}),
    ],
)
@pytest.mark.parametrize("begin", ["", "sep=\r\n"])
def test_a_log_survives_excel(tmp_path, encoding, options, begin):
    """With what somebody wrote into it: everything is there again."""
    text = excel(logged(tmp_path), **options)
    before, _ = read_log(tmp_path / "rows.csv")
    if begin:
        text = begin.replace("=", f"={options.get('delimiter', ';')}") + text
    saved = tmp_path / "saved.csv"
    saved.write_bytes(text.encode(encoding))
    after, skipped = read_log(saved)
    assert skipped == []
    (ours,), (theirs,) = before, after
    assert [u.label for u in theirs.utterances] == [None, None, "angry", *[None] * 16]
    assert tuple(replace(u, label=None) for u in theirs.utterances) == ours.utterances
    assert theirs.marks == ours.marks
    assert theirs.marks[0].note == "Käufer sagt: „nö“, €"
    assert theirs.began == ours.began


def test_rows_that_stand_in_one_cell_are_read(tmp_path):
    """As a German Excel saves a log with commas that it was simply opened with."""
    rows = logged(tmp_path)
    before, _ = read_log(tmp_path / "rows.csv")
    lines = (tmp_path / "rows.csv").read_text(encoding="utf-8").splitlines()
    saved = tmp_path / "saved.csv"
    saved.write_bytes("".join(f"{quoted(line, ';')}\r\n" for line in lines).encode("utf-8-sig"))
    after, skipped = read_log(saved)
    assert skipped == []
    assert len(rows) == 21
    assert after[0].utterances == before[0].utterances


@pytest.mark.parametrize("cell", ["5. Mrz", "12.03.2026", "5123", "01-Dec"])
def test_what_excel_has_destroyed_is_named_with_its_cure(tmp_path, cell):
    """A number that became a day, or lost its decimal sign."""
    rows = logged(tmp_path)
    rows[1][rows[0].index("confidence")] = cell
    saved = tmp_path / "saved.csv"
    saved.write_text("\n".join(";".join(cells) for cells in rows), encoding="utf-8")
    _, skipped = read_log(saved)
    assert f"confidence: got {cell!r}, expected a number from 0 to 1; a spr" in skipped[0].why
    assert "--excel" in skipped[0].why


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (COLUMNS[:-1], "it lacks call; rename that file, or choose another with --csv"),
        ([*COLUMNS, "label"], "it has label besides; rename"),
        (COLUMNS[::-1], "got call, note.*; expected session, "),
        (["name", "age"], "got name, age; expected session, "),
    ],
)
def test_a_log_with_other_columns_is_refused_with_a_way_out(tmp_path, header, message):
    """As one of an earlier version."""
    path = tmp_path / "rows.csv"
    path.write_text(",".join(header) + "\n")
    with pytest.raises(OutputError, match=f"other columns than this model writes: {message}"):
        CsvLog(path, COLUMNS)


def test_a_log_that_was_saved_as_utf16_is_refused_with_a_way_out(tmp_path):
    """Appended bytes would be no letters."""
    path = tmp_path / "rows.csv"
    path.write_text(",".join(COLUMNS), encoding="utf-16")
    with pytest.raises(OutputError, match="was saved as UTF-16 by a spreadsheet; rename"):
        CsvLog(path, COLUMNS)


@pytest.mark.skipif(os.name != "posix", reason="permissions")
def test_a_log_is_its_owners(tmp_path):
    """A new one; one that is there keeps its mode, also when it is rotated."""
    path = tmp_path / "rows.csv"
    with CsvLog(path, COLUMNS) as log:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        path.chmod(0o640)
        path.rename(tmp_path / "rows.csv.1")
        log.add(row(utterance(), SESSION))
        log.flush()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
