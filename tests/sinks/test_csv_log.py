"""Rows are whole or absent, whatever happens to the file."""

import csv
import fcntl
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from streamer.errors import OutputError
from streamer.sinks import csv_log, retrying_log
from streamer.sinks.csv_format import EXCEL, STANDARD
from streamer.sinks.csv_log import CsvLog
from streamer.sinks.lines import plain
from streamer.sinks.retrying_log import RetryingLog
from streamer.sinks.row import Session, columns, mark_row, row
from streamer.sinks.summary import Summary
from streamer.types import EMOTIONS, NO_SPEECH, EndReason, Mark, Prediction, Utterance

SESSION = Session("s-1", "call, one.wav", "default", EMOTIONS, 1_700_000_000.0)
COLUMNS = columns(EMOTIONS)


def utterance(number: int = 1, *, classified: bool = True) -> Utterance:
    """One that is as good as any other."""
    heard = Prediction(EMOTIONS, (0.3, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1), 0.1, uncertain=True)
    return Utterance(
        number=number,
        channel="mono",
        start=16_000,
        end=40_000,
        prediction=heard if classified else None,
        level_dbfs=-23.456,
        end_reason=EndReason.SILENCE,
        latency_ms=431.2,
        compute_ms=31.0,
    )


def read(path):
    """The rows as a spreadsheet would see them."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file, strict=True))


def write(path, *rows: Utterance):
    """Append rows with a log of their own."""
    with CsvLog(path, COLUMNS) as log:
        for one in rows:
            log.add(row(one, SESSION))
            log.flush()


def test_rows_are_synced_each_or_at_the_end_as_asked(tmp_path, monkeypatch):
    """Live, before anybody sees a row; for recordings, once when all of one are there."""
    sizes: list[int] = []  # of the file at each sync
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (sizes.append(os.fstat(fd).st_size), fsync(fd)))
    for sync, name in ((True, "live.csv"), (False, "file.csv")):
        path = tmp_path / name
        with CsvLog(path, COLUMNS, sync=sync) as log:
            for number in (1, 2):
                log.add(row(utterance(number), SESSION))
                log.flush()
                assert (sizes[-1:] == [path.stat().st_size]) is sync
            log.sync()
            assert sizes[-1] == path.stat().st_size


def test_a_row_holds_what_was_promised(tmp_path):
    """Columns, order, units, formats."""
    path = tmp_path / "rows.csv"
    write(path, utterance())
    assert path.read_text().splitlines()[0] == (
        "session,utterance,channel,started_at,start_s,end_s,duration_s,emotion,confidence,"
        "neutral,calm,happy,sad,angry,fearful,disgust,surprised,"
        "mood,uncertain,alert,level_dbfs,latency_ms,end_reason,source,model,note,call"
    )
    (got,) = read(path)
    assert got["started_at"].startswith("2023-11-1")
    assert got["started_at"][-6] in "+-"
    expected = {
        "session": "s-1",
        "utterance": "1",
        "channel": "mono",
        "start_s": "1.0",
        "end_s": "2.5",
        "duration_s": "1.5",
        "emotion": "neutral",
        "confidence": "0.3",
        "neutral": "0.3",
        "mood": "0.1",
        "uncertain": "true",
        "alert": "",
        "level_dbfs": "-23.5",
        "latency_ms": "431",
        "end_reason": "silence",
        "source": "call, one.wav",
        "model": "default",
        "note": "",
    }
    assert {key: got[key] for key in expected} == expected


def test_an_utterance_without_a_verdict_has_its_row(tmp_path):
    """Its cells are empty, and it is uncertain."""
    path = tmp_path / "rows.csv"
    write(path, utterance(classified=False))
    (got,) = read(path)
    assert (got["emotion"], got["confidence"], got["angry"], got["uncertain"]) == (
        "",
        "",
        "",
        "true",
    )


def test_a_mark_is_a_row_of_its_own(tmp_path):
    """With its time and its note, and nothing that anybody could count or average."""
    path = tmp_path / "rows.csv"
    with CsvLog(path, COLUMNS) as log:
        log.add(mark_row(Mark(2, 20_000, 'says, "no"\nagain'), SESSION))
    (got,) = read(path)
    assert {key: cell for key, cell in got.items() if cell} == {
        "session": "s-1",
        "started_at": got["started_at"],
        "utterance": "0",
        "start_s": "1.25",
        "end_s": "1.25",
        "duration_s": "0.0",
        "uncertain": "true",
        "end_reason": "mark",
        "source": "call, one.wav",
        "model": "default",
        "note": 'says, "no" again',
        "call": "1",
    }
    assert got["started_at"][19:23] == ".250"
    assert mark_row(Mark(1, 0), SESSION)["note"] is None
    summary = Summary(["mono"])
    before = summary.lines()
    summary.add(Mark(1, 0))
    assert summary.lines() == before


@pytest.mark.parametrize("form", [STANDARD, EXCEL], ids=["standard", "excel"])
def test_a_mark_leaves_columns_their_types(tmp_path, form):
    """As pandas reads them, beside utterances, classified or not."""
    import pandas as pd

    path = tmp_path / "rows.csv"
    with CsvLog(path, COLUMNS, form=form) as log:
        log.add(row(utterance(1), SESSION))
        log.add(mark_row(Mark(1, 20_000, "here"), SESSION))
        log.add(row(utterance(2, classified=False), SESSION))
    options = {"sep": ";", "decimal": ","} if form is EXCEL else {}
    table = pd.read_csv(path, **options)
    assert len(table) == 3
    numbers = {*EMOTIONS, "start_s", "end_s", "duration_s", "confidence", "mood", "level_dbfs"}
    assert {str(table[name].dtype) for name in numbers} == {"float64"}
    assert {str(table[name].dtype) for name in ("utterance", "call")} == {"int64"}
    assert table["uncertain"].dtype == bool
    assert pd.to_datetime(table["started_at"], utc=True).notna().all()
    spoken = table[table["end_reason"] != "mark"]
    assert spoken["duration_s"].mean() == 1.5


def test_a_log_from_before_there_were_notes_is_not_mangled(tmp_path):
    """The columns are named, and another file is asked for."""
    path = tmp_path / "rows.csv"
    with CsvLog(path, COLUMNS[:-2]) as log:
        log.add(row(utterance(), SESSION))
    before = path.read_bytes()
    with pytest.raises(OutputError, match=r"it lacks note, call; .*--csv"):
        CsvLog(path, COLUMNS)
    assert path.read_bytes() == before


def test_what_is_no_speech_is_a_row_without_a_mood():
    """Whoever sums up a column counts nobody's emotion."""
    spoken = utterance()
    assert spoken.prediction is not None
    door = replace(spoken, prediction=replace(spoken.prediction, is_speech=False))
    values = row(door, SESSION)
    assert (values["emotion"], values["mood"], values["uncertain"]) == (NO_SPEECH, None, True)
    assert values["neutral"] == 0.3
    assert "no speech" in plain(door)
    summary = Summary([spoken.channel])
    summary.add(spoken)
    expected = summary.lines()
    summary.add(door)
    assert summary.lines() == [*expected, "not counted: 1 without speech"]


