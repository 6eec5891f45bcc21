"""Each recording has its rows once, together, whenever a run was killed and whatever came after."""

import csv
import os
import re
import sqlite3
import subprocess
import sys
import time
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
import soundfile
from batches import analyse
from fakes import Deadly, FakeModel, silence, speech

from streamer.bulk.ledger import Ledger
from streamer.cli import batch
from streamer.types import SAMPLE_RATE

SAID = np.concatenate((silence(0.2), speech(0.6), silence(1.0), speech(0.6, seed=3), silence(0.8)))
CHILD = Path(__file__).parents[1] / "child.py"


@pytest.fixture
def calls(tmp_path):
    """Five recordings of two utterances, one of silence, one that is none."""
    folder = tmp_path / "calls"
    folder.mkdir()
    for name in "abcde":
        soundfile.write(folder / f"{name}.wav", SAID, SAMPLE_RATE)
    soundfile.write(folder / "quiet.wav", silence(1.0), SAMPLE_RATE)
    (folder / "torn.wav").write_bytes(b"RIFF")
    return folder


class Counting(FakeModel):
    """Counts what it classified."""

    classified = 0

    def classify(self, pcm, adaptation=None, *, learn=False):
        """As the fake model does."""
        Counting.classified += 1
        return super().classify(pcm, adaptation, learn=learn)


def work(*paths: Path, csv: Path, **options: object) -> tuple[int, int]:
    """Run it; the exit code and how many utterances were classified."""
    Counting.classified = 0
    code = analyse(list(paths), Counting, csv=csv, **options)
    return code, Counting.classified


