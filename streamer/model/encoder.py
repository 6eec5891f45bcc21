"""The network: the lower part of Whisper's encoder, statistics over time, a head.

Modules are named as the tensors of openai/whisper's checkpoints, so that these load as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from streamer.model.head import HeadLayer

FULL_RATE = 1
"""Blocks of a new net, from the lowest up, that see every state; above them, pairs are merged.

Neighbouring states are similar (Bolya et al. 2023, "Token merging: your ViT but faster"), and
emotions do not depend on single sounds.
"""

MIN_VARIANCE = 1e-12
"""Least variance of a pooled channel: the gradient of a deviation of 0 would be infinite."""

Count = TypeVar("Count", int, Tensor)

LOOK_BACK = 76
"""Attention context carried across chunks, in states of 20 ms: 1.5 s."""

LEAD_FRAMES = 2
"""Frames before a later chunk that the convolutions of its first state need."""

KeysValues: TypeAlias = tuple[Tensor, Tensor]
"""What attention sees of states: keys and values, shape (batch, heads, states, width of a head)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkShape:
    """The size of the network.

    Attributes:
        mels: Bands of the input.
        width: Channels of every hidden state.
        heads: Attention heads; each is ``width // heads`` wide.
        blocks: How many of the encoder's blocks are kept.
        full_rate: How many of these, from the lowest up, see 50 states a second; those above see
            25, each the mean of two.
        positions: The longest input, in hidden states of 20 ms.
        labels: How many emotions it knows.
        hidden: Hidden units of the head; 0 is a linear head.
        directions: In which these see the features.
    """

    mels: int
    width: int
    heads: int
    blocks: int
    full_rate: int
    positions: int
    labels: int
    hidden: int = 0
    directions: int = 0

    @property
    def features(self) -> int:
        """Length of the vector that the head classifies."""
        return 2 * self.blocks * self.width


