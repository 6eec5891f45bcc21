from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.config import PartialResultsConfig, SegmenterConfig
from streamer.segmentation.segmenter import Segmenter, SegmenterEvent
from streamer.types import (
    SAMPLE_RATE,
    EndReason,
    Excerpt,
    Pcm,
    PossibleEnd,
    Segment,
    SpeechStart,
)

LOUD, QUIET = 8000, 40
FRAME = 320


def is_speech(frame: Pcm) -> bool:
    """A detector that the tests can see through: speech is loud."""
    return bool(np.abs(frame.astype(np.int32)).max() > QUIET)


def stream(*runs: tuple[bool, int], frame: int = FRAME) -> Pcm:
    """Runs of frames with or without speech; every sample random, to be told apart."""
    rng = np.random.default_rng(1)
    pieces = []
    for speech, frames in runs:
        amplitude = LOUD if speech else QUIET
        pieces.append(rng.integers(-amplitude, amplitude + 1, frames * frame, np.int16))
        if speech:
            pieces[-1][::frame] = amplitude  # no frame of it is quiet by chance
    return np.concatenate(pieces)


def segmenter(frame: int = FRAME, **values: float) -> Segmenter:
    """A segmenter with some values of its configuration changed."""
    return Segmenter(SegmenterConfig(**values), PartialResultsConfig(), frame, is_speech)


def segments(events: list[SegmenterEvent]) -> list[Segment]:
    """Only the utterances."""
    return [event for event in events if isinstance(event, Segment)]


def plain(events: Sequence[SegmenterEvent]) -> list[tuple[object, ...]]:
    """Events as values that compare."""
    return [
        (type(e).__name__, e.utterance, e.start, e.end, e.pcm_start, e.pcm.tobytes(), e.end_reason)
        if isinstance(e, Segment)
        else (type(e).__name__, e.utterance, e.end, e.pcm.tobytes())
        if isinstance(e, Excerpt)
        else (type(e).__name__, *plain([e.segment]))
        if isinstance(e, PossibleEnd)
        else (type(e).__name__, e.utterance, e.start)
        for e in events
    ]


# --- one thing at a time --------------------------------------------------------------------------


def test_utterance():
    """An utterance has its pre-roll, its speech, and half the hangover."""
    pcm = stream((False, 50), (True, 40), (False, 50))
    (segment,) = segments(segmenter().push(pcm))
    assert (segment.start, segment.end) == (50 * FRAME, 90 * FRAME)
    assert segment.pcm_start == 35 * FRAME  # 300 ms
    assert len(segment.pcm) == (15 + 40 + 10) * FRAME  # and 200 of the 400 ms
    assert segment.utterance == 1
    assert segment.end_reason is EndReason.SILENCE


def test_silence():
    """Silence yields nothing."""
    machine = segmenter()
    assert machine.push(stream((False, 500))) == []
    assert machine.close(EndReason.END_OF_INPUT) == []
    assert machine.position == 500 * FRAME


@pytest.mark.parametrize(("frames", "found"), [(9, 0), (10, 1)])
def test_min_speech(frames: int, found: int):
    """Speech shorter than min_speech is no utterance."""
    pcm = stream((False, 50), (True, frames), (False, 50))
    assert len(segments(segmenter().push(pcm))) == found


def test_stray_frames():
    """Stray frames do not add up to an utterance."""
    clicks = stream((False, 50), *[(True, 2), (False, 4)] * 60, (False, 50))
    machine = segmenter()
    assert machine.push(clicks) == []
    assert machine.close(EndReason.END_OF_INPUT) == []


def test_onset():
    """A word with a stop in it opens an utterance, at its first frame."""
    pcm = stream((False, 50), (True, 6), (False, 4), (True, 6), (False, 50))
    (segment,) = segments(segmenter().push(pcm))
    assert (segment.start, segment.end) == (50 * FRAME, 66 * FRAME)


def test_hangover():
    """A pause shorter than the hangover stays within the utterance."""
    pcm = stream((True, 20), (False, 19), (True, 20), (False, 20), (True, 20), (False, 50))
    assert [(s.start, s.end) for s in segments(segmenter().push(pcm))] == [
        (0, 59 * FRAME),
        (79 * FRAME, 99 * FRAME),
    ]


