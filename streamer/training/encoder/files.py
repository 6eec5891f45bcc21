"""Encoder files hold Whisper's encoder, or a fine-tuned one with the speakers it learned from."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from streamer.errors import ModelError, OutputError
from streamer.model.encoder import FULL_RATE, Encoder, NetworkShape
from streamer.training.output import check_file

HEAD_WIDTH = 64  # of every Whisper model's attention heads; the weights do not tell
_HEARD, _FINETUNING, _FULL_RATE = "heard", "finetuning", "full_rate"
"""Keys in the metadata of a fine-tuned encoder."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """What an encoder's file says about how it was made.

    Attributes:
        heard: The voices that it was fine-tuned on.
        finetuning: The choices of each round, and of how many encoders it is the mean; empty for an
            original encoder.
        full_rate: As in `NetworkShape`, when it was fine-tuned.
    """

    heard: frozenset[tuple[str, str]] = frozenset()
    finetuning: tuple[dict[str, JsonValue], ...] = ()
    full_rate: int = FULL_RATE

    def metadata(self) -> dict[str, str]:
        """The metadata for the file."""
        return {
            _HEARD: json.dumps(sorted(self.heard)),
            _FINETUNING: json.dumps(self.finetuning),
            _FULL_RATE: str(self.full_rate),
        }


def read_provenance(weights: Path) -> Provenance:
    """Read the provenance of an encoder from its file, safetensors.

    Raises:
        ModelError: It was fine-tuned by an older program, in which all blocks saw all states.
    """
    with safe_open(weights, "pt") as file:
        metadata: dict[str, str] = file.metadata() or {}
    if _FINETUNING not in metadata:
        return Provenance()
    if _FULL_RATE not in metadata:
        raise ModelError(
            f"{weights}: was fine-tuned for a net of an older program: fine-tune it anew"
        )
    return Provenance(
        frozenset((corpus, name) for corpus, name in json.loads(metadata[_HEARD])),
        tuple(json.loads(metadata[_FINETUNING])),
        int(metadata[_FULL_RATE]),
    )


def load_encoder(weights: Path, *, blocks: int | None = None) -> tuple[Encoder, NetworkShape]:
    """Load Whisper's encoder, or its lower part, frozen; its size follows from the tensors.

    Raises:
        ModelError: The file cannot be read, lacks a tensor, or has fewer blocks than asked for.
    """
    try:
        tensors = load_file(weights)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{weights}: cannot be read: {error}") from error
    there = {int(name.split(".")[1]) for name in tensors if name.startswith("blocks.")}
    blocks = len(there) if blocks is None else blocks
    check_blocks(weights, got=len(there), expected=blocks)
    try:
        width, mels, _ = tensors["conv1.weight"].shape
        positions = len(tensors["positional_embedding"])
        shape = NetworkShape(
            mels=mels, width=width, heads=width // HEAD_WIDTH, blocks=blocks,
            full_rate=min(read_provenance(weights).full_rate, blocks),
            positions=positions, labels=0,
        )  # fmt: skip
        encoder = Encoder(shape).eval().requires_grad_(requires_grad=False)
        encoder.load_state_dict({name: tensors[name].float() for name in encoder.state_dict()})
    except (KeyError, ValueError, RuntimeError) as error:
        raise ModelError(f"{weights}: is no Whisper encoder: {error}") from error
    return encoder, shape


def save_encoder(tensors: Mapping[str, Tensor], out: Path, metadata: Mapping[str, str]) -> None:
    """Write an encoder with the precision of a bundle, so that what is tested is what is used.

    Args:
        tensors: Named as in openai/whisper.
        out: The file; one that is there is replaced.
        metadata: Its metadata, see `Provenance`.

    Raises:
        OutputError: It cannot be written.
    """
    check_file(out)
    exact = {name: value.cpu().half().contiguous() for name, value in tensors.items()}
    try:
        save_file(exact, out, metadata=dict(metadata))
    except (OSError, SafetensorError) as error:
        raise OutputError(f"{out}: cannot be written: {error}") from error


def check_blocks(weights: Path, *, got: int, expected: int) -> None:
    """Check that an encoder has enough blocks.

    Raises:
        ModelError: It has fewer, or none were asked for.
    """
    if not 0 < expected <= got:
        raise ModelError(f"{weights}: got {got} blocks, expected at least {max(1, expected)}")
