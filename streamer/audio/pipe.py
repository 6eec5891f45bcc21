"""Reads a pipe as a source: raw PCM, or a container that its first bytes show."""

import os
import select
import sys
import time
from typing import BinaryIO

import numpy as np

from streamer.audio import ffmpeg
from streamer.audio.pcm import check_format
from streamer.audio.signatures import SNIFF_BYTES, WAV, container_of
from streamer.audio.sources import POLL_S
from streamer.audio.wav_stream import WavStream
from streamer.errors import InputError
from streamer.types import Block, Pcm, SourceInfo


class PipeSource:
    """Raw signed 16-bit little-endian PCM, channels interleaved, from a pipe.

    A container is never taken for raw PCM: WAV is read by its header, others by ffmpeg where that
    is installed.

    Args:
        pipe: What is read.
        sample_rate: Of raw PCM, in Hz.
        channels: Of raw PCM.
        block_s: How much is read at most at once.
        name: What it is called.

    Raises:
        InputError: The rate or the number of channels is not possible.
    """

    def __init__(
        self,
        pipe: BinaryIO,
        *,
        sample_rate: int,
        channels: int,
        block_s: float,
        name: str = "standard input",
    ) -> None:
        self._pipe = pipe
        self._info = check_format(SourceInfo(name, sample_rate, channels, live=False))
        self._block_bytes = max(1, round(block_s * sample_rate)) * channels * 2
        self._decoder: WavStream | ffmpeg.Ffmpeg | None = None
        self._told = False  # whether it is a container, and which
        self._ended = False
        self._head = bytearray()  # raw bytes that are still to be delivered

    def open(self) -> SourceInfo | None:
        """Recognise the format by the first bytes; None while they have not come."""
        if not self._told:
            self._head += self._bytes(SNIFF_BYTES - len(self._head))
            if len(self._head) < SNIFF_BYTES and not self._ended:
                return None
            if not self._head:
                raise InputError(f"{self._info.name}: is empty: nothing came before its end")
            self._told = True
            self._decoder = self._decoder_of(bytes(self._head))
        if self._decoder is None:
            return self._info
        if isinstance(self._decoder, WavStream):
            if self._decoder.info is None:
                self._decoder.feed(self._bytes(self._block_bytes))
                if self._ended:
                    self._decoder.end()
        elif self._decoder.info is None and not self._decoder.wait(POLL_S):
            raise InputError(f"{self._info.name}: {self._decoder.fault()}")
        return self._decoder.info

    def read(self) -> Block | None:
        """What the pipe holds now, about one block."""
        if isinstance(self._decoder, ffmpeg.Ffmpeg):
            return self._decoded(self._decoder)
        if isinstance(self._decoder, WavStream):
            return self._from_wav(self._decoder)
        data = bytes(self._head) + self._bytes(self._block_bytes)
        if self._ended and not data:
            return None
        frame = 2 * self._info.channels
        whole = len(data) - len(data) % frame
        self._head = bytearray(b"" if self._ended else data[whole:])
        if self._ended and not whole:
            return None
        pcm = np.frombuffer(data[:whole], dtype="<i2").astype(np.int16)
        return Block(pcm.reshape(-1, self._info.channels), time.monotonic())

    def close(self) -> None:
        """End the decoder; the pipe stays open for whoever opened it."""
        if isinstance(self._decoder, ffmpeg.Ffmpeg):
            self._decoder.close()

    def _bytes(self, most: int) -> bytes:
        """What the pipe holds now, perhaps nothing."""
        if self._ended or most <= 0:
            return b""
        if sys.platform != "win32" and not select.select([self._pipe], [], [], POLL_S)[0]:
            return b""
        data = os.read(self._pipe.fileno(), most)
        self._ended = not data
        return data

    def _decoder_of(self, head: bytes) -> WavStream | ffmpeg.Ffmpeg | None:
        kind = container_of(head)
        if kind is None:
            return None
        name = self._info.name
        if kind == WAV:
            wav = WavStream(name)
            wav.feed(head)
            return wav
        if ffmpeg.program() is None:
            raise InputError(
                f"{name}: got {kind}, expected raw s16le PCM or WAV: save it as a file and pass "
                f"that with --input FILE; or, for pipes of this kind, ffmpeg: {ffmpeg.INSTALL}"
            )
        return ffmpeg.Ffmpeg("pipe:0", name, feed=self._pipe, head=head)

    def _from_wav(self, wav: WavStream) -> Block | None:
        pcm = wav.take()
        if not len(pcm) and not self._ended:
            wav.feed(self._bytes(self._block_bytes))
            pcm = wav.take()
        warnings = wav.drain_warnings()
        if self._ended and not len(pcm) and not warnings:
            wav.end()
            warnings = wav.drain_warnings()
            if not warnings:
                return None
        return Block(pcm, time.monotonic(), warnings=tuple(warnings))

    def _decoded(self, decoder: ffmpeg.Ffmpeg) -> Block | None:
        pcm: Pcm | None = decoder.read(POLL_S)
        if pcm is not None:
            return Block(pcm, time.monotonic())
        if fault := decoder.fault():
            raise InputError(f"{self._info.name}: breaks off: {fault}")
        return None
