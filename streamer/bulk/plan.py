"""Finds the recordings to analyse: those that are named, and those in folders.

A folder is read entry by entry, and the recordings found are kept on disk, so that memory does not
grow with their number.
"""

import os
import sqlite3
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TypeAlias

from streamer.audio import ffmpeg
from streamer.audio.recording import SUFFIXES
from streamer.bulk import ledger, remote
from streamer.errors import InputError
from streamer.text import one_line

Say: TypeAlias = Callable[[str], None]
"""Takes a line for people."""

MAX_BATCH = 1000
"""Rows of the plan that are read from disk at once."""


@dataclass(frozen=True, slots=True)
class ListedRecording:
    """A recording, as the file system lists it.

    Attributes:
        location: Its path or URL, as it was named, or found in a folder that was.
        size: In bytes.
        stamp: Changes with the recording: its time of modification in ns, or a server's version.
    """

    location: str
    size: int
    stamp: str

    @property
    def source(self) -> str:
        """Its name in the rows."""
        return remote.shown(self.location)

    @property
    def address(self) -> bytes:
        """Its absolute location, as bytes."""
        if remote.is_remote(self.location):
            return self.location.encode()
        return os.fsencode(os.path.abspath(self.location))  # noqa: PTH100 - links stay

    def is_in(self, shard: "Shard") -> bool:
        """Whether it is in a shard, which depends on its location alone."""
        digest = blake2b(self.address, digest_size=8).digest()
        return int.from_bytes(digest, "big") % shard.count == shard.number - 1

    def identity(self, model: str) -> str:
        """16 hexadecimal digits that change with the path, the size, the time and the model.

        Args:
            model: Name and digest of the model.
        """
        digest = blake2b(self.address, digest_size=8)
        digest.update(f"\0{self.size}\0{self.stamp}\0{model}".encode())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of the recordings.

    Attributes:
        number: From 1.
        count: How many shards there are.
    """

    number: int = 1
    count: int = 1

    @property
    def name(self) -> str:
        """For the names of files."""
        return f"{self.number:05}-of-{self.count:05}"


ALL = Shard()


@dataclass(frozen=True, slots=True)
class Task:
    """A recording that is to be analysed.

    Attributes:
        found: The recording.
        identity: From `ListedRecording.identity`.
    """

    found: ListedRecording
    identity: str


class Plan:
    """The tasks of a run, in a temporary file: each recording once, in the order of its name."""

    def __init__(self) -> None:
        self._tasks = sqlite3.connect("", isolation_level=None)  # a file that nobody else sees
        self._tasks.execute(
            "CREATE TABLE task (given INTEGER, location BLOB, size INTEGER, stamp TEXT,"
            " identity TEXT PRIMARY KEY) WITHOUT ROWID"
        )
        self._tasks.execute("BEGIN")
        self.count = 0
        """How many tasks there are."""
        self.size = 0
        """Their bytes."""

    def add(self, given: int, task: Task) -> None:
        """Take a task, unless it is there already.

        Args:
            given: The number of the argument that it was found by.
            task: The recording.
        """
        found = task.found
        added = self._tasks.execute(
            "INSERT OR IGNORE INTO task VALUES (?, ?, ?, ?, ?)",
            (given, os.fsencode(found.location), found.size, found.stamp, task.identity),
        )
        if added.rowcount:
            self.count += 1
            self.size += found.size

    def tasks(self) -> Iterator[Task]:
        """All of them, by argument, then by path."""
        cursor = self._tasks.execute(
            "SELECT location, size, stamp, identity FROM task ORDER BY given, location"
        )
        while rows := cursor.fetchmany(MAX_BATCH):
            for location, size, stamp, identity in rows:
                yield Task(ListedRecording(os.fsdecode(location), size, stamp), identity)

    def close(self) -> None:
        """Delete the file."""
        self._tasks.close()


def find(location: str, note: Say, fail: Say) -> Iterator[ListedRecording]:
    """Look for recordings.

    Args:
        location: The path or URL of a recording, which is always tried, or of a folder, in which
            recordings are chosen by their names: hidden files are skipped silently, and other
            files with a line about them.
        note: Called with a line about files that were left out.
        fail: Called with a line about a file that cannot be read, and the cure.

    Raises:
        ConfigError: It is a URL, and what reads it is not installed.
        InputError: There is no such file, or the folder has no recordings.
    """
    if remote.is_remote(location):
        yield from _find_remote(location, note, fail)
        return
    name = one_line(location)
    try:
        found = Path(location).stat()
    except FileNotFoundError as error:
        raise InputError(f"{name}: no such file or folder") from error
    except OSError as error:
        fail(f"{name}: cannot be read: {error.strerror}")
        return
    if stat.S_ISDIR(found.st_mode):
        yield from _look_into(location, note, fail)
    else:
        yield ListedRecording(location, found.st_size, str(found.st_mtime_ns))


class _Names:
    """Decides by names which files in a folder are recordings."""

    def __init__(self, folder: str, note: Say, fail: Say) -> None:
        self._folder = folder
        self._note = note
        self._fail = fail
        self._seen = False
        self._left_out: Counter[str] = Counter()
        self._ffmpeg = ffmpeg.program() is not None

    def fail(self, text: str) -> None:
        """Report a file that cannot be read."""
        self._seen = True
        self._fail(text)

    def accept(self, location: str) -> bool:
        """Whether it is a recording; other files are counted."""
        suffix = os.path.splitext(location)[1].lower()  # noqa: PTH122 - a million of them
        if suffix in SUFFIXES or (suffix in ffmpeg.SUFFIXES and self._ffmpeg):
            self._seen = True
            return True
        if suffix in ffmpeg.SUFFIXES:
            self.fail(f"{remote.shown(location)}: needs ffmpeg: {ffmpeg.INSTALL}")
        elif not _is_output(location, suffix):
            self._left_out[suffix or "no suffix"] += 1
        return False

    def end(self) -> None:
        """Report what was left out.

        Raises:
            InputError: There was no recording.
        """
        name = remote.shown(self._folder)
        if not self._seen:
            known = " ".join(sorted(SUFFIXES | ffmpeg.SUFFIXES))
            raise InputError(f"{name}: no recordings in this folder ({known})")
        if self._left_out:
            counts = self._left_out.most_common()
            kinds = ", ".join(f"{count} {one_line(kind)}" for kind, count in counts)
            self._note(f"{name}: left out, as no recordings: {kinds}")


def _is_output(location: str, suffix: str) -> bool:
    """Whether a file is a ledger or its journal, or the CSV that it belongs to."""
    if remote.is_remote(location):
        return False
    return suffix.startswith(ledger.SUFFIX) or os.path.exists(location + ledger.SUFFIX)  # noqa: PTH110 - a million of them


def _look_into(folder: str, note: Say, fail: Say) -> Iterator[ListedRecording]:
    names = _Names(folder, note, fail)
    for entry in _files(folder, note, names.fail):
        if not names.accept(entry.path):
            continue
        try:
            found = entry.stat()
        except OSError as error:
            names.fail(f"{one_line(entry.path)}: cannot be read: {error.strerror}")
        else:
            location = entry.path.removeprefix(os.curdir + os.sep)  # as people call it
            yield ListedRecording(location, found.st_size, str(found.st_mtime_ns))
    names.end()


def _find_remote(location: str, note: Say, fail: Say) -> Iterator[ListedRecording]:
    names = _Names(location, note, fail)
    for address, size, stamp in remote.find(location):
        if address == location:  # it was named: then it is tried
            yield ListedRecording(address, size, stamp)
            return
        if names.accept(address):
            yield ListedRecording(address, size, stamp)
    names.end()


def _files(folder: str, note: Say, fail: Say) -> Iterator["os.DirEntry[str]"]:
    """All files in a folder and those below that are not hidden."""
    folders = [folder]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if not _is_folder(entry):
                        yield entry
                    elif entry.is_symlink():
                        note(f"{one_line(entry.path)}: left out, a link to another folder")
                    else:
                        folders.append(entry.path)
        except OSError as error:
            fail(f"{one_line(os.fsdecode(error.filename))}: cannot be read: {error.strerror}")


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    """Whether it is a folder, or a link to one; a link that cannot be followed is a file."""
    try:
        return entry.is_dir()
    except OSError:  # whoever reads it says why
        return False


def make(
    locations: Iterable[str],
    keep: Callable[[ListedRecording], Task | None],
    note: Say,
    fail: Say,
) -> Plan:
    """Find recordings and plan those that are to be analysed.

    Args:
        locations: As for `find`, with the same errors.
        keep: Makes a task of a recording; None where there is nothing to do.
        note: As for `find`.
        fail: As for `find`.
    """
    plan = Plan()
    for given, location in enumerate(locations):
        for found in find(location, note, fail):
            if (task := keep(found)) is not None:
                plan.add(given, task)
    return plan
