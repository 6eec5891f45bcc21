"""Makes the reverberation of rooms, from measured or synthetic impulse responses."""

from pathlib import Path

import numpy as np
import soundfile

from streamer.errors import InputError
from streamer.model.features import Waveform
from streamer.training.augmentation.synthesis import shaped
from streamer.types import SAMPLE_RATE

DIRECT_S = 0.0025  # after the peak of an impulse response: the direct sound
MAX_RT60_S = 2.5  # measured rooms with longer reverberation are left out
MAX_TAIL_S = 1.5  # of a measured room


def synthetic_tail(rng: np.random.Generator, rt60: float) -> Waveform:
    """A tail of noise that decays (Polack 1988), shape (samples,), at `SAMPLE_RATE`.

    Args:
        rng: Draws the room.
        rt60: Time in seconds in which it falls by 60 dB; high frequencies fall faster.
    """
    time = np.arange(round(rt60 * SAMPLE_RATE), dtype=np.float32) / SAMPLE_RATE
    dull = 10 ** rng.uniform(3, 4)
    tail = shaped(rng, len(time), lambda hz: 1 / (1 + hz / dull))
    tail *= np.exp(np.float32(-np.log(1000) / rt60) * time)
    tail[: round(rng.uniform(0.001, 0.01) * SAMPLE_RATE)] = 0  # nothing comes back sooner
    return tail


def read_rooms(folder: Path) -> list[Waveform]:
    """Tails of measured impulse responses, in the order of their names.

    Args:
        folder: FLAC or WAV files at `SAMPLE_RATE`; of several channels, the first is used.

    Raises:
        InputError: There is none, or one cannot be read or has another rate.
    """
    tails = []
    for path in sorted((*folder.glob("*.flac"), *folder.glob("*.wav"))):
        try:
            response, rate = soundfile.read(path, dtype="float32", always_2d=True)
        except (OSError, soundfile.LibsndfileError) as error:
            raise InputError(f"{path}: cannot be read: {error}") from error
        if not len(response):
            raise InputError(f"{path}: is empty, expected an impulse response")
        if rate != SAMPLE_RATE:
            raise InputError(f"{path}: got {rate} Hz, expected {SAMPLE_RATE}")
        after = response[int(np.abs(response[:, 0]).argmax()) :, 0]
        tail = after[round(DIRECT_S * SAMPLE_RATE) : round(MAX_TAIL_S * SAMPLE_RATE)]
        if tail.any() and _rt60(after) <= MAX_RT60_S:
            tails.append(tail)
    if not tails:
        raise InputError(f"{folder}: holds no impulse responses, expected FLAC or WAV files")
    return tails


def _rt60(response: Waveform) -> float:
    """Reverberation time in seconds: twice the time in which the energy falls by 30 dB.

    Schroeder 1965, "New method of measuring reverberation time".
    """
    energy = np.cumsum(np.square(response[::-1], dtype=np.float64))[::-1]
    return 2 * int(np.argmax(energy < energy[0] * 1e-3)) / SAMPLE_RATE
