"""Recordings: files that libsndfile reads, block by block, as int16 PCM."""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import soundfile

from streamer.audio.pcm import check_format, to_int16
from streamer.errors import InputError
from streamer.types import Pcm, SourceInfo


class Recording:
    """A recording that libsndfile can read (WAV, FLAC, Ogg, Opus, MP3, ...), as a context manager.

    Raises:
        InputError: It is missing, a folder, empty, or no sound file.
    """

    def __init__(self, path: Path) -> None:
        if path.is_dir():
            raise InputError(f"{path}: is a folder, expected a recording")
        if not path.exists():
            raise InputError(f"{path}: no such file")
        try:
            if path.stat().st_size == 0:
                raise InputError(f"{path}: is empty (0 bytes), expected a recording")
            self._file = soundfile.SoundFile(path)
        except (soundfile.SoundFileError, OSError, TypeError) as error:
            # TypeError: soundfile takes a name ending in .raw for headerless PCM
            raise InputError(f"{path}: cannot be read as a sound file: {_reason(error)}") from error
        self.path = path
        try:
            self.info = check_format(
                SourceInfo(str(path), self._file.samplerate, self._file.channels, live=False)
            )
        except InputError:
            self._file.close()
            raise

    @property
    def duration_s(self) -> float:
        """Length in seconds, as its header says."""
        return float(self._file.frames / self._file.samplerate)

    def blocks(self, seconds: float) -> Iterator[Pcm]:
        """Its samples, shape (samples, channels), at its own rate, a piece at a time.

        Raises:
            InputError: It breaks off, or holds samples that are no numbers. All blocks before
                that were delivered.
        """
        samples = max(1, round(seconds * self.info.sample_rate))
        delivered = 0
        while True:
            try:
                # float32, since libsndfile does not scale float files when asked for integers
                block = self._file.read(samples, dtype="float32", always_2d=True)
            except soundfile.SoundFileError as error:
                at = delivered / self.info.sample_rate
                raise InputError(
                    f"{self.path}: breaks off at {at:.1f} s: {_reason(error)}"
                ) from error
            if not len(block):
                return
            delivered += len(block)
            yield to_int16(block, str(self.path))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()


def _reason(error: Exception) -> str:
    text = getattr(error, "error_string", None) or str(error)
    return text.strip().rstrip(".")
