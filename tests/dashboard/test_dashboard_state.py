"""From events to Snapshots: pure, with time as an argument."""

import math
import pickle
from dataclasses import replace

import pytest

from streamer.dashboard.reducer import COSTS, NOTICE_S, PEAK_FALL_DB_S, PEAK_HOLD_S, advance, reduce
from streamer.dashboard.state import (
    RATE_S,
    TABLE_ROWS,
    TIMELINE_S,
    ChannelState,
    Input,
    Notice,
    Snapshot,
)
from streamer.events import (
    LevelMeasured,
    ModelLoaded,
    PartialResult,
    SourceOpened,
    StateChanged,
    ThreadFailed,
    UtteranceStarted,
    VoiceLearned,
)
from streamer.types import (
    EMOTIONS,
    SAMPLE_RATE,
    EndReason,
    Mark,
    Prediction,
    SourceInfo,
    State,
    Utterance,
)

HAPPY = Prediction(("neutral", "happy", "sad"), (0.1, 0.8, 0.1), 0.7, uncertain=False)
SAD = Prediction(("neutral", "happy", "sad"), (0.2, 0.2, 0.6), -0.4, uncertain=False)


def level(
    at_s: float, rms: float = -20.0, *, speech: bool = False, clipped: bool = False, name: str = "a"
) -> LevelMeasured:
    """A level with a peak 10 dB above it."""
    return LevelMeasured(name, int(at_s * SAMPLE_RATE), rms, rms + 10, clipped, speech)


def partial(number: int, prediction: Prediction, *, compute_ms: float = 10.0) -> PartialResult:
    """A partial result in channel a."""
    return PartialResult("a", number, 0, prediction, 50.0, compute_ms)


def utterance(
    number: int,
    prediction: Prediction | None = HAPPY,
    *,
    latency_ms: float | None = 100.0,
    name: str = "a",
) -> Utterance:
    """Two seconds long, classified in 20 ms."""
    start = number * 3 * SAMPLE_RATE
    end = start + 2 * SAMPLE_RATE
    return Utterance(
        number, name, start, end, prediction, -20.0, EndReason.SILENCE, latency_ms, 20.0
    )


def folded(*events: Input, now: float = 0.0, smoothing_s: float = 0.4) -> Snapshot:
    """All events at once."""
    snapshot = Snapshot(smoothing_s=smoothing_s, now=now)
    for event in events:
        snapshot = reduce(snapshot, event, now)
    return snapshot


def bar(snapshot: Snapshot, emotion: str) -> float:
    """What the first channel's bar shows."""
    return snapshot.channels[0].shown[EMOTIONS.index(emotion)]


def test_who_and_what_is_listened_to():
    """The source and the model announce themselves."""
    info = SourceInfo("USB microphone", 48_000, 1, live=True)
    snapshot = folded(ModelLoaded("open", ("happy", "sad")), SourceOpened(info, 0.0))
    assert (snapshot.device, snapshot.model) == ("USB microphone", "open")
    assert snapshot.labels == ("happy", "sad")


def test_time_runs_from_the_first_listening_to_the_end():
    """Warming up does not count, a pause does; after the end the clock stands still."""
    snapshot = Snapshot()
    assert advance(snapshot, 5).elapsed_s == 0
    for now, state in ((5, State.LISTENING), (8, State.PAUSED), (9, State.LISTENING)):
        snapshot = reduce(snapshot, StateChanged(state), now)
    assert advance(snapshot, 15).elapsed_s == 10
    snapshot = reduce(snapshot, StateChanged(State.ENDED), 16)
    assert advance(snapshot, 99).elapsed_s == 11


def test_a_state_says_more_about_itself():
    """The detail belongs to its state and leaves with it."""
    snapshot = folded(StateChanged(State.LISTENING, "playing the bundled recording"))
    assert snapshot.detail == "playing the bundled recording"
    assert reduce(snapshot, StateChanged(State.PAUSED), 0).detail == ""


def test_bars_move_towards_the_newest_prediction():
    """After one time constant 63 % of the way is done; unknown emotions stay at 0."""
    snapshot = advance(folded(partial(1, HAPPY)), 0.4)
    assert bar(snapshot, "happy") == pytest.approx(0.8 * (1 - math.exp(-1)))
    assert bar(snapshot, "angry") == 0
    assert bar(advance(snapshot, 60), "happy") == pytest.approx(0.8)


