"""The figures are complete and hang together; how good they are is not a test's business."""

import json
import re
from pathlib import Path

import pytest
from fakes import FakeModel

from streamer.cli.bench import LENGTHS_S, bench, measure
from streamer.config import Config


def test_every_figure_is_there(excerpt):
    """And follows from the others where it should."""
    report = measure(Config(), FakeModel, excerpt.path)
    assert [judged.seconds for judged in report.judged] == list(LENGTHS_S)
    assert all(0 < judged.p50_ms <= judged.p95_ms for judged in report.judged)
    assert report.rolling_ms > report.once_ms > 0
    assert report.segmenting_us > 0
    assert report.streams_per_core == pytest.approx(1 / report.real_time_factor)
    assert report.peak_mb > 10
    assert report.machine.count(", ") == 3
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file() and re.search(r"^flags\b.* avx2\b", cpuinfo.read_text(), re.MULTILINE):
        assert re.search(r"with AVX(2|-512|-512 VNNI),", report.machine)  # speed depends on it


def test_a_table_or_a_line_of_json(excerpt, capsys):
    """For people, and for programs."""
    bench(Config(), FakeModel, excerpt.path, json=False)
    assert "streams of speech per core" in capsys.readouterr().out
    bench(Config(), FakeModel, excerpt.path, json=True)
    assert json.loads(capsys.readouterr().out)["model"] == "fake"
