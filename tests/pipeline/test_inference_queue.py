"""Utterances never vanish; excerpts give way."""

from threading import Thread

import numpy as np
import pytest

from streamer.events import CallStarted
from streamer.pipeline.inference_queue import MAX_SEGMENTS, InferenceQueue, Piece, VoiceReset
from streamer.types import SAMPLE_RATE, EndReason, Excerpt, PossibleEnd, Segment

PCM = np.zeros(10, np.int16)


def segment(number: int) -> Segment:
    """An utterance."""
    return Segment(number, 0, 10, 0, PCM, EndReason.SILENCE)


def test_the_newest_excerpt_of_a_channel_wins():
    """Older excerpts are counted as late, other channels are untouched."""
    waiting = InferenceQueue()
    for end in (1, 2, 3):
        waiting.put("a", Excerpt(1, end, PCM))
    waiting.put("b", Excerpt(1, 9, PCM))
    tasks = [waiting.get(), waiting.get()]
    assert [(task.channel, task.piece.end) for task in tasks if task] == [("a", 3), ("b", 9)]
    assert waiting.dropped_partials == 2


def test_a_newer_excerpt_keeps_its_place_in_line():
    """Or a channel whose excerpts are always late would never be served."""
    waiting = InferenceQueue()
    for channel, end in (("a", 1), ("b", 1), ("a", 2)):
        waiting.put(channel, Excerpt(1, end, PCM))
    tasks = [waiting.get(), waiting.get()]
    assert [(task.channel, task.piece.end) for task in tasks if task] == [("a", 2), ("b", 1)]


def test_utterances_go_first_and_end_their_excerpts():
    """Nobody wants a partial result of what is over."""
    waiting = InferenceQueue()
    waiting.put("b", Excerpt(1, 5, PCM))
    waiting.put("a", Excerpt(1, 5, PCM))
    waiting.put("a", segment(1))
    waiting.close()
    first, second, end = waiting.get(), waiting.get(), waiting.get()
    assert first is not None
    assert isinstance(first.piece, Segment)
    assert second is not None
    assert second.channel == "b"
    assert end is None
    assert waiting.dropped_partials == 0


def test_possible_ends_go_before_excerpts_and_after_utterances():
    """They save their own utterance time, and must not cost another's any."""
    waiting = InferenceQueue()
    waiting.put("a", Excerpt(1, 5, PCM))
    waiting.put("b", PossibleEnd(segment(1)))
    waiting.put("c", segment(1))
    tasks = [waiting.get(), waiting.get(), waiting.get()]
    assert [task.channel for task in tasks if task] == ["c", "b", "a"]
    assert waiting.dropped_partials == 0


@pytest.mark.parametrize("piece", [segment(1), Excerpt(1, 5, PCM)])
def test_a_possible_end_is_dropped_when_the_utterance_ends_or_goes_on(piece: Piece):
    """It is embedded with the utterance then, or for nothing."""
    waiting = InferenceQueue()
    waiting.put("a", PossibleEnd(segment(1)))
    waiting.put("a", piece)
    waiting.close()
    tasks = [waiting.get(), waiting.get()]
    assert [task.piece for task in tasks if task] == [piece]


def test_a_possible_end_that_is_abandoned_has_no_row():
    """Neither what is being embedded nor what waits."""
    waiting = InferenceQueue()
    waiting.put("a", PossibleEnd(segment(2)))
    assert waiting.get() is not None
    waiting.put("b", PossibleEnd(segment(2)))
    assert waiting.abandon() == []
    assert waiting.get() is None
    assert InferenceQueue().abandon() == []


def test_an_empty_queue_is_waited_for():
    """It is not at its end before it is closed."""
    waiting = InferenceQueue()
    got: list[object] = []
    worker = Thread(target=lambda: got.append(waiting.get()))
    worker.start()
    waiting.put("a", segment(1))
    worker.join()
    assert got != [None]


def test_there_is_room_for_as_many_utterances_as_may_wait():
    """A recording waits for room; what is live does not."""
    waiting = InferenceQueue()
    for number in range(MAX_SEGMENTS):
        assert waiting.wait_for_room(0)
        waiting.put("a", segment(number))
    assert not waiting.wait_for_room(0)
    assert len(waiting) == MAX_SEGMENTS


def test_too_many_utterances_are_handed_out_unclassified_but_all():
    """The oldest lose their prediction, none its row."""
    waiting = InferenceQueue()
    for number in range(MAX_SEGMENTS + 3):
        waiting.put("a", segment(number))
    assert not waiting.wait_for_room(0)
    waiting.close()
    tasks = []
    while task := waiting.get():
        tasks.append(task)
    assert [task.piece.utterance for task in tasks] == list(range(MAX_SEGMENTS + 3))
    assert [task.classify for task in tasks] == [False] * 3 + [True] * MAX_SEGMENTS


def test_a_call_that_begins_costs_no_prediction():
    """It waits behind the utterances of a queue that is full, but is none of them."""
    waiting = InferenceQueue()
    for number in range(MAX_SEGMENTS):
        waiting.put("a", segment(number))
    waiting.put("a", VoiceReset(2))
    waiting.put("a", CallStarted(2, 0))
    waiting.close()
    tasks = []
    while task := waiting.get():
        tasks.append(task)
    assert len(tasks) == MAX_SEGMENTS + 2
    assert all(task.classify for task in tasks)


def test_what_waits_fits_in_25_megabytes():
    """Utterances of 12 s each, 16-bit samples at 16 kHz."""
    assert MAX_SEGMENTS * 12 * SAMPLE_RATE * 2 <= 25e6


def test_the_result_of_an_abandoned_task_is_not_delivered():
    """Its row has been handed out without a prediction: it would be there twice."""
    waiting = InferenceQueue()
    for number in (1, 2, 3):
        waiting.put("a", segment(number))
    waiting.put("b", Excerpt(1, 9, PCM))
    delivered = []
    first = waiting.get()
    waiting.finish(first, lambda: delivered.append(1))
    second = waiting.get()
    left = waiting.abandon()
    waiting.finish(second, lambda: delivered.append(2))
    assert delivered == [1]
    assert [(task.piece.utterance, task.classify) for task in left] == [(2, False), (3, False)]
    assert waiting.get() is None
