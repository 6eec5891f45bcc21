"""The live path: everything arrives in order, faults are told, nothing vanishes."""

import threading
import time

import numpy as np
import pytest
from fakes import FakeModel, ScriptedSource, blocks, silence, speech

from streamer.config import Config
from streamer.errors import DeviceLostError, InputError, ModelError
from streamer.events import (
    Counters,
    ModelLoaded,
    PartialResult,
    SourceOpened,
    StateChanged,
    ThreadFailed,
    UtteranceStarted,
    VoiceLearned,
    Warned,
)
from streamer.pipeline.live import Pipeline
from streamer.types import SAMPLE_RATE, Block, EndReason, SourceInfo, State, Utterance

LEAD = silence(1.0)
LEARNING = Config.model_validate({"baseline": {"enabled": True}})


def run(source, model=None, *, until=None, config=None):
    """All events of a pipeline, ended after the first event for which ``until`` holds."""
    pipeline = Pipeline(source, lambda: model or FakeModel(), config or Config())
    pipeline.start()
    events = []
    while (event := pipeline.events.get(timeout=20)) is not None:
        events.append(event)
        if until is not None and until(event):
            pipeline.stop()
    pipeline.join()
    return events


def of(kind, events):
    """The events of one kind."""
    return [event for event in events if isinstance(event, kind)]


def states(events):
    """The states in the order in which they were."""
    return [event.state for event in of(StateChanged, events)]


def test_an_utterance_starts_rolls_and_ends():
    """In this order, with true positions and levels."""
    pcm = np.concatenate((LEAD, speech(2.0), silence(1.5), speech(1.0, seed=3), silence(1.0)))
    source = ScriptedSource(blocks(pcm))
    events = run(source)
    assert states(events) == [State.WARMING_UP, State.LISTENING, State.STOPPING]
    assert events.index(of(ModelLoaded, events)[0]) < events.index(of(SourceOpened, events)[0])
    assert events.index(of(SourceOpened, events)[0]) < events.index(of(UtteranceStarted, events)[0])
    rows = of(Utterance, events)
    assert [row.number for row in rows] == [1, 2]
    assert [row.end_reason for row in rows] == [EndReason.SILENCE] * 2
    assert [row.start_s for row in rows] == pytest.approx([1.0, 4.5], abs=0.15)
    assert [row.duration_s for row in rows] == pytest.approx([2.0, 1.0], abs=0.25)
    assert all(row.prediction and row.prediction.emotion == "angry" for row in rows)
    assert source.closed == 1


def test_partial_results_come_while_somebody_speaks():
    """At real-time pace, about four a second, each before its utterance's row."""

    def paced():
        for block in blocks(np.concatenate((LEAD, speech(2.5), silence(1.0))), 1600):
            time.sleep(0.1)
            yield block

    events = run(ScriptedSource(paced()))
    (row,) = of(Utterance, events)
    partials = of(PartialResult, events)
    assert 7 <= len(partials) <= 13
    assert partials[0].end - row.start == pytest.approx(0.5 * SAMPLE_RATE, abs=0.1 * SAMPLE_RATE)
    assert np.diff([r.end for r in partials]) == pytest.approx(0.25 * SAMPLE_RATE, abs=320)
    assert events.index(partials[-1]) < events.index(row)
    assert all(r.latency_ms >= 0 for r in partials)


def test_a_slow_worker_loses_excerpts_but_no_utterance():
    """A source that can wait is made to wait."""
    pcm = np.concatenate([np.concatenate((silence(0.8), speech(0.8, seed=i))) for i in range(6)])
    events = run(ScriptedSource(blocks(pcm)), FakeModel(lambda: time.sleep(0.1)))
    rows = of(Utterance, events)
    assert [row.number for row in rows] == list(range(1, 7))
    assert all(row.prediction for row in rows)
    assert rows[-1].end_reason == EndReason.END_OF_INPUT
    assert of(Counters, events)[-1].dropped_partials > 0


def test_a_source_that_can_wait_is_heard_for_so_many_seconds_of_sound():
    """However fast it comes; no sample more is analysed, and the open utterance is stopped."""
    pcm = np.concatenate((LEAD, speech(1.0), silence(1.0), speech(20.0, seed=3)))
    pipeline = Pipeline(ScriptedSource(blocks(pcm)), FakeModel, Config())
    pipeline.end_after(4.01)
    pipeline.start()
    events = list(iter(lambda: pipeline.events.get(timeout=20), None))
    pipeline.join()
    first, last = of(Utterance, events)
    assert first.end_reason == EndReason.SILENCE
    assert (last.end_reason, last.end) == (EndReason.STOPPED, pytest.approx(4.01 * 16_000, abs=320))
    assert pipeline.ended_after