def test_bars_fall_where_nobody_speaks():
    """Probabilities of what is no speech say nothing."""
    door = replace(HAPPY, is_speech=False)
    snapshot = folded(partial(1, HAPPY), partial(1, door), smoothing_s=0)
    assert bar(advance(snapshot, 1), "happy") == 0


def test_frames_do_not_change_where_bars_are():
    """Many short steps end where one long step does."""
    start = folded(partial(1, HAPPY), level(1), level(1.1, -40))
    often = start
    for step in range(1, 101):
        often = advance(often, step * 0.03)
    once = advance(start, 3.0)
    assert often.channels[0].shown == pytest.approx(once.channels[0].shown)
    assert often.channels[0].held_dbfs == pytest.approx(once.channels[0].held_dbfs)


def test_bars_without_smoothing_jump():
    """A time constant of 0 is allowed."""
    assert bar(advance(folded(partial(1, SAD), smoothing_s=0), 0.01), "sad") == 0.6


def test_time_never_runs_backwards():
    """An event that was late in the queue changes no clock."""
    assert reduce(Snapshot(now=5), StateChanged(State.LISTENING), 4).now == 5


def test_peak_is_held_and_then_falls():
    """The tick of the meter stands still, falls, and is caught by a louder peak."""
    snapshot = reduce(folded(level(0.1, -20)), level(0.2, -50), 0.1)
    assert advance(snapshot, PEAK_HOLD_S).channels[0].held_dbfs == -10
    fallen = advance(snapshot, PEAK_HOLD_S + 0.5)
    assert fallen.channels[0].held_dbfs == pytest.approx(-10 - PEAK_FALL_DB_S / 2)
    assert reduce(fallen, level(2, -12), 2).channels[0].held_dbfs == -2


def test_meter_is_empty_when_nothing_arrives():
    """An old level says nothing about now."""
    assert advance(folded(level(0.1)), 2).channels[0].rms_dbfs == -math.inf


def test_clipping_is_remembered_with_its_time():
    """The view decides for how long the flag stays."""
    snapshot = reduce(folded(level(0.1)), level(0.2, clipped=True), 3)
    assert reduce(snapshot, level(0.3), 4).channels[0].clipped_at == 3


def test_speech_began_before_anybody_was_sure_of_it():
    """The time of speech counts from its start, that of silence from its first level."""
    snapshot = folded(level(1.0), level(2.0, speech=True), UtteranceStarted("a", 1, 27_200))
    snapshot = reduce(snapshot, level(2.7, speech=True), 0)
    assert snapshot.channels[0].speech
    assert snapshot.channels[0].since_s == pytest.approx(1.0)
    snapshot = reduce(reduce(snapshot, level(3.0), 0), level(3.5), 0)
    assert not snapshot.channels[0].speech
    assert snapshot.channels[0].since_s == pytest.approx(0.5)


def test_a_row_takes_the_place_of_the_open_utterance():
    """An utterance is open from its start to its verdict."""
    snapshot = folded(UtteranceStarted("a", 1, 0), partial(1, SAD))
    assert snapshot.channels[0].open[0].prediction is SAD
    snapshot = reduce(snapshot, utterance(1), 0)
    assert snapshot.channels[0].open == ()
    assert snapshot.channels[0].final
    assert snapshot.channels[0].prediction is HAPPY
    assert snapshot.rows == (utterance(1),)


def test_a_late_verdict_leaves_the_newer_utterance_alone():
    """The bars show who speaks now; the row still comes."""
    snapshot = folded(
        UtteranceStarted("a", 1, 0), UtteranceStarted("a", 2, 1), partial(2, SAD), utterance(1)
    )
    assert snapshot.channels[0].prediction is SAD
    assert [waiting.number for waiting in snapshot.channels[0].open] == [2]
    assert len(snapshot.rows) == 1


def test_an_unclassified_utterance_is_a_row_and_no_verdict():
    """The bars keep what was heard last."""
    snapshot = folded(partial(1, SAD), utterance(1, None))
    assert snapshot.channels[0].prediction is SAD
    assert snapshot.rows[0] == utterance(1, None)


def test_latency_over_the_last_utterances():
    """Nearest rank, and only those that have a latency."""
    assert Snapshot().latency_ms(0.5) is None
    rows = [utterance(n, latency_ms=float(n)) for n in range(1, COSTS + 51)]
    snapshot = folded(*rows, utterance(999, latency_ms=None))
    assert snapshot.latency_ms(0.5) == 101
    assert snapshot.latency_ms(0.95) == 146
    assert snapshot.latency_ms(1) == 150
    assert len(snapshot.costs) == COSTS


