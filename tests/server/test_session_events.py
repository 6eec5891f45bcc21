"""What a wallboard is told of a live session."""

from streamer.events import CallStarted, SourceOpened, UtteranceStarted
from streamer.server.wallboard.events import SessionEvents
from streamer.types import SAMPLE_RATE, SourceInfo


def test_calls_of_one_stream_follow_each_other():
    """Each has its own name, and times from its own start; a device that comes back begins none."""
    told = []
    events = SessionEvents(told.append, ("agent", "customer"))
    events(UtteranceStarted("agent", 1, 0), None)  # before anything is heard
    opened = SourceOpened(SourceInfo("USB", SAMPLE_RATE, 2, live=True), 1000.0)
    events(opened, None)
    events(opened, None)
    events(UtteranceStarted("agent", 1, 2 * SAMPLE_RATE), None)
    events(CallStarted(2, 10 * SAMPLE_RATE), None)
    events(UtteranceStarted("customer", 2, 12 * SAMPLE_RATE), None)
    assert [(each["event"], each["call"]) for each in told] == [
        ("call_begun", "USB"),
        ("speech", "USB"),
        ("call_ended", "USB"),
        ("call_begun", "USB #2"),
        ("speech", "USB #2"),
    ]
    assert [each.get("start_s") for each in told] == [None, 2.0, None, None, 2.0]
    assert [told[i]["at"] for i in (0, 2, 3)] == [1000.0, 1010.0, 1010.0]
    assert told[0]["channels"] == ["agent", "customer"]
