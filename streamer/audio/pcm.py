"""Checks the rate and channel count of PCM from outside, and converts floats to int16."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamer.audio.level import FULL_SCALE
from streamer.errors import InputError
from streamer.text import quantity
from streamer.types import Pcm, SourceInfo

FloatPcm: TypeAlias = NDArray[np.float32]
"""Shape (samples, channels), full scale 1.0."""

RATES = (1_000, 768_000)
"""Lowest and highest sample rate of a recording or a pipe, in Hz."""

MAX_CHANNELS = 64

MAX_OVERSHOOT = 1.5
"""Highest peak that an encoder produces; samples above it have another full scale than 1.0."""

MIN_OVERSHOT_PART = 1e-4
"""A smaller share of samples above `MAX_OVERSHOOT` is taken for single faults, and clipped."""

MAX_INVALID_RUN_S = 1.0
"""Seconds of nothing but NaN after which a recording counts as broken off."""


def check_format(info: SourceInfo) -> SourceInfo:
    """Check rate and channel count; this bounds the memory that a second takes.

    Raises:
        InputError: Such a rate or channel count is a mistake, or a damaged header.
    """
    least, most = RATES
    if not least <= info.sample_rate <= most or not 1 <= info.channels <= MAX_CHANNELS:
        raise InputError(
            f"{info.name}: got {info.sample_rate} Hz and {quantity(info.channels, 'channel')}, "
            f"expected {least} to {most} Hz and 1 to {MAX_CHANNELS} channels"
        )
    return info


def to_int16(pcm: NDArray[np.float32], name: str) -> Pcm:
    """Float PCM, full scale 1.0, to int16; what is beyond full scale is clipped.

    Raises:
        InputError: NaN or infinity among the samples.
    """
    if not np.isfinite(pcm).all():
        bad = np.count_nonzero(~np.isfinite(pcm))
        are = "is" if bad == 1 else "are"
        raise InputError(
            f"{name}: {quantity(int(bad), 'sample')} {are} NaN or infinite, expected finite numbers"
        )
    return _rounded(pcm)


def _rounded(pcm: NDArray[np.float32]) -> Pcm:
    scaled = np.rint(pcm * FULL_SCALE)
    clipped: Pcm = np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
    return clipped


class PeakMeter:
    """Determines the full scale of float PCM from all its blocks."""

    def __init__(self) -> None:
        self.peak = 0.0
        """The largest finite sample, without its sign."""
        self._samples = 0
        self._beyond = 0
        self._whole = True  # so far, all samples are whole numbers

    def add(self, pcm: NDArray[Any]) -> None:
        """Measure the next block of any shape."""
        finite = pcm[np.isfinite(pcm)]
        size = np.abs(finite)
        self._samples += size.size
        self._beyond += int(np.count_nonzero(size > MAX_OVERSHOOT))
        self.peak = max(self.peak, float(size.max(initial=0.0)))
        self._whole = self._whole and bool((finite == np.rint(finite)).all())

    @property
    def scale(self) -> float:
        """The factor that brings the samples to full scale 1.0."""
        if self._beyond <= MIN_OVERSHOT_PART * self._samples:
            return 1.0
        if self._whole or self.peak > FULL_SCALE / 128:
            for bits in (16, 24, 32):
                if self.peak <= 2.0 ** (bits - 1):
                    return 2.0 ** (1 - bits)
        return 1 / self.peak

    def explanation(self) -> str:
        """What was got, what was expected, and what is done about it, for people."""
        bits = -np.log2(self.scale) + 1
        cure = (
            f"taken for integers of {bits:.0f} bits"
            if bits in {16, 24, 32}
            else f"made quieter by {-20 * np.log10(self.scale):.0f} dB"
        )
        return f"its samples go up to {self.peak:.5g}, expected full scale 1.0: {cure}"


class FloatConverter:
    """Float PCM to int16, block by block. A sample that is NaN or infinite becomes silence.

    Args:
        name: Of where it comes from, for messages.
        sample_rate: In Hz.
        scale: What the samples are multiplied with.
    """

    def __init__(self, name: str, sample_rate: int, scale: float = 1.0) -> None:
        self.invalid = 0
        """How many samples were NaN or infinite so far; they became silence."""
        self._name = name
        self._rate = sample_rate
        self._scale = scale
        self._position = 0
        self._run = 0  # samples up to now in which no channel has a number

    def convert(self, pcm: FloatPcm) -> Pcm:
        """The next block, shape (samples, channels).

        Raises:
            InputError: There were no numbers for `MAX_INVALID_RUN_S`.
        """
        finite = np.isfinite(pcm)
        if finite.all():
            self._run = 0
        else:
            self.invalid += pcm.size - int(np.count_nonzero(finite))
            pcm = np.where(finite, pcm, np.float32(0))
            self._count_invalid(np.asarray(finite.any(axis=1)))
        self._position += len(pcm)
        return _rounded(pcm * np.float32(self._scale))

    def _count_invalid(self, valid: NDArray[np.bool_]) -> None:
        """Keep count of the samples without a number in a row; ``valid`` has shape (samples,)."""
        begin = int(valid.argmax()) if valid.any() else len(valid)
        if self._run + begin >= MAX_INVALID_RUN_S * self._rate:
            at = (self._position - self._run) / self._rate
            raise InputError(
                f"{self._name}: breaks off at {at:.1f} s: "
                "from there on its samples are NaN or infinite"
            )
        self._run = self._run + begin if begin == len(valid) else int(valid[::-1].argmax())
