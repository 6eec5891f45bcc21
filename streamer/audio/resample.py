"""Converts any rate and channel count to streams at `SAMPLE_RATE`, block by block."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import soxr

from streamer.audio.mix import Mixer
from streamer.audio.upsample_8k import RateDoubler
from streamer.errors import InputError
from streamer.text import quantity
from streamer.types import SAMPLE_RATE, Pcm


class StreamConverter:
    """Picks or mixes channels, then resamples. Keeps its filter's state from block to block.

    Args:
        sample_rate: Of what comes in, in Hz.
        channels: How many channels come in.
        names: The independent channels wanted; none means one stream with all of them mixed.

    Raises:
        InputError: More channels are named than come in.
    """

    def __init__(self, sample_rate: int, channels: int, names: Sequence[str] = ()) -> None:
        if len(names) > channels:
            raise InputError(
                f"got names of {quantity(len(names), 'channel')} ({', '.join(names)}), "
                f"the input has {channels}"
            )
        self._rate = sample_rate
        self._named = len(names)
        self._mixer = Mixer(sample_rate, channels)
        self._resampler = self._new_resampler()

    @property
    def streams(self) -> int:
        """How many channels come out."""
        return self._named or 1

    def samples_out(self, samples: int) -> int:
        """How many samples at `SAMPLE_RATE` last as long as ``samples`` at the input's rate."""
        return round(samples * SAMPLE_RATE / self._rate)

    def convert(self, pcm: Pcm) -> Pcm:
        """The next block, shape (samples, channels), to shape (samples at 16 kHz, streams)."""
        pcm = pcm[:, : self._named] if self._named else self._mixer.mix(pcm)
        return self._resampled(pcm) if self._resampler else pcm

    def drain_warnings(self) -> list[str]:
        """Return the warnings since the last call, a line each."""
        return self._mixer.drain_warnings()

    def flush(self) -> Pcm:
        """What the filter still holds, shape (samples, streams); the next block starts anew."""
        nothing = np.zeros((0, self.streams), dtype=np.int16)
        if not self._resampler:
            return nothing
        rest = self._resampled(nothing, last=True)
        self._resampler = self._new_resampler()
        return rest

    def _new_resampler(self) -> Any:  # noqa: ANN401 - soxr ships no types
        if self._rate == SAMPLE_RATE:
            return None
        if 2 * self._rate == SAMPLE_RATE:
            return RateDoubler(self.streams)
        # float32, since for int16 soxr adds dither, which differs with the cut into blocks
        return soxr.ResampleStream(self._rate, SAMPLE_RATE, self.streams, dtype="float32")

    def _resampled(self, pcm: Pcm, *, last: bool = False) -> Pcm:
        chunk = self._resampler.resample_chunk(pcm.astype(np.float32, order="C"), last=last)
        limits = np.iinfo(np.int16)
        out: Pcm = np.clip(np.rint(chunk), limits.min, limits.max).astype(np.int16)
        return out.reshape(-1, self.streams)
