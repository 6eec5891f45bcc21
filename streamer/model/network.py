"""The net: the lower part of Whisper's encoder, statistics over time, one linear layer.

Modules are named as the tensors of openai/whisper's checkpoints, so that these load as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkShape:
    """How large the net is.

    Attributes:
        mels: Bands of the input.
        width: Channels of every hidden state.
        heads: Attention heads; each is ``width // heads`` wide.
        blocks: How many of the encoder's blocks are kept.
        positions: The longest input, in hidden states of 20 ms.
        labels: How many emotions it tells apart.
    """

    mels: int
    width: int
    heads: int
    blocks: int
    positions: int
    labels: int

    @property
    def features(self) -> int:
        """Length of the vector that the linear layer judges."""
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

    def forward(self, x: Tensor) -> Tensor:
        """Shape (batch, positions, width), in and out."""
        q, k, v = (
            linear(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for linear in (self.query, self.key, self.value)
        )
        heads = F.scaled_dot_product_attention(q, k, v)  # (batch, heads, positions, width / heads)
        mixed: Tensor = self.out(heads.transpose(1, 2).flatten(-2))
        return mixed


class Block(nn.Module):
    """Attention and a perceptron, each normalised before and added after."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attn_ln = nn.LayerNorm(width)
        self.attn = Attention(width, heads)
        self.mlp_ln = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Shape (batch, positions, width), in and out."""
        x = x + self.attn(self.attn_ln(x))
        thought: Tensor = self.mlp(self.mlp_ln(x))
        return x + thought


class Encoder(nn.Module):
    """Two convolutions, then blocks: from 100 frames a second to 50 hidden states a second."""

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(shape.mels, shape.width, kernel_size=3, padding=1)
        self.conv2 = nn.Conv1d(shape.width, shape.width, kernel_size=3, stride=2, padding=1)
        self.positional_embedding = nn.Parameter(torch.empty(shape.positions, shape.width))
        self.blocks = nn.ModuleList(Block(shape.width, shape.heads) for _ in range(shape.blocks))
        nn.init.normal_(self.positional_embedding, std=0.02)

    def forward(self, mel: Tensor) -> list[Tensor]:
        """The output of every block.

        Args:
            mel: Shape (batch, mels, frames), at most ``2 * positions`` frames.

        Returns:
            One tensor per block, shape (batch, ceil(frames / 2), width).
        """
        x = F.gelu(self.conv2(F.gelu(self.conv1(mel)))).transpose(1, 2)
        x = x + self.positional_embedding[: x.shape[1]]
        outputs = []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        return outputs


def pool(outputs: Sequence[Tensor]) -> Tensor:
    """Mean, then standard deviation, over the positions of each block's output.

    Args:
        outputs: One tensor per block, shape (batch, positions, width).

    Returns:
        Shape (batch, 2 * blocks * width); for each block its means, then its deviations.
    """
    statistics = [
        statistic
        for output in outputs
        for statistic in (output.mean(dim=1), output.std(dim=1, correction=0))
    ]
    return torch.cat(statistics, dim=-1)


class EmotionNet(nn.Module):
    """Log-mel -> one logit per label."""

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.encoder = Encoder(shape)
        self.head = nn.Linear(shape.features, shape.labels)

    def forward(self, mel: Tensor) -> Tensor:
        """Shape (batch, mels, frames) -> (batch, labels)."""
        logits: Tensor = self.head(self.embed(mel))
        return logits

    def embed(self, mel: Tensor) -> Tensor:
        """What the head judges: shape (batch, mels, frames) -> (batch, 2 * blocks * width)."""
        return pool(self.encoder(mel))
