"""Decodes with ffmpeg, if that is installed: m4a, mp4, webm, wma, amr, video, URLs.

It runs as a process of its own and writes WAV to a pipe.
"""

import re
import select
import shutil
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from os import read as read_bytes
from pathlib import Path
from typing import BinaryIO

import numpy as np

from streamer.audio.level import FULL_SCALE
from streamer.audio.pcm import FloatPcm
from streamer.audio.reader import UnreadableError
from streamer.audio.wav_stream import WavStream
from streamer.errors import InputError
from streamer.text import one_line
from streamer.types import Pcm, SourceInfo

SUFFIXES = frozenset(
    (".m4a", ".m4b", ".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".3gpp", ".aac", ".adts",
     ".webm", ".mkv", ".mka", ".wma", ".wmv", ".asf", ".amr", ".awb", ".avi", ".flv", ".f4v",
     ".mpg", ".mpeg", ".mp2", ".mts", ".m2ts", ".vob", ".ogv", ".spx", ".ac3", ".eac3", ".ra",
     ".rm", ".rmvb", ".wv", ".ape", ".dsf", ".tta", ".gsm", ".g722")
)  # fmt: skip
"""The suffixes of recordings that need ffmpeg."""

INSTALL = "install it (Debian: apt-get install ffmpeg; macOS: brew install ffmpeg)"

READ_BYTES = 2**16
POLL_S = 0.1
START_TIMEOUT_S = 30.0
"""Seconds in which the header of a recording must have been read."""

KEPT_LINES = 20

_DURATION = re.compile(r"Duration: (\d+):(\d+):(\d+\.\d+)")
_PREFIX = re.compile(r"^(\[[^\]]*\] )*\[(error|fatal)\] ")
_CUT = re.compile(
    r"partial file|ended prematurely|truncat|Packet corrupt|end of file", re.IGNORECASE
)


def program() -> str | None:
    """Where ffmpeg is; None where it is not installed."""
    return shutil.which("ffmpeg")


class Ffmpeg:
    """A running ffmpeg that decodes to a pipe.

    Args:
        source: What to decode: the argument of ``-i``.
        name: Name of the source in messages.
        options: Options before ``-i``.
        feed: Where its standard input comes from, if it reads that.
        head: Bytes that go to its standard input before those of ``feed``.

    Raises:
        InputError: ffmpeg is not installed.
    """

    def __init__(
        self,
        source: str,
        name: str,
        *,
        options: Sequence[str] = (),
        feed: BinaryIO | None = None,
        head: bytes = b"",
    ) -> None:
        ffmpeg = program()
        if ffmpeg is None:
            raise InputError(f"{name}: needs ffmpeg: {INSTALL}")
        self._name = name
        self._source = one_line(source)
        self._wav = WavStream(name)
        self._ended = False
        self._errors: deque[str] = deque(maxlen=KEPT_LINES)
        self._cut = ""
        self._no_sound = False
        self._video = False
        self._tracks = 0
        self._duration_s: float | None = None
        self._described = threading.Event()
        self._process = subprocess.Popen(  # noqa: S603 - a program by its full path, no shell
            [
                ffmpeg, "-hide_banner", "-nostats", "-loglevel", "repeat+level+info",
                *([] if feed else ["-nostdin"]), *options, "-i", source,
                "-map", "0:a:0", "-c:a", "pcm_s16le", "-f", "wav", "pipe:1",
            ],
            stdin=subprocess.DEVNULL if feed is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )  # fmt: skip
        self._listener = threading.Thread(target=self._listen, name="ffmpeg errors", daemon=True)
        self._listener.start()
        if feed is not None:
            threading.Thread(
                target=self._pump, args=(feed, head), name="ffmpeg feed", daemon=True
            ).start()

    @property
    def info(self) -> SourceInfo | None:
        """What it decodes, once that is known."""
        return self._wav.info

    @property
    def duration_s(self) -> float | None:
        """Length in seconds as the recording itself claims; None where it does not say.

        That of a video is the length of its pictures.
        """
        self._described.wait(START_TIMEOUT_S)
        return None if self._video else self._duration_s

    @property
    def tracks(self) -> int:
        """How many tracks of audio the recording has; the first one is decoded."""
        self._described.wait(START_TIMEOUT_S)
        return self._tracks

    def wait(self, timeout: float) -> bool:
        """Wait for what is decoded next, for `read`; False at the end.

        Raises:
            InputError: It cannot be decoded.
        """
        assert self._process.stdout is not None  # noqa: S101 - for the type checker
        if self._ended:
            return False
        pipe = self._process.stdout
        if sys.platform != "win32" and not select.select([pipe], [], [], timeout)[0]:
            return True
        data = read_bytes(pipe.fileno(), READ_BYTES)
        if data:
            self._wav.feed(data)
            return True
        self._ended = True
        self._process.wait()
        self._listener.join(START_TIMEOUT_S)
        return False

    def read(self, timeout: float) -> Pcm | None:
        """What has been decoded, shape (samples, channels), perhaps nothing; None at the end.

        Raises:
            InputError: It cannot be decoded.
        """
        going_on = self.wait(timeout)
        pcm = self._wav.take()
        return pcm if going_on or len(pcm) else None

    def fault(self) -> str:
        """At the end: why that came too early; empty where it did not."""
        if self._no_sound:
            return "there is no sound in it"
        if self.info is None:
            return self._errors[0] if self._errors else "ffmpeg found nothing in it"
        if self._process.returncode:
            ended = f"ffmpeg ended with {self._process.returncode}"
            return self._errors[-1] if self._errors else ended
        return self._cut

    def close(self) -> None:
        """End ffmpeg."""
        self._process.kill()
        self._process.wait()
        self._listener.join(POLL_S)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def _listen(self) -> None:
        """Read ffmpeg's messages, line by line. On a thread of its own."""
        assert self._process.stderr is not None  # noqa: S101 - for the type checker
        with suppress(ValueError, OSError):  # closed while we listen
            for raw in self._process.stderr:
                self._hear(one_line(raw.decode(errors="replace").strip()))
        self._described.set()

    def _hear(self, line: str) -> None:
        if found := _DURATION.search(line):
            hours, minutes, seconds = found.groups()
            self._duration_s = 3600 * int(hours) + 60 * int(minutes) + float(seconds)
        if ": Video: " in line and "attached pic" not in line:
            self._video = True
        if ": Audio: " in line and not self._described.is_set():
            self._tracks += 1
        if "Output #0" in line:
            self._described.set()
        if not _PREFIX.match(line):
            return
        text = _PREFIX.sub("", line).removeprefix(f"{self._source}: ")  # who says it names it
        if "matches no streams" in text or "does not contain any stream" in text:
            self._no_sound = True
        if _CUT.search(text):
            self._cut = text
        self._errors.append(text)

    def _pump(self, feed: BinaryIO, head: bytes) -> None:
        """Write ffmpeg's standard input. On a thread of its own."""
        assert self._process.stdin is not None  # noqa: S101 - for the type checker
        with suppress(OSError, ValueError), self._process.stdin as sink:
            sink.write(head)
            while data := read_bytes(feed.fileno(), READ_BYTES):
                sink.write(data)


