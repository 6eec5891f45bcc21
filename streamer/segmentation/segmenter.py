"""The segmenter turns frames into utterances, as a pure state machine.

It works on whole frames counted from the start of the stream (or from the last gap), so that the
result does not depend on how the stream was cut into blocks.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from streamer.config import PartialResultsConfig, SegmenterConfig
from streamer.types import (
    SAMPLE_RATE,
    EndReason,
    Excerpt,
    Pcm,
    PossibleEnd,
    Segment,
    SpeechStart,
)

SegmenterEvent: TypeAlias = SpeechStart | Excerpt | PossibleEnd | Segment

OPENING_DENSITY = 0.6
"""Share of the frames that must be speech while ``min_speech_ms`` of it is collected: single frames
of noise do not open an utterance, and the stop consonants of a word do not prevent it."""

CUT_RANGE = (0.75, 0.95)
"""Where too long an utterance may be cut, as parts of the maximum length. It ends early, so that
what is carried over is long enough to be classified."""

NEVER_MS = 10**12

PARTIAL_PAUSE_S = 0.1
"""No excerpt is due while a pause lasts longer than this. Nothing new was said, and the utterance
may be at its end: its excerpt would only delay its own result, and those of other channels."""

CUT_PAUSE_S = 0.1
"""A long utterance is cut in the middle of its quietest stretch of this length, in seconds."""


@dataclass(slots=True)
class _Utterance:
    """The open utterance; positions in samples. Its first kept frame begins its pcm."""

    start: int
    end: int  # of the last speech so far
    next_partial: int


class Segmenter:
    """Find the utterances of one channel.

    An utterance opens once ``min_speech_ms`` of speech have come in dense enough a succession
    and is dated back to the first frame of it. It ends with ``hangover_ms`` without speech; the
    first half of that stays with it, the second half may become the pre-roll of the next one.
    One that grows too long is cut at its quietest point, and what follows the cut opens the next.
    A sample belongs to one utterance at most, and none is missing within one.

    Args:
        config: When an utterance begins and ends.
        partials: When an excerpt of an open utterance is due; None for no excerpts, and no word of
            pauses that may be the end.
        frame_samples: Length of the frames that ``is_speech`` takes.
        is_speech: Asked once for each frame, shape (frame_samples,), in order.
        classify_ahead: Given the frames that it is asked about next, shape (frames,
            frame_samples).
    """

    def __init__(
        self,
        config: SegmenterConfig,
        partials: PartialResultsConfig | None,
        frame_samples: int,
        is_speech: Callable[[Pcm], bool],
        classify_ahead: Callable[[Pcm], object] = lambda _: None,
    ) -> None:
        def frames(seconds: float) -> int:
            return max(1, round(seconds * SAMPLE_RATE) // frame_samples)

        self._frame = frame_samples
        self._is_speech = is_speech
        self._classify_ahead = classify_ahead
        self._possible_ends = partials is not None
        self._min_speech = -(-config.min_speech_ms * SAMPLE_RATE // (1000 * frame_samples))
        self._opening = int(self._min_speech / OPENING_DENSITY)
        self._hangover = frames(config.hangover_ms / 1000)
        self._preroll = config.preroll_ms * SAMPLE_RATE // (1000 * frame_samples)
        self._max_length = frames(config.max_length_s)
        self._cut_pause = frames(CUT_PAUSE_S)
        self._partial_pause = frames(PARTIAL_PAUSE_S) * frame_samples
        if partials is None:
            partials = PartialResultsConfig()
            first_ms = NEVER_MS
        else:
            first_ms = partials.first_ms
        self._first_partial = first_ms * SAMPLE_RATE // 1000
        self._interval = partials.interval_ms * SAMPLE_RATE // 1000
        self._excerpt_samples = round(partials.window_s * SAMPLE_RATE)
        self._excerpt_frames = -(-self._excerpt_samples // frame_samples)

        self._number = 0
        self._utterance: _Utterance | None = None
        self._begin = 0  # position of the first kept frame
        self._frames: list[Pcm] = []
        self._speech: list[bool] = []  # one verdict per kept frame
        self._pending: Pcm = np.zeros(0, np.int16)  # less than a frame

    @property
    def position(self) -> int:
        """How many samples of the stream have gone by, skipped ones included."""
        return self._begin + len(self._frames) * self._frame + len(self._pending)

    @property
    def is_open(self) -> bool:
        """True between an utterance's `SpeechStart` and its `Segment`."""
        return self._utterance is not None

    def push(self, pcm: Pcm) -> list[SegmenterEvent]:
        """Take the next samples of the stream.

        Args:
            pcm: int16, shape (samples,), any length; copied.

        Returns:
            The events, in order. Every array in it is a read-only copy.

        Raises:
            TypeError: ``pcm`` is not int16.
            ValueError: ``pcm`` is not one channel.
        """
        if pcm.dtype != np.int16:
            raise TypeError(f"got samples of type {pcm.dtype}, expected int16")
        if pcm.ndim != 1:
            raise ValueError(f"got PCM of shape {pcm.shape}, expected (samples,)")
        pcm = np.concatenate((self._pending, pcm))
        whole = len(pcm) - len(pcm) % self._frame
        self._pending = pcm[:0]  # `position` stays true while the frames are taken one by one
        events: list[SegmenterEvent] = []
        if whole:
            self._classify_ahead(pcm[:whole].reshape(-1, self._frame))
        for begin in range(0, whole, self._frame):
            events += self._take(pcm[begin : begin + self._frame])
        self._pending = pcm[whole:]
        return events

    def close(self, reason: EndReason) -> list[SegmenterEvent]:
        """End the open utterance here and forget what came before.

        Speech too short to have opened an utterance is dropped.

        Args:
            reason: Why the stream stops or is interrupted.

        Returns:
            The open utterance's `Segment`, if there was one.
        """
        position = self.position
        events: list[SegmenterEvent] = []
        if self._utterance is not None:
            self._frames.append(self._pending)  # never classified, but heard
            events.append(self._finish(self._utterance, reason))
        self._frames.clear()
        self._speech.clear()
        self._pending = self._pending[:0]
        self._begin = position
        return events

    def skip(self, samples: int) -> list[SegmenterEvent]:
        """Pass over a hole in the stream; an open utterance ends before it.

        Args:
            samples: Length of the hole; 0 if it is unknown.

        Returns:
            As `close` with `EndReason.GAP`.

        Raises:
            ValueError: ``samples`` is negative.
        """
        if samples < 0:
            raise ValueError(f"got a hole of {samples} samples, expected 0 or more")
        events = self.close(EndReason.GAP)
        self._begin += samples
        return events

    def _take(self, frame: Pcm) -> list[SegmenterEvent]:
        speech = self._is_speech(frame)
        self._frames.append(frame)
        self._speech.append(speech)
        utterance = self._utterance
        if utterance is None:
            return self._wait()
        now = self.position
        if speech:
            utterance.end = now
        elif now - utterance.end >= self._hangover * self._frame:
            return [self._finish(utterance, EndReason.SILENCE)]
        events = self._continue(utterance, now)
        pause = now - utterance.end
        if self._possible_ends and pause and pause == self._hangover // 2 * self._frame:
            segment = self._segment(utterance, len(self._frames), EndReason.SILENCE)
            events.append(PossibleEnd(segment))
        return events

    def _wait(self) -> list[SegmenterEvent]:
        """No utterance is open: open one, or forget what is too old to belong to the next."""
        recent = self._speech[-self._opening :]
        if sum(recent) < self._min_speech:
            self._forget(len(self._frames) - self._opening - self._preroll)
            return []
        onset = len(self._frames) - len(recent) + recent.index(True)
        start = self._begin + onset * self._frame
        self._forget(onset - self._preroll)
        utterance, event = self._open(start)
        return [event, *self._continue(utterance, self.position)]

    def _open(self, start: int) -> tuple[_Utterance, SpeechStart]:
        """Begin an utterance; the newest frame is speech."""
        self._number += 1
        utterance = _Utterance(start, self.position, start + self._first_partial)
        self._utterance = utterance
        return utterance, SpeechStart(self._number, start)

    def _continue(self, utterance: _Utterance, now: int) -> list[SegmenterEvent]:
        """Cut the utterance while it is too long, then give its excerpt if one is due."""
        events: list[SegmenterEvent] = []
        while utterance.end - utterance.start >= self._max_length * self._frame:
            events.append(self._cut(utterance))
            onset = self._speech.index(True)
            utterance, event = self._open(self._begin + onset * self._frame)
            events.append(event)
        if now >= utterance.next_partial and now - utterance.end <= self._partial_pause:
            missed = (now - utterance.next_partial) // self._interval
            utterance.next_partial += (missed + 1) * self._interval
            frames = self._frames[-self._excerpt_frames :]
            events.append(Excerpt(self._number, now, _join(frames)[-self._excerpt_samples :]))
        return events

    def _cut(self, utterance: _Utterance) -> Segment:
        """End the utterance at its quietest point, leaving the frames after it."""
        onset = (utterance.start - self._begin) // self._frame
        low, high = (onset + int(part * self._max_length) for part in CUT_RANGE)
        samples = np.concatenate(self._frames[low:high]).astype(np.float32)
        power = np.square(samples).reshape(-1, self._frame).mean(axis=1)
        pause = np.convolve(power, np.ones(self._cut_pause), "valid")
        cut = low + int(pause.argmin()) + self._cut_pause // 2
        spoken = cut - self._speech[:cut][::-1].index(True)
        utterance.end = self._begin + spoken * self._frame
        return self._emit(utterance, cut, EndReason.MAX_LENGTH)

    def _finish(self, utterance: _Utterance, reason: EndReason) -> Segment:
        """End the utterance after its last speech, with what followed up to half the hangover."""
        spoken = (utterance.end - self._begin) // self._frame
        return self._emit(utterance, spoken + self._hangover // 2, reason)

    def _emit(self, utterance: _Utterance, frames: int, reason: EndReason) -> Segment:
        """Return the first kept frames as a segment, and drop them."""
        segment = self._segment(utterance, frames, reason)
        self._forget(frames)
        self._utterance = None
        return segment

    def _segment(self, utterance: _Utterance, frames: int, reason: EndReason) -> Segment:
        pcm = _join(self._frames[:frames])
        return Segment(self._number, utterance.start, utterance.end, self._begin, pcm, reason)

    def _forget(self, frames: int) -> None:
        """Drop the first frames."""
        if frames > 0:
            del self._frames[:frames], self._speech[:frames]
            self._begin += frames * self._frame


def _join(frames: list[Pcm]) -> Pcm:
    pcm = np.concatenate(frames)
    pcm.flags.writeable = False
    return pcm
