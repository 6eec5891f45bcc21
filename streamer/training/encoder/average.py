"""Averages the weights of several encoders, which often generalises better than each.

Wortsman et al. 2022, "Robust fine-tuning of zero-shot models" (with the encoder that fine-tuning
began with) and "Model soups" (of several rounds). All must be fine-tuned from the same encoder.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from streamer.errors import ModelError
from streamer.training.encoder.files import Provenance, load_encoder, read_provenance, save_encoder


def average(encoders: Sequence[Path], *, out: Path) -> None:
    """Write the mean of some encoders, of as many blocks as all of them have.

    Args:
        encoders: Safetensors; one that is named twice counts twice.
        out: The new one, safetensors. Its training speakers are those of all of them.

    Raises:
        ModelError: One cannot be read, or has another size or shape of network.
        OutputError: The new one cannot be written.
    """
    bodies, shapes = zip(*map(load_encoder, encoders), strict=True)
    for path, shape in zip(encoders, shapes, strict=True):
        if replace(shape, blocks=0) != replace(shapes[0], blocks=0):
            raise ModelError(f"{path}: is another net than {encoders[0]}, expected the same")
    states = [body.state_dict() for body in bodies]
    tensors = {
        name: torch.stack([state[name] for state in states]).mean(0)
        for name in states[0]
        if all(name in state for state in states)
    }
    before = [read_provenance(path) for path in encoders]
    rounds = [choices for each in before for choices in each.finetuning]
    provenance = Provenance(
        frozenset().union(*(each.heard for each in before)),
        (*(c for i, c in enumerate(rounds) if c not in rounds[:i]), {"mean_of": len(encoders)}),
        shapes[0].full_rate,
    )
    save_encoder(tensors, out, provenance.metadata())
