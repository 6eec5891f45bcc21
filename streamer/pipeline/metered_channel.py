"""A `MeteredChannel` is a channel with its level meter, for the segmenter thread."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from streamer.audio.level import LevelMeter
from streamer.events import LevelMeasured
from streamer.segmentation.channel import Channel
from streamer.segmentation.segmenter import SegmenterEvent
from streamer.types import Pcm


class MeteredChannel:
    """A channel and its level meter. On the segmenter thread."""

    def __init__(self, channel: Channel) -> None:
        self.name = channel.name
        self._channel = channel
        self._meter = LevelMeter()
        self.close = channel.close
        self.skip = channel.skip

    @property
    def position(self) -> int:
        """How many samples of the stream have gone by."""
        return self._channel.position

    def push(
        self, pcm: Pcm, crosstalk: NDArray[np.bool_]
    ) -> Iterator[SegmenterEvent | LevelMeasured]:
        """Segment the next samples, and measure their level every tenth of a second."""
        while len(pcm):
            size = self._meter.missing
            yield from self._channel.push(pcm[:size], crosstalk[:size])
            level = self._meter.push(pcm[:size])
            pcm, crosstalk = pcm[size:], crosstalk[size:]
            if level is not None:
                yield LevelMeasured(
                    channel=self.name,
                    position=self._channel.position,
                    rms_dbfs=level.rms_dbfs,
                    peak_dbfs=level.peak_dbfs,
                    clipped=level.clipped,
                    speech=self._channel.is_open,
                )
