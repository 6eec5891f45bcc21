"""Which recordings there are to do: those that are named, and those in folders."""

import os
import stat
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from streamer.audio import ffmpeg
from streamer.audio.recording import SUFFIXES
from streamer.errors import InputError
from streamer.text import one_line


@dataclass(slots=True)
class Plan:
    """What was found.

    Attributes:
        recordings: What is to be read, in order.
        failures: What cannot be read, a line each, with the cure.
        notes: What was left out, a line each.
    """

    recordings: list[Path] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find(paths: Iterable[Path]) -> Plan:
    """Look for recordings.

    Args:
        paths: Recordings, which are always tried, and folders, in which names decide: hidden files
            are passed over, and nothing else is left out without a line about it.

    Raises:
        InputError: There is no such file, or a folder without recordings.
    """
    plan = Plan()
    for path in paths:
        name = one_line(str(path))
        try:
            mode = path.stat().st_mode
        except FileNotFoundError as error:
            raise InputError(f"{name}: no such file or folder") from error
        except OSError as error:
            plan.failures.append(f"{name}: cannot be read: {error.strerror}")
            continue
        if stat.S_ISDIR(mode):
            _look_into(path, plan)
        else:
            plan.recordings.append(path)
    return plan


def _look_into(folder: Path, plan: Plan) -> None:
    before = len(plan.recordings), len(plan.failures)
    left_out: Counter[str] = Counter()
    for path in sorted(_files(folder, plan)):
        suffix = path.suffix.lower()
        if suffix in SUFFIXES or (suffix in ffmpeg.SUFFIXES and ffmpeg.program()):
            plan.recordings.append(path)
        elif suffix in ffmpeg.SUFFIXES:
            plan.failures.append(f"{one_line(str(path))}: needs ffmpeg: {ffmpeg.INSTALL}")
        else:
            left_out[suffix or "no suffix"] += 1
    if (len(plan.recordings), len(plan.failures)) == before:
        known = " ".join(sorted(SUFFIXES | ffmpeg.SUFFIXES))
        raise InputError(f"{one_line(str(folder))}: no recordings in this folder ({known})")
    if left_out:
        kinds = ", ".join(f"{count} {one_line(kind)}" for kind, count in left_out.most_common())
        plan.notes.append(f"{one_line(str(folder))}: left out, as no recordings: {kinds}")


def _files(folder: Path, plan: Plan) -> Iterable[Path]:
    """All files in a folder and those below; what cannot be looked into is a failure."""

    def fail(error: OSError) -> None:
        name = one_line(os.fsdecode(error.filename))
        plan.failures.append(f"{name}: cannot be read: {error.strerror}")

    for parent, folders, names in os.walk(folder, onerror=fail):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in folders:
            path = Path(parent, name)
            if path.is_symlink():
                plan.notes.append(f"{one_line(str(path))}: left out, a link to another folder")
        yield from (Path(parent, name) for name in names if not name.startswith("."))
