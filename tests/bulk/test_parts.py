"""Shards and shapes: each recording is in one part, and the parts together are the one CSV."""

import csv
import json

import numpy as np
import pytest
import soundfile
from fakes import FakeModel, silence, speech

from streamer.cli import file
from streamer.cli.main import main
from streamer.types import SAMPLE_RATE

SAID = np.concatenate((silence(0.2), speech(0.6), silence(0.8)))


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """Twelve recordings, and a scripted model."""
    monkeypatch.setattr(file, "model_loader", lambda _config: FakeModel)
    folder = tmp_path / "calls"
    folder.mkdir()
    for number in range(12):
        soundfile.write(folder / f"{number:02}.wav", SAID, SAMPLE_RATE)
    return folder


def run(*args: object) -> int:
    """``streamer file``; the exit code."""
    return main(["file", *map(str, args), "--jobs", "1"])


def test_parts_together_are_the_csv(calls, tmp_path):
    """Byte for byte, but for the order."""
    assert run(calls, "--csv", tmp_path / "all.csv") == 0
    header, *rows = (tmp_path / "all.csv").read_bytes().splitlines()
    out = tmp_path / "out"
    for number in (1, 2, 3):
        assert run(calls, "--out", out, "--shard", f"{number}/3") == 0
    parts = sorted(out.glob("utterances-*.csv"))
    assert [part.name for part in parts] == [f"utterances-0000{n}-of-00003.csv" for n in (1, 2, 3)]
    found = [part.read_bytes().splitlines() for part in parts]
    assert {lines[0] for lines in found} == {header}
    # which part a recording is in depends on its path, so that one may be empty
    assert sum(len(lines) > 1 for lines in found) > 1
    assert sorted(line for lines in found for line in lines[1:]) == sorted(rows)
    assert len(list(out.glob("calls-*.csv"))) == 3


def test_a_part_stays_as_it_is_until_the_next_is_whole(calls, tmp_path):
    """A new recording is in the next one, at the end; those that are done are not done again."""
    out = tmp_path / "out"
    assert run(calls, "--out", out) == 0
    part = out / "utterances-00001-of-00001.csv"
    before = part.read_bytes()
    inode = part.stat().st_ino
    assert run(calls, "--out", out) == 0
    assert part.stat().st_ino == inode
    soundfile.write(calls / "new.wav", SAID, SAMPLE_RATE)
    assert run(calls, "--out", out) == 0
    assert part.read_bytes().startswith(before)
    assert part.read_bytes().count(b"\n") == before.count(b"\n") + 1
    assert part.stat().st_ino != inode


@pytest.mark.parametrize("shape", ["jsonl", "parquet"])
def test_shapes_have_what_the_csv_has(calls, tmp_path, shape):
    """Typed: an empty cell is null."""
    from pyarrow import parquet

    out = tmp_path / "out"
    assert run(calls, "--out", out, "--format", shape) == 0
    for table in ("utterances", "calls"):
        work = out / ".work" / f"{table}-00001-of-00001.csv"
        with work.open(encoding="utf-8", newline="") as text:
            expected = list(csv.DictReader(text))
        part = out / f"{table}-00001-of-00001.{shape}"
        if shape == "parquet":
            got = parquet.read_table(part).to_pylist()
        else:
            got = [json.loads(line) for line in part.read_text(encoding="utf-8").splitlines()]
        assert len(got) == len(expected) == 12
        for row, cells in zip(got, expected, strict=True):
            assert list(row) == list(cells)
            for name, text in cells.items():
                value = row[name]
                if value is None:
                    assert text == ""
                elif isinstance(value, bool):
                    assert text == str(value).lower()
                elif isinstance(value, str):
                    assert text == value
                else:
                    assert float(text) == value
    assert isinstance(got[0]["silence_s"], float)


def test_a_shard_without_recordings_says_so(calls, tmp_path, capsys):
    """And its tables are there all the same, with nothing in them."""
    alone = next(calls.glob("*"))
    for number in (1, 2):
        assert run(alone, "--out", tmp_path / "tables", "--shard", f"{number}/2") == 0
    assert "0 recordings found, 0 to be analysed" in capsys.readouterr().err
    assert len(list((tmp_path / "tables").glob("utterances-*"))) == 2


def test_a_recording_is_always_in_the_same_shard(calls, tmp_path):
    """Whatever else is there."""
    out = tmp_path / "rows.csv"
    run(calls, "--csv", out, "--shard", "2/3")
    before = out.read_text().splitlines()
    for path in sorted(calls.iterdir())[::2]:
        path.unlink()
    out.unlink()
    run(calls, "--csv", out, "--shard", "2/3")
    assert set(out.read_text().splitlines()) <= set(before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--shard", "4/3"], "expected a part such as 3/16"),
        (["--shard", "x"], "expected a part such as 3/16"),
        (["--out", "o", "--no-csv"], "leave out --csv, --no-csv, --summary"),
        (["--export", "srt"], "expected a format and a folder"),
        (["--export", "srt=o", "--no-csv"], "leave out --no-csv"),
    ],
)
def test_options_that_make_no_sense(calls, capsys, options, message):
    """Exit code 2, with what was expected."""
    try:
        code = run(calls, *options)
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_exports_follow_at_once(calls, tmp_path):
    """As the command export would make them of the CSV."""
    options = ("--export", f"srt={tmp_path / 'subs'}", "--export", f"calls={tmp_path / 'tables'}")
    assert run(calls, "--csv", tmp_path / "rows.csv", *options) == 0
    assert len(list((tmp_path / "subs").iterdir())) == 12
    assert (tmp_path / "tables" / "call-figures.parquet").exists()