def test_end_is_prompt():
    """The end is told as soon as the hangover is over."""
    machine = segmenter()
    machine.push(stream((True, 30), (False, 19)))
    assert machine.is_open
    assert segments(machine.push(stream((False, 1))))
    assert not machine.is_open


def test_preroll():
    """The pre-roll never reaches into the previous utterance."""
    pcm = stream((True, 30), (False, 21), (True, 30), (False, 50))
    first, second = segments(segmenter(preroll_ms=2000).push(pcm))
    assert second.pcm_start == first.pcm_start + len(first.pcm)


def test_cut():
    """Too long an utterance is cut at its quietest, and carried over."""
    pcm = stream((False, 50), (True, 700), (False, 50))
    pause = slice((50 + 500) * FRAME, (50 + 506) * FRAME)
    pcm[pause] //= 100  # still speech, but the quietest of it
    first, second = segments(segmenter().push(pcm))
    assert first.end_reason is EndReason.MAX_LENGTH
    assert pause.start < first.end < pause.stop
    assert second.pcm_start == second.start == first.end
    assert second.end == 750 * FRAME
    assert (first.utterance, second.utterance) == (1, 2)


def test_cut_in_a_pause():
    """Both utterances end and begin with their own speech; the pause is cut in its middle."""
    pcm = stream((False, 50), (True, 500), (False, 10), (True, 200), (False, 50))
    pcm[552 * FRAME : 557 * FRAME] = 0  # the quietest 100 ms
    first, second = segments(segmenter().push(pcm))
    assert (first.start, first.end) == (50 * FRAME, 550 * FRAME)
    assert second.pcm_start == 554 * FRAME
    assert (second.start, second.end) == (560 * FRAME, 760 * FRAME)


def test_short_remainder():
    """What a cut carries over is an utterance, however short."""
    pcm = stream((True, 600), (False, 50))
    pcm[560 * FRAME : 566 * FRAME] //= 100
    first, second = segments(segmenter(min_speech_ms=2000).push(pcm))
    assert first.end == second.start
    assert second.end - second.start < 2 * SAMPLE_RATE


@pytest.mark.parametrize("reason", EndReason)
def test_close(reason: EndReason):
    """Closing ends the open utterance there, once, for the reason given."""
    machine = segmenter()
    machine.push(stream((False, 50), (True, 20)))
    machine.push(stream((True, 1))[:100])  # a part of a frame is heard, though never classified
    (segment,) = segments(machine.close(reason))
    assert segment.end_reason is reason
    assert segment.end == 70 * FRAME
    assert segment.pcm_start + len(segment.pcm) == machine.position == 70 * FRAME + 100
    assert machine.close(reason) == []


def test_skip():
    """Nothing from before a hole belongs to what follows it."""
    machine = segmenter()
    machine.push(stream((False, 50), (True, 9)))  # would open with one more
    assert machine.skip(1000) == []
    (segment,) = segments(machine.push(stream((True, 20), (False, 50))))
    assert segment.pcm_start == segment.start == 59 * FRAME + 1000


def test_skip_closes():
    """A hole closes the open utterance."""
    machine = segmenter()
    machine.push(stream((True, 20)))
    (segment,) = segments(machine.skip(0))
    assert segment.end_reason is EndReason.GAP


def test_excerpts_due():
    """Excerpts begin after half a second and come four times a second."""
    events = segmenter().push(stream((False, 50), (True, 300)))
    ends = [event.end / SAMPLE_RATE - 1 for event in events if isinstance(event, Excerpt)]
    due = np.arange(0.5, 6.01, 0.25)
    assert len(ends) == len(due)
    assert all(0 <= end - moment < 0.02 for end, moment in zip(ends, due, strict=True))


def test_no_excerpts_in_a_pause():
    """While nothing new is said no excerpt is due; when speech goes on, one is due at once."""
    machine = segmenter(hangover_ms=2000)
    spoken = [e.end for e in machine.push(stream((True, 60))) if isinstance(e, Excerpt)]
    paused = [e.end for e in machine.push(stream((False, 60))) if isinstance(e, Excerpt)]
    again = [e.end for e in machine.push(stream((True, 10))) if isinstance(e, Excerpt)]
    assert len(spoken) == 3
    assert [end for end in paused if end > 65 * FRAME] == []
    assert again[0] == 121 * FRAME