class Attention(nn.Module):
    """Multi-head self-attention over all positions."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"got {heads} heads, expected a divisor of the width {width}")
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)  # a bias would cancel in the softmax
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(
        self, x: Tensor, mask: Tensor | None = None, past: KeysValues | None = None
    ) -> tuple[Tensor, KeysValues]:
        """Shape (batch, positions, width), in and out; and what later positions may see of these.

        Args:
            x: States, shape (batch, positions, width).
            mask: True where a position (row) may see another (column), broadcast to shape
                (batch, heads, positions, positions); None shows everything to everyone.
            past: Keys and values of the positions before, which are seen as well.
        """
        q, k, v = (
            linear(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for linear in (self.query, self.key, self.value)
        )
        if past is not None:
            k, v = (torch.cat(pair, dim=2) for pair in zip(past, (k, v), strict=True))
        heads = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        mixed: Tensor = self.out(heads.transpose(1, 2).flatten(-2))
        return mixed, (k, v)


class EncoderBlock(nn.Module):
    """Attention and a perceptron, each normalised before and added after."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attn_ln = nn.LayerNorm(width)
        self.attn = Attention(width, heads)
        self.mlp_ln = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(
        self, x: Tensor, mask: Tensor | None = None, past: KeysValues | None = None
    ) -> tuple[Tensor, KeysValues]:
        """Apply the block; arguments and results are those of `Attention`."""
        attended, seen = self.attn(self.attn_ln(x), mask, past)
        x = x + attended
        thought: Tensor = self.mlp(self.mlp_ln(x))
        return x + thought, seen


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """Attention context carried across chunks: keys and values of earlier states.

    Attributes:
        states: How many there have been, before pairs were merged.
        full_rate: As in `NetworkShape`.
        seen: Keys and values of the last of them, for each block.
    """

    states: int
    full_rate: int
    seen: tuple[KeysValues, ...]

    def without(self, newest: int) -> "Past":
        """Drop the newest states, and keep only the context that later ones can see."""
        seen = []
        for number, (keys, values) in enumerate(self.seen):
            merged = number >= self.full_rate
            drop, look_back = (halved(newest), LOOK_BACK // 2) if merged else (newest, LOOK_BACK)
            keep = slice(max(0, keys.shape[2] - drop - look_back), -drop or None)
            seen.append((keys[:, :, keep].clone(), values[:, :, keep].clone()))
        return Past(self.states - newest, self.full_rate, tuple(seen))


class Encoder(nn.Module):
    """Two convolutions, then blocks: from 100 frames a second to 50 hidden states, then to 25."""

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.full_rate = shape.full_rate
        self.conv1 = nn.Conv1d(shape.mels, shape.width, kernel_size=3, padding=1)
        self.conv2 = nn.Conv1d(shape.width, shape.width, kernel_size=3, stride=2, padding=1)
        self.positional_embedding = nn.Parameter(torch.empty(shape.positions, shape.width))
        self.blocks = nn.ModuleList(
            EncoderBlock(shape.width, shape.heads) for _ in range(shape.blocks)
        )
        nn.init.normal_(self.positional_embedding, std=0.02)

    def forward(self, mel: Tensor, *, frames: Tensor | None = None) -> list[Tensor]:
        """The output of every block.

        Args:
            mel: Shape (batch, mels, frames), at most ``2 * positions`` frames.
            frames: How many frames of each row count, shape (batch,); what follows them has no
                influence on what comes before. None: all of them.

        Returns:
            One tensor per block, shape (batch, states, width): see `lengths`.
        """
        if frames is not None:
            counts = torch.arange(mel.shape[-1], device=mel.device) < frames[:, None, None]
            mel = mel * counts
        x = F.gelu(self.conv1(mel))
        if frames is not None:
            x = x * counts  # as if the next convolution's own padding began here
        x = F.gelu(self.conv2(x)).transpose(1, 2)
        x = x + self.positional_embedding[: x.shape[1]]
        lengths = None if frames is None else self.lengths(frames)
        outputs: list[Tensor] = []
        for number, block in enumerate(self.blocks):
            if number == self.full_rate:
                x = _merged(x, None if lengths is None else lengths[number - 1])
            x, _ = block(x, None if lengths is None else _visible(x.shape[1], lengths[number]))
            outputs.append(x)
        return outputs

    def lengths(self, frames: Count) -> list[Count]:
        """How many states come out of each block for a number of frames."""
        states = halved(frames)
        merged = halved(states)
        return [merged if i >= self.full_rate else states for i in range(len(self.blocks))]

    def proceed(self, mel: Tensor, past: Past | None) -> tuple[list[Tensor], Past]:
        """Encode the next chunk: the output of every block, and the new context.

        Its states see each other and earlier ones, as in block processing (Tsunoo et al. 2019,
        "Transformer ASR with contextual block processing"); earlier states do not change.

        Args:
            mel: Shape (1, mels, frames); after a past, with `LEAD_FRAMES` before the piece.
            past: The context that the chunk before returned, an even number of states; None for the
                first.

        Returns:
            One tensor per block, shape (1, states, width), and the context for the next chunk.
        """
        x = F.gelu(self.conv2(F.gelu(self.conv1(mel)))).transpose(1, 2)
        if past is not None:
            x = x[:, halved(LEAD_FRAMES) :]
        before = past.states if past else 0
        states = before + x.shape[1]
        x = x + self.positional_embedding[before:states]
        outputs, seen = [], []
        for number, block in enumerate(self.blocks):
            if number == self.full_rate:
                x = _merged(x)
            x, keys_values = block(x, past=past.seen[number] if past else None)
            outputs.append(x)
            seen.append(keys_values)
        return outputs, Past(states, self.full_rate, tuple(seen))


def halved(count: Count) -> Count:
    """The number of positions after merging pairs; an odd last one stays alone."""
    return (count + 1) // 2


def pool(outputs: Sequence[Tensor], lengths: Sequence[Tensor] | None = None) -> Tensor:
    """Mean, then standard deviation, over the positions of each block's output.

    Args:
        outputs: One tensor per block, shape (batch, positions, width).
        lengths: How many positions of each row count, by block, shape (batch,); None: all of them.

    Returns:
        Shape (batch, 2 * blocks * width); for each block its means, then its deviations.
    """
    statistics = []
    for number, output in enumerate(outputs):
        positions = output.shape[1]
        if lengths is None:
            weight = output.new_full((1, positions, 1), 1 / positions)
        else:
            count = lengths[number][:, None, None]
            weight = (torch.arange(positions, device=count.device)[:, None] < count) / count
        mean = (weight * output).sum(dim=1, keepdim=True)
        variance = (weight * (output - mean).square()).sum(dim=1)
        statistics += [mean[:, 0], variance.clamp(min=MIN_VARIANCE).sqrt()]
    return torch.cat(statistics, dim=-1)


def _merged(x: Tensor, lengths: Tensor | None = None) -> Tensor:
    """The mean of each two positions: (batch, positions, width) -> (batch, halved, width).

    Args:
        x: States, shape (batch, positions, width).
        lengths: How many positions of each row count; None: all of them. Of an odd number, the
            last one stays alone.
    """
    if lengths is not None:
        last = x[torch.arange(len(x), device=x.device), lengths - 1]
        beyond = torch.arange(x.shape[1], device=x.device) >= lengths[:, None]
        x = torch.where(beyond[..., None], last[:, None], x)
    if x.shape[1] % 2:
        x = torch.cat((x, x[:, -1:]), dim=1)
    return (x[:, 0::2] + x[:, 1::2]) / 2


def _visible(positions: int, lengths: Tensor) -> Tensor:
    """The attention mask: positions beyond the end of a row are hidden."""
    position = torch.arange(positions, device=lengths.device)
    mask = position < lengths[:, None, None, None]
    return mask | (position == position[:, None])  # nobody sees nothing: that would be NaN


class EmotionNet(nn.Module):
    """Log-mel -> one logit per label."""

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.encoder = Encoder(shape)
        self.head = HeadLayer(shape.features, shape.labels, shape.hidden, shape.directions)

    def forward(self, mel: Tensor) -> Tensor:
        """Shape (batch, mels, frames) -> (batch, labels)."""
        logits: Tensor = self.head(self.embed(mel))
        return logits

    def embed(self, mel: Tensor) -> Tensor:
        """Embed a spectrogram: shape (batch, mels, frames) -> (batch, 2 * blocks * width)."""
        return pool(self.encoder(mel))
