"""Makes the report from logs; a bad log does not stop it, and only reports are overwritten."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

from streamer.errors import InputError, OutputError
from streamer.report.page import MARK, Audio, page
from streamer.sinks.log_reader import LoggedSession, Skipped, logs_in, read_log
from streamer.sinks.whole_file import whole_file

HEAD = 2000
"""Bytes in which a page says what made it."""


@dataclass(frozen=True, slots=True)
class Made:
    """The result of making a report.

    Attributes:
        left_out: A line for each file and each row that is not on the page.
        unread: How many whole files could not be read.
    """

    left_out: tuple[str, ...]
    unread: int


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
    sessions: list[LoggedSession] = []
    skipped: list[Skipped] = []
    unread: dict[Path, InputError] = {}
    for path in dict.fromkeys(log for given in paths for log in logs_in(given)):
        try:
            found, lines = read_log(path)
        except InputError as error:
            unread[path] = error
        else:
            sessions += [_from_its_begin(one) for one in found if session in (None, one.id)]
            skipped += lines
    if not sessions and session is not None and not unread:
        raise InputError(f"there is no session {session!r} in these logs")
    if not sessions:
        raise InputError("; ".join(map(str, unread.values())))
    left_out = [str(one) for one in (*unread.values(), *skipped)]
    text = page(sessions, left_out, _saved(audio, out) if audio else None)
    with whole_file(out) as draft:
        draft.write_text(text, encoding="utf-8", newline="\n")
    return Made(
        left_out=(*map(str, unread.values()), *(f"skipped {one}" for one in skipped)),
        unread=len(unread),
    )


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