def rows(path):
    """The rows of a CSV."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def once(path):
    """How many rows each source has; fails where they do not stand together."""
    groups = [(source, len(list(group))) for source, group in groupby(rows(path), by_source)]
    assert len(dict(groups)) == len(groups)
    return {Path(source).name: count for source, count in groups}


def by_source(row):
    """What it was said in."""
    return row["source"]


ALL = {f"{name}.wav": 2 for name in "abcde"}


def test_what_is_done_is_not_done_again(calls, tmp_path, capsys):
    """Nor what holds no speech, or failed: the exit code tells of that again."""
    out = tmp_path / "rows.csv"
    assert work(calls, csv=out) == (1, 10)
    assert once(out) == ALL
    assert "torn.wav: cannot be read as a sound file" in capsys.readouterr().err
    assert work(calls, csv=out) == (1, 0)
    error = capsys.readouterr().err
    assert "6 recordings done before" in error
    assert "1 of 7 recordings could not be read" in error
    assert once(out) == ALL


def test_what_is_new_or_was_changed_is_done(calls, tmp_path):
    """By size or time; another model does all."""
    out = tmp_path / "rows.csv"
    work(calls, csv=out)
    soundfile.write(calls / "f.wav", SAID, SAMPLE_RATE)
    os.utime(calls / "a.wav", ns=(1, 1))
    assert work(calls, csv=out) == (1, 4)
    assert len(rows(out)) == 14
    assert len({row["session"] for row in rows(out)}) == 7
    assert work(calls, csv=out) == (1, 0)


def test_the_one_that_failed_before_is_named_with_its_reason(calls, tmp_path, capsys):
    """Nothing says it at the second time but the summary."""
    work(calls, csv=tmp_path / "rows.csv")
    capsys.readouterr()
    assert work(calls, csv=tmp_path / "rows.csv") == (1, 0)
    said = " ".join(capsys.readouterr().err.split())
    assert re.search(r"1 time cannot be read as a sound file .*torn\.wav\)", said), said


def test_failed_ones_are_tried_again_on_request(calls, tmp_path):
    """Here, since something else made them fail."""
    out = tmp_path / "rows.csv"
    work(calls, csv=out)
    torn = calls / "torn.wav"
    before = torn.stat()
    torn.write_bytes((calls / "a.wav").read_bytes())
    work(calls, csv=out)
    assert once(out) == {**ALL, "torn.wav": 2}  # it was changed
    torn.write_bytes(b"RIFF")
    os.utime(torn, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert work(calls, csv=out) == (1, 0)
    assert work(calls, csv=out, retry_failed=True) == (1, 0)


def test_again_does_all_and_goes_on_where_it_was_killed(calls, tmp_path, monkeypatch):
    """The rows of a second time are of sessions of their own."""
    out = tmp_path / "rows.csv"
    work(calls, csv=out)

    class Killed(BaseException):
        pass

    def killed(_self):
        if len(rows(out)) >= 14:
            raise Killed

    monkeypatch.setattr("streamer.bulk.local.COMMIT_S", 0.0)
    monkeypatch.setattr(batch.Display, "_draw", killed)
    with pytest.raises(Killed):
        work(calls, csv=out, again=True)
    monkeypatch.undo()
    done = len(rows(out)) - 10
    assert 0 < done < 10
    assert work(calls, csv=out, again=True) == (1, 10 - done)
    sessions = {row["session"] for row in rows(out)}
    assert len(sessions) == 10
    assert sum(session.endswith("-1") for session in sessions) == 5
    assert work(calls, csv=out, again=True) == (1, 10)
    assert work(calls, csv=out) == (1, 0)


def test_rows_of_what_was_not_finished_are_taken_off(calls, tmp_path, capsys):
    """Those of a live session, which came between, stay."""
    out = tmp_path / "rows.csv"
    work(calls / "a.wav", calls / "b.wav", csv=out)
    text = out.read_text(encoding="utf-8")
    torn = text.splitlines()[-1].replace("rec-", "rec-0", 1)
    torn = torn[:20] + torn[21:]
    live = torn.replace(torn.split(",")[0], "20260101T000000-00000000")
    out.write_text(f"{text}{torn}\n{live}\n{torn[:30]}", encoding="utf-8")
    assert work(calls, csv=out)[1] == 6
    error = capsys.readouterr().err
    assert "took off a row that an earlier run left unfinished" in error
    assert "took off 1 row of a recording that was not finished" in error
    kept = rows(out)
    assert [row["session"] for row in kept if not row["session"].startswith("rec-")] == [
        "20260101T000000-00000000"
    ]
    assert len(kept) == 11


@pytest.mark.parametrize("gone", ["ledger", "csv", "rows"])
def test_the_csv_counts_where_the_ledger_says_otherwise(calls, tmp_path, capsys, gone):
    """Without a ledger what has rows is done; without rows it is done anew."""
    out = tmp_path / "rows.csv"
    work(calls, csv=out)
    if gone == "ledger":
        (tmp_path / "rows.csv.ledger").unlink()
        expected = 2  # the last one, which may not have been finished
    elif gone == "csv":
        out.unlink()
        expected = 10
    else:
        lines = out.read_text(encoding="utf-8").splitlines(keepends=True)
        out.write_text("".join([*lines[:2], *lines[5:]]), encoding="utf-8")
        expected = 2  # of the second one, all rows were deleted; of the first, one
    assert work(calls, csv=out)[1] == expected
    error = capsys.readouterr().err
    assert ("was changed since the last run" in error) == (gone != "ledger")
    if gone == "rows":
        assert len(rows(out)) == 9
    else:
        assert once(out) == ALL
    assert work(calls, csv=out)[1] == 0


def test_a_summary_that_is_asked_for_later_doubles_no_row(calls, tmp_path):
    """The recordings are analysed anew, and their rows stay as they are."""
    out, summary = tmp_path / "rows.csv", tmp_path / "summary.csv"
    work(calls, csv=out)
    assert work(calls, csv=out, summary=summary) == (1, 10)
    assert once(out) == ALL
    assert len(rows(summary)) == 6
    summary.unlink()
    assert work(calls, csv=out, summary=summary) == (1, 10)
    assert once(out) == ALL
    assert len(rows(summary)) == 6
    assert work(calls, csv=out, summary=summary) == (1, 0)


def test_two_runs_at_once_are_refused(calls, tmp_path):
    """On the same CSV; a ledger that is none is said to be none."""
    out = tmp_path / "rows.csv"
    other = Ledger(tmp_path / "rows.csv.ledger")
    command = ["file", str(calls), "--csv", str(out)]
    refused = child(*command)
    assert refused.returncode == 1
    assert b"another 'streamer file' works with it" in refused.stderr
    other.close()
    (tmp_path / "rows.csv.ledger").write_bytes(b"no database" * 100)
    result = child(*command)
    assert result.returncode == 1
    assert b"is damaged" in result.stderr
    assert b"Traceback" not in result.stderr


def test_processes_find_the_same(calls, tmp_path):
    """In any order, together."""
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    work(calls, csv=one)
    assert analyse([calls], FakeModel, csv=two, jobs=2) == 1
    assert once(two) == once(one)
    assert sorted(one.read_bytes().splitlines()) == sorted(two.read_bytes().splitlines())


def test_a_process_that_dies_costs_the_recording_that_it_died_of(calls, tmp_path, capsys):
    """All others are analysed, once."""
    loud = np.where(SAID > 0, 32_000, -32_000).astype(np.int16)
    soundfile.write(calls / "bb.wav", loud, SAMPLE_RATE)
    out = tmp_path / "rows.csv"
    assert analyse([calls], Deadly, csv=out, jobs=2) == 1
    assert once(out) == ALL
    assert "bb.wav: cannot be read: the process that read it ended (signal 9)" in (
        capsys.readouterr().err.replace("\n", "")
    )


def child(*args: str) -> "subprocess.CompletedProcess[bytes]":
    """The real program with a scripted model."""
    return subprocess.run([sys.executable, str(CHILD), *args], capture_output=True, check=False)


@pytest.mark.parametrize(("jobs", "kills"), [("1", 2), ("2", 1)])
def test_killed_at_any_instant_it_goes_on(tmp_path, jobs, kills):
    """Until all is done: every recording once, its rows together, no line torn."""
    folder = tmp_path / "calls"
    folder.mkdir()
    names = [f"{number:03}.wav" for number in range(30)]
    for name in names:
        soundfile.write(folder / name, SAID, SAMPLE_RATE)
    out = tmp_path / "rows.csv"
    command = [sys.executable, str(CHILD), "file", str(folder), "--csv", str(out), "--jobs", jobs]
    for kill in range(kills):
        done = len(rows(out)) if out.exists() else 0
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        while running.poll() is None and (not out.exists() or out.stat().st_size < size(done)):
            time.sleep(0.002)
        time.sleep(0.003 * kill)
        running.kill()
        running.communicate()
    assert child(*command[2:]).returncode == 0
    assert once(out) == dict.fromkeys(names, 2)
    with sqlite3.connect(tmp_path / "rows.csv.ledger") as ledger:
        assert ledger.execute("SELECT count(*) FROM recording").fetchone() == (30,)
    ledger.close()


def size(done):
    """A little more than a number of rows take."""
    return 300 + 240 * (done + 6)