def test_in_the_end_nothing_is_in_the_queue():
    """Also what the end of the input has put there."""
    events = run(ScriptedSource(blocks(np.concatenate((LEAD, speech(1.0))))))
    assert max(counters.queue for counters in of(Counters, events)) == 1
    assert of(Counters, events)[-1].queue == 0


def test_the_end_of_the_input_ends_the_open_utterance():
    """Its row says so."""
    (row,) = of(Utterance, run(ScriptedSource(blocks(np.concatenate((LEAD, speech(1.0)))))))
    assert row.end_reason == EndReason.END_OF_INPUT


def test_a_stop_ends_the_open_utterance():
    """The row is still written, and says so."""

    def endless():
        yield from blocks(LEAD)
        for i in range(1000):
            time.sleep(0.05)
            yield speech(0.1, seed=i)

    events = run(ScriptedSource(endless()), until=lambda e: isinstance(e, PartialResult))
    assert of(Utterance, events)[-1].end_reason == EndReason.STOPPED


def test_a_gap_ends_the_open_utterance_and_keeps_time_true():
    """What follows is another utterance, as much later as was lost."""
    before, after = speech(1.0), speech(1.0, seed=4)
    hole = Block(after[:320].reshape(-1, 1), time.monotonic(), lost=32_000, overrun=True)
    script = [*blocks(LEAD), *blocks(before), hole, *blocks(after[320:]), *blocks(silence(1.0))]
    events = run(ScriptedSource(script))
    first, second = of(Utterance, events)
    assert first.end_reason == EndReason.GAP
    assert second.start_s == pytest.approx(4.0, abs=0.15)
    counters = of(Counters, events)[-1]
    assert (counters.gaps, counters.overruns, counters.lost_samples) == (1, 1, 32_000)


def test_a_lost_device_is_opened_again():
    """The open utterance is closed, the state is lost until sound comes again."""
    refusals = iter([InputError("it is gone")])

    def reopens(opened):
        if opened == 1 and (refusal := next(refusals, None)):
            raise refusal

    back = Block(LEAD[:320].reshape(-1, 1), time.monotonic(), lost=8_000)
    script = [
        *blocks(np.concatenate((LEAD, speech(1.0)))),
        DeviceLostError("nothing from it"),
        back,
        *blocks(np.concatenate((LEAD, speech(1.0, seed=2), LEAD))),
    ]
    source = ScriptedSource(script, live=True, reopens=reopens)
    events = run(source)
    first, second = of(Utterance, events)
    assert first.end_reason == EndReason.DEVICE_LOST
    assert second.end_reason == EndReason.SILENCE
    assert second.start_s == pytest.approx(3.5, abs=0.15)
    assert State.LOST in states(events)
    assert states(events)[-2:] == [State.LISTENING, State.STOPPING]
    details = " ".join(e.detail for e in of(StateChanged, events) if e.state == State.LOST)
    assert "it is gone" in details
    assert source.opened == 2


def test_a_hole_after_a_loss_is_no_loss():
    """Once the device is back, what it was lost for says nothing about later holes."""
    back, hole = (Block(LEAD[:320].reshape(-1, 1), time.monotonic(), lost=8_000) for _ in range(2))
    said = np.concatenate((LEAD, speech(1.0), LEAD))
    script = [*blocks(said), DeviceLostError("gone"), back, *blocks(said), hole, *blocks(said)]
    events = run(ScriptedSource(script, live=True))
    assert states(events)[-3:] == [State.LOST, State.LISTENING, State.STOPPING]
    assert states(events).count(State.LOST) == 1
    assert [row.end_reason for row in of(Utterance, events)] == [EndReason.SILENCE] * 3


def test_a_device_that_hangs_is_noticed_and_does_not_hold_up_the_stop():
    """The watch is kept on another thread than the one that hangs."""
    released = threading.Event()

    def hangs():
        yield from blocks(np.concatenate((LEAD, speech(1.0))))
        released.wait(20)

    events = run(
        ScriptedSource(hangs(), live=True),
        until=lambda e: isinstance(e, Utterance),
    )
    released.set()
    assert of(Utterance, events)[0].end_reason == EndReason.DEVICE_LOST
    assert State.LOST in states(events)


