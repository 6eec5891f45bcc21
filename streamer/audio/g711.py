"""Decodes the logarithmic 8-bit code of telephones (ITU-T G.711) by a table."""

from typing import Literal, TypeAlias

import numpy as np

from streamer.types import Pcm

Law: TypeAlias = Literal["mulaw", "alaw"]
"""The two codes: mu-law is used in North America and Japan, A-law elsewhere."""


def _mulaw_table() -> Pcm:
    """The 14-bit value of each code, at 16 bits, shape (256,)."""
    code = ~np.arange(256) & 0xFF
    exponent, mantissa = (code >> 4) & 7, code & 15
    size = (((mantissa << 3) + 132) << exponent) - 132
    return np.where(code & 0x80, -size, size).astype(np.int16)


def _alaw_table() -> Pcm:
    """The 13-bit value of each code, at 16 bits, shape (256,)."""
    code = np.arange(256) ^ 0x55
    exponent, mantissa = (code >> 4) & 7, code & 15
    size = (mantissa << 4) + 8
    size = np.where(exponent > 0, (size + 256) << np.maximum(exponent - 1, 0), size)
    return np.where(code & 0x80, size, -size).astype(np.int16)


def _bytes_of(table: Pcm) -> tuple[bytes, bytes]:
    """The lower and the upper byte of each value."""
    pairs = table.astype("<i2").tobytes()
    return pairs[::2], pairs[1::2]


_TABLES: dict[Law, tuple[bytes, bytes]] = {
    "mulaw": _bytes_of(_mulaw_table()),
    "alaw": _bytes_of(_alaw_table()),
}


def decode(data: bytes, law: Law) -> Pcm:
    """16-bit samples of G.711 bytes, shape (samples,).

    For a message of 20 ms, `bytes.translate` is quicker than an index into a table, and does not
    let go of the interpreter's lock, for which a busy server waits each time.
    """
    pairs = bytearray(2 * len(data))
    pairs[::2], pairs[1::2] = (data.translate(table) for table in _TABLES[law])
    return np.frombuffer(pairs, "<i2").astype(np.int16, copy=False)