class FfmpegReader:
    """Decodes a recording with ffmpeg; see `Reader`.

    Raises:
        UnreadableError: ffmpeg cannot read it either, or there is no sound in it.
    """

    floating = False
    slack_s = 0.5  # as long as an encoder's delay and what a container rounds to

    def __init__(self, path: Path) -> None:
        self.notes: list[str] = []
        # No playlist makes it read from anywhere else.
        self._ffmpeg = Ffmpeg(
            f"file:{path}", path.name, options=("-protocol_whitelist", "file,pipe")
        )
        self._waiting: list[Pcm] = []
        info = None
        try:
            polls = round(START_TIMEOUT_S / POLL_S)  # no clock: this process may be stopped
            while (info := self._ffmpeg.info) is None:
                if not self._ffmpeg.wait(POLL_S):
                    raise UnreadableError(self._ffmpeg.fault())
                polls -= 1
                if not polls:
                    raise UnreadableError(f"nothing from ffmpeg within {START_TIMEOUT_S:g} s")
        finally:
            if info is None:
                self._ffmpeg.close()
        self.sample_rate, self.channels = info.sample_rate, info.channels
        if self._ffmpeg.tracks > 1:
            self.notes.append(f"has {self._ffmpeg.tracks} audio tracks: only the first is read")

    @property
    def samples(self) -> int | None:
        """Per channel, as the recording claims."""
        seconds = self._ffmpeg.duration_s
        return None if seconds is None else round(seconds * self.sample_rate)

    def read(self, samples: int) -> FloatPcm:
        """The next samples, shape (samples, channels)."""
        while sum(map(len, self._waiting)) < samples:
            pcm = self._ffmpeg.read(POLL_S)
            if pcm is None:
                break
            self._waiting.append(pcm)
        empty = np.zeros((0, self.channels), np.int16)
        joined = np.concatenate((empty, *self._waiting))
        self._waiting = [joined[samples:]]
        return joined[:samples].astype(np.float32) / np.float32(FULL_SCALE)

    def fault(self) -> str:
        """Why nothing more comes."""
        return self._ffmpeg.fault()

    def rewind(self) -> None:
        """Never needed: it is not `floating`."""

    def close(self) -> None:
        """End ffmpeg."""
        self._ffmpeg.close()
