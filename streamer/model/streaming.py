"""Embeds an open utterance repeatedly while its earlier part is encoded only once.

At first, every embedding is that of the whole utterance so far. Later, each whole second is encoded
for good as soon as a little more has been recorded, so that its last states look ahead as in a
whole utterance (Tsunoo et al. 2019, "Transformer ASR with contextual block processing"). Only the
samples after it are encoded again.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streamer.model import features
from streamer.model.encoder import LEAD_FRAMES, MIN_VARIANCE, Encoder, Past, halved
from streamer.model.features import HOP, Waveform
from streamer.types import SAMPLE_RATE, Excerpt

PIECE = SAMPLE_RATE  # samples: 1 s
AHEAD = SAMPLE_RATE // 4  # samples after a piece that are heard before it is encoded for good
EDGE_FRAMES = 2  # before a piece: the spectrogram's windows reach so far back
CONTEXT = (LEAD_FRAMES + EDGE_FRAMES) * HOP  # samples before a piece that it needs: 40 ms

Embedding: TypeAlias = NDArray[np.float32]
"""The network's output for a piece of speech, which the heads classify: shape (features,)."""


@dataclass(frozen=True, slots=True, eq=False)
class TimedEmbedding:
    """The embedding of a piece of speech, with its length.

    Attributes:
        embedding: Mean and deviation of its states.
        seconds: Its length, without the silence at its ends.
    """

    embedding: Embedding
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """The hidden states of a piece, added up.

    Attributes:
        samples: Length of the piece.
        counts: How many states came out of each block, shape (blocks, 1).
        sums: Sums of each block's states, shape (blocks, width).
        squares: Sums of their squares, shape (blocks, width).
    """

    samples: int
    counts: Tensor
    sums: Tensor
    squares: Tensor

    @classmethod
    def of(cls, samples: int, outputs: Sequence[Tensor]) -> Self:
        """Of each block's states, shape (states, width)."""
        return cls(
            samples,
            torch.tensor([[len(states)] for states in outputs]),
            torch.stack([states.sum(0) for states in outputs]),
            torch.stack([states.square().sum(0) for states in outputs]),
        )


@dataclass(slots=True, eq=False)
class _FinishedPart:
    """The part of an utterance that is encoded for good.

    Attributes:
        utterance: Its number.
        next: Where the part that is not encoded begins, in samples of the stream.
        pieces: Pieces that are still within the excerpts: the sample where each ends, and sums.
        past: The attention context; None before the first piece.
        loudest: The largest log10 of power of all bins of the spectrogram so far.
    """

    utterance: int
    next: int
    pieces: list[tuple[int, _Sums]] = field(default_factory=list)
    past: Past | None = None
    loudest: float = -math.inf


class StreamingEmbedder:
    """Embeds the excerpts of one channel, in order; some may be missing.

    Args:
        encoder: May be shared: it does not change.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._encoded = _FinishedPart(0, 0)

    def __call__(self, excerpt: Excerpt) -> TimedEmbedding | None:
        """Embed an excerpt, nearly as `EmotionNet.embed`; None for digital silence."""
        heard = features.as_waveform(excerpt.pcm)
        begin, end = features.speech_bounds(heard)
        wave = features.to_target(heard, features.speech_rms(heard[begin:end]))
        if wave is None:
            return None
        origin = excerpt.end - len(wave)
        if not self._goes_on(excerpt, origin):
            self._encoded = _FinishedPart(excerpt.utterance, origin + begin)
        encoded = self._encoded
        encoded.pieces = [piece for piece in encoded.pieces if piece[0] > origin]
        pieces = [sums for _, sums in encoded.pieces]
        # A rest too short for one state is left out, unless it is all there is.
        if not pieces or origin + end - encoded.next >= LEAD_FRAMES * HOP:
            with torch.inference_mode():
                pieces += self._proceed(wave[:end], origin)
        seconds = sum(piece.samples for piece in pieces) / SAMPLE_RATE
        return TimedEmbedding(_pool(pieces), seconds)

    def _goes_on(self, excerpt: Excerpt, origin: int) -> bool:
        """Whether the excerpt continues what is encoded for good, without a hole."""
        encoded = self._encoded
        if encoded.past is None or excerpt.utterance != encoded.utterance:
            return False
        new = halved((excerpt.end - encoded.next) // HOP)
        room = len(self._encoder.positional_embedding) - encoded.past.states
        return encoded.next - CONTEXT >= origin and new <= room

    def _proceed(self, wave: Waveform, origin: int) -> list[_Sums]:
        """Encode the new samples, and whole pieces of them for good."""
        encoded = self._encoded
        begin = encoded.next - origin
        if encoded.past is None:
            log = features.log_power(wave[begin:])
        else:
            log = features.log_power(wave[begin - CONTEXT :])[:, EDGE_FRAMES:]
        loudest = max(encoded.loudest, float(log.amax()))
        mel = features.compress(log, loudest=loudest)[None]
        states, past = self._encoder.proceed(mel, encoded.past)
        outputs = [output[0].double() for output in states]
        samples = len(wave) - begin
        whole = max(0, samples - AHEAD) // PIECE * PIECE
        if not whole:
            return [_Sums.of(samples, outputs)]
        finished_counts = self._encoder.lengths(whole // HOP)  # states of each block
        encoded.past = past.without(len(outputs[0]) - finished_counts[0])
        encoded.loudest = loudest
        encoded.next += whole
        split = list(zip(outputs, finished_counts, strict=True))
        sums = _Sums.of(whole, [each[:count] for each, count in split])
        encoded.pieces.append((encoded.next, sums))
        return [sums, _Sums.of(samples - whole, [each[count:] for each, count in split])]


def _pool(pieces: Sequence[_Sums]) -> Embedding:
    """As `encoder.pool`, over the states of all pieces."""
    count = torch.stack([piece.counts for piece in pieces]).sum(0)
    mean = torch.stack([piece.sums for piece in pieces]).sum(0) / count
    squares = torch.stack([piece.squares for piece in pieces]).sum(0) / count
    deviation = (squares - mean.square()).clamp(min=MIN_VARIANCE).sqrt()
    embedding: Embedding = torch.cat((mean, deviation), 1).flatten().float().numpy()
    return embedding
