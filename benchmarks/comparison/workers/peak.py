"""Measures the multiply-adds a second that one thread reaches in a large linear layer.

python peak.py
"""

import time

import torch
from torch import nn

from streamer.model.quantization import Int8Linear, is_quicker

SIZE, RUNS = 2048, 10


@torch.inference_mode()
def main() -> None:
    """Print the best of some runs."""
    torch.set_num_threads(1)
    plain = nn.Linear(SIZE, SIZE)
    layer = Int8Linear(plain) if is_quicker() else plain
    x = torch.randn(SIZE, SIZE)
    taken = []
    for _ in range(RUNS):
        began = time.perf_counter()
        layer(x)
        taken.append(time.perf_counter() - began)
    print(SIZE**3 / min(taken))


if __name__ == "__main__":
    main()
