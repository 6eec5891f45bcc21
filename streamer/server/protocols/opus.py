"""Decodes raw Opus packets (RFC 6716) of one or two channels with PyAV, which brings libopus.

A packet that cannot be decoded becomes silence, so that what follows keeps its place. A call with
too many of them in succession is refused.
"""

import importlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from streamer.server.protocols.base import ProtocolError
from streamer.types import Pcm

if TYPE_CHECKING:
    import av

RATE: Final = 48_000
"""Of the decoded samples, in Hz, whatever the packets were encoded from."""

RATES: Final = (8_000, 12_000, 16_000, 24_000, 48_000)
"""Rates that Opus can be encoded from, in Hz."""

MAX_CHANNELS: Final = 2

MAX_DAMAGED: Final = 50
"""Maximum number of packets in succession that cannot be decoded: a second of a telephone call."""

PACKET_SAMPLES: Final = RATE // 50
"""Samples of a packet that cannot be decoded, where none was decoded before: 20 ms."""


class OpusDecoder:
    """Decodes the packets of a call in order. It keeps the state of one libopus decoder.

    Args:
        rate: In Hz, from the header of the call.
        channels: One, or two in packets of two channels.

    Raises:
        ProtocolError: The rate is none of `RATES`, there are more than `MAX_CHANNELS` channels, or
            PyAV is not installed.
    """

    def __init__(self, rate: int, channels: int) -> None:
        if rate not in RATES:
            wanted = ", ".join(map(str, RATES))
            raise ProtocolError(f"rate: got {rate}, expected one of {wanted} Hz with Opus")
        if channels > MAX_CHANNELS:
            raise ProtocolError(f"channels: got {channels}, expected 1 or 2 with Opus")
        self.lost_samples = 0
        """Samples of packets that were lost or damaged, for which there is silence."""
        self._av = _pyav()
        self._channels = channels
        self._damaged = 0  # in succession
        self._samples = PACKET_SAMPLES  # of the last packet
        self._decoder: av.AudioCodecContext = self._open()

    def decode(self, packet: bytes) -> Pcm:
        """Decode the next packet, shape (samples, channels), at `RATE`.

        Args:
            packet: Up to 120 ms of audio. Empty where the sender knows that one was lost.

        Raises:
            ProtocolError: Too many packets in succession could not be decoded.
        """
        # PyAV takes an empty packet for the end of the stream, and conceals no lost one.
        frames = self._frames(packet) if packet else []
        if frames:
            self._damaged = 0
            found: Pcm = np.concatenate([frame.to_ndarray().ravel() for frame in frames])
            pcm = found.reshape(-1, self._channels)
            self._samples = len(pcm)
            return pcm
        self._damaged += 1
        if self._damaged > MAX_DAMAGED:
            raise ProtocolError(
                f"audio: got {self._damaged} packets in succession that are lost or damaged, "
                "expected one Opus packet in each binary message"
            )
        self.lost_samples += self._samples
        return np.zeros((self._samples, self._channels), np.int16)

    def _frames(self, packet: bytes) -> "list[av.AudioFrame]":
        try:
            return self._decoder.decode(self._av.Packet(packet))
        except self._av.FFmpegError:
            self._decoder = self._open()  # the state of the broken one is not known
            return []

    def _open(self) -> "av.AudioCodecContext":
        decoder: av.AudioCodecContext = self._av.CodecContext.create("libopus", "r")
        decoder.sample_rate = RATE
        decoder.layout = "mono" if self._channels == 1 else "stereo"
        decoder.format = "s16"
        return decoder


def _pyav() -> Any:  # noqa: ANN401 - a module
    try:
        return importlib.import_module("av")
    except ImportError as error:
        raise ProtocolError(
            "encoding: got 'opus', which this server cannot decode: PyAV (pip install av) is "
            "missing; expected s16le, f32le, mulaw, alaw"
        ) from error
