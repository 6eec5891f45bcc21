"""What was promised to be on disk is there when the page cache is lost, not only the process."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fakes import silence, speech
from power_cut import disk
from test_csv_log import COLUMNS, SESSION, utterance

from streamer.sinks.csv_log import CsvLog
from streamer.sinks.row import row

CHILD = [sys.executable, str(Path(__file__).parents[1] / "child.py")]
SAID = np.concatenate((speech(0.4), silence(0.5)))


@pytest.fixture
def plugged(tmp_path):
    """A disk whose plug can be pulled."""
    with disk(tmp_path) as one:
        yield one


def numbers(path: Path) -> list[str]:
    """Which utterances have whole rows; what an unfinished write left at the end is none."""
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    header, *rows = csv.reader(lines, strict=True)
    assert header == COLUMNS
    assert all(len(one) == len(header) for one in rows)
    return [one[1] for one in rows]


def write(log: CsvLog, *rows: int) -> None:
    """Have rows written, each with its own flush."""
    for number in rows:
        log.add(row(utterance(number), SESSION))
        log.flush()


def test_without_a_sync_rows_are_gone(plugged):
    """Or the tests below would prove nothing."""
    path = plugged.folder / "rows.csv"
    log = CsvLog(path, COLUMNS, sync=False)
    write(log, 1, 2)
    assert numbers(path) == ["1", "2"]
    plugged.cut()
    os.close(log._file)
    plugged.start_again()
    assert not path.exists() or path.stat().st_size == 0


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_what_was_flushed_is_there(plugged, rows):
    """From the first row of a new file on, under its name; the next start goes on below."""
    path = plugged.folder / "rows.csv"
    log = CsvLog(path, COLUMNS)
    write(log, *range(1, 1 + rows))
    log.add(row(utterance(9), SESSION))  # not promised yet
    plugged.cut()
    os.close(log._file)
    plugged.start_again()
    assert numbers(path) == [str(number) for number in range(1, 1 + rows)]
    with CsvLog(path, COLUMNS) as log:
        write(log, 5)
    assert numbers(path)[-1] == "5"


def test_a_rotated_log_is_there_under_both_names(plugged):
    """The new file's name is durable, too, with its first row."""
    path = plugged.folder / "rows.csv"
    log = CsvLog(path, COLUMNS)
    write(log, 1)
    path.rename(plugged.folder / "rows.csv.1")
    write(log, 2)
    plugged.cut()
    os.close(log._file)
    plugged.start_again()
    assert numbers(path) == ["2"]
    assert numbers(plugged.folder / "rows.csv.1") == ["1"]


@pytest.mark.parametrize("cut_after", [1, 4])
def test_every_row_that_was_announced_is_there(plugged, tmp_path, cut_after):
    """The whole program, with its threads; whoever reads its lines pulls the plug."""
    path = plugged.folder / "rows.csv"
    child = subprocess.Popen(
        [*CHILD, "run", "--json", "--input", "-", "--csv", str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=tmp_path,
    )  # fmt: skip
    with child:
        child.stdin.write(np.tile(SAID, 12).tobytes())
        child.stdin.flush()
        announced = []
        while len(announced) < cut_after:
            line = json.loads(child.stdout.readline())
            announced += [str(line["utterance"])] if line["event"] == "utterance" else []
        plugged.cut()
        child.send_signal(signal.SIGKILL)
        child.wait(60)
        child.stdin.close()
    plugged.start_again()
    assert numbers(path)[:cut_after] == announced
