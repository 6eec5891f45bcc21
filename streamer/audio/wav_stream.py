"""Decodes WAV from a pipe: bytes in, int16 PCM out, without seeking."""

import io
import struct
from dataclasses import dataclass

import numpy as np
import soundfile

from streamer.audio.headers import CHUNKS, UNKNOWN_BYTES
from streamer.audio.pcm import FloatConverter, PeakMeter, check_format
from streamer.errors import InputError
from streamer.types import Pcm, SourceInfo

MAX_HEADER_BYTES = 16 * 2**20
MIN_MISSING_S = 0.05
EXTENSIBLE = 0xFFFE
SUBFORMAT = slice(24, 26)
FORM_BYTES = 12
CHUNK_BYTES = 8

_SUBTYPES = {
    (1, 8): "PCM_U8",
    (1, 16): "PCM_16",
    (1, 24): "PCM_24",
    (1, 32): "PCM_32",
    (3, 32): "FLOAT",
    (3, 64): "DOUBLE",
    (6, 8): "ALAW",
    (7, 8): "ULAW",
}


@dataclass(frozen=True, slots=True)
class _Format:
    subtype: str
    frame_bytes: int
    big: bool

    @property
    def endian(self) -> str:
        return "BIG" if self.big else "LITTLE"


class WavStream:
    """Decodes a WAV stream, RIFF, RIFX or RF64: `feed` it, then `take`.

    Args:
        name: Name of the input in messages.

    Attributes:
        info: Rate and channels, once the header has come; else None.
    """

    def __init__(self, name: str) -> None:
        self.info: SourceInfo | None = None
        self._name = name
        self._waiting = bytearray()
        self._begun = False
        self._big = False
        self._long: int | None = None  # of the samples, as an RF64 header claims
        self._format: _Format | None = None
        self._floats: FloatConverter | None = None
        self._claimed: int | None = None  # bytes of samples; None where that is not known
        self._taken = 0  # bytes of samples
        self._left: int | None = None  # bytes of this chunk of samples; None for all that come
        self._padding = 0  # bytes behind them
        self._between = False  # chunks of samples; what comes now is none
        self._skipped = 0  # bytes of the present chunk that are still to be passed over
        self._over = False  # no samples follow
        self._warnings: list[str] = []

    def feed(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            InputError: They are no WAV stream, or compressed.
        """
        if self._over:
            return
        self._waiting += data
        while self.info is None and self._advance():
            pass
        if self.info is None and len(self._waiting) > MAX_HEADER_BYTES:
            raise InputError(f"{self._name}: {MAX_HEADER_BYTES} bytes of a WAV header, no samples")

    def take(self) -> Pcm:
        """Take all complete samples so far, shape (samples, channels); none before `info`.

        Raises:
            InputError: Float samples have another full scale than 1.0.
        """
        if self._format is None or self.info is None:
            return np.zeros((0, 1), np.int16)
        data = self._samples(self._format.frame_bytes)
        self._taken += len(data)
        return self._decoded(data, self._format, self.info)

    def end(self) -> None:
        """Mark the end of the input.

        Raises:
            InputError: That is less than the header claims.
        """
        if self.info is None or self._format is None:
            raise InputError(f"{self._name}: ends within the header of a WAV file")
        per_second = self._format.frame_bytes * self.info.sample_rate
        if self._floats is not None and self._floats.invalid:
            text = f"NaN or infinite samples, taken for silence: {self._floats.invalid}"
            self._warnings.append(f"{self._name}: {text}")
        if self._claimed and self._claimed - self._taken > MIN_MISSING_S * per_second:
            raise InputError(
                f"{self._name}: breaks off at {self._taken / per_second:.1f} s: "
                f"{self._claimed / per_second:.1f} s long, as it says itself"
            )

    def drain_warnings(self) -> list[str]:
        """Return the warnings since the last call, a line each."""
        warnings, self._warnings = self._warnings, []
        return warnings

    def _samples(self, frame: int) -> bytes:
        """Take all whole frames so far, of one or more chunks of samples."""
        found = bytearray()
        while not self._over:
            count = (
                len(self._waiting) if self._left is None else min(len(self._waiting), self._left)
            )
            count -= count % frame
            found += self._waiting[:count]
            del self._waiting[:count]
            if self._left is None:
                break
            self._left -= count
            if self._left >= frame or not self._goes_on(self._left):
                break
        return bytes(found)

    def _goes_on(self, left: int) -> bool:
        """At the end of a chunk of samples, as the header says: whether more of them have come."""
        if not self._between:
            at = left + self._padding
            if len(self._waiting) < at + CHUNK_BYTES:
                return False
            name = bytes(self._waiting[at : at + 4])
            if name != b"data" and name not in CHUNKS:
                self._claimed = self._left = None
                text = "is longer than its header says: all of it is read"
                self._warnings.append(f"{self._name}: {text}")
                return True
            del self._waiting[:at]
            self._left, self._between = 0, True
        while not self._over:
            passed = min(self._skipped, len(self._waiting))
            del self._waiting[:passed]
            self._skipped -= passed
            if self._skipped or len(self._waiting) < CHUNK_BYTES:
                return False
            name, length = bytes(self._waiting[:4]), self._length()
            if name == b"data" and length:
                del self._waiting[:CHUNK_BYTES]
                self._between = False
                self._expect(length)
                return True
            self._skipped = CHUNK_BYTES + length + length % 2
            self._over = name != b"data" and name not in CHUNKS
        return False

    def _length(self) -> int:
        """The length that the chunk at the front claims."""
        (length,) = struct.unpack_from(">I" if self._big else "<I", self._waiting, 4)
        return int(length)

    def _expect(self, length: int) -> None:
        """Expect as many bytes of samples as a chunk claims; all that come where it cannot know."""
        known = self._long if length == 2**32 - 1 and self._long else length
        fine = 0 < length < UNKNOWN_BYTES or known is self._long
        self._left = known if fine else None
        self._claimed = (self._claimed or 0) + known if fine else None
        self._padding = known % 2

    def _advance(self) -> bool:
        """Take in the next part of the header; False where more of it has to come first."""
        if not self._begun:
            if len(self._waiting) < FORM_BYTES:
                return False
            self._big = self._waiting[:4] == b"RIFX"
            self._begun = True
            del self._waiting[:FORM_BYTES]
        if len(self._waiting) < CHUNK_BYTES:
            return False
        name = bytes(self._waiting[:4])
        length = self._length()
        if name == b"data":
            del self._waiting[:8]
            self._open(length)
            return True
        length += length % 2
        if len(self._waiting) < 8 + length:
            return False
        body = bytes(self._waiting[8 : 8 + length])
        del self._waiting[: 8 + length]
        if name == b"fmt ":
            self._describe(body)
        elif name == b"ds64":
            self._long = struct.unpack("<QQ", body[:16].ljust(16, b"\0"))[1]
        return True

    def _describe(self, body: bytes) -> None:
        order = ">" if self._big else "<"
        fields = struct.unpack(order + "HHIIHH", body[:16].ljust(16, b"\0"))
        tag, channels, rate, _, _, bits = fields
        if tag == EXTENSIBLE:
            (tag,) = struct.unpack(order + "H", body[SUBFORMAT].ljust(2, b"\0"))
        subtype = _SUBTYPES.get((tag, bits))
        if subtype is None:
            raise InputError(
                f"{self._name}: a WAV file with sound of format 0x{tag:04x}, {bits} bits, "
                "expected PCM, float, A-law or mu-law"
            )
        info = check_format(SourceInfo(self._name, rate, channels, live=False))
        self._format = _Format(subtype, channels * bits // 8, self._big)
        if subtype in {"FLOAT", "DOUBLE"}:
            self._floats = FloatConverter(self._name, rate)
        self._described = info

    def _open(self, length: int) -> None:
        if self._format is None:
            raise InputError(f"{self._name}: a WAV file without a format before its samples")
        self._expect(length)
        self.info = self._described

    def _decoded(self, data: bytes, form: _Format, info: SourceInfo) -> Pcm:
        if form.subtype == "PCM_16":
            pcm: Pcm = np.frombuffer(data, ">i2" if form.big else "<i2").astype(np.int16)
            return pcm.reshape(-1, info.channels)
        decoded, _ = soundfile.read(
            io.BytesIO(data), format="RAW", subtype=form.subtype, endian=form.endian,
            samplerate=info.sample_rate, channels=info.channels, always_2d=True,
            dtype="int16" if self._floats is None else "float32",
        )  # fmt: skip
        if self._floats is None:
            return np.asarray(decoded, np.int16)
        meter = PeakMeter()
        meter.add(decoded)
        if meter.scale != 1.0:
            raise InputError(
                f"{self._name}: float samples of up to {meter.peak:.5g}, expected full scale 1.0"
            )
        return self._floats.convert(decoded)
