"""The figures are complete and hang together; how good they are is not a test's business."""

import json
import re
from dataclasses import asdict
from pathlib import Path

import pytest
from fakes import FakeModel

from streamer.cli.bench import print_table
from streamer.config import Config
from streamer.diagnostics.benchmark import LENGTHS_S, measure


def test_every_figure_is_there(excerpt):
    """And follows from the others where it should."""
    report = measure(Config(), FakeModel, excerpt.path)
    assert [cost.seconds for cost in report.by_length] == list(LENGTHS_S)
    assert all(0 < cost.p50_ms <= cost.p95_ms for cost in report.by_length)
    assert report.with_partials_ms > report.once_ms > 0
    assert report.segmenting_us > 0
    assert report.streams_per_core == pytest.approx(1 / report.real_time_factor)
    assert report.peak_mb > 10
    assert report.machine.count(", ") == 3
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file() and re.search(r"^flags\b.* avx2\b", cpuinfo.read_text(), re.MULTILINE):
        assert re.search(r"with AVX(2|-512|-512 VNNI),", report.machine)  # speed depends on it


def test_a_table_for_people(excerpt, capsys):
    """And all of it is JSON, for programs."""
    measured = measure(Config(), FakeModel, excerpt.path)
    print_table(measured)
    assert "streams of speech per core" in capsys.readouterr().out
    assert json.loads(json.dumps(asdict(measured)))["model"] == "fake"