def test_a_pause_drops_what_is_heard():
    """And time goes on."""
    pipeline: Pipeline

    def script():
        yield from blocks(LEAD)
        pipeline.pause(paused=True)
        time.sleep(0.4)
        yield from blocks(speech(1.0))
        time.sleep(0.4)
        pipeline.pause(paused=False)
        time.sleep(0.4)
        yield from blocks(np.concatenate((LEAD, speech(1.0, seed=7), LEAD)))

    pipeline = Pipeline(ScriptedSource(script(), live=True), FakeModel, Config())
    pipeline.start()
    events = list(iter(lambda: pipeline.events.get(timeout=20), None))
    (row,) = of(Utterance, events)
    assert row.start_s == pytest.approx(3.0, abs=0.2)
    assert states(events)[1:4] == [State.LISTENING, State.PAUSED, State.LISTENING]


@pytest.mark.parametrize("where", ["model", "source", "read", "classify", "segmenter"])
def test_no_thread_dies_quietly(where, monkeypatch):
    """Each fault arrives as an event, and the pipeline ends."""

    class PlantedError(Exception):
        pass

    def fail(*_args: object) -> None:
        raise PlantedError

    speaking = [*blocks(np.concatenate((LEAD, speech(1.0), LEAD)))]
    source = ScriptedSource(speaking)
    load = FakeModel
    if where == "model":
        load = fail
    if where == "source":
        source = ScriptedSource(speaking, reopens=fail)
    if where == "read":
        source = ScriptedSource([*speaking[:60], PlantedError()])
    if where == "classify":
        load = lambda: FakeModel(fail)  # noqa: E731 - one of four ways to load
    if where == "segmenter":
        monkeypatch.setattr("streamer.segmentation.segmenter.Segmenter.push", fail)
    pipeline = Pipeline(source, load, Config())
    pipeline.start()
    events = list(iter(lambda: pipeline.events.get(timeout=20), None))
    pipeline.join()
    (failed, *_) = of(ThreadFailed, events)
    assert isinstance(failed.error, PlantedError)
    thread = {"model": "worker", "classify": "worker", "segmenter": "segmenter"}.get(
        where, "capture"
    )
    assert failed.thread == thread


def test_a_model_that_is_not_there_ends_it_before_anything_is_opened():
    """The microphone light does not come on for nothing."""

    def load():
        raise ModelError("no such bundle")

    source = ScriptedSource([])
    pipeline = Pipeline(source, load, Config())
    pipeline.start()
    events = list(iter(lambda: pipeline.events.get(timeout=20), None))
    assert isinstance(of(ThreadFailed, events)[0].error, ModelError)
    assert source.opened == 0


def test_the_voice_is_learned_and_forgotten():
    """One utterance after the other; after each change of speaker from the beginning."""
    said = [np.concatenate((LEAD, speech(1.0, seed=i), LEAD)) for i in range(4)]
    pipeline: Pipeline
    learned = threading.Semaphore(0)

    def script():
        yield from blocks(said[0])
        for pcm in said[1:3]:
            assert learned.acquire(timeout=20)
            pipeline.forget()
            yield from blocks(pcm)
        yield from blocks(said[3])

    pipeline = Pipeline(ScriptedSource(script()), FakeModel, LEARNING)
    pipeline.start()
    events = []
    while (event := pipeline.events.get(timeout=20)) is not None:
        events.append(event)
        if event == VoiceLearned("mono", 1):
            learned.release()
    known = [event.utterances for event in of(VoiceLearned, events)]
    assert known == [0, 1, 0, 1, 0, 1, 2]


def test_the_voices_of_all_channels_are_forgotten():
    """Not only that of the first; each says so."""
    config = Config.model_validate(
        {"baseline": {"enabled": True}, "audio": {"channels": ["agent", "customer"]}}
    )
    spoken = [np.concatenate((LEAD, speech(1.0, seed=i), silence(3.0))) for i in range(2)]
    both = np.stack([spoken[0], np.roll(spoken[1], 2 * SAMPLE_RATE)], axis=1)
    pipeline: Pipeline
    learned = threading.Semaphore(0)

    def script():
        yield from blocks(both)
        for _ in config.audio.channels:
            assert learned.acquire(timeout=20)
        pipeline.forget()
        yield from blocks(np.stack([LEAD, LEAD], axis=1))

    pipeline = Pipeline(ScriptedSource(script(), channels=2), FakeModel, config)
    pipeline.start()
    events = []
    while (event := pipeline.events.get(timeout=20)) is not None:
        events.append(event)
        if isinstance(event, VoiceLearned) and event.utterances == 1:
            learned.release()
    known = of(VoiceLearned, events)
    for channel in config.audio.channels:
        assert [event.utterances for event in known if event.channel == channel] == [0, 1, 0]


