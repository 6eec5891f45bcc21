"""Reads recordings block by block as int16 PCM, and reports damage.

A recording that holds less than it claims has broken off, which is an error after its last block.
Any other damage is a warning, and as much as possible is read.
"""

import stat
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from streamer.audio import ffmpeg
from streamer.audio.libsndfile import SndfileReader
from streamer.audio.pcm import FloatConverter, PeakMeter, check_format
from streamer.audio.reader import Reader, UnreadableError
from streamer.audio.signatures import SNIFF_BYTES, container_of
from streamer.errors import InputError
from streamer.text import one_line
from streamer.types import Pcm, SourceInfo

SUFFIXES = frozenset(
    (".wav", ".wave", ".bwf", ".rf64", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".mpga",
     ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".w64", ".sph", ".nist", ".voc")
)  # fmt: skip
"""The suffixes of recordings that libsndfile reads."""

SCAN_S = 10.0
"""Seconds of a recording that are read at once to find its full scale."""


class Recording:
    """A recording that libsndfile or ffmpeg reads, as a context manager.

    Args:
        path: Where it is; a ``~`` at its beginning is the user's home.
        name: What it is called in messages; None for its path.

    Raises:
        InputError: It is missing, a folder, a pipe, empty, or no sound file.
    """

    def __init__(self, path: Path, name: str | None = None) -> None:
        self.path = path
        self._name = one_line(str(path)) if name is None else name
        self._reader = self._open(_found(path, self._name))
        self._warnings = [f"{self._name}: {note}" for note in self._reader.notes]
        try:
            self.info = check_format(
                SourceInfo(self._name, self._reader.sample_rate, self._reader.channels, live=False)
            )
        except InputError:
            self._reader.close()
            raise

    @property
    def duration_s(self) -> float | None:
        """Length in seconds, as the recording itself claims; None where it does not say."""
        samples = self._reader.samples
        return None if samples is None else samples / self.info.sample_rate

    def blocks(self, seconds: float) -> Iterator[Pcm]:
        """Its samples, shape (samples, channels), at its own rate, a piece at a time.

        Raises:
            InputError: It breaks off. All that came before was delivered.
        """
        size = max(1, round(seconds * self.info.sample_rate))
        converter = FloatConverter(self._name, self.info.sample_rate, self._scale())
        delivered = 0
        try:
            while len(block := self._reader.read(size)):
                pcm = converter.convert(block)
                delivered += len(pcm)
                yield pcm
        finally:
            if converter.invalid:
                self._warn(f"NaN or infinite samples, taken for silence: {converter.invalid}")
        self._compare(delivered)

    def drain_warnings(self) -> list[str]:
        """Return the warnings since the last call, a line each."""
        warnings, self._warnings = self._warnings, []
        return warnings

    def close(self) -> None:
        """Close the file."""
        self._reader.close()

    def _warn(self, text: str) -> None:
        self._warnings.append(f"{self._name}: {text}")

    def _scale(self) -> float:
        """The factor for float samples; reads the whole recording."""
        if not self._reader.floating:
            return 1.0
        meter = PeakMeter()
        while len(block := self._reader.read(round(SCAN_S * self.info.sample_rate))):
            meter.add(block)
        self._reader.rewind()
        if meter.scale != 1.0:
            self._warn(meter.explanation())
        return meter.scale

    def _compare(self, delivered: int) -> None:
        """At the end: compare the samples read with the claimed number."""
        rate, claimed = self.info.sample_rate, self._reader.samples
        reason = self._reader.fault()
        missing_s = 0.0 if claimed is None else (claimed - delivered) / rate
        if not reason and missing_s > self._reader.slack_s:
            reason = f"{(claimed or 0) / rate:.1f} s long, as it says itself"
        if not reason and not delivered:
            self._warn("holds no samples, nothing but a header")
        if reason:
            raise InputError(f"{self._name}: breaks off at {delivered / rate:.1f} s: {reason}")

    def _open(self, path: Path) -> Reader:
        try:
            return SndfileReader(path)
        except UnreadableError as error:
            reason = str(error)
        with path.open("rb") as file:
            kind = container_of(file.read(SNIFF_BYTES))
        if kind is None and path.suffix.lower() not in ffmpeg.SUFFIXES:
            raise InputError(f"{self._name}: cannot be read as a sound file: {reason}")
        kind = kind or f"a {path.suffix.lower()} file"
        if ffmpeg.program() is None:
            raise InputError(
                f"{self._name}: is {kind} of a kind that needs ffmpeg: {ffmpeg.INSTALL}, "
                "or convert it to WAV"
            )
        try:
            return ffmpeg.FfmpegReader(path)
        except UnreadableError as error:
            raise InputError(
                f"{self._name}: cannot be read as a sound file ({kind}): {error}"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()


def _found(path: Path, name: str) -> Path:
    """The path of a regular file that is not empty and may be read.

    Raises:
        InputError: It is something else; the message says what.
    """
    try:
        if path.parts[:1] and path.parts[0].startswith("~") and not path.exists():
            path = path.expanduser()
        found = path.stat()
        if stat.S_ISREG(found.st_mode) and found.st_size:
            path.open("rb").close()
    except FileNotFoundError as error:
        raise InputError(f"{name}: no such file") from error
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: whose home?
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{name}: cannot be read: {reason}") from error
    if stat.S_ISDIR(found.st_mode):
        raise InputError(f"{name}: is a folder, expected a recording")
    if stat.S_ISFIFO(found.st_mode):
        raise InputError(
            f"{name}: is a pipe, expected a recording; 'streamer run --input {name}' listens to it"
        )
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f"{name}: is a device or a socket, expected a recording")
    if not found.st_size:
        raise InputError(f"{name}: is empty (0 bytes), expected a recording")
    return path
