"""Checks the length that a recording's header claims against what the file holds.

A recorder that fails before it writes the length leaves 0 there, or an old value; a file that was
cut holds less than it claims; the header of a WAV file has no room for a length above 4 GB.
"""

import io
import os
import struct
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

UNKNOWN_BYTES = 0x7FFF_0000
"""From this 32-bit length on, the writer of the header did not know the real one."""

MAX_HEADER_BYTES = 16 * 2**20
MAX_RIFF_BYTES = 2**32 - 2**16
OGG_PAGE_BYTES = 65_307
LAST_PAGE = 4  # the flag of an Ogg stream's last page

CHUNKS = frozenset(
    b"LIST|JUNK|PAD |FLLR|fact|cue |plst|smpl|inst|bext|iXML|axml|PEAK|id3 |ID3 |afsp|_PMX|chna|"
    b"labl|note|fmt |COMT|MARK|INST|NAME|AUTH|ANNO|(c) |APPL|COMM".split(b"|")
)
"""Ids of chunks that may follow the samples."""


@dataclass(frozen=True, slots=True)
class DataChunk:
    """Where a recording's samples are.

    Attributes:
        claimed: How many bytes of samples the header claims; None where it does not know.
        held: How many bytes the file holds from their beginning to their end.
        spans: Where they begin and end; several where the file has more than one chunk of them.
        head: All before the samples, with the right lengths, where libsndfile would not read all
            of them; None where the file can be read as it is.
    """

    claimed: int | None
    held: int
    spans: tuple[tuple[int, int], ...]
    head: bytes | None = None


@dataclass(frozen=True, slots=True)
class _Layout:
    """How the chunks of a file format are arranged."""

    first: int  # where the first chunk is
    id_bytes: int
    size: str  # as struct writes it
    data: bytes  # what the id of the chunk with the samples begins with
    skip: int = 0  # bytes before the samples in that chunk
    whole: bool = False  # the size includes the chunk's own header
    align: int = 2


_SEVERAL = frozenset((b"RIFF", b"RIFX", b"RF64", b"BW64"))
"""Kinds of files of which some have several chunks of samples."""

MAX_CHUNKS = 10_000
"""Chunks that are looked at; a file may hold millions of empty ones, and real ones hold dozens."""

_LAYOUTS = {
    b"RIFF": _Layout(12, 4, "<I", b"data"),
    b"RIFX": _Layout(12, 4, ">I", b"data"),
    b"RF64": _Layout(12, 4, "<I", b"data"),
    b"BW64": _Layout(12, 4, "<I", b"data"),
    b"FORM": _Layout(12, 4, ">I", b"SSND", skip=8),
    b"caff": _Layout(8, 4, ">q", b"data", skip=4, align=1),
    b"riff": _Layout(40, 16, "<Q", b"data", whole=True, align=8),  # Wave64
}


def find_data(path: Path) -> DataChunk | None:
    """Find the samples of a recording, and how many are claimed; None for other kinds of files.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        magic = file.read(4)
        if magic == b".snd":
            return _find_in_au(file, size)
        layout = _LAYOUTS.get(magic)
        return None if layout is None else _Walk(file, size, magic, layout).find()


def ogg_is_cut(path: Path) -> bool:
    """Whether an Ogg file lacks its last page, or the end of it.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        if file.read(4) != b"OggS":
            return False
        size = os.fstat(file.fileno()).st_size
        file.seek(max(0, size - 2 * OGG_PAGE_BYTES))
        tail = file.read()
    at = tail.rfind(b"OggS")
    if at < 0 or len(tail) < at + 27:
        return True
    segments = tail[at + 26]
    table = tail[at + 27 : at + 27 + segments]
    complete = len(table) == segments and len(tail) >= at + 27 + segments + sum(table)
    return not (complete and tail[at + 5] & LAST_PAGE)


def _find_in_au(file: BinaryIO, size: int) -> DataChunk | None:
    start, claimed = struct.unpack(">II", file.read(8).ljust(8, b"\xff"))
    if start > size:
        return None
    known = None if claimed >= UNKNOWN_BYTES else claimed
    return DataChunk(known, size - start, ((start, size),))


