"""The benchmarks of load and of a whole day find what they look for; the figures are theirs."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import FakeModel

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import load
import soak

from streamer.types import SAMPLE_RATE


def test_a_few_minutes_of_a_day_are_accounted_for():
    """Each utterance that was said has one row, in its place, whatever the pauses and levels."""
    result = soak.measure(0.02, 0.5, FakeModel, seed=1)
    assert result.said == result.rows > 5
    assert result.kept or result.growth >= soak.MAX_GROWTH  # so short, it still warms up
    assert (result.with_several, result.from_noise) == (0, 0)
    assert {(sample.threads, sample.files) for sample in result.after_warm_up} == {
        (result.after_warm_up[0].threads, result.after_warm_up[0].files)
    }


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        (lambda rows: rows.pop(3), {"without_a_row": 1, "numbered": False}),
        (lambda rows: rows.insert(3, rows[3]), {"with_several": 1, "numbered": False}),
        (lambda rows: rows[3].update(emotion=""), {"unclassified": 1}),
        (lambda rows: rows[3].update(start_s="22", end_s="23"), {"from_noise": 1}),
        (lambda rows: rows[-1].update(start_s="198"), {"drift_ms": 8000}),
    ],
)
def test_what_is_amiss_with_a_day_is_found(fault, found):
    """A row lost, doubled, not classified, where nobody spoke, or later than what was said."""
    said = [soak.Spoken(n * SAMPLE_RATE, (n + 9) * SAMPLE_RATE) for n in range(10, 210, 20)]
    rows = [
        {"utterance": str(i + 1), "start_s": str(s.start / SAMPLE_RATE), "emotion": "calm"}
        | {"end_s": str(s.end / SAMPLE_RATE)}
        for i, s in enumerate(said)
    ]
    samples = [soak.Sample(hour, 100.0, 5, 8) for hour in (0.0, 0.02, 0.05)]
    fine = soak.compare(said, rows, 0.0583, 1.0, samples)
    assert fine.kept
    fault(rows)
    result = soak.compare(said, rows, 0.0583, 1.0, samples)
    assert not result.kept or "with_several" in found or "from_noise" in found
    assert {name: getattr(result, name) for name in found} == found
    assert not replace(fine, samples=(*samples, soak.Sample(0.055, 106.0, 5, 8))).kept


def test_lines_at_once_have_the_rows_that_are_due():
    """Played at real-time pace, they are those that the same samples have without a clock."""
    result = load.measure(FakeModel(), 2, 4.0)
    assert result.rows >= 2
    assert (result.missing, result.unclassified, result.lost_s) == (0, 0, 0)
    assert not replace(result, row_ms=(500.0, 1000.0)).behind
    for amiss in ({"missing": 1}, {"unclassified": 1}, {"lost_s": 0.1}, {"row_ms": (1.0, 2500.0)}):
        assert replace(result, **amiss).behind


def test_pages_are_written(tmp_path):
    """With the figures in a table, and a picture."""
    result = load.Load(4, 0.5, 400.0, 0.8, 0.9, (90.0, 150.0), (500.0, 600.0), 30, 0, 0, 7, 0.0)
    cases = {"alone": [result], "busy": [result]}
    load.draw(cases, tmp_path / "load.svg")
    assert "| 4 | 0.50 | 400 | 90% | 90/150 | 500/600 | 30 | 0 | 0 | 0.0 s |" in load.page(
        cases, 30
    )
    samples = [soak.Sample(hour, 100.0 + hour, 5, 8) for hour in (0.0, 12.0, 24.0)]
    said, row = soak.Spoken(0, 16_000), {"utterance": "1", "emotion": "calm"}
    whole = soak.compare([said], [row | {"start_s": "0", "end_s": "1"}], 24.0, 60.0, samples)
    soak.draw(whole, tmp_path / "soak.svg")
    assert "| rows in the CSV | 1, numbered without a hole |" in soak.page(whole, 0.3)
    assert all((tmp_path / name).stat().st_size for name in ("load.svg", "soak.svg"))
