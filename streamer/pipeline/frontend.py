"""The audio front end resamples the blocks of a source, then marks crosstalk."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamer.audio.crosstalk import CrosstalkGate
from streamer.audio.resample import StreamConverter
from streamer.config import Config
from streamer.types import Pcm, SourceInfo


@dataclass(frozen=True, slots=True, eq=False)
class AnalysedAudio:
    """The analysed channels of a stretch of a stream, at `SAMPLE_RATE`.

    Attributes:
        pcm: Shape (samples, channels).
        crosstalk: True where a sample is another channel's sound, shape (samples, channels).
    """

    pcm: Pcm
    crosstalk: NDArray[np.bool_]


class Frontend:
    """Resamples what a source delivers, and marks crosstalk.

    No other part of the program gets the sound of a channel that is not analysed. Here it is used
    for one block at a time, to find its crosstalk in the other channels.

    Args:
        info: The source.
        config: Which channels there are, and which are analysed.

    Raises:
        InputError: More channels are named than come in.
    """

    def __init__(self, info: SourceInfo, config: Config) -> None:
        names, streams = config.audio.channels, config.audio.streams
        self._converter = StreamConverter(info.sample_rate, info.channels, names)
        self._gate = CrosstalkGate(self._converter.streams) if config.audio.crosstalk else None
        self._analysed = [names.index(name) for name in streams] if names else [0]

    def samples_out(self, samples: int) -> int:
        """How many samples at `SAMPLE_RATE` last as long as ``samples`` of the source's."""
        return self._converter.samples_out(samples)

    def drain_warnings(self) -> list[str]:
        """Return the warnings since the last call, a line each."""
        return self._converter.drain_warnings()

    def convert(self, pcm: Pcm) -> AnalysedAudio:
        """Take the next block, shape (samples, channels)."""
        return self._marked(self._converter.convert(pcm))

    def flush(self) -> AnalysedAudio:
        """Return what the filters still hold; samples are missing before the next block."""
        rest = self._marked(self._converter.flush())
        if self._gate is not None:
            self._gate.reset()
        return rest

    def _marked(self, pcm: Pcm) -> AnalysedAudio:
        crosstalk = np.zeros(pcm.shape, np.bool_) if self._gate is None else self._gate(pcm)
        return AnalysedAudio(pcm[:, self._analysed], crosstalk[:, self._analysed])
