"""Who speaks how much in a call: what the documentation defines, on examples and on any calls."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.analysis.calls import MAX_PAUSE_S, Spoken, call_figures, joined

CHANNELS = ("agent", "customer")


def figures(*utterances: Spoken, alerts: tuple[tuple[str, float], ...] = ()):
    """Of a call between an agent and a customer."""
    return call_figures(utterances, alerts, CHANNELS)


def test_a_call_by_hand():
    """The agent greets, the customer takes the floor, agrees once, and then speaks at length."""
    made = figures(
        Spoken("agent", 10, 16, 0.5, 0.8),
        Spoken("customer", 15, 20, -0.5, 0.5),
        Spoken("agent", 22, 30, 0.5, 0.8),
        Spoken("customer", 24, 25, 0.0, 0.5),
        Spoken("customer", 31, 35, -1.0, 0.5),
        Spoken("customer", 36, 40, -1.0, 0.5),
        alerts=(("customer", 40.0), ("customer", 35.0)),
    )
    agent, customer = (made.channels[name] for name in CHANNELS)
    assert made.length_s == 30
    assert made.silence_s == 2 + 1 + 1
    assert made.overlap_s == 1 + 1
    assert (agent.talk_s, customer.talk_s) == (14, 14)
    assert made.talk_share("agent") == 0.5
    assert (agent.interruptions, customer.interruptions) == (0, 1)
    assert (agent.longest_s, customer.longest_s) == (8, 9)
    assert (agent.first_alert_s, customer.first_alert_s) == (None, 25)
    assert customer.mood_start == -0.5  # of 3.5 s in the first utterance
    assert customer.mood_end == -1.0
    assert agent.mood_start == agent.mood_end == pytest.approx(0.5)


def test_a_quarter_may_end_within_an_utterance():
    """Then as much of it counts as is in the quarter."""
    made = figures(Spoken("agent", 0, 1, 1.0, 1.0), Spoken("agent", 2, 9, -1.0, 0.5))
    assert made.channels["agent"].mood_start == pytest.approx((1 * 1 - 1 * 0.5) / (1 * 1 + 1 * 0.5))


def test_nobody_speaks():
    """No time, no share, no mood."""
    made = figures()
    assert (made.length_s, made.silence_s, made.overlap_s) == (0, 0, 0)
    assert made.talk_share("agent") is None
    assert made.channels["customer"].mood_end is None


def test_calls_are_joined_without_the_time_between_them():
    """The first alert is that of the first call with one."""
    first = figures(Spoken("agent", 0, 2, 0.2, 1.0), Spoken("customer", 3, 4, 0.1, 1.0))
    second = figures(Spoken("agent", 100, 105, 0.4, 1.0), alerts=(("agent", 105.0),))
    both = joined([first, second])
    assert both.length_s == 9
    assert both.silence_s == 1
    assert both.channels["agent"].first_alert_s == 5
    assert (both.channels["agent"].mood_start, both.channels["agent"].mood_end) == (0.2, 0.4)
    assert both.channels["customer"].mood_end == 0.1


@st.composite
def calls(draw):
    """Utterances in tenths of a second; those of a channel do not overlap, as in any stream."""
    spoken = []
    for channel in CHANNELS:
        at = draw(st.integers(0, 300))
        for _ in range(draw(st.integers(0, 12))):
            length = draw(st.integers(1, 120))
            mood = draw(st.none() | st.floats(-1, 1))
            spoken.append(Spoken(channel, at / 10, (at + length) / 10, mood, 0.5))
            at += length + draw(st.integers(1, 60))
    return spoken


@settings(max_examples=40)
@given(calls())
def test_any_call_adds_up(spoken):
    """Time is silence, one speaker or two; shares are parts; moods lie between those heard."""
    made = figures(*spoken)
    talk = sum(one.talk_s for one in made.channels.values())
    assert talk == pytest.approx(sum(one.end_s - one.start_s for one in spoken))
    assert made.length_s == pytest.approx(made.silence_s + talk - made.overlap_s)
    middles = np.arange(0.05, max((one.end_s for one in spoken), default=0.0), 0.1)
    speaking = sum(
        ((one.start_s < middles) & (middles < one.end_s) for one in spoken),
        start=np.zeros(len(middles), int),
    )
    both, alone = (speaking > 1).sum(), (speaking == 1).sum()
    assert made.overlap_s == pytest.approx(both / 10)
    assert made.length_s - made.silence_s == pytest.approx((both + alone) / 10)
    for name, own in made.channels.items():
        said = [one for one in spoken if one.channel == name]
        moods = [one.mood for one in said if one.mood is not None]
        for mood in (own.mood_start, own.mood_end):
            assert (mood is None) == (not moods)
            assert mood is None or min(moods) - 1e-9 <= mood <= max(moods) + 1e-9
        assert own.longest_s >= max((one.end_s - one.start_s for one in said), default=0.0)
        assert own.longest_s <= made.length_s + 1e-9
        others = [one for one in spoken if one.channel != name]
        assert own.interruptions == sum(
            any(other.start_s < one.start_s < other.end_s < one.end_s for other in others)
            for one in said
        )


@settings(max_examples=25)
@given(calls(), st.floats(0, 1000))
def test_only_the_time_since_the_first_word_matters(spoken, later):
    """A call that begins later comes to the same."""
    moved = [
        Spoken(one.channel, one.start_s + later, one.end_s + later, one.mood, one.weight)
        for one in spoken
    ]
    first, second = figures(*spoken), figures(*moved)
    assert first.silence_s == pytest.approx(second.silence_s, abs=1e-6)
    assert first.overlap_s == pytest.approx(second.overlap_s, abs=1e-6)
    assert first.length_s == pytest.approx(second.length_s, abs=1e-6)


def test_a_longer_pause_ends_a_monologue():
    """A shorter one does not; nor does it when another one ends in it."""
    made = figures(
        Spoken("agent", 0, 3),
        Spoken("agent", 3 + MAX_PAUSE_S, 8),
        Spoken("agent", 8.1 + MAX_PAUSE_S, 12),
    )
    assert made.channels["agent"].longest_s == 8