class _Walk:
    """Goes through the chunks of a file, from the first to its samples."""

    def __init__(self, file: BinaryIO, size: int, magic: bytes, layout: _Layout) -> None:
        self._file = file
        self._size = size
        self._magic = magic
        self._layout = layout
        self._long: int | None = None  # of the samples, as an RF64 file claims elsewhere
        self._long_at = 0  # where that is written
        self._frames_at = 0  # where an AIFF file has its number of samples
        self._frame_bytes = 0

    def find(self) -> DataChunk | None:
        at = self._layout.first
        for _ in range(MAX_CHUNKS):
            chunk = self._chunk(at)
            if chunk is None:
                break
            name, payload, length = chunk
            if name.startswith(self._layout.data):
                return self._data(at, payload + self._layout.skip, length)
            if length < 0:  # the next one would be before its end: again and again
                break
            self._note(name, payload)
            at = _aligned(payload + length, self._layout.align)
        return None

    def _chunk(self, at: int) -> tuple[bytes, int, int] | None:
        """Id, where its content begins, and the length that it claims."""
        ids, form = self._layout.id_bytes, self._layout.size
        width = ids + struct.calcsize(form)
        self._file.seek(at)
        header = self._file.read(width)
        if len(header) < width:
            return None
        (length,) = struct.unpack(form, header[ids:])
        return header[:ids], at + width, length - (width if self._layout.whole else 0)

    def _note(self, name: bytes, payload: int) -> None:
        self._file.seek(payload)
        if name == b"ds64":
            self._long_at = payload
            self._long = struct.unpack("<QQ", self._file.read(16).ljust(16, b"\0"))[1]
        elif name == b"COMM":
            channels, _, bits = struct.unpack(">hIh", self._file.read(8).ljust(8, b"\0"))
            self._frames_at = payload + 2
            self._frame_bytes = max(0, channels * ((bits + 7) // 8))

    def _data(self, at: int, start: int, length: int) -> DataChunk:
        held = max(0, self._size - start)
        claimed: int | None = length - self._layout.skip
        if self._long is not None and length == 2**32 - 1:
            claimed = self._long
        elif length >= UNKNOWN_BYTES and self._layout.size in {"<I", ">I"}:
            claimed = None if held < UNKNOWN_BYTES else claimed
        elif length < 0:
            claimed = None
        if claimed is not None and (further := self._further(start + claimed)):
            lengths = [claimed, *(each for _, each in further)]
            begins = [start, *(each for each, _ in further)]
            ends = [min(self._size, b + each) for b, each in zip(begins, lengths, strict=True)]
            spans = tuple(zip(begins, ends, strict=True))
            held = sum(end - begin for begin, end in spans)
            return DataChunk(sum(lengths), held, spans, self._repaired(at, start, held))
        rest = ((start, self._size),)
        if claimed is None or claimed >= held or self._chunks_from(start + claimed):
            whole = claimed is None or claimed <= held or self._magic != b"caff"
            return DataChunk(
                claimed,
                held if claimed is None else min(held, claimed),
                rest,
                None if whole else self._repaired(at, start, held),  # else libsndfile refuses it
            )
        return DataChunk(claimed, held, rest, self._repaired(at, start, held))

    def _further(self, at: int) -> list[tuple[int, int]]:
        """Where more samples begin, and how many bytes of them are claimed, in chunks from here."""
        found: list[tuple[int, int]] = []
        for _ in range(MAX_CHUNKS):
            at = _aligned(at, self._layout.align)
            chunk = self._chunk(at) if self._magic in _SEVERAL else None
            if chunk is None:
                break
            name, payload, length = chunk
            if name == self._layout.data:
                found.append((payload, length))
            elif name not in CHUNKS:
                break
            at = payload + length
        return found

    def _chunks_from(self, at: int) -> bool:
        """Whether there are chunks from here to the end of the file, not samples."""
        at = _aligned(at, self._layout.align)
        for _ in range(MAX_CHUNKS):
            if at >= self._size - 8:
                break
            chunk = self._chunk(at)
            if chunk is None:
                return False
            name, payload, length = chunk
            if name in CHUNKS:
                return True
            if not (name[:4].isascii() and name[:4].decode().isprintable()) or length < 0:
                return False
            at = _aligned(payload + length, self._layout.align)
        return at <= self._size + 1

    def _repaired(self, at: int, start: int, held: int) -> bytes | None:
        """All before the samples, with lengths as if nothing but those held came after it."""
        size = start + held
        if start > MAX_HEADER_BYTES:
            return None
        self._file.seek(0)
        head = bytearray(self._file.read(start))
        form, ids = self._layout.size, self._layout.id_bytes
        length = held + self._layout.skip
        if self._layout.whole:
            length += ids + struct.calcsize(form)
        if self._long is not None:
            struct.pack_into("<QQQ", head, self._long_at, size - 8, held, 0)
            length = 2**32 - 1
        elif form in {"<I", ">I"} and size > MAX_RIFF_BYTES:
            return _as_rf64(head, at, held) if self._magic == b"RIFF" else None
        elif form in {"<I", ">I"}:
            struct.pack_into(form, head, 4, size - 8)
        elif self._layout.whole:
            struct.pack_into(form, head, 16, size)
        if self._frames_at and self._frame_bytes:
            struct.pack_into(">I", head, self._frames_at, held // self._frame_bytes)
        struct.pack_into(form, head, at + ids, length)
        return bytes(head)


def _as_rf64(head: bytearray, at: int, held: int) -> bytes:
    """The header of a RIFF file whose samples need lengths of 64 bits."""
    struct.pack_into("<I", head, at + 4, 2**32 - 1)
    long = struct.pack("<4sIQQQI", b"ds64", 28, len(head) + 28 + held, held, 0, 0)
    return struct.pack("<4sI4s", b"RF64", 2**32 - 1, b"WAVE") + long + bytes(head[12:])


def _aligned(at: int, to: int) -> int:
    return at + -at % to


class SplicedFile(io.RawIOBase):
    """A new beginning, and after it parts of a file.

    Args:
        path: The file.
        head: The new beginning.
        spans: Where the parts begin and end in the file.

    Raises:
        OSError: It cannot be read.
    """

    def __init__(self, path: Path, head: bytes, spans: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self._file = path.open("rb")
        self._head = head
        self._spans = spans
        self._at = 0
        self._begins = [len(head)]  # of each part here, and the end
        for begin, end in spans:
            self._begins.append(self._begins[-1] + end - begin)

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """Where the next read begins."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move there; returns the new position."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._begins[-1]}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - Buffer is of Python 3.12
        """Fill the buffer as far as there is something; returns how far."""
        view = memoryview(buffer).cast("B")
        head = self._head[self._at : self._at + len(view)]
        view[: len(head)] = head
        filled = len(head)
        while filled < len(view) and (read := self._read(view[filled:], self._at + filled)):
            filled += read
        self._at += filled
        return filled

    def _read(self, view: memoryview, at: int) -> int:
        """Fill a buffer from the part that is at a position; returns how far."""
        part = bisect_right(self._begins, at) - 1
        if part >= len(self._spans):
            return 0
        begin, end = self._spans[part]
        begin += at - self._begins[part]
        self._file.seek(begin)
        return self._file.readinto(view[: max(0, end - begin)])

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()
