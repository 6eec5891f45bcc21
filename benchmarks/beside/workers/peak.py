"""Multiply-adds a second that one thread reaches in a large float32 matrix product.

python peak.py
"""

import time

import torch

SIZE, RUNS = 2048, 10


def main() -> None:
    """Print the best of some runs."""
    torch.set_num_threads(1)
    left, right = torch.randn(2, SIZE, SIZE)
    taken = []
    for _ in range(RUNS):
        began = time.perf_counter()
        left @ right
        taken.append(time.perf_counter() - began)
    print(SIZE**3 / min(taken))


if __name__ == "__main__":
    main()
