"""Rows on standard output: `--csv -`."""

import csv
import io

import numpy as np
import pytest
import soundfile
from fakes import FakeModel, silence, speech
from test_csv_log import COLUMNS, SESSION, utterance

from streamer.cli import file, main, run
from streamer.sinks.csv_lines import CsvLines
from streamer.sinks.summary import Summary
from streamer.types import SAMPLE_RATE, Mark


def test_rows_are_those_of_the_file():
    """Below one header, also where nobody spoke."""
    text = io.StringIO()
    lines = CsvLines(text)
    lines.write(utterance(), SESSION)
    lines.write(Mark(1, 0, "=1"), SESSION)
    lines.end(SESSION, Summary(["mono"]))
    lines.writer.finish(1.0)
    header, said, mark = csv.reader(io.StringIO(text.getvalue()))
    assert header == COLUMNS
    assert (said[1], mark[COLUMNS.index("note")]) == ("1", "'=1")


@pytest.fixture
def recording(tmp_path, monkeypatch):
    """One utterance, and a model that classifies it at once."""
    monkeypatch.chdir(tmp_path)
    for command in (run, file):
        monkeypatch.setattr(command, "model_loader", lambda _config: FakeModel)
    pcm = np.concatenate((silence(0.5), speech(0.8), silence(0.8)))
    soundfile.write(tmp_path / "call.wav", pcm, SAMPLE_RATE)
    return tmp_path / "call.wav"


@pytest.mark.parametrize("words", [["file"], ["run", "--input"]])
def test_nothing_else_is_on_standard_output(recording, capfd, words):
    """And no file is made."""
    assert main.main([*words, str(recording), "--csv", "-"]) == 0
    out, err = capfd.readouterr()
    header, *rows = csv.reader(io.StringIO(out))
    assert header[:3] == ["session", "utterance", "channel"]
    assert [row[1] for row in rows] == ["1"]
    assert ("1 utterance" in err) == (words[0] == "run")
    assert not (recording.parent / "-").exists()
    assert not list(recording.parent.glob("*.csv"))


@pytest.mark.parametrize("words", [["file"], ["run", "--input"]])
def test_json_and_rows_do_not_share_it(recording, capfd, words):
    """Nobody could read them."""
    assert main.main([*words, str(recording), "--csv", "-", "--json"]) == 2
    assert "both write to standard output" in capfd.readouterr().err
