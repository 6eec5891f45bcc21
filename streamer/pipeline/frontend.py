"""The audio front end: resamples a source's blocks, then marks crosstalk."""

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
        crosstalk: Likewise; True where a sample is another channel's sound.
    """

    pcm: Pcm
    crosstalk: NDArray[np.bool_]


class Frontend:
    """Resamples what a source delivers, and marks crosstalk.

    The only place that hears a channel which is switched off: for as long as a block takes, to
    tell its crosstalk from what is said in the others.

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
        """What filters still hold; the next block comes after a hole in the stream."""
        rest = self._marked(self._converter.flush())
        if self._gate is not None:
            self._gate.reset()
        return rest

    def _marked(self, pcm: Pcm) -> AnalysedAudio:
        crosstalk = np.zeros(pcm.shape, np.bool_) if self._gate is None else self._gate(pcm)
        return AnalysedAudio(pcm[:, self._analysed], crosstalk[:, self._analysed])
