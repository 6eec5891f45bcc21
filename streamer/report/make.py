"""Makes the report from logs; a bad log does not stop it, and only reports are overwritten."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

from streamer.errors import InputError, OutputError
from streamer.logs.reader import LogReader, logs_in
from streamer.logs.repeats import Repeats
from streamer.logs.sessions import LoggedSession
from streamer.report.page import MARK, Audio, page
from streamer.sinks.whole_file import whole_file

HEAD = 2000
"""Bytes in which a page says what made it."""


@dataclass(frozen=True, slots=True)
class Made:
    """The result of making a report.

    Attributes:
        left_out: A line for each file and each row that is not on the page.
        unread: How many whole files could not be read.
        silent: The logs in which nothing was said.
    """

    left_out: tuple[str, ...]
    unread: int
    silent: tuple[Path, ...] = ()


def make(
    paths: Sequence[Path], out: Path, *, audio: Path | None = None, session: str | None = None
) -> Made:
    """Write one page about all sessions of these logs.

    Args:
        paths: CSV logs, and folders of them.
        out: The page; a report that is there is replaced, anything else is left alone.
        audio: A folder of saved utterances.
        session: Only this one; None for all.

    Raises:
        InputError: There is no such file, folder or session, or nothing in them can be read.
        OutputError: The page cannot be written.
    """
    _check(out)
    logs = _Logs(paths, session)
    saved = _saved(audio, out) if audio else None
    text = page(logs.sessions(), logs.left_out, logs.silent, audio=saved)
    if not logs.found and session is not None and not logs.unread:
        raise InputError(f"there is no session {session!r} in these logs")
    if not logs.found and (session is not None or not logs.silent):
        raise InputError("; ".join(logs.left_out[: logs.unread]))
    with whole_file(out) as draft:
        draft.write_text(text, encoding="utf-8", newline="\n")
    unread, skipped = logs.left_out[: logs.unread], logs.left_out[logs.unread :]
    left_out = (*unread, *(f"skipped {one}" for one in skipped))
    return Made(left_out, unread=logs.unread, silent=tuple(logs.silent))


class _Logs:
    """The sessions of logs, one at a time, and what could not be read of these.

    Attributes:
        found: How many sessions were read.
        unread: How many files could not be.
        left_out: A line for each of these, then for each row and repeating log.
        silent: The files in which nothing was said.
    """

    def __init__(self, paths: Sequence[Path], session: str | None) -> None:
        self.found = 0
        self.unread = 0
        self.left_out: list[str] = []
        self.silent: list[Path] = []
        self._paths = paths
        self._repeats = Repeats()
        self._session = session

    def sessions(self) -> Iterator[LoggedSession]:
        """All of them, or the one that is wanted."""
        for path in dict.fromkeys(log for given in self._paths for log in logs_in(given)):
            try:
                reader = LogReader(path, self._session)
                for one in self._repeats.without(reader.sessions()):
                    self.found += 1
                    yield _from_its_begin(one)
            except InputError as error:
                self.left_out.insert(self.unread, str(error))
                self.unread += 1
            else:
                self.left_out += [*map(str, reader.skipped), *self._repeats.told(path)]
                self.silent += [path] if reader.is_silent else []


def _from_its_begin(session: LoggedSession) -> LoggedSession:
    """A later call of a session with times from its own begin; any other session as it is."""
    if session.call is None:
        return session
    begin_s = min(one.start_s for one in session.utterances)
    begin_s = min((begin_s, *(one.start_s for one in session.marks)))
    return replace(
        session,
        began=session.began and session.began + timedelta(seconds=begin_s),
        utterances=tuple(
            replace(one, start_s=one.start_s - begin_s, end_s=one.end_s - begin_s)
            for one in session.utterances
        ),
        marks=tuple(replace(one, start_s=one.start_s - begin_s) for one in session.marks),
    )


def _saved(folder: Path, out: Path) -> Audio:
    try:
        names = frozenset(entry.name for entry in folder.iterdir())
        relative = os.path.relpath(folder.resolve(), out.resolve().parent)
    except OSError as error:
        raise InputError(f"{folder}: cannot be read: {error.strerror}") from error
    except ValueError:  # Windows: on another drive
        return Audio(folder.resolve().as_uri(), names)
    return Audio(quote(Path(relative).as_posix()), names)


def _check(out: Path) -> None:
    """Raises OutputError where the page must not go."""
    if out.is_dir():
        raise OutputError(f"{out}: is a folder, expected the name of a page, as report.html")
    if not out.exists():
        return
    try:
        with out.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise OutputError(f"{out}: cannot be replaced: {error.strerror}") from error
    if not out.is_file() or MARK.encode() not in head:
        raise OutputError(f"{out}: exists and is no report; choose another name with -o")
