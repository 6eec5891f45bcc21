"""Rows are on disk before anybody sees them, and no wait for a disk or a worker costs one."""

import csv
import io
import os
import re
import signal
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeModel, ScriptedSource, blocks, silence, speech

from streamer import session as live_session
from streamer.audio.ring import Chunk
from streamer.config import Config
from streamer.errors import OutputError
from streamer.events import (
    Alert,
    CallStarted,
    Event,
    LevelMeasured,
    ModelLoaded,
    SourceOpened,
    StateChanged,
)
from streamer.pipeline import event_queue, live, recorder
from streamer.pipeline.event_queue import EventQueue
from streamer.pipeline.live import Pipeline
from streamer.session import LiveSession
from streamer.sinks import csv_log
from streamer.sinks.csv_log import CsvLog
from streamer.sinks.lines import LineSink
from streamer.sinks.row import columns
from streamer.types import EMOTIONS, SAMPLE_RATE, Mark, Pcm, SourceInfo, State, Utterance

PATIENCE_S = 60
LEAD = silence(1.0)
SAID = np.concatenate((speech(0.8), silence(0.8)))


class Watcher(LineSink):
    """Sees what is shown, on the main thread."""

    def __init__(self, sees: Callable[[Event], None] = lambda _event: None) -> None:
        super().__init__(io.StringIO())
        self.seen: list[Event] = []
        self._sees = sees

    def write(self, event, session):
        """See it."""
        del session
        self.seen.append(event)
        self._sees(event)

    def of(self, kind):
        """The events of one kind."""
        return [event for event in self.seen if isinstance(event, kind)]


def rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV, none of them torn."""
    with path.open(newline="") as file:
        found = list(csv.DictReader(file, strict=True))
    assert all(None not in row and None not in row.values() for row in found)
    return found


def numbers(path: Path) -> list[int]:
    """Which utterances have rows."""
    return [int(row["utterance"]) for row in rows(path)]


def session_of(
    script, path: Path | None, model: FakeModel | None = None, lines: LineSink | None = None
) -> LiveSession:
    """A session that hears a script."""
    pipeline = Pipeline(ScriptedSource(script), lambda: model or FakeModel(), Config())
    return LiveSession(
        pipeline, Config(), csv=path, dashboard=None, lines=lines or Watcher(), duration=None
    )


def sync_with(monkeypatch: pytest.MonkeyPatch, before: Callable[[], object]) -> list[int]:
    """Do something before each sync but that of the header; the sizes that were synced."""
    sizes: list[int] = []
    sync = os.fsync
    header = len(",".join(columns(EMOTIONS))) + 1

    def fsync(file: int) -> None:
        if stat.S_ISREG(os.fstat(file).st_mode) and os.fstat(file).st_size > header:
            before()
        sync(file)
        sizes.append(os.fstat(file).st_size)

    monkeypatch.setattr(csv_log.os, "fsync", fsync)
    return sizes


def test_a_row_is_synced_before_it_is_seen(tmp_path, monkeypatch):
    """Whoever sees it may pull the plug."""
    path = tmp_path / "rows.csv"
    synced = sync_with(monkeypatch, lambda: None)
    durable: list[bool] = []

    def look(event: Event) -> None:
        if isinstance(event, Utterance):
            text = path.read_bytes()[: synced[-1]].decode()
            durable.append(f",{event.number},mono," in text)

    session_of(blocks(np.concatenate((LEAD, SAID, SAID))), path, lines=Watcher(look)).run()
    assert durable == [True, True]


def test_a_slow_sync_freezes_nothing(tmp_path, monkeypatch):
    """While the disk takes its time, levels are seen, and the row is not; then it is."""
    answers, syncing = threading.Event(), threading.Event()
    path = tmp_path / "rows.csv"

    def slowly() -> None:
        syncing.set()
        assert answers.wait(PATIENCE_S)

    sync_with(monkeypatch, slowly)
    order: list[str] = []

    def look(event: Event) -> None:
        if isinstance(event, LevelMeasured) and syncing.is_set() and not answers.is_set():
            order.append("level")
            answers.set()
        if isinstance(event, Utterance):
            order.append("row")

    def script() -> Iterator[Pcm]:
        yield from blocks(np.concatenate((LEAD, SAID)))
        assert syncing.wait(PATIENCE_S)
        yield from blocks(LEAD)

    session_of(script(), path, lines=Watcher(look)).run()
    assert order == ["level", "row"]
    assert numbers(path) == [1]


def test_a_disk_that_hangs_does_not_hold_up_the_end(tmp_path, monkeypatch, capfd):
    """What may not be in the file is handed back as lines of CSV, and it is no success."""
    monkeypatch.setattr(live_session, "RECORD_TIMEOUT_S", 0.3)
    monkeypatch.setattr(live_session, "STOP_TIMEOUT_S", 1.0)
    monkeypatch.setattr(live_session, "STALLED_S", 0.1)
    answers, hanging = threading.Event(), threading.Event()
    path = tmp_path / "rows.csv"

    def hang() -> None:
        hanging.set()
        answers.wait(PATIENCE_S)

    sync_with(monkeypatch, hang)
    session: LiveSession

    def script() -> Iterator[Pcm]:
        yield from blocks(np.concatenate((LEAD, SAID)))
        assert hanging.wait(PATIENCE_S)
        yield from blocks(np.concatenate((SAID, SAID)))
        time.sleep(0.3)  # for the report that the disk does not answer

    session = session_of(script(), path)
    with pytest.raises(OutputError, match="not all rows could be written"):
        session.run()
    answers.set()
    why, *lines = session.unwritten
    assert "the disk does not answer; these rows may not be in it" in why
    assert [int(row["utterance"]) for row in csv.DictReader(lines)] == [1, 2, 3]
    assert "the disk has not answered for" in capfd.readouterr().err


def test_a_disk_that_hangs_keeps_no_alert_from_the_screen(tmp_path, monkeypatch):
    """It comes without its row, says so, and comes once; rows come in order when they are there."""
    monkeypatch.setattr(recorder, "MAX_ALERT_WAIT_S", 0.05)
    config = Config.model_validate(
        {
            "alerts": {
                "rules": [{"name": "anger", "emotions": ["angry"], "cooldown_s": 0, "clear": 1}]
            }
        }
    )
    answers, hanging = threading.Event(), threading.Event()
    path = tmp_path / "rows.csv"

    def hang() -> None:
        hanging.set()
        assert answers.wait(PATIENCE_S)

    sync_with(monkeypatch, hang)
    order: list[object] = []

    def look(event: Event) -> None:
        if isinstance(event, Alert):
            order.append((event.utterance, event.on_disk))
            answers.set()
        if isinstance(event, Utterance):
            order.append(event.number)

    def script() -> Iterator[Pcm]:
        yield from blocks(np.concatenate((LEAD, SAID)))
        assert hanging.wait(PATIENCE_S)
        while not answers.is_set():
            time.sleep(0.01)
            yield LEAD[:320]
        yield from blocks(np.concatenate((SAID // 30, SAID // 30, SAID)))

    pipeline = Pipeline(ScriptedSource(script()), FakeModel, config)
    LiveSession(
        pipeline, config, csv=path, dashboard=None, lines=Watcher(look), duration=None
    ).run()
    assert order[:2] == [(1, False), 1]
    assert order[-2:] == [numbers(path)[-1], (numbers(path)[-1], True)]
    assert len([one for one in order if isinstance(one, tuple)]) == 2
    assert [one for one in order if isinstance(one, int)] == numbers(path)
    assert "not yet on disk" in Alert("a", "b", 1, 0, "angry", 1.0, 0.0, "c", on_disk=False).text


def test_a_disk_that_hangs_from_the_start_loses_no_row(tmp_path, monkeypatch):
    """Where not even the file can be opened, all rows are handed back."""
    monkeypatch.setattr(live_session, "RECORD_TIMEOUT_S", 0.3)
    monkeypatch.setattr(live_session, "STOP_TIMEOUT_S", 1.0)
    answers = threading.Event()
    monkeypatch.setattr(csv_log.os, "fsync", lambda _: answers.wait(PATIENCE_S))
    session = session_of(blocks(np.concatenate((LEAD, SAID, SAID))), tmp_path / "rows.csv")
    with pytest.raises(OutputError, match="not all rows could be written"):
        session.run()
    answers.set()
    assert [int(row["utterance"]) for row in csv.DictReader(session.unwritten[1:])] == [1, 2]


class Stuck(FakeModel):
    """Classifies the first utterance, and hangs in the second."""

    def __init__(self, answers: threading.Event) -> None:
        super().__init__()
        self.hangs = threading.Event()
        self._answers = answers

    def classify(self, pcm, adaptation=None, *, learn=False):
        """As scripted."""
        if learn and self.hangs.is_set():
            self._answers.wait(PATIENCE_S)
        if learn:
            self.hangs.set()
        return super().classify(pcm, adaptation, learn=learn)


def while_stuck(model: Stuck, ready: Callable[[], bool], then: Callable[[], None]):
    """A script of five utterances; something is done when the worker hangs and all wait."""
    yield from blocks(np.concatenate((LEAD, *[SAID] * 5)))
    assert model.hangs.wait(PATIENCE_S)
    for _ in range(PATIENCE_S * 100):
        if ready():
            break
        time.sleep(0.01)
        yield LEAD[:320]
    then()


def test_a_stop_writes_what_the_worker_cannot_classify_in_time(tmp_path, monkeypatch):
    """Each once, in order, without a prediction from the one on in which it hangs."""
    for module in ("streamer.session", "streamer.pipeline.live"):
        monkeypatch.setattr(f"{module}.STOP_TIMEOUT_S", 0.2)
    answers = threading.Event()
    model = Stuck(answers)
    path = tmp_path / "rows.csv"
    session: LiveSession

    def stop() -> None:
        session.stop()

    script = while_stuck(model, lambda: len(session._pipeline._queue) == 3, stop)
    session = session_of(script, path, model)
    session.run()
    answers.set()
    assert numbers(path) == [1, 2, 3, 4, 5]
    assert [bool(row["emotion"]) for row in rows(path)] == [True, False, False, False, False]
    assert "4 utterances not classified" in "\n".join(session.summary())


@pytest.mark.parametrize("hangs", [False, True])
def test_a_stop_while_the_segmenter_is_behind_loses_nothing_in_silence(
    tmp_path, monkeypatch, hangs
):
    """What was heard is waited for; what is not cut into utterances by then is said."""
    monkeypatch.setattr("streamer.session.STOP_TIMEOUT_S", 0.2)
    monkeypatch.setattr(live, "CAPTURE_TIMEOUT_S", 0.2)
    monkeypatch.setattr(live, "SETTLE_S", 0.2 if hangs else PATIENCE_S)
    goes_on = threading.Event()
    take, settle = live.Pipeline._take, live.Pipeline._settle

    def slow_take(pipeline: Pipeline, chunk: Chunk, *, paused: bool) -> None:
        goes_on.wait(PATIENCE_S)
        take(pipeline, chunk, paused=paused)

    def late_settle(
        pipeline: Pipeline, segmenter: threading.Thread, hurried: Callable[[], bool]
    ) -> None:
        if not hangs:
            threading.Timer(1.5, goes_on.set).start()
        settle(pipeline, segmenter, hurried)

    monkeypatch.setattr(live.Pipeline, "_take", slow_take)
    monkeypatch.setattr(live.Pipeline, "_settle", late_settle)
    path = tmp_path / "rows.csv"
    session: LiveSession

    def script() -> Iterator[Pcm]:
        yield from blocks(np.concatenate((LEAD, *[SAID] * 5)))
        session.stop()

    session = session_of(script(), path)
    session.run()
    goes_on.set()
    if hangs:
        assert re.search(r"lost: [1-9]\.\d\d s in 1 gap,", "\n".join(session.summary()))
    else:
        assert numbers(path) == [1, 2, 3, 4, 5]


def test_a_second_interrupt_loses_no_row_and_writes_none_twice(tmp_path):
    """It is not waited for the worker, but for every row."""
    answers = threading.Event()
    model = Stuck(answers)
    path = tmp_path / "rows.csv"
    session: LiveSession

    def interrupt_twice() -> None:
        signal.raise_signal(signal.SIGINT)
        while session._stopped_at is None:
            time.sleep(0.01)
        signal.raise_signal(signal.SIGINT)

    script = while_stuck(model, lambda: len(session._pipeline._queue) == 3, interrupt_twice)
    session = session_of(script, path, model)
    with pytest.raises(KeyboardInterrupt):
        session.run()
    answers.set()
    assert numbers(path) == [1, 2, 3, 4, 5]


def test_an_interrupt_during_the_sync_writes_no_row_twice(tmp_path, monkeypatch):
    """At the instant between the row and knowing that it is there."""
    path = tmp_path / "rows.csv"
    begun = threading.Event()

    def interrupted() -> None:
        if not begun.is_set():
            begun.set()
            for _ in range(2):
                signal.raise_signal(signal.SIGINT)
                time.sleep(0.1)

    sync_with(monkeypatch, interrupted)

    def script() -> Iterator[Pcm]:
        yield from blocks(np.concatenate((LEAD, SAID)))
        assert begun.wait(PATIENCE_S)
        while True:
            time.sleep(0.02)
            yield LEAD[:320]

    with pytest.raises(KeyboardInterrupt):
        session_of(script(), path).run()
    assert numbers(path) == [1]


def test_a_stop_waits_for_what_can_be_classified(tmp_path):
    """A worker that is only slow gets the time."""
    path = tmp_path / "rows.csv"
    began = threading.Event()

    def slowly() -> None:
        began.set()
        time.sleep(0.15)

    session: LiveSession

    def script() -> Iterator[Pcm]:
        yield from blocks(np.concatenate((LEAD, *[SAID] * 4)))
        assert began.wait(PATIENCE_S)
        session.stop()
        while True:
            time.sleep(0.01)
            yield LEAD[:320]

    session = session_of(script(), path, FakeModel(slowly))
    session.run()
    assert numbers(path) == [1, 2, 3, 4]
    assert all(row["emotion"] for row in rows(path))


def test_a_worker_that_fails_owes_the_rows_of_what_waits(tmp_path):
    """They have no prediction, but they are there."""
    path = tmp_path / "rows.csv"

    class Failing(FakeModel):
        def classify(self, pcm, adaptation=None, *, learn=False):
            if learn:
                raise ZeroDivisionError
            return super().classify(pcm, adaptation, learn=learn)

    session = session_of(blocks(np.concatenate((LEAD, SAID, SAID))), path, Failing())
    with pytest.raises(ZeroDivisionError):
        session.run()
    assert numbers(path)[:1] == [1]
    assert not any(row["emotion"] for row in rows(path))


def test_too_many_rows_for_a_hanging_disk_are_counted(tmp_path, monkeypatch, capfd):
    """The bound holds, and the loss is reported."""
    monkeypatch.setattr(recorder, "MAX_WAITING", 2)
    monkeypatch.setattr(live_session, "RECORD_TIMEOUT_S", 0.3)
    monkeypatch.setattr(live_session, "STOP_TIMEOUT_S", 1.0)
    answers = threading.Event()
    path = tmp_path / "rows.csv"
    session: LiveSession

    def script() -> Iterator[Pcm]:
        yield from blocks(LEAD)
        while session._stream.session is None:
            time.sleep(0.01)
            yield LEAD[:320]
        sync_with(monkeypatch, lambda: answers.wait(PATIENCE_S))
        for number in range(8):
            session._stream.put(Mark(number + 1, 0))
            time.sleep(0.05)

    session = session_of(script(), path)
    with pytest.raises(OutputError):
        session.run()
    answers.set()
    assert session._recorder.lost >= 4
    assert "2 rows wait for the disk already: rows are lost from now on" in capfd.readouterr().err


def test_a_log_that_was_emptied_has_its_header_again(tmp_path):
    """As logrotate's copytruncate does: copy the file, then cut it to nothing."""
    path = tmp_path / "rows.csv"
    with CsvLog(path, ["a", "b"]) as log:
        log.add({"a": 1, "b": 2})
        log.flush()
        os.truncate(path, 0)
        log.add({"a": 3, "b": 4})
        log.flush()
        log.add({"a": 5, "b": 6})
        (notice,) = log.notices()
    assert "was emptied; rows go on below a new header" in notice
    assert path.read_text() == "a,b\n3,4\n5,6\n"


