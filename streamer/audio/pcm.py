"""PCM as it comes from outside: what rates and channel counts are accepted, floats to int16."""

from typing import Any

import numpy as np

from streamer.audio.level import FULL_SCALE
from streamer.errors import InputError
from streamer.types import Pcm, SourceInfo

RATES = (1_000, 768_000)
"""Samples a second that a recording or a pipe may have."""

MAX_CHANNELS = 64


def check_format(info: SourceInfo) -> SourceInfo:
    """Let pass what somebody may have recorded: the memory that a second of it takes is bounded.

    Raises:
        InputError: Such a rate or channel count is a mistake, or a damaged header.
    """
    least, most = RATES
    if not least <= info.sample_rate <= most or not 1 <= info.channels <= MAX_CHANNELS:
        raise InputError(
            f"{info.name}: got {info.sample_rate} Hz and {info.channels} channels, "
            f"expected {least} to {most} Hz and 1 to {MAX_CHANNELS} channels"
        )
    return info


def to_int16(pcm: np.ndarray[Any, np.dtype[np.float32]], name: str) -> Pcm:
    """Float PCM, full scale 1.0, to int16; what is beyond full scale is clipped.

    Raises:
        InputError: NaN or infinity among the samples.
    """
    if not np.isfinite(pcm).all():
        bad = np.count_nonzero(~np.isfinite(pcm))
        raise InputError(f"{name}: {bad} samples are NaN or infinite, expected finite numbers")
    scaled = np.rint(pcm * FULL_SCALE)
    clipped: Pcm = np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
    return clipped
