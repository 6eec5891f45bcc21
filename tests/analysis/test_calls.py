"""A call begins by request or after a silence, and nothing of the one before is left in it."""

import csv
import threading

import numpy as np
import pytest
from fakes import FakeModel, ScriptedSource, blocks, silence, speech

from streamer.analysis.alerts import AlertEngine
from streamer.analysis.calls import CallBoundaries
from streamer.config import Config
from streamer.dashboard.reducer import reduce
from streamer.dashboard.state import Snapshot
from streamer.errors import OutputError
from streamer.events import Alert, CallStarted, Counters, MoodChanged, StateChanged, VoiceLearned
from streamer.logs.reader import read_log
from streamer.pipeline.live import Pipeline
from streamer.session import LiveSession
from streamer.sinks.csv_log import CsvLog
from streamer.sinks.lines import PlainLines
from streamer.sinks.row import columns
from streamer.types import EMOTIONS, SAMPLE_RATE, EndReason, Prediction, State, Utterance

LEAD = silence(1.0)
SAID = np.concatenate((speech(1.0), LEAD))


def utterance(number, call=1, mood=-0.8):
    """Somebody is angry for a second."""
    shares = tuple(0.86 if label == "angry" else 0.02 for label in EMOTIONS)
    start = 2 * number * SAMPLE_RATE
    heard = Prediction(EMOTIONS, shares, mood, uncertain=False)
    return Utterance(
        number, "mono", start, start + SAMPLE_RATE, heard,
        -20.0, EndReason.SILENCE, None, 1.0, call=call,
    )  # fmt: skip


def events_of(script, config, *, at=None):
    """All events of a pipeline; ``at`` is called with it at the end of each block."""
    pipeline = Pipeline(ScriptedSource(script), FakeModel, config)
    if at is not None:
        at.append(pipeline)
    pipeline.start()
    events = []
    while (event := pipeline.events.get(timeout=60)) is not None:
        events.append(event)
    pipeline.join()
    return events


def of(kind, events):
    """The events of one kind."""
    return [event for event in events if isinstance(event, kind)]


def test_a_silence_on_all_channels_ends_a_call():
    """It counts from the last speech of any channel, and not while somebody speaks."""
    calls = CallBoundaries(10.0)
    second = SAMPLE_RATE
    assert calls.started("a", 100 * second) is None  # a silence before the first call ends none
    assert calls.started("b", 101 * second) is None
    calls.ended("b", 102 * second)
    assert calls.started("b", 120 * second) is None  # a still speaks
    calls.ended("a", 125 * second)
    calls.ended("b", 121 * second)
    assert calls.started("b", 135 * second - 1) is None
    calls.ended("b", 136 * second)
    assert calls.started("a", 146 * second) == CallStarted(2, 146 * second)
    assert calls.begin(147 * second) == CallStarted(3, 147 * second)


def test_without_a_gap_no_silence_ends_a_call():
    """A quiet desk is no other caller."""
    calls = CallBoundaries(None)
    calls.started("a", 0)
    calls.ended("a", SAMPLE_RATE)
    assert calls.started("a", 10**12) is None


def test_mood_and_rules_begin_anew_with_a_call():
    """One angry utterance of each of two callers is no angry caller; the next mood is its own."""
    engine = AlertEngine(Config())
    assert of(Alert, engine.add(utterance(1))) == []
    found = engine.add(utterance(2, call=2, mood=0.5))
    assert of(Alert, found) == []
    assert of(MoodChanged, found)[0].mood == pytest.approx(0.5)
    assert of(MoodChanged, found)[0].trend == pytest.approx(0.0)
    (alert,) = of(Alert, engine.add(utterance(3, call=2)))
    assert alert.call == 2