def test_excerpts_hold():
    """An excerpt holds the newest three seconds of its utterance."""
    pcm = stream((False, 50), (True, 300))
    excerpts = [event for event in segmenter().push(pcm) if isinstance(event, Excerpt)]
    for excerpt in excerpts:
        assert np.array_equal(excerpt.pcm, pcm[excerpt.end - len(excerpt.pcm) : excerpt.end])
        assert len(excerpt.pcm) == min(3 * SAMPLE_RATE, excerpt.end - 35 * FRAME)


def test_copies():
    """What was given out never changes."""
    machine = segmenter()
    pcm = stream((True, 50), (False, 50))
    events = machine.push(pcm)
    before = plain(events)
    pcm[:] = 0
    machine.push(stream((True, 50), (False, 50)))
    assert plain(events) == before
    for event in events:
        if not isinstance(event, SpeechStart):
            piece = event.segment if isinstance(event, PossibleEnd) else event
            assert not piece.pcm.flags.writeable


def test_refusals():
    """What is not 16-bit mono is refused."""
    with pytest.raises(TypeError, match="got samples of type float32, expected int16"):
        segmenter().push(np.zeros(320, np.float32))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"got PCM of shape \(320, 2\), expected \(samples,\)"):
        segmenter().push(np.zeros((320, 2), np.int16))
    with pytest.raises(ValueError, match="got a hole of -1 samples, expected 0 or more"):
        segmenter().skip(-1)


def test_possible_ends():
    """A pause of half the hangover is reported once, with the utterance that it may end."""
    machine = segmenter(hangover_ms=400)
    events = machine.push(stream((True, 50), (False, 12), (True, 20), (False, 10)))
    ends = [event.segment for event in events if isinstance(event, PossibleEnd)]
    assert [end.end for end in ends] == [50 * FRAME, 82 * FRAME]
    (whole,) = machine.push(stream((False, 10)))
    assert plain([whole]) == plain([ends[1]])
    assert not any(isinstance(e, PossibleEnd) for e in machine.push(stream((False, 50))))


# --- whatever comes -------------------------------------------------------------------------------


@dataclass
class Case:
    """A stream, how it arrives, and how the segmenter is set."""

    frame: int
    config: SegmenterConfig
    partials: PartialResultsConfig
    pcm: Pcm
    cuts: list[int]  # where blocks end
    holes: dict[int, int] = field(default_factory=dict)  # by samples delivered: close and skip

    def run(self) -> tuple[list[SegmenterEvent], Pcm]:
        """All events, and the stream by position, with zeros in the holes."""
        machine = Segmenter(self.config, self.partials, self.frame, is_speech)
        events: list[SegmenterEvent] = []
        heard: list[Pcm] = []
        edges = sorted({0, len(self.pcm), *self.cuts, *self.holes})
        for begin, end in pairwise(edges):
            events += machine.push(self.pcm[begin:end])
            heard.append(self.pcm[begin:end])
            if end in self.holes:
                events += machine.close(EndReason.STOPPED)
                events += machine.skip(self.holes[end])
                heard.append(np.zeros(self.holes[end], np.int16))
        events += machine.close(EndReason.END_OF_INPUT)
        whole = np.concatenate(heard)
        assert machine.position == len(whole)
        return events, whole


@st.composite
def cases(draw: st.DrawFn, *, holes: bool = True) -> Case:
    """Anything that a stream and a configuration may be."""
    frame = draw(st.sampled_from((160, 320, 480)))
    config = SegmenterConfig(
        min_speech_ms=draw(st.integers(20, 400)),
        hangover_ms=draw(st.integers(50, 800)),
        preroll_ms=draw(st.integers(0, 600)),
        max_length_s=draw(st.floats(2, 4)),
    )
    partials = PartialResultsConfig(
        first_ms=draw(st.integers(100, 800)),
        interval_ms=draw(st.integers(50, 500)),
        window_s=draw(st.floats(0.5, 3)),
    )
    lengths = st.integers(1, 30) | st.integers(1, 500)
    runs = draw(st.lists(st.tuples(st.booleans(), lengths), min_size=1, max_size=12))
    pcm = stream(*runs, frame=frame)[: -draw(st.integers(0, frame - 1)) or None]
    places = st.integers(1, len(pcm))
    return Case(
        frame,
        config,
        partials,
        pcm,
        draw(st.lists(places, max_size=20)),
        draw(st.dictionaries(places, st.integers(0, 5000), max_size=3)) if holes else {},
    )


