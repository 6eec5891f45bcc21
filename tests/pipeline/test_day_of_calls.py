"""A day of calls, one every three minutes, in simulated time: nothing of one is in the next.

What is said is scripted; rules, moods, rows and screen are the program's own. With sound, and with
a real model: benchmarks/calls.py.
"""

import csv
import gc

from streamer.config import Config
from streamer.dashboard.reducer import reduce
from streamer.dashboard.state import ChannelState, Snapshot
from streamer.events import Alert, CallStarted, ModelLoaded, MoodChanged, SourceOpened
from streamer.pipeline.event_queue import EventQueue
from streamer.pipeline.recorder import RecordedStream, Recorder
from streamer.sinks import csv_log
from streamer.sinks.csv_sink import CsvSink
from streamer.types import EMOTIONS, SAMPLE_RATE, EndReason, Prediction, SourceInfo, Utterance

CALLS = 480
EVERY_S = 180
SAID = 8
"""Utterances of a call: calm ones, then angry ones."""


def utterance(call: int, number: int) -> Utterance:
    """One of a call; the same in each."""
    angry = number >= SAID // 2
    emotion = "angry" if angry else "calm"
    shares = tuple(0.86 if label == emotion else 0.02 for label in EMOTIONS)
    start = ((call - 1) * EVERY_S + 6 * number) * SAMPLE_RATE
    return Utterance(
        number=(call - 1) * SAID + number + 1,
        channel="mono",
        start=start,
        end=start + 3 * SAMPLE_RATE,
        prediction=Prediction(EMOTIONS, shares, -0.8 if angry else 0.6, uncertain=False),
        level_dbfs=-20.0,
        end_reason=EndReason.SILENCE,
        latency_ms=50.0,
        compute_ms=1.0,
        call=call,
    )


def test_a_day_of_calls(tmp_path, monkeypatch):
    """Each comes to the same moods, trends, alerts and screen; memory stays as it is."""
    monkeypatch.setattr(csv_log.os, "fsync", lambda _file: None)  # thousands in seconds
    path = tmp_path / "rows.csv"
    log = CsvSink(path)
    seen: list[object] = []
    recorder = Recorder([log], [], seen.append)
    events = EventQueue()
    stream = RecordedStream(recorder, events, Config())
    snapshot = Snapshot(channels=(ChannelState("mono"),))
    recorder.start()
    stream.put(ModelLoaded("fake", EMOTIONS))
    stream.put(SourceOpened(SourceInfo("desk", SAMPLE_RATE, 1, live=True), 1.7e9))
    outcomes, alive = [], {}
    for call in range(1, CALLS + 1):
        begins = [CallStarted(call, (call - 1) * EVERY_S * SAMPLE_RATE)] if call > 1 else []
        for event in (*begins, *(utterance(call, number) for number in range(SAID))):
            stream.put(event)
        outcome = []
        while not outcome or outcome[-1] != utterance(call, SAID - 1).number:
            event = events.get(timeout=60)
            snapshot = reduce(snapshot, event, float(call * EVERY_S))
            match event:
                case MoodChanged():
                    outcome.append((round(event.mood, 9), round(event.trend, 9)))
                    outcome.append(event.number)
                case Alert():
                    outcome.append((event.rule, event.call == call))
        while events.qsize():  # the alerts of the last utterance
            snapshot = reduce(snapshot, events.get(timeout=60), float(call * EVERY_S))
        outcomes.append([one for one in outcome if isinstance(one, tuple)])
        assert snapshot.call == call
        assert len(snapshot.alerts) == 1
        if call in {3 * CALLS // 4, CALLS}:  # by the first, the table on the screen is full
            gc.collect()
            alive[call] = len(gc.get_objects())
    outcome_objects = CALLS // 4 * (3 * SAID + 2)
    stream.close()
    assert recorder.stop(60) is None
    assert seen == []
    assert all(outcome == outcomes[0] for outcome in outcomes)
    assert sum(rule == "angry speaker" for rule, _ in outcomes[0]) == 1
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, strict=True))
    assert len(rows) == CALLS * SAID
    assert [row["call"] for row in rows if row["alert"]] == [str(c) for c in range(1, CALLS + 1)]
    assert alive[CALLS] - alive[3 * CALLS // 4] < outcome_objects  # what this test keeps, no more