def test_a_mark_is_of_the_call_in_which_it_was_begun():
    """Its note may be finished when the next call goes on already."""
    stream = recorder.RecordedStream(recorder.Recorder([], [], print), EventQueue(), Config())
    stream.apply(ModelLoaded("fake", EMOTIONS))
    stream.apply(SourceOpened(SourceInfo("desk", SAMPLE_RATE, 1, live=True), 1.7e9))
    for number, begins_s in ((2, 10), (3, 20)):
        stream.apply(CallStarted(number, begins_s * SAMPLE_RATE))
    marks = [stream.apply(Mark(1, at_s * SAMPLE_RATE)) for at_s in (5, 10, 15, 25)]
    assert [mark.call for (mark,) in marks] == [1, 2, 2, 3]


def test_levels_give_way_before_anything_else(monkeypatch):
    """Of what a newer event supersedes, only the newest of each channel stays."""
    monkeypatch.setattr(event_queue, "MAX_EVENTS", 4)

    def level(channel: str, position: int) -> LevelMeasured:
        return LevelMeasured(channel, position, -20.0, -10.0, clipped=False, speech=False)

    events = EventQueue()
    listening = StateChanged(State.LISTENING)
    for event in (listening, level("a", 1), level("a", 2), level("b", 1), level("b", 2)):
        events.put(event)
    got = [events.get(0) for _ in range(events.qsize())]
    assert got == [listening, level("a", 2), level("b", 1), level("b", 2)]
    assert events.dropped == 0
    for _ in range(6):
        events.put(listening)
    assert events.dropped == 2
    events.close()
    events.put(listening)
    assert [events.get() for _ in range(5)] == [listening] * 4 + [None]
