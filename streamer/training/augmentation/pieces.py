"""Augments batches of pieces of speech for fine-tuning, on any device.

It changes speed, level and vocal tract, and masks parts of the spectrogram; the features are those
of `streamer.model.features`.
"""

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from streamer.model import features
from streamer.types import SAMPLE_RATE

MASK_MELS, MASK_SHARE = 15, 1 / 6  # SpecAugment: the most bands, the largest share of the time
MASKED = 0.5  # of the pieces, each
LINEAR_HZ = 1000.0  # up to here, slaney's mel scale is linear


def log_mel(
    waves: Tensor, samples: Tensor, *, speeds: Tensor, levels_db: Tensor
) -> tuple[Tensor, Tensor]:
    """As `features.log_mel_batch` of pieces whose level was normalised.

    Args:
        waves: Shape (batch, samples), float32; zeros beyond the end of a piece.
        samples: How many of each row count, shape (batch,), more than half an FFT's window.
        speeds: Factors of speed and pitch, shape (batch,).
        levels_db: Levels over the normal one, in dB, shape (batch,).

    Returns:
        Shape (batch, mels, frames), and each row's own number of frames, shape (batch,).
    """
    gain = features.TARGET_RMS * 10 ** (levels_db / 20)
    rms = speech_rms(waves, samples)
    waves = waves * torch.where(rms < features.SILENCE_RMS, 1.0, gain / rms)[:, None]
    lengths = (samples / speeds).ceil().long()
    margin = features.N_FFT // 2
    power = features.mel_spectrogram(centred=False).to(waves.device)(
        _resampled(waves, samples, lengths, speeds, margin=margin)
    )[..., :-1]  # Whisper drops the frame centred on the end
    frames = lengths // features.HOP
    log = power.clamp(min=features.FLOOR).log10()
    own = _within(frames, log.shape[2])[:, None]
    loudest = log.masked_fill(~own, -torch.inf).amax((1, 2), keepdim=True)
    return features.compress(log, loudest=loudest), frames


def speech_rms(waves: Tensor, samples: Tensor) -> Tensor:
    """As `features.speech_rms` of each row, shape (batch,)."""
    size = features.LEVEL_FRAME
    padded = F.pad(waves, (0, -waves.shape[1] % size))
    power = padded.reshape(len(waves), -1, size).square().mean(2)
    own = _within(-(-samples // size), power.shape[1])
    last = own.sum(1, keepdim=True) - 1
    ordered = power.masked_fill(~own, torch.inf).sort(1).values

    def quantile(share: float) -> Tensor:
        place = share * last
        below = place.long()
        low, high = ordered.gather(1, below), ordered.gather(1, (below + 1).minimum(last))
        return torch.lerp(low, high, place - below)

    loud, quiet = quantile(features.LOUD), quantile(features.QUIET)
    threshold = (loud * features.RANGE).maximum(quiet * features.ABOVE_BACKGROUND)
    speech = own & (power > 0) & (power >= threshold.minimum(loud * features.MIN_RANGE))
    return torch.sqrt((power * speech).sum(1) / speech.sum(1).clamp(min=1))


def warped(mel: Tensor, factors: NDArray[np.float64]) -> Tensor:
    """Scale all frequencies, as vocal tracts of other lengths do.

    Jaitly & Hinton 2013, "Vocal tract length perturbation (VTLP) improves speech recognition".

    Args:
        mel: Shape (batch, mels, frames), in and out.
        factors: Factors of the frequencies, shape (batch,).
    """
    hz = _band_centres(mel.shape[1])
    source = np.stack([np.interp(hz / factor, hz, np.arange(len(hz))) for factor in factors])
    place = torch.from_numpy(source.astype(np.float32)).to(mel.device)[..., None]
    below = place.long().clamp(max=mel.shape[1] - 2).expand_as(mel)
    return torch.lerp(mel.gather(1, below), mel.gather(1, below + 1), place - below)


def mask(mel: Tensor, frames: Tensor, rng: np.random.Generator) -> Tensor:
    """Mask some bands and some time (Park et al. 2019, "SpecAugment").

    Args:
        mel: Shape (batch, mels, frames), in and out.
        frames: How many of each row count, shape (batch,).
        rng: Chooses what is masked.
    """
    bands, own = torch.full_like(frames, mel.shape[1]), _within(frames, mel.shape[2])[:, None]
    mean = (mel * own).sum((1, 2)) / (frames * mel.shape[1])
    hidden = _hidden(bands, MASK_MELS / bands, mel.shape[1], rng)[:, :, None]
    hidden = hidden | _hidden(frames, MASK_SHARE, mel.shape[2], rng)[:, None]
    return torch.where(hidden, mean[:, None, None], mel)


def _hidden(counts: Tensor, share: Tensor | float, size: int, rng: np.random.Generator) -> Tensor:
    """Choose a span of at most ``share`` of the counts in some rows, shape (batch, size)."""
    chosen, width, begin = torch.from_numpy(rng.random((3, len(counts)))).to(counts.device)
    width = (width * counts * share).ceil() * (chosen < MASKED)
    begin = (begin * (counts - width + 1)).floor()
    return _within(begin + width, size) & ~_within(begin, size)


def _within(counts: Tensor, size: int) -> Tensor:
    return torch.arange(size, device=counts.device) < counts[:, None]


def _resampled(
    waves: Tensor, samples: Tensor, lengths: Tensor, speeds: Tensor, *, margin: int
) -> Tensor:
    """Resample rows to ``lengths`` samples each, mirrored at both ends for the spectrogram."""
    last = lengths[:, None] - 1
    place = torch.arange(-margin, int(lengths.max()) + margin, device=waves.device).abs()
    place = torch.where(place > last, 2 * last - place, place).clamp(min=0)
    source = (place * speeds[:, None]).minimum(samples[:, None] - 1)
    below = source.long()
    above = (below + 1).clamp(max=waves.shape[1] - 1)
    return torch.lerp(waves.gather(1, below), waves.gather(1, above), source - below)


@cache
def _band_centres(mels: int) -> NDArray[np.float64]:
    """In Hz; slaney's scale is linear up to 1 kHz and logarithmic from there."""
    step = np.log(6.4) / 27
    top = 15 + np.log(SAMPLE_RATE / 2 / LINEAR_HZ) / step
    scale = np.linspace(0, top, mels + 2)[1:-1]
    return np.where(scale < 15, scale * 200 / 3, LINEAR_HZ * np.exp((scale - 15) * step))  # noqa: PLR2004
