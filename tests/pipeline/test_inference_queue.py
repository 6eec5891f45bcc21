"""Utterances never vanish; windows give way."""

import numpy as np

from streamer.pipeline.inference_queue import MAX_SEGMENTS, Backlog
from streamer.types import EndReason, Segment, Window

PCM = np.zeros(10, np.int16)


def segment(number: int) -> Segment:
    """An utterance."""
    return Segment(number, 0, 10, 0, PCM, EndReason.SILENCE)


def test_the_newest_window_of_a_channel_wins():
    """Older windows are counted as late, other channels are untouched."""
    backlog = Backlog()
    for end in (1, 2, 3):
        backlog.put("a", Window(1, end, PCM))
    backlog.put("b", Window(1, 9, PCM))
    jobs = [backlog.get(), backlog.get()]
    assert [(job.channel, job.piece.end) for job in jobs if job] == [("a", 3), ("b", 9)]
    assert backlog.late_windows == 2


def test_a_newer_window_keeps_its_place_in_line():
    """Or a channel whose windows are always late would never be served."""
    backlog = Backlog()
    for channel, end in (("a", 1), ("b", 1), ("a", 2)):
        backlog.put(channel, Window(1, end, PCM))
    jobs = [backlog.get(), backlog.get()]
    assert [(job.channel, job.piece.end) for job in jobs if job] == [("a", 2), ("b", 1)]


def test_utterances_go_first_and_end_their_windows():
    """Nobody wants a rolling view of what is over."""
    backlog = Backlog()
    backlog.put("b", Window(1, 5, PCM))
    backlog.put("a", Window(1, 5, PCM))
    backlog.put("a", segment(1))
    backlog.close()
    first, second, end = backlog.get(), backlog.get(), backlog.get()
    assert first is not None
    assert isinstance(first.piece, Segment)
    assert second is not None
    assert second.channel == "b"
    assert end is None
    assert backlog.late_windows == 0


def test_too_many_utterances_are_handed_out_unjudged_but_all():
    """The oldest lose their prediction, none its row."""
    backlog = Backlog()
    for number in range(MAX_SEGMENTS + 3):
        backlog.put("a", segment(number))
    assert not backlog.wait_for_room(0)
    backlog.close()
    jobs = []
    while job := backlog.get():
        jobs.append(job)
    assert [job.piece.utterance for job in jobs] == list(range(MAX_SEGMENTS + 3))
    assert [job.judged for job in jobs] == [False] * 3 + [True] * MAX_SEGMENTS
