"""Computes log-mel features of PCM: silence trimmed, level normalised, Whisper's spectrogram.

Everything here is relative to the speech's own level, so that neither the gain of a microphone nor
the length of the silence around an utterance changes what the model hears.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from streamer.model._torchaudio import transforms
from streamer.types import SAMPLE_RATE

# The spectrogram
N_FFT = 400  # samples: a window of 25 ms
HOP = 160  # samples: 10 ms, 100 frames a second
N_MELS = 80  # slaney bands, 0 to 8 kHz
DYNAMIC_RANGE = 8.0  # in log10 of power, below the loudest cell: 80 dB
FLOOR = 1e-10  # power; its log10 is where digital silence ends up

# What is classified at once
MAX_SAMPLES = 30 * SAMPLE_RATE  # 30 s: 3000 frames
MIN_SAMPLES = N_FFT  # shorter pieces are padded with zeros: the window needs that much

# Speech and the silence around it
LEVEL_FRAME = SAMPLE_RATE // 50  # samples: 20 ms
MARGIN_FRAMES = 5  # kept before the first and after the last frame of speech: 100 ms
LOUD, QUIET = 0.95, 0.10  # quantiles of frame power: the level of the speech, of the background
RANGE = 1e-3  # speech reaches down to 30 dB below its own level ...
ABOVE_BACKGROUND = 4.0  # ... but not closer than 6 dB to a background ...
MIN_RANGE = 10**-1.5  # ... unless that is within 15 dB of the speech: then it may be speech

TARGET_RMS = 0.1  # of full scale: -20 dBFS
SILENCE_RMS = 2.0**-15  # of full scale: one step of 16-bit PCM; nothing below is amplified

Waveform = NDArray[np.float32]
"""Mono PCM at `SAMPLE_RATE`, full scale at 1: shape (samples,)."""

PARAMETERS: dict[str, float] = {
    "sample_rate": SAMPLE_RATE, "n_fft": N_FFT, "hop": HOP, "mels": N_MELS,
    "dynamic_range": DYNAMIC_RANGE, "target_rms": TARGET_RMS,
    "trim_range": RANGE, "trim_margin": MARGIN_FRAMES * LEVEL_FRAME,
}  # fmt: skip
"""The parameters of the features; a bundle records those that its model was trained on."""


def as_waveform(pcm: NDArray[np.generic]) -> Waveform:
    """Convert PCM to float32, without its offset.

    Args:
        pcm: Mono at `SAMPLE_RATE`, shape (samples,), int16 or float32.

    Raises:
        TypeError: It is no array, or of another dtype.
        ValueError: It is not mono, or holds NaN or infinity.
    """
    if not isinstance(pcm, np.ndarray):
        raise TypeError(f"got {type(pcm).__name__}, expected a numpy array of int16 or float32")
    if pcm.dtype not in (np.int16, np.float32):
        raise TypeError(f"got PCM of dtype {pcm.dtype}, expected int16 or float32")
    if pcm.ndim != 1:
        raise ValueError(f"got PCM of shape {pcm.shape}, expected mono: (samples,)")
    wave = pcm.astype(np.float32)
    if pcm.dtype == np.int16:
        wave /= 2**15
    elif not np.isfinite(wave).all():
        raise ValueError("got PCM with NaN or infinite samples, expected finite ones")
    if len(wave):  # an offset is no sound, but would count as level
        wave -= wave.mean(dtype=np.float64).astype(np.float32)
    return wave


def trim_silence(wave: Waveform) -> Waveform:
    """Cut ``wave`` to its speech, with a margin of 100 ms: a view, shape (samples,)."""
    begin, end = speech_bounds(wave)
    return wave[begin:end]


def speech_bounds(wave: Waveform) -> tuple[int, int]:
    """Where the speech begins and ends, in samples, with a margin of 100 ms; all if none is."""
    speech = np.flatnonzero(_speech_frames(wave))
    if not len(speech):
        return 0, len(wave)
    begin = max(0, int(speech[0]) - MARGIN_FRAMES) * LEVEL_FRAME
    end = (int(speech[-1]) + 1 + MARGIN_FRAMES) * LEVEL_FRAME
    return begin, min(end, len(wave))


def to_target(wave: Waveform, rms: float) -> Waveform | None:
    """Scale ``wave``, whose speech has this level, to `TARGET_RMS`; None for silence."""
    return None if rms < SILENCE_RMS else wave * np.float32(TARGET_RMS / rms)


def speech_rms(wave: Waveform) -> float:
    """RMS of the frames that hold speech, relative to full scale: pauses do not count."""
    power = _frame_power(wave)[_speech_frames(wave)]
    return float(np.sqrt(power.mean())) if len(power) else 0.0


def prepare(pcm: NDArray[np.generic]) -> Waveform | None:
    """Prepare PCM for `log_mel`: trimmed, at target level; None for digital silence.

    Args:
        pcm: Mono at `SAMPLE_RATE`, shape (samples,), int16 or float32. Of more than 30 s of speech
            the first 30 s are used.

    Raises:
        TypeError: It is no array, or of another dtype.
        ValueError: It is not mono, or holds NaN or infinity.
    """
    wave = trim_silence(as_waveform(pcm))[:MAX_SAMPLES]
    return to_target(wave, speech_rms(wave))


def log_mel(wave: Waveform) -> torch.Tensor:
    """Whisper's spectrogram, unpadded: shape (N_MELS, samples // HOP), about -1 to 1."""
    log = log_power(wave)
    return compress(log, loudest=float(log.amax()))


