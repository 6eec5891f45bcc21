"""The lines of the page on recordings run as they stand, in Ray Data, Spark and Daft."""

import csv
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fakes import FakeModel, silence, speech

from streamer.cli import file
from streamer.cli.main import main
from streamer.types import SAMPLE_RATE

pytestmark = pytest.mark.filterwarnings("ignore")  # the engines' own

PAGE = Path(__file__).parents[2] / "docs/usage/recordings.md"
TESTS = Path(__file__).parents[1]
ENGINES = {"Ray Data": "ray", "Spark": "pyspark", "Daft": "daft"}


def shown(engine: str) -> str:
    """What the page has for an engine, after what it has for all."""
    text = PAGE.read_text("utf-8")
    blocks = [r"^```\n(from streamer\.bulk.*?)^```", rf"^In \*\*{engine}\*\*.*?\n```\n(.*?)^```"]
    found = [re.search(block, text, re.MULTILINE | re.DOTALL) for block in blocks]
    return "".join(match[1] for match in found if match)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_page_works(engine, tmp_path, monkeypatch):
    """Its lines give the rows of `file`."""
    reason = "engines are not installed: make test-ray"
    pytest.importorskip(ENGINES[engine], reason=reason)
    if engine == "Spark" and shutil.which("java") is None:
        pytest.skip("Spark needs Java")
    monkeypatch.setattr(file, "model_loader", lambda _config: FakeModel)
    monkeypatch.setenv("PYTHONPATH", str(TESTS))  # where its workers find the scripted model
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_worker_niceness", "0")  # else a busy machine gives them nearly no time
    monkeypatch.chdir(tmp_path)
    Path("calls").mkdir()
    said = np.concatenate((silence(0.2), speech(0.6), silence(1.0), speech(0.6, 3), silence(0.8)))
    for name in "ab":
        soundfile.write(f"calls/{name}.wav", said, SAMPLE_RATE)
    assert main(["file", "calls", "--csv", "rows.csv", "--jobs", "1"]) == 0
    with Path("rows.csv").open(newline="", encoding="utf-8") as text:
        expected = [(row["utterance"], row["emotion"], row["mood"]) for row in csv.DictReader(text)]
    names: dict[str, object] = {"__name__": "__main__"}
    exec(compile(shown(engine), str(PAGE), "exec"), names)  # noqa: S102 - our own page
    rows = [row["row"] if engine == "Daft" else row for row in names["rows"]]
    got = [
        (str(each["utterance"]), each["emotion"], str(each["mood"]))
        for row in sorted(rows, key=lambda row: row["path"])
        for each in row["utterances"]
    ]
    assert got == expected
    assert len(got) == 4
