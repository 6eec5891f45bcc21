"""What the wallboard makes of events, without a network."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.server.wallboard.reducer import (
    ENDED_S,
    LOST_S,
    MAX_ALERTS,
    MAX_CALLS,
    MAX_UTTERANCES,
    MOODS,
    SERVER_S,
    UNSEEN_S,
    expire,
    reduce,
)
from streamer.server.wallboard.state import WallboardState

BEGUN = {"event": "call_begun", "call": "c", "server": "s", "at": 100.0, "channels": ["a", "b"]}


def after(*events: dict, now=100.0, state=None):
    """The state after events of the call c."""
    state = WallboardState() if state is None else state
    for event in events:
        state = reduce(state, {"call": "c", "server": "s", "at": now, **event}, now)
    return state


def said(channel, start, end, emotion="angry", **more: object):
    """An utterance."""
    return {
        "event": "utterance", "channel": channel, "utterance": 1 + int(start),
        "start_s": start, "end_s": end, "emotion": emotion, "confidence": 0.9,
        "uncertain": False, "mood": -0.8, **more,
    }  # fmt: skip


def alert(utterance=1):
    """An alert."""
    return {
        "event": "alert", "channel": "a", "utterance": utterance, "rule": "r", "reason": "why",
        "at_s": 3.0,
    }  # fmt: skip


def test_a_call_is_what_was_said_in_it():
    """Its channels, what is heard, for how long each spoke, and how long both did."""
    state = after(
        BEGUN,
        {"event": "speech", "channel": "a", "start_s": 1.0},
        {"event": "rolling", "channel": "a", "end_s": 2.0, "emotion": "sad", "confidence": 0.5,
         "uncertain": True, "mood": -0.2},
    )  # fmt: skip
    first, second = state.calls["c"].channels
    assert (first.speaking_from, first.partial, first.heard.emotion) == (1.0, True, "sad")
    assert second.heard is None
    state = after(said("a", 1, 4), said("b", 3, 6), state=state)
    call = state.calls["c"]
    assert [c.speech_s for c in call.channels] == [3, 3]
    assert call.overlap_s == 1
    assert not call.channels[0].partial
    assert call.channels[0].speaking_from is None
    assert [u.channel for u in call.utterances] == ["a", "b"]


def test_what_has_not_changed_is_the_same_object():
    """So that a viewer is sent what changed alone."""
    before = after(BEGUN, said("a", 1, 2), alert())
    state = after({"event": "mood", "channel": "a", "mood": -0.5, "trend": 0.1}, state=before)
    assert state.calls["c"].alerts is before.calls["c"].alerts
    assert state.calls["c"].channels[1] is before.calls["c"].channels[1]
    assert after({"event": "unknown"}, state=state) is state
    assert after(alert(), state=state) is state


def test_nobody_speaks_is_no_utterance():
    """It counts for nothing; what was heard before stays."""
    state = after(BEGUN, said("a", 1, 2), said("a", 3, 4, "no_speech", mood=None))
    assert state.calls["c"].channels[0].utterances == 1
    assert state.calls["c"].channels[0].heard.emotion == "angry"


def test_what_comes_too_late_does_not_open_an_utterance_again():
    """Partial results travel on another way than utterances, and may be overtaken."""
    state = after(BEGUN, said("a", 1, 2))
    late = {"channel": "a", "utterance": 2, "end_s": 1.5, "start_s": 1.0, "emotion": "sad"}
    assert after({"event": "speech", **late}, {"event": "rolling", **late}, state=state) is state


def test_an_alert_is_acknowledged_once():
    """Who did so first stays; of an alert that is not there nothing comes."""
    state = after(BEGUN, alert())
    key = state.calls["c"].alerts[0].id
    assert state.calls["c"].unseen
    state = after({"event": "acknowledged", "alert": key, "by": "Eva"}, state=state)
    assert not state.calls["c"].unseen
    assert after({"event": "acknowledged", "alert": key, "by": "Max"}, state=state) is state
    assert after({"event": "acknowledged", "alert": "x", "by": "Max"}, state=state) is state


def test_a_call_that_ended_goes_unless_an_alert_waits():
    """After a while, then after a longer one."""
    quiet = after(BEGUN, said("a", 1, 2), {"event": "call_ended"})
    assert quiet.calls["c"].status == "ended"
    assert "c" in expire(quiet, 100 + ENDED_S).calls
    assert "c" not in expire(quiet, 101 + ENDED_S).calls
    waits = after(BEGUN, alert(), {"event": "call_ended"})
    assert "c" in expire(waits, 101 + ENDED_S).calls
    assert "c" not in expire(waits, 101 + UNSEEN_S).calls


def test_calls_of_a_silent_server_are_lost_and_come_back_with_it():
    """Those of another one go on."""
    state = after(BEGUN, {"event": "speech", "channel": "a", "start_s": 1.0})
    state = reduce(state, {**BEGUN, "call": "d", "server": "t"}, 100 + SERVER_S)
    lost = expire(state, 101 + SERVER_S)
    assert [lost.calls[i].status for i in "cd"] == ["lost", "live"]
    assert [lost.servers[i].status for i in "st"] == ["lost", "up"]
    assert lost.calls["c"].channels[0].speaking_from is None
    back = reduce(lost, {"event": "server", "server": "s"}, 102 + SERVER_S)
    assert back.calls["c"].status == "live"
    assert "c" not in expire(lost, 101 + LOST_S).calls


def test_a_wallboard_may_join_in_the_middle():
    """A call begins with its first event; the end of an unknown one is nothing."""
    assert after(said("a", 1, 2)).calls["c"].channels[0].utterances == 1
    assert not after({"event": "call_ended"}).calls
    again = after(BEGUN, said("a", 1, 2), alert(), BEGUN)
    assert again.calls["c"].unseen  # a peer that has connected again
    assert not again.calls["c"].utterances
    key = again.calls["c"].alerts[0].id
    told = after({"event": "acknowledged", "alert": key, "by": "Eva"}, BEGUN, state=again)
    assert [(a.id, a.by) for a in told.calls["c"].alerts] == [(key, "Eva")]
    assert not after(BEGUN, {"event": "call_deleted"}).calls


def test_a_peer_that_connects_again_is_a_new_call():
    """What its former connection still sends is of the past, but for an alert; so is its end."""
    state = after({**BEGUN, "connection": "one", "caller": "Eva, 12"}, said("a", 1, 2))
    state = after({**alert(), "connection": "one"}, state=state)
    state = after({**BEGUN, "connection": "two"}, state=state)
    late = {**said("a", 9, 12), "connection": "one"}
    assert after(late, {"event": "call_ended", "connection": "one"}, state=state) is state
    assert (state.calls["c"].status, state.calls["c"].caller) == ("live", "Eva, 12")
    state = after({**alert(), "connection": "two"}, {**alert(2), "connection": "one"}, state=state)
    assert len(state.calls["c"].alerts) == 3  # each connection counts from one
    state = after({"event": "call_ended", "connection": "two"}, state=state)
    assert state.calls["c"].status == "ended"


def test_two_connections_may_be_the_sides_of_one_call():
    """As where a telephone system sends a stream for each; it ends with the last."""
    one, other = {"connection": "one"}, {"connection": "two"}
    state = after({**BEGUN, "channels": ["a"], **one}, {**said("a", 1, 2), **one})
    state = after({**BEGUN, "channels": ["b"], **other}, {**said("b", 2, 4), **other}, state=state)
    call = state.calls["c"]
    assert [(c.name, c.speech_s) for c in call.channels] == [("a", 1), ("b", 2)]
    state = after({"event": "call_ended", **one}, state=state)
    assert state.calls["c"].status == "live"
    assert after({"event": "call_ended", **other}, state=state).calls["c"].status == "ended"
    assert after({"event": "call_ended"}, state=state).calls["c"].status == "ended"
    middle = after({**said("a", 1, 2), **one}, {**said("b", 1, 2), **other})
    assert len(middle.calls["c"].channels) == 2


def test_everything_is_bounded():
    """Moods, utterances, alerts, calls; a call in progress goes last."""
    state = after(BEGUN)
    for i in range(MAX_UTTERANCES + 5):
        mood = {"event": "mood", "channel": "a", "mood": 0.1, "trend": 0.0}
        state = after(said("a", i, i + 0.5), mood, alert(i), state=state)
    call = state.calls["c"]
    assert len(call.utterances) == MAX_UTTERANCES
    assert len(call.moods[0]) == MOODS
    assert len(call.alerts) == MAX_ALERTS
    full = WallboardState({str(i): replace(call, id=str(i)) for i in range(MAX_CALLS - 1)})
    full = after(BEGUN, {"event": "call_ended"}, state=full)
    full = reduce(full, {**BEGUN, "call": "new"}, 100.0)
    assert len(full.calls) == MAX_CALLS
    assert "c" not in full.calls
    many = after({**BEGUN, "channels": [str(i) for i in range(100)]})
    assert len(many.calls["c"].channels) < 10


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
KINDS = (
    "call_begun", "speech", "rolling", "utterance", "mood", "alert", "acknowledged", "call_ended",
    "call_deleted", "server", "server_ended",
)  # fmt: skip
KEYS = (
    "channel", "channels", "start_s", "end_s", "at_s", "emotion", "confidence", "uncertain", "mood",
    "trend", "rule", "alert", "utterance", "by", "at", "server", "reason",
    "connection", "caller",
)  # fmt: skip
EVENTS = st.builds(
    lambda kind, call, fields: {**fields, "event": kind, "call": call},
    st.sampled_from(KINDS),
    st.sampled_from(["c", "d"]),
    st.dictionaries(st.sampled_from(KEYS), JSON | st.sampled_from(["a", "b", 1.5])),
)


@settings(max_examples=40)
@given(st.lists(EVENTS, max_size=6))
def test_no_event_breaks_the_board(events):
    """Whatever comes over a network: the state can be sent on."""
    state = WallboardState()
    for event in events:
        state = expire(reduce(state, event, 5.0), 6.0)
    for call in state.calls.values():
        assert len(call.moods) == len(call.channels)
        json.dumps(call.moods, allow_nan=False)


@pytest.mark.parametrize("key", ["start_s", "end_s", "mood", "confidence"])
def test_what_is_no_number_is_none(key):
    """JSON has no NaN, but Python reads one."""
    state = after(BEGUN, said("a", 1, 2, **{key: float("nan")}))
    assert state.calls["c"].channels[0].utterances == 1