def test_sessions_append(tmp_path):
    """One header, rows in order."""
    path = tmp_path / "rows.csv"
    for number in (1, 2, 3):
        write(path, utterance(number))
    assert [r["utterance"] for r in read(path)] == ["1", "2", "3"]
    assert path.read_text().count("session,") == 1


def test_a_relative_path_survives_its_folder(tmp_path, monkeypatch):
    """The folder that the program was started in may be deleted, and be made anew with the file."""
    folder = tmp_path / "calls"
    folder.mkdir()
    monkeypatch.chdir(folder)
    with CsvLog(Path("rows.csv"), COLUMNS) as log:
        log.add(row(utterance(1), SESSION))
        log.flush()
        shutil.rmtree(folder)
        log.add(row(utterance(2), SESSION))
        log.flush()
        assert log.notices() == [
            "rows.csv: was deleted; rows go on in a new file, those before cannot be brought back"
        ]
    assert [r["utterance"] for r in read(folder / "rows.csv")] == ["2"]


@pytest.mark.parametrize("torn", ["s-2", 's-2,7,"mo', "s-2,7,mono,2023-11-14T22:13:21+00:00,1.0"])
def test_a_torn_row_is_taken_off(tmp_path, torn):
    """The rows before it stay, the next one begins on a line of its own."""
    path = tmp_path / "rows.csv"
    write(path, utterance(1))
    with path.open("a") as file:
        file.write(torn)
    with CsvLog(path, COLUMNS) as log:
        assert "left unfinished" in "".join(log.notices())
        log.add(row(utterance(2), SESSION))
    assert [r["utterance"] for r in read(path)] == ["1", "2"]


def test_a_last_row_without_a_line_end_is_kept(tmp_path):
    """As some editors leave it."""
    path = tmp_path / "rows.csv"
    write(path, utterance(1))
    path.write_text(path.read_text().rstrip("\n"))
    write(path, utterance(2))
    assert [r["utterance"] for r in read(path)] == ["1", "2"]


def test_a_byte_order_mark_does_no_harm(tmp_path):
    """As spreadsheets put it before the header."""
    path = tmp_path / "rows.csv"
    write(path, utterance(1))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    write(path, utterance(2))
    assert len(read(path)) == 2


def test_a_file_with_other_columns_is_left_alone(tmp_path):
    """It may be anything: another model's rows, somebody's letters."""
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(OutputError, match=r"holds other columns .* got a, b; expected session"):
        CsvLog(path, COLUMNS)
    assert path.read_text() == "a,b\n1,2\n"


def test_a_folder_or_an_absent_folder_is_named(tmp_path):
    """Instead of a traceback."""
    with pytest.raises(OutputError, match="is a folder"):
        CsvLog(tmp_path, COLUMNS)
    with pytest.raises(OutputError, match="cannot be written: No such file"):
        CsvLog(tmp_path / "none" / "rows.csv", COLUMNS)