def test_an_excerpt_teaches_nothing():
    """Only a whole utterance, once, after it was classified."""
    learned: list[bool] = []

    class Listening(FakeModel):
        def classify(self, pcm, adaptation=None, *, learn=False):
            assert adaptation is not None
            learned.append(learn)
            return super().classify(pcm, adaptation, learn=learn)

    pcm = np.concatenate((LEAD, speech(2.0), LEAD))
    events = run(ScriptedSource(blocks(pcm)), Listening(), config=LEARNING)
    assert learned.count(True) == len(of(Utterance, events)) == 1
    assert learned.count(False) == len(of(PartialResult, events))


def test_voices_are_not_learned_where_nobody_wants_it():
    """Then nothing is shown either."""
    deaf = Config.model_validate({"baseline": {"enabled": False}})
    events = run(ScriptedSource(blocks(np.concatenate((LEAD, speech(1.0), LEAD)))), config=deaf)
    assert len(of(Utterance, events)) == 1
    assert of(VoiceLearned, events) == []


def test_channels_are_independent():
    """Who speaks on the left has no row on the right."""
    config = Config.model_validate({"audio": {"channels": ["agent", "customer"]}})
    left = np.concatenate((LEAD, speech(1.0), silence(2.5)))
    right = np.concatenate((LEAD, silence(1.5), speech(1.0, seed=2), LEAD))
    stereo = np.stack((left, right), axis=1)

    class Stereo(ScriptedSource):
        def __init__(self) -> None:
            super().__init__(
                Block(stereo[i : i + 320], time.monotonic()) for i in range(0, len(stereo), 320)
            )
            self._info = type(self._info)("stereo", SAMPLE_RATE, 2, live=False)

    rows = of(Utterance, run(Stereo(), config=config))
    assert [(row.channel, row.number) for row in rows] == [("agent", 1), ("customer", 1)]


def test_latency_counts_from_the_capture_of_the_last_word():
    """A block that was there five seconds before it was read makes the row five seconds late."""
    late = [
        Block(pcm.reshape(-1, 1), time.monotonic() - 5.0)
        for pcm in blocks(np.concatenate((LEAD, speech(1.0), LEAD)))
    ]
    (row,) = of(Utterance, run(ScriptedSource(late)))
    assert row.latency_ms is not None
    assert row.latency_ms > 5000


def test_a_lost_device_is_lost_until_it_is_opened_again(monkeypatch):
    """What the resampler still held is no sign of life: LOST does not flap."""
    monkeypatch.setattr("streamer.pipeline.capture.REOPEN_S", (0.6, 0.6))
    at_44k = SourceInfo("desk", 44_100, 1, live=True)
    pcm = np.tile(speech(1.0), 3)[:44_100]
    script = [*blocks(pcm), DeviceLostError("gone"), *blocks(pcm)]
    source = ScriptedSource(script)
    source._info = at_44k
    pipeline = Pipeline(source, FakeModel, Config())
    pipeline.start()
    states = []
    while (event := pipeline.events.get()) is not None:
        if isinstance(event, StateChanged):
            states.append(event.state)
    pipeline.join()
    after_loss = states[states.index(State.LOST) :]
    assert after_loss == [State.LOST, State.LISTENING, State.STOPPING]


def test_what_is_amiss_with_a_source_is_told():
    """A warning in a block; channels that cancel each other."""
    voice = speech(1.0)
    source = ScriptedSource(
        [
            Block(np.stack((voice, -voice), axis=1), 0.0, warnings=("muted?",)),
        ]
    )
    source._info = SourceInfo("desk", 16_000, 2, live=True)
    pipeline = Pipeline(source, FakeModel, Config())
    pipeline.start()
    told = []
    while (event := pipeline.events.get()) is not None:
        if isinstance(event, Warned):
            told.append(event.text)
    pipeline.join()
    assert "muted?" in told
    assert any("opposite phase" in text for text in told)


def test_a_capture_thread_that_falls_behind_says_so():
    """How far is counted as long as it lasts, and said once."""

    def late():
        for number, block in enumerate(blocks(np.concatenate((LEAD, speech(1.0))))):
            waited = 3.4 if 10 < number < 60 else 0.0
            if number == 40:
                time.sleep(0.4)  # the segmenter counts meanwhile
            yield Block(block.reshape(-1, 1), time.monotonic() - waited)

    events = run(ScriptedSource(late(), live=True))
    assert max(counters.behind_s for counters in of(Counters, events)) == 3
    assert of(Counters, events)[-1].behind_s == 0
    (warning,) = of(Warned, events)
    assert warning.text.startswith("listening is 3 s behind: this machine cannot keep up with 1 ch")
