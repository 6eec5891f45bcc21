"""Decodes recordings with libsndfile: WAV, FLAC, Ogg, Opus, MP3, AIFF, AU, CAF, Wave64."""

from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from streamer.audio.headers import DataChunk, SplicedFile, find_data, ogg_is_cut
from streamer.audio.pcm import FloatPcm
from streamer.audio.reader import UnreadableError

EXACT_S = 0.05
"""Seconds by which the length in a header may differ from that of the file."""

ENCODER_DELAY_S = 0.25
"""The same for formats whose encoders add silence."""

UNKNOWN_SAMPLES = 2**62
"""libsndfile's length of a FLAC file that was written to a pipe."""

SEEK_FAILED = 39
"""libsndfile's error at the end of such a file: it wants to go back to an end that it lacks."""


class SndfileReader:
    """Decodes with libsndfile; see `Reader`.

    Raises:
        UnreadableError: libsndfile cannot read the file.
    """

    def __init__(self, path: Path) -> None:
        self.notes: list[str] = []
        self._fault = ""
        try:
            chunk = find_data(path)
            self._spliced = _spliced(path, chunk)
            self._file = soundfile.SoundFile(self._spliced or path)
            self._cut_ogg = ogg_is_cut(path)
        except (soundfile.SoundFileError, OSError, TypeError, ValueError) as error:
            # TypeError: soundfile takes a name ending in .raw for headerless PCM
            raise UnreadableError(_reason(error)) from error
        self.sample_rate: int = self._file.samplerate
        self.channels: int = self._file.channels
        self.floating = self._file.subtype in {"FLOAT", "DOUBLE"}
        lossy = self._file.format in {"MP3", "MPEG", "OGG"}
        self.slack_s = ENCODER_DELAY_S if lossy else EXACT_S
        self._unknown = self._file.frames >= UNKNOWN_SAMPLES
        self.samples = None if self._unknown else int(self._file.frames)
        if chunk is not None:
            self._compare(chunk)

    def _compare(self, chunk: DataChunk) -> None:
        """Compare the length in the header with what libsndfile finds in the file."""
        if self._unknown or not chunk.held:
            return
        if chunk.claimed is None:
            self.samples = None
            return
        claimed = round(self._file.frames * (chunk.claimed / chunk.held))
        if chunk.claimed > chunk.held:
            self.samples = claimed
        elif chunk.claimed < chunk.held:
            seconds = self._file.frames / self.sample_rate
            self.notes.append(
                f"its header says {claimed / self.sample_rate:.1f} s, it holds {seconds:.1f} s "
                "(an unfinished recording?): all of it is read"
            )

    def read(self, samples: int) -> FloatPcm:
        """The next samples, shape (samples, channels)."""
        if self._fault:
            return np.zeros((0, self.channels), np.float32)
        # float32, since libsndfile does not scale float files when asked for integers. What it
        # read before a fault that it does not report: that is what is no longer NaN.
        out = np.full((samples, self.channels), np.nan, np.float32)
        try:
            return np.asarray(self._file.read(out=out))
        except soundfile.SoundFileError as error:
            if not (self._unknown and getattr(error, "code", 0) == SEEK_FAILED):
                self._fault = _reason(error)
            read = np.flatnonzero(~np.isnan(out).all(axis=1))
            return out[: read[-1] + 1] if len(read) else out[:0]

    def fault(self) -> str:
        """Why nothing more comes."""
        return self._fault or ("its last page is missing" if self._cut_ogg else "")

    def rewind(self) -> None:
        """Begin anew."""
        self._file.seek(0)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        if self._spliced is not None:
            self._spliced.close()


def _spliced(path: Path, chunk: DataChunk | None) -> SplicedFile | None:
    if chunk is None or chunk.head is None:
        return None
    return SplicedFile(path, chunk.head, chunk.spans)


def _reason(error: Any) -> str:  # noqa: ANN401 - soundfile ships no types
    text = getattr(error, "error_string", None) or str(error)
    text = str(text).strip().removeprefix("Error : ").rstrip(".")
    # libsndfile's words for what calls itself MP3 and has none in it
    return "there is no MP3 in it" if text.startswith("File does not exist or is not a") else text