thorough = settings(max_examples=50, deadline=None, derandomize=True)


@given(cases())
@thorough
def test_any_segments(case: Case):
    """Every segment is a piece of the stream, and none overlap."""
    events, heard = case.run()
    free = 0
    for number, segment in enumerate(segments(events), start=1):
        pcm_end = segment.pcm_start + len(segment.pcm)
        assert segment.utterance == number
        assert free <= segment.pcm_start <= segment.start < segment.end <= pcm_end
        assert segment.end - segment.start <= case.config.max_length_s * SAMPLE_RATE
        assert np.array_equal(segment.pcm, heard[segment.pcm_start : pcm_end])
        assert is_speech(segment.pcm[segment.start - segment.pcm_start :][: case.frame])
        assert is_speech(segment.pcm[: segment.end - segment.pcm_start][-case.frame :])
        free = pcm_end


@given(cases())
@thorough
def test_any_possible_ends(case: Case):
    """What ends by silence was said to end so."""
    events, _ = case.run()
    possible: Segment | None = None
    hangover = max(1, case.config.hangover_ms * SAMPLE_RATE // 1000 // case.frame)
    for event in events:
        if isinstance(event, PossibleEnd):
            possible = event.segment
        elif isinstance(event, Segment) and event.end_reason is EndReason.SILENCE and hangover // 2:
            assert possible is not None
            assert plain([event]) == plain([possible])


@given(cases())
@thorough
def test_any_announcements(case: Case):
    """Every utterance is announced once, has its excerpts in time, and ends once."""
    events, heard = case.run()
    start: SpeechStart | None = None
    last = 0
    for event in events:
        if isinstance(event, SpeechStart):
            assert start is None
            start, last = event, event.start
            due = case.partials.first_ms * 16
            continue
        assert start is not None
        if isinstance(event, PossibleEnd):
            assert event.segment.utterance == start.utterance
            continue
        assert event.utterance == start.utterance
        if isinstance(event, Segment):
            assert event.start == start.start
            assert event.end - last < due + case.frame or event.end_reason != EndReason.SILENCE
            start = None
        else:
            assert len(event.pcm) <= case.partials.window_s * SAMPLE_RATE + 1
            assert np.array_equal(event.pcm, heard[event.end - len(event.pcm) : event.end])
            last, due = event.end, case.partials.interval_ms * 16
    assert start is None


@given(cases(holes=False))
@thorough
def test_any_blocks(case: Case):
    """Events do not depend on how the stream is cut into blocks."""
    events, _ = case.run()
    case.cuts = list(range(0, len(case.pcm), 333))
    assert plain(case.run()[0]) == plain(events)


@given(cases(holes=False))
@thorough
def test_any_speech(case: Case):
    """Speech that is long enough is all in an utterance."""
    events, heard = case.run()
    inside = np.zeros(len(heard), np.bool_)
    for segment in segments(events):
        inside[segment.pcm_start : segment.pcm_start + len(segment.pcm)] = True
    whole = len(heard) // case.frame
    speech = np.array([is_speech(heard[i * case.frame :][: case.frame]) for i in range(whole)])
    edges = np.flatnonzero(np.diff(np.concatenate(([False], speech, [False])))).reshape(-1, 2)
    for begin, end in edges * case.frame:
        if end - begin >= case.config.min_speech_ms * 16 + case.frame:
            assert inside[begin:end].all()


@given(cases(holes=False))
@thorough
def test_any_cuts(case: Case):
    """Nothing is lost at a cut."""
    found = segments(case.run()[0])
    for segment, following in pairwise(found):
        if segment.end_reason is EndReason.MAX_LENGTH:
            assert following.pcm_start == segment.pcm_start + len(segment.pcm)
    assert not found or found[-1].end_reason is not EndReason.MAX_LENGTH


def test_memory():
    """What is kept does not grow with the stream."""
    machine = segmenter()
    for _ in range(3):
        machine.push(stream((True, 1000), (False, 9_000)))
    assert len(machine._frames) < 100
