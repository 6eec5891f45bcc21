"""The figures are complete and hang together; how good they are is not a test's business."""

import json

import pytest
from fakes import FakeModel

from streamer.bench import LENGTHS_S, bench, measure
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


def test_a_table_or_a_line_of_json(excerpt, capsys):
    """For people, and for programs."""
    bench(Config(), FakeModel, excerpt.path, json=False)
    assert "streams of speech per core" in capsys.readouterr().out
    bench(Config(), FakeModel, excerpt.path, json=True)
    assert json.loads(capsys.readouterr().out)["model"] == "fake"