def test_a_raised_rule_is_raised_again_in_the_next_call():
    """Neither what was raised nor its pause is carried over."""
    engine = AlertEngine(Config())
    raised = [of(Alert, engine.add(utterance(n, call=1 + n // 3))) for n in range(6)]
    assert [len(alerts) for alerts in raised] == [0, 1, 0, 0, 1, 0]


def test_a_silence_begins_a_call_in_the_stream():
    """Behind what is queued, before what follows; the voice begins anew."""
    config = Config.model_validate({"calls": {"gap_s": 3}})
    pcm = np.concatenate((LEAD, SAID, SAID, silence(4.0), SAID))
    events = events_of(blocks(pcm), config)
    order = [e for e in events if isinstance(e, Utterance | CallStarted | VoiceLearned)]
    kinds = [e.utterances if isinstance(e, VoiceLearned) else type(e).__name__ for e in order]
    said = "Utterance"
    assert kinds == [0, said, 1, said, 2, 0, "CallStarted", said, 1]
    assert [u.call for u in of(Utterance, events)] == [1, 1, 2]
    assert of(CallStarted, events)[0].position == of(Utterance, events)[2].start


def test_a_call_begins_by_request_and_ends_what_is_open():
    """What is said before the key belongs to the call before, to the sample."""
    made = []
    heard = threading.Event()

    def script():
        yield from blocks(np.concatenate((LEAD, speech(1.5))))
        heard.wait(0.5)  # the segmenter has taken it in
        made[0].start_call()
        heard.wait(0.5)
        yield from blocks(np.concatenate((speech(1.5, seed=2), LEAD)))

    events = events_of(script(), Config(), at=made)
    first, second = of(Utterance, events)[0], of(Utterance, events)[-1]
    (call,) = of(CallStarted, events)
    assert (first.end_reason, first.call, second.call) == (EndReason.CALL_ENDED, 1, 2)
    assert first.end <= call.position <= second.start
    assert events.index(first) < events.index(call) < events.index(second)


def test_a_forgotten_voice_learns_nothing_from_what_was_queued():
    """The worker is late: three utterances of the old voice wait when somebody presses the key."""
    free = threading.Event()
    learned = []

    class Late(FakeModel):
        def classify(self, pcm, adaptation=None, *, learn=False):
            assert free.wait(60)
            prediction = super().classify(pcm, adaptation, learn=learn)
            if learn:
                learned.append(adaptation.utterances)
            return prediction

    def script():
        yield from blocks(np.concatenate((LEAD, SAID, SAID, SAID)))
        while len(pipeline._queue) < 2:
            free.wait(0.01)
        free.wait(0.5)
        pipeline.forget()
        free.wait(0.5)
        free.set()
        yield from blocks(SAID)

    pipeline = Pipeline(ScriptedSource(script()), Late, Config())
    pipeline.start()
    events = []
    while (event := pipeline.events.get(timeout=60)) is not None:
        events.append(event)
    assert learned == [1, 2, 3, 1]
    assert [e.utterances for e in of(VoiceLearned, events)] == [0, 1, 2, 3, 0, 1]


def test_calls_that_a_stop_cannot_wait_for_are_told_all_the_same():
    """Rows without a prediction belong to their call, too."""
    hangs = threading.Event()
    config = Config.model_validate({"calls": {"gap_s": 3}})

    class Hanging(FakeModel):
        def classify(self, pcm, adaptation=None, *, learn=False):
            hangs.wait(60)
            return super().classify(pcm, adaptation, learn=learn)

    pcm = np.concatenate((LEAD, SAID, silence(4.0), SAID))
    pipeline = Pipeline(ScriptedSource(blocks(pcm)), Hanging, config)
    pipeline.start()
    events = []
    while True:
        event = pipeline.events.get(timeout=60)
        events.append(event)
        if event == StateChanged(State.STOPPING):
            break
    pipeline.join(0.2)
    while (event := pipeline.events.get(timeout=60)) is not None:
        events.append(event)
    hangs.set()
    assert [u.call for u in of(Utterance, events)] == [1, 2]
    assert [c.number for c in of(CallStarted, events)] == [2]


def test_rows_of_a_session_tell_their_call_and_are_read_call_by_call(tmp_path, capsys):
    """By the last column; the report shows each call by itself."""
    path = tmp_path / "rows.csv"
    config = Config.model_validate({"calls": {"gap_s": 3}})
    pcm = np.concatenate((LEAD, SAID, SAID, silence(4.0), SAID))
    pipeline = Pipeline(ScriptedSource(blocks(pcm)), FakeModel, config)
    session = LiveSession(
        pipeline, config, csv=path, dashboard=None, lines=PlainLines(), duration=None
    )
    session.run()
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[-1] == "call"
    assert [row["call"] for row in rows] == ["1", "1", "2"]
    assert "call 2\n" in capsys.readouterr().out
    assert "2 calls" in session.summary()
    calls, skipped = read_log(path)
    assert not skipped
    assert [(call.call, len(call.utterances)) for call in calls] == [(1, 2), (2, 1)]


def test_a_log_without_calls_is_read_and_never_mangled(tmp_path):
    """As an earlier version wrote it."""
    old = [column for column in columns(EMOTIONS) if column != "call"]
    path = tmp_path / "old.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, old, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerow(
            {"session": "s", "utterance": 1, "channel": "mono", "start_s": 0, "end_s": 1}
        )
    before = path.read_bytes()
    ((session,), _) = read_log(path)
    assert session.call is None
    with pytest.raises(OutputError, match="other columns"):
        CsvLog(path, columns(EMOTIONS))
    assert path.read_bytes() == before


def test_the_screen_begins_anew_with_a_call():
    """Verdict, mood, banner and clock; what was lost is still said, and rows can be looked at."""
    snapshot = Snapshot()
    alert = Alert("r", "mono", 1, SAMPLE_RATE, "angry", 0.9, -0.5, "angry")
    before = (
        StateChanged(State.LISTENING), utterance(1), MoodChanged("mono", 1, -0.5, -0.1), alert,
        Counters(gaps=1),
    )  # fmt: skip
    for now, event in enumerate(before):
        snapshot = reduce(snapshot, event, float(now))
    snapshot = reduce(snapshot, CallStarted(2, 10 * SAMPLE_RATE), 100.0)
    (channel,) = snapshot.channels
    assert (channel.prediction, channel.mood, snapshot.alerts) == (None, None, ())
    assert set(channel.shown) == {0.0}
    assert (snapshot.call, snapshot.elapsed_s) == (2, 0.0)
    assert (len(snapshot.rows), snapshot.counters.gaps) == (1, 1)
