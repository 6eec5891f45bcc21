"""The sample clock against the machine's clock, over hours in no time."""

import numpy as np
import pytest

from streamer.audio.drift import MAX_KNOTS, WINDOW_S, DriftCorrection
from streamer.types import SAMPLE_RATE

STARTED = 4711.0
BLOCK_S = 0.1


def after(hours, ppm, *, jitter_s=0.05, seed=1, holes=()):
    """The correction, and errors of a row's time, in seconds, with jitter that only delays.

    Args:
        hours: How long the device was heard.
        ppm: By how much its clock is slow.
        jitter_s: Mean delay of a block.
        seed: Of the delays.
        holes: Pairs of the block before which something is missing, and by how much the
            estimate of its length is wrong, in seconds.
    """
    rng = np.random.default_rng(seed)
    correction = DriftCorrection(STARTED)
    blocks = round(3600 * hours / BLOCK_S)
    true = BLOCK_S * (1 + ppm * 1e-6) * np.arange(1, blocks + 1)
    for block, wrong_s in holes:
        true[block:] += wrong_s
    arrived = STARTED + true + rng.exponential(jitter_s, blocks)
    errors = np.zeros(blocks)
    last = 0.0
    for block in range(blocks):
        seconds = (block + 1) * BLOCK_S
        correction.observe(round(seconds * SAMPLE_RATE), arrived[block])
        told = seconds + correction(seconds)
        assert told > last, "time runs backwards"
        last = told
        errors[block] = told - true[block]
    return correction, errors


@pytest.mark.parametrize(("ppm", "hours"), [(200, 8), (-200, 2), (0, 2)])
def test_a_clock_that_is_off_is_corrected_for_hours(ppm, hours):
    """200 ppm are 5.8 s in eight hours; jitter of 50 ms adds nothing that matters."""
    _, errors = after(hours, ppm)
    assert np.abs(errors).max() < 0.02
    assert np.abs(errors[len(errors) // 2 :]).max() < 0.01


def test_what_was_told_of_a_time_stays():
    """The CSV, lines of JSON and messages name the same time, whenever they ask."""
    correction = DriftCorrection(STARTED)
    told = {}
    for block in range(1, 3000):
        seconds = block * BLOCK_S
        told[seconds] = correction(seconds)
        correction.observe(round(seconds * SAMPLE_RATE), STARTED + 1.0005 * seconds)
    assert {seconds: correction(seconds) for seconds in told} == told


def test_a_wrong_estimate_is_made_good_slowly():
    """A hole that was half a second longer than thought; time goes on evenly meanwhile."""
    _, errors = after(0.1, 100, holes=[(1000, 0.5)])
    assert np.abs(errors[1100]).max() > 0.4
    assert np.abs(errors[-600:]).max() < 0.02


@pytest.mark.parametrize("pace", [0.01, 0.5, 3.0])
def test_what_is_not_at_real_time_pace_tells_nothing_about_clocks(pace):
    """A pipe that is faster, or slower: the samples count alone."""
    correction = DriftCorrection(STARTED)
    for block in range(1, 2000):
        seconds = block * BLOCK_S
        correction.observe(round(seconds * SAMPLE_RATE), STARTED + pace * seconds)
        assert correction(seconds) == 0.0


def test_a_week_is_remembered_in_bounded_memory():
    """And the newest part of it is right."""
    correction = DriftCorrection(STARTED)
    windows = 2 * MAX_KNOTS + 5
    for window in range(1, windows):
        at = window * WINDOW_S
        correction.observe(round(at * SAMPLE_RATE), STARTED + 1.0002 * at)
    assert len(correction._knots) <= 2 * MAX_KNOTS
    end = windows * WINDOW_S
    assert correction(end) == pytest.approx(0.0002 * end, abs=0.01)
