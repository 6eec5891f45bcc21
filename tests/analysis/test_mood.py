"""The running mood, its trend, and what a channel comes to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from said import heard, said

from streamer.analysis.mood import ChannelStats, RunningMood

moods = st.floats(-1, 1)


def test_the_first_utterance_is_the_mood():
    """Without a trend."""
    changed = RunningMood(30).add(said(1, "angry", mood=-0.8))
    assert changed is not None
    assert (changed.mood, changed.trend) == pytest.approx((-0.8, 0.0))


def test_half_of_the_say_is_gone_after_a_half_life_of_speech():
    """Pauses change nothing."""
    running = RunningMood(10)
    running.add(said(1, "happy", mood=1.0, at_s=0, length_s=10))
    changed = running.add(said(2, "sad", mood=-1.0, at_s=500, length_s=10))
    assert changed is not None
    assert changed.mood == pytest.approx((0.5 - 1) / 1.5)
    assert changed.trend < 0


def test_what_is_sure_and_long_says_more():
    """Each by its weight."""

    def after(*, length_s, confidence=0.8):
        running = RunningMood(1e6)
        running.add(said(1, "happy", mood=1.0, length_s=2))
        second = said(2, "sad", mood=-1.0, length_s=length_s, confidence=confidence)
        changed = running.add(second)
        assert changed is not None
        return changed.mood

    assert after(length_s=6) < after(length_s=2) < after(length_s=1)
    assert after(length_s=2, confidence=0.9) < after(length_s=2, confidence=0.3)


@given(st.lists(st.tuples(moods, st.floats(0.2, 1), st.floats(0.1, 30)), min_size=1))
def test_the_mood_stays_within_what_was_heard(given_moods):
    """As a mean does."""
    running = RunningMood(30)
    for number, (mood, confidence, length_s) in enumerate(given_moods):
        changed = running.add(
            said(number, "sad", mood=mood, confidence=confidence, length_s=length_s)
        )
        assert changed is not None
        so_far = [m for m, *_ in given_moods[: number + 1]]
        assert min(so_far) - 1e-9 <= changed.mood <= max(so_far) + 1e-9


def test_what_was_not_classified_changes_nothing():
    """There is nothing to add."""
    running = RunningMood(30)
    assert running.add(said(1, None)) is None


def test_shares_are_of_the_speaking_time():
    """Uncertain is a share of its own."""
    stats = ChannelStats()
    stats.add(said(1, "angry", length_s=6, mood=-1.0))
    stats.add(said(2, "calm", length_s=3, mood=1.0))
    stats.add(said(3, "sad", length_s=1, mood=0.0, uncertain=True))
    assert stats.shares() == pytest.approx({"angry": 0.6, "calm": 0.3, "uncertain": 0.1})
    assert list(stats.shares()) == ["angry", "calm", "uncertain"]
    assert stats.speech_s == pytest.approx(10)
    assert stats.mood == pytest.approx(-0.3)


def test_nothing_said_has_no_mood():
    """Rather than a neutral one."""
    assert (ChannelStats().mood, ChannelStats().shares(), ChannelStats().speech_s) == (
        None,
        {},
        0.0,
    )


def test_the_prediction_of_the_helper_is_as_asked():
    """Or the tests here would prove little."""
    prediction = heard("angry", 0.7)
    assert (prediction.emotion, prediction.confidence) == ("angry", 0.7)
