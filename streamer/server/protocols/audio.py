"""Decodes the audio of a line to 16-bit samples."""

from typing import Literal, TypeAlias

import numpy as np

from streamer.audio.g711 import decode as decode_g711
from streamer.audio.pcm import to_int16
from streamer.errors import InputError
from streamer.server.protocols.base import ProtocolError
from streamer.types import Pcm

Encoding: TypeAlias = Literal["s16le", "f32le", "mulaw", "alaw"]

BYTES: dict[Encoding, int] = {"s16le": 2, "f32le": 4, "mulaw": 1, "alaw": 1}
"""Of a sample."""

MAX_CHANNELS = 8


def decode_audio(data: bytes, encoding: Encoding, channels: int = 1) -> Pcm:
    """Samples, channels interleaved, as 16 bits, shape (samples, channels).

    Raises:
        ProtocolError: Part of a sample, or a sample that is no number.
    """
    frame_bytes = BYTES[encoding] * channels
    if len(data) % frame_bytes:
        raise ProtocolError(
            f"audio: got {len(data)} bytes, expected whole samples of {frame_bytes} bytes"
        )
    match encoding:
        case "s16le":
            samples = np.frombuffer(data, "<i2").astype(np.int16)
        case "f32le":
            try:
                samples = to_int16(np.frombuffer(data, "<f4").astype(np.float32), "audio")
            except InputError as error:
                raise ProtocolError(str(error)) from error
        case law:
            samples = decode_g711(data, law)
    return samples.reshape(-1, channels)