def log_power(wave: Waveform) -> torch.Tensor:
    """In mel bands, log10: shape (N_MELS, samples // HOP)."""
    samples = torch.from_numpy(np.pad(wave, (0, max(0, MIN_SAMPLES - len(wave)))))
    power = mel_spectrogram(centred=True)(samples)
    log: torch.Tensor = power[:, :-1].clamp(min=FLOOR).log10()  # no frame centred on the end
    return log


def compress(log: torch.Tensor, *, loudest: float | torch.Tensor) -> torch.Tensor:
    """`log_power` as the encoder takes it: down to `DYNAMIC_RANGE` below the loudest cell."""
    return (log.clamp(min=loudest - DYNAMIC_RANGE) + 4) / 4


@cache
def mel_spectrogram(*, centred: bool) -> torch.nn.Module:
    """Shape (..., samples) -> (..., N_MELS, frames); it has no state, so threads share it.

    Args:
        centred: The first frame is centred on the first sample, the ends are mirrored, and there
            are 1 + samples // HOP frames; otherwise it begins with it.
    """
    module: torch.nn.Module = transforms.MelSpectrogram(
        SAMPLE_RATE, N_FFT, hop_length=HOP, n_mels=N_MELS, norm="slaney", mel_scale="slaney",
        center=centred,
    )  # fmt: skip
    return module


def log_mel_batch(waves: Sequence[Waveform]) -> tuple[torch.Tensor, torch.Tensor]:
    """`log_mel` of each, padded: shape (waves, N_MELS, frames), and their own numbers of frames."""
    mels = [log_mel(wave).T for wave in waves]
    frames = torch.tensor([len(mel) for mel in mels])
    return torch.nn.utils.rnn.pad_sequence(mels, batch_first=True).transpose(1, 2), frames


def _frame_power(wave: Waveform) -> NDArray[np.float64]:
    """Mean power of each frame of 20 ms, shape (frames,); an incomplete last one counts."""
    padded = np.pad(wave, (0, -len(wave) % LEVEL_FRAME)).astype(np.float64)
    power: NDArray[np.float64] = np.square(padded).reshape(-1, LEVEL_FRAME).mean(axis=1)
    return power


def _speech_frames(wave: Waveform) -> NDArray[np.bool_]:
    """Which frames of 20 ms are loud enough for speech, by the loudness of the others."""
    power = _frame_power(wave)
    if not len(power):
        return np.zeros(0, dtype=np.bool_)
    loud, quiet = np.quantile(power, (LOUD, QUIET))
    threshold = min(max(loud * RANGE, quiet * ABOVE_BACKGROUND), loud * MIN_RANGE)
    speech: NDArray[np.bool_] = (power > 0) & (power >= threshold)
    return speech
