"""A `Channel` finds the utterances of one channel: it joins the detector and the segmenter."""

import numpy as np
from numpy.typing import NDArray

from streamer.config import Config
from streamer.segmentation.masked_vad import CrosstalkMaskedVad
from streamer.segmentation.segmenter import Segmenter, SegmenterEvent
from streamer.segmentation.vad import VoiceActivityDetector
from streamer.types import EndReason, Pcm, Segment


class Channel:
    """Segments one channel.

    Args:
        name: As it is shown and logged.
        config: For the voice-activity detector, the segmenter and partial results.
        partials: Give excerpts of open utterances, for partial results, and their possible ends.
    """

    def __init__(self, name: str, config: Config, *, partials: bool = True) -> None:
        self.name = name
        vad = VoiceActivityDetector(config.vad)
        self._vad = CrosstalkMaskedVad(vad)
        self._segmenter = Segmenter(
            config.segmenter,
            config.rolling if partials else None,
            vad.frame_samples,
            self._vad,
            vad.classify_ahead,
        )

    @property
    def position(self) -> int:
        """How many samples of the stream have gone by, skipped ones included."""
        return self._segmenter.position

    @property
    def is_open(self) -> bool:
        """True while an utterance is open."""
        return self._segmenter.is_open

    def push(self, pcm: Pcm, crosstalk: NDArray[np.bool_] | None = None) -> list[SegmenterEvent]:
        """Take the next samples; return the events that follow, in order.

        Args:
            pcm: Shape (samples,).
            crosstalk: True where a sample is another channel's sound, shape (samples,); None for
                nowhere.
        """
        self._vad.expect(np.zeros(len(pcm), np.bool_) if crosstalk is None else crosstalk)
        return self._segmenter.push(pcm)

    def close(self, reason: EndReason) -> list[SegmenterEvent]:
        """End the open utterance, if there is one."""
        self._vad.reset()
        return self._segmenter.close(reason)

    def skip(self, samples: int) -> list[SegmenterEvent]:
        """Pass over a hole in the stream; an open utterance ends before it."""
        self._vad.reset()
        return self._segmenter.skip(samples)


def speech_of(segment: Segment) -> Pcm:
    """The samples of a segment from the first of its speech to the last, shape (samples,)."""
    return segment.pcm[segment.start - segment.pcm_start : segment.end - segment.pcm_start]
