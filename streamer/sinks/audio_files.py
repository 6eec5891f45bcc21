"""Saves utterances as FLAC on request; a slow or full disk costs recordings, never rows."""

import hashlib
import io
import os
import queue
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Self
from urllib.parse import quote

import soundfile

from streamer.errors import ConfigError
from streamer.events import Event
from streamer.sinks.base import BaseSink
from streamer.sinks.row import Session
from streamer.text import quantity
from streamer.types import SAMPLE_RATE, Pcm, Segment, Utterance

MAX_PART = 80
"""Maximum number of letters of a session or channel in the name of a file."""

MAX_WAITING = 64
"""Utterances that may wait for the disk, 12 s each: 25 MB at most."""

EXIT_WAIT_S = 10.0
"""Seconds that the end waits until all audio is on disk: a network drive may never answer."""


def file_name(session: str, channel: str, number: int) -> str:
    """Name the file of an utterance after its row, safe on every file system.

    Letters that are special anywhere are percent-encoded, so that no two channels share a name.
    """
    return f"{_safe(session)}-{_safe(channel)}-{number}.flac"


class AudioFolder:
    """Where utterances are kept; any number of threads may share one.

    A copy in another process counts for itself: `count` adds that up.

    Args:
        path: The folder; it is created for its owner alone where it does not exist.

    Raises:
        ConfigError: No file can be made there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._saved = 0
        self._lost = 0
        self._why = ""  # the last one could not be saved; empty where it could
        self._warnings: queue.SimpleQueue[str] = queue.SimpleQueue()
        if path.exists() and not path.is_dir():
            raise ConfigError(f"--save-audio: {path} is a file, expected a folder or a new name")
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=path):
                pass
        except OSError as error:
            raise ConfigError(f"--save-audio: {path} cannot be written: {error.strerror}") from None

    def __reduce__(self) -> tuple[type[Self], tuple[Path]]:
        return type(self), (self._path,)

    @property
    def saved(self) -> int:
        """How many utterances were saved."""
        with self._lock:
            return self._saved

    @property
    def lost(self) -> int:
        """How many utterances could not be saved."""
        with self._lock:
            return self._lost

    def count(self, saved: int, lost: int) -> None:
        """Add what another process saved, and could not save."""
        with self._lock:
            self._saved += saved
            self._lost += lost

    def save(self, name: str, pcm: Pcm) -> None:
        """Write an utterance, whole or not at all; waits for the disk. A failure is noted.

        Args:
            name: From `file_name`.
            pcm: Shape (samples,).
        """
        try:
            _write(self._path / name, pcm)
        except OSError as error:
            self.lose(name, error.strerror or str(error))
        except Exception as error:  # noqa: BLE001 - reported, and no reason to stop what else goes on
            self.lose(name, repr(error))
        else:
            with self._lock:
                self._saved += 1
                self._why = ""

    def lose(self, name: str, why: str) -> None:
        """Count an utterance that is not saved; warn once, until one is saved again."""
        with self._lock:
            self._lost += 1
            known, self._why = self._why == why, why
        if not known:
            self._warnings.put(f"{self._path / name}: audio not saved: {why}")

    def drain_warnings(self) -> list[str]:
        """What went wrong since the last call, a line each."""
        return [self._warnings.get_nowait() for _ in range(self._warnings.qsize())]

    def summary(self) -> list[str]:
        """How many were saved, and how many were not, in lines for people."""
        with self._lock:
            lines = [f"audio of {quantity(self._saved, 'utterance')} in {self._path}"]
            if self._lost:
                lines.append(f"audio of {quantity(self._lost, 'utterance')} not saved")
        return lines


class AudioSink(BaseSink):
    """Saves utterances on a thread of its own, so that the live threads never wait for the disk.

    The sound of an utterance comes first (`keep`), on the worker; it waits for the utterance to be
    recorded (`write`), then for the disk. Together at most `MAX_WAITING` wait.

    Args:
        folder: Where to save them.
    """

    def __init__(self, folder: AudioFolder) -> None:
        super().__init__()
        self._folder = folder
        self._lock = threading.Lock()
        self._kept: dict[str, Pcm] = {}  # by file name: not recorded yet
        self._queue: queue.Queue[tuple[str, Pcm] | None] = queue.Queue(MAX_WAITING)
        self._writing = ""  # its name; the thread's own while it runs
        self._thread = threading.Thread(target=self._work, name="save audio", daemon=True)
        self._thread.start()

    def keep(self, session_id: str, channel: str, segment: Segment) -> None:
        """Take the sound of an utterance that is recorded next. Never waits; on any thread."""
        name = file_name(session_id, channel, segment.utterance)
        with self._lock:
            full = len(self._kept) + self._queue.qsize() >= MAX_WAITING
            if not full:
                self._kept[name] = segment.pcm
        if full:
            self._lose(name)

    def write(self, event: Event, session: Session) -> None:
        """Save the sound of an utterance that is recorded."""
        if not isinstance(event, Utterance):
            return
        name = file_name(session.id, event.channel, event.number)
        with self._lock:
            pcm = self._kept.pop(name, None)
        if pcm is not None:
            self.put(name, pcm)

    def put(self, name: str, pcm: Pcm) -> None:
        """Take an utterance; returns at once. Where too many wait already, it is lost."""
        try:
            self._queue.put_nowait((name, pcm))
        except queue.Full:
            self._lose(name)

    def drain_warnings(self) -> list[str]:
        """What went wrong since the last call, a line each."""
        return self._folder.drain_warnings()

    def summary(self) -> list[str]:
        """How many were saved, and how many were not, in lines for people."""
        return self._folder.summary()

    def join(self, timeout_s: float = EXIT_WAIT_S) -> None:
        """Wait a while for what is not on disk yet; what is not by then is lost."""
        ends_at = time.monotonic() + timeout_s
        with suppress(queue.Full):  # a disk that hangs
            self._queue.put(None, timeout=timeout_s)
            self._thread.join(max(0.0, ends_at - time.monotonic()))
        left = []
        if self._thread.is_alive():
            left.append(self._writing)
            with suppress(queue.Empty):
                while (waiting := self._queue.get_nowait()) is not None:
                    left.append(waiting[0])
        with self._lock:  # whose row could not be recorded
            left += self._kept
            self._kept.clear()
        for name in left:
            self._folder.lose(name, "the disk did not take it in time")

    def _lose(self, name: str) -> None:
        self._folder.lose(name, f"{MAX_WAITING} utterances wait for the disk already")

    # --- its own thread -------------------------------------------------------------------------

    def _work(self) -> None:
        while (waiting := self._queue.get()) is not None:
            self._writing, pcm = waiting
            self._folder.save(self._writing, pcm)


def _safe(name: str) -> str:
    safe = quote(name, safe="")
    if len(safe) > MAX_PART:
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        safe = f"{safe[: MAX_PART - len(digest) - 1]}~{digest}"
    return safe


def _write(path: Path, pcm: Pcm) -> None:
    encoded = io.BytesIO()  # in memory first: then whatever fails next is the disk, and says why
    soundfile.write(encoded, pcm, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    draft = None
    try:
        # readable by nobody but its owner, as temporary files are
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=".", suffix=".part", delete=False
        ) as file:
            draft = Path(file.name)
            file.write(encoded.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        if draft is not None:
            with suppress(OSError):
                draft.unlink()
        raise