def test_real_time_factor_counts_partial_results_too():
    """All that the worker computed, over the speech that it classified."""
    assert Snapshot().real_time_factor is None
    snapshot = folded(
        UtteranceStarted("a", 1, 0), partial(1, SAD, compute_ms=30), partial(1, SAD), utterance(1)
    )
    assert snapshot.real_time_factor == pytest.approx((30 + 10 + 20) / 2000)


def test_partial_results_per_second_are_those_of_speech():
    """Pauses between utterances do not count, and nothing counts for longer than its window."""
    snapshot = Snapshot()
    for at, number in ((1.0, 1), (1.25, 1), (1.5, 1), (4.0, 2), (4.25, 2)):
        snapshot = reduce(snapshot, partial(number, SAD), at)
    assert snapshot.partials_per_s == pytest.approx(4.0)
    assert advance(snapshot, 4.25 + RATE_S + 0.1).partials_per_s == 0


def test_memory_is_bounded():
    """A session may last for days."""
    snapshot = folded(*[UtteranceStarted("a", n, n) for n in range(100)])
    size = {}
    for n in range(1, 5_001):
        snapshot = reduce(snapshot, level(n / 10), n / 10)
        snapshot = reduce(snapshot, partial(1000 + n, SAD), n / 10)
        snapshot = reduce(snapshot, utterance(1000 + n), n / 10)
        if n in (TABLE_ROWS + 1000, 5_000):
            size[n] = len(pickle.dumps(snapshot))
    assert len(snapshot.rows) == TABLE_ROWS
    assert snapshot.rows[-1] == utterance(6_000)
    assert (snapshot.seen, snapshot.oldest) == (5_000, 5_000 - TABLE_ROWS)
    assert len(snapshot.channels[0].levels) == TIMELINE_S * 10
    assert len(snapshot.channels[0].open) < 20
    assert size[5_000] == pytest.approx(size[TABLE_ROWS + 1000], rel=0.01)


def test_a_mark_is_a_row_among_the_utterances():
    """And the next one has the next number."""
    mark = Mark(3, 48_000, "shouts")
    snapshot = folded(level(3.0), utterance(1), mark)
    assert snapshot.rows == (utterance(1), mark)
    assert snapshot.marks == 3


def test_a_notice_goes_by_itself_unless_it_is_urgent():
    """What has to be acted on stays, and is not talked over."""
    assert advance(folded(Notice("saved")), NOTICE_S - 1).notice == Notice("saved")
    assert advance(folded(Notice("saved")), NOTICE_S + 1).notice is None
    urgent = Notice("the disk is full", urgent=True)
    assert advance(folded(urgent, Notice("saved")), 999).notice == urgent
    assert folded(urgent, Notice("worse", urgent=True)).notice == Notice("worse", urgent=True)


def test_a_failed_thread_is_seen():
    """The main thread acts on it; until then the screen says so."""
    notice = folded(ThreadFailed("worker", ValueError("bad weights"))).notice
    assert notice is not None
    assert notice.urgent
    assert "worker" in notice.text
    assert "bad weights" in notice.text


def test_channels_are_independent_and_keep_their_place():
    """Whoever speaks first, the announced order stays; a stranger joins at the end."""
    snapshot = Snapshot(channels=(ChannelState("agent"), ChannelState("customer")))
    for event in (
        level(1, name="customer", speech=True),
        level(1, name="late"),
        level(1, -50, name="agent"),
        utterance(1, name="customer"),
    ):
        snapshot = reduce(snapshot, event, 0)
    assert [channel.name for channel in snapshot.channels] == ["agent", "customer", "late"]
    assert [channel.speech for channel in snapshot.channels] == [False, True, False]
    assert [channel.prediction for channel in snapshot.channels] == [None, HAPPY, None]


def test_folding_changes_nothing_that_was_there():
    """A frame that is being drawn is not disturbed."""
    before = folded(level(1), utterance(1))
    copy = replace(before)
    reduce(before, Mark(1, 0), 9)
    assert before == copy


def test_what_is_known_about_a_voice_stays_until_it_is_forgotten():
    """By the pipeline, which then says 0."""
    snapshot = folded(VoiceLearned("mix", 3))
    assert [c.known for c in snapshot.channels] == [3]
    snapshot = reduce(snapshot, VoiceLearned("mix", 0), 1.0)
    assert [c.known for c in snapshot.channels] == [0]
    assert ChannelState("mix").known is None
