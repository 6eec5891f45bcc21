"""Uses 8-bit integers in place of float32 where the processor multiplies them faster.

The weights of the blocks' linear layers are rounded once, each output channel on a scale of its
own; what comes in, each time, on a scale of its own (dynamic quantisation, Jacob et al. 2018,
"Quantization and training of neural networks for efficient integer-arithmetic-only inference").
Convolutions, norms, attention, pooling and the head stay as they are.

torch 2.13, to which the project is pinned, calls these operators deprecated; what is to come in
their place needs a compiler, or takes twice as long.
"""

import warnings
from collections.abc import Iterator
from copy import deepcopy

import torch
from torch import Tensor, nn

from streamer.model.encoder import EmotionNet

LARGEST = 127  # of a signed 8-bit integer


class Int8Linear(nn.Module):
    """A linear layer in 8-bit integers, nearly equal to the original."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        weight = layer.weight.detach()
        scales = (weight.abs().amax(dim=1) / LARGEST).clamp(min=1e-12).double()
        zeros = torch.zeros(len(scales), dtype=torch.int64)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*deprecated", category=UserWarning)
            rounded = torch.quantize_per_channel(weight, scales, zeros, axis=0, dtype=torch.qint8)
        bias = None if layer.bias is None else layer.bias.detach()
        self._packed = torch.ops.quantized.linear_prepack(rounded, bias)

    def forward(self, x: Tensor) -> Tensor:
        """Shape (..., features in) -> (..., features out)."""
        result: Tensor = torch.ops.quantized.linear_dynamic(x, self._packed)
        return result


def is_quicker() -> bool:
    """Whether this processor multiplies such integers at once and adds them up without overflow."""
    return bool(torch.cpu.get_capabilities().get("avx512_vnni"))


def quantised(network: EmotionNet) -> EmotionNet:
    """A copy with integers in the blocks of its encoder; it cannot be trained, or saved."""
    made = deepcopy(network)
    for parent, name, layer in list(_linear_layers(made.encoder.blocks)):
        setattr(parent, name, Int8Linear(layer))
    return made


def _linear_layers(within: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Linear]]:
    for parent in within.modules():
        for name, child in parent.named_children():
            if isinstance(child, nn.Linear):
                yield parent, name, child