def test_rows_wait_while_the_disk_is_full(tmp_path):
    """A row is not torn by it, and is written when there is room again."""
    path = tmp_path / "rows.csv"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with CsvLog(path, COLUMNS) as log:
        log.add(row(utterance(1), SESSION))
        log.flush()
        size = path.stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, before[1]))
        ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            log.add(row(utterance(2), SESSION))
            with pytest.raises(OutputError, match="cannot be written"):
                log.flush()
            assert path.stat().st_size == size
            assert log.waiting == 1
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, ignored)
        log.add(row(utterance(3), SESSION))
    assert [r["utterance"] for r in read(path)] == ["1", "2", "3"]


TESTS = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

WRITER = """
import sys; sys.path[:0] = {tests!r}
from pathlib import Path
from test_csv_log import COLUMNS, SESSION, utterance
from streamer.sinks.csv_log import CsvLog
from streamer.sinks.row import row
with CsvLog(Path({path!r}), COLUMNS) as log:
    for number in range({count}):
        log.add(row(utterance(number), SESSION))
        log.flush()
"""


def test_a_killed_writer_leaves_whole_rows(tmp_path):
    """Whenever it is killed."""
    path = tmp_path / "rows.csv"
    script = WRITER.format(
        tests=[str(Path(__file__).parent), str(Path(__file__).parents[1])],
        path=str(path),
        count=10**6,
    )
    for delay in (0.0, 0.01, 0.02):
        process = subprocess.Popen([sys.executable, "-c", script])
        while not path.exists() or path.stat().st_size == 0:
            time.sleep(0.01)
        time.sleep(0.1 + delay)
        process.kill()
        process.wait()
        assert path.read_bytes().endswith(b"\n")
        assert all(None not in r and None not in r.values() for r in read(path))


def test_two_processes_share_a_file(tmp_path):
    """Their rows mingle, none is lost or torn."""
    path = tmp_path / "rows.csv"
    script = WRITER.format(
        tests=[str(Path(__file__).parent), str(Path(__file__).parents[1])],
        path=str(path),
        count=100,
    )
    writers = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(2)]
    assert [writer.wait() for writer in writers] == [0, 0]
    rows = read(path)
    assert len(rows) == 200
    assert sorted(int(r["utterance"]) for r in rows) == sorted([*range(100), *range(100)])


def test_a_file_that_another_program_locks_holds_nobody_up(tmp_path, monkeypatch):
    """It is tried again, like a full disk."""
    monkeypatch.setattr(csv_log, "LOCK_S", 0.01)
    path = tmp_path / "rows.csv"
    with CsvLog(path, COLUMNS) as log, path.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        log.add(row(utterance(), SESSION))
        with pytest.raises(OutputError, match="another program keeps it locked"):
            log.flush()
        fcntl.flock(other, fcntl.LOCK_UN)
    assert len(read(path)) == 1


def test_a_file_that_was_replaced_by_another_kind_is_left_alone(tmp_path):
    """Rows wait until ours is back."""
    path = tmp_path / "rows.csv"
    with CsvLog(path, COLUMNS) as log:
        path.rename(tmp_path / "ours.csv")
        path.write_text("a,b\n1,2\n")
        log.add(row(utterance(), SESSION))
        with pytest.raises(OutputError, match="holds other columns"):
            log.flush()
        assert path.read_text() == "a,b\n1,2\n"
        (tmp_path / "ours.csv").rename(path)
    assert len(read(path)) == 1


@pytest.mark.parametrize("name", ["/dev/null", "pipe"])
def test_what_is_no_file_is_named(tmp_path, name):
    """Nothing can be read back from it, or mended."""
    path = tmp_path / name
    if name == "pipe":
        os.mkfifo(path)
    with pytest.raises(OutputError, match="is a device or a pipe, expected a CSV file"):
        CsvLog(path, COLUMNS)


def test_killed_at_random_instants_it_has_every_row_it_told_of():
    """A few of the kills of benchmarks/kill.py: no row lost, no line torn, the next start clean."""
    script = Path(__file__).parents[2] / "benchmarks" / "kill.py"
    args = ["--times", "4", "--seed", "7", "--longest", "2"]
    result = subprocess.run(
        [sys.executable, str(script), *args], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "lost 0; torn lines 0" in result.stdout


def test_what_could_not_be_written_is_tried_again_now_and_then(tmp_path, monkeypatch):
    """Not with each look at it: a disk that is full has enough to do."""
    path, reports = tmp_path / "rows.csv", []
    log = RetryingLog(path, COLUMNS, reports.append)
    path.rename(tmp_path / "kept.csv")
    path.mkdir()
    monkeypatch.setattr(retrying_log, "RETRY_S", 3600.0)
    log.add(dict.fromkeys(COLUMNS, "1"))
    log.flush()
    path.rmdir()
    (tmp_path / "kept.csv").rename(path)
    log.poll()
    assert log.waiting == 1
    monkeypatch.setattr(log, "_retry_at", 0.0)
    log.poll()
    assert log.waiting == 0
    assert len(reports) == 2
