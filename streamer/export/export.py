"""Writes logs in other formats; a bad log does not stop the others, files are written whole."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from streamer.errors import ConfigError, InputError, OutputError
from streamer.export import labels, subtitles
from streamer.export.tables import ParquetTable
from streamer.logs.reader import LogReader, logs_in
from streamer.logs.repeats import Repeats
from streamer.logs.sessions import LoggedSession, LoggedUtterance
from streamer.sinks.whole_file import whole_file

TABLES = {"parquet": "emotions.parquet", "calls": "call-figures.parquet"}
"""Parquet tables of all sessions, and their names in a folder."""

MAX_NAME = 120
"""Maximum number of letters of a file's name, before what makes it unique."""


@dataclass(frozen=True, slots=True)
class Format:
    """A format of labels.

    Attributes:
        suffix: What its files' names end with.
        by_channel: True where each channel of a session has a file of its own.
        text: The file of a session; gets the channel, or else the recording's name.
    """

    suffix: str
    by_channel: bool
    text: Callable[[LoggedSession, str], str]


FORMATS: Mapping[str, Format] = {
    "srt": Format(".srt", by_channel=True, text=lambda s, name: subtitles.srt(_of(s, name))),
    "vtt": Format(".vtt", by_channel=True, text=lambda s, name: subtitles.webvtt(_of(s, name))),
    "textgrid": Format(".TextGrid", by_channel=False, text=lambda s, _: labels.textgrid(s)),
    "elan": Format(".eaf", by_channel=False, text=lambda s, _: labels.elan(s)),
    "audacity": Format(".txt", by_channel=True, text=labels.audacity),
    "rttm": Format(".rttm", by_channel=False, text=labels.rttm),
}
"""By name, all but `TABLES`."""


@dataclass(slots=True)
class Exported:
    """The result of an export.

    Attributes:
        files: What was written, in order.
        left_out: A line for each file and each row that could not be read.
        unread: How many whole logs could not be read.
        silent: Logs in which nothing was said.
    """

    files: list[Path] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    unread: int = 0
    silent: list[Path] = field(default_factory=list)


def export(paths: Sequence[Path], to: str, out: Path, *, replace: bool = False) -> Exported:
    """Write the sessions of logs in another format.

    Where nothing was said, a table has no rows, and there are no files of labels.

    Args:
        paths: CSV logs, and folders of them.
        to: One of `FORMATS` or `TABLES`.
        out: A file where its name ends as the format's do; otherwise a folder, made where it does
            not exist, of files named by their recordings, or by their sessions where there is none.
        replace: Replace files that exist.

    Raises:
        ConfigError: One file was asked for, and several are needed.
        InputError: There is no such file or folder, or nothing in them can be read.
        OutputError: A file cannot be written, or exists.
    """
    exported = Exported()
    logs = list(dict.fromkeys(log for given in paths for log in logs_in(given)))
    if to in TABLES:
        _table(logs, to, _table_path(out, TABLES[to]), exported, replace=replace)
        return exported
    form = FORMATS[to]
    one = out if out.suffix.lower() == form.suffix.lower() and not out.is_dir() else None
    if one is None:
        _make_folder(out)
    taken: set[str] = set()
    made: Iterator[tuple[Path, str]] = (
        (path, form.text(session, name))
        for session in _sessions(logs, exported)
        for path, name in _parts(session, form, out, taken)
    )
    if one is not None:
        first = list(islice(made, 2))
        if len(first) > 1:
            raise ConfigError(
                f"--out {out}: the log has several sessions or channels, and {to} takes a file "
                f"for each; name a folder"
            )
        made = iter([(one, text) for _, text in first])
    for path, text in made:
        _write(path, text, replace=replace)
        exported.files.append(path)
    return exported


def _sessions(logs: Iterable[Path], exported: Exported) -> Iterator[LoggedSession]:
    """One at a time, so that only what is not yet ended is in memory.

    Raises:
        InputError: None of them can be read.
    """
    read = 0
    repeats = Repeats()
    for log in logs:
        try:
            reader = LogReader(log)
            yield from repeats.without(reader.sessions())
        except InputError as error:
            exported.unread += 1
            exported.left_out.append(str(error))
            continue
        read += 1
        exported.left_out += [f"skipped {one}" for one in (*reader.skipped, *repeats.told(log))]
        exported.silent += [log] if reader.is_silent else []
    if not read:
        raise InputError("; ".join(exported.left_out))


def _table(logs: Sequence[Path], to: str, out: Path, exported: Exported, *, replace: bool) -> None:
    _check(out, replace=replace)
    with ExitStack() as stack:
        draft = stack.enter_context(whole_file(out))
        table = stack.enter_context(ParquetTable(draft, calls=to == "calls"))
        for session in _sessions(logs, exported):
            table.add(session)
    exported.files.append(out)


def _table_path(out: Path, name: str) -> Path:
    if out.suffix.lower() == ".parquet" and not out.is_dir():
        return out
    _make_folder(out)
    return out / name


def _parts(
    session: LoggedSession, form: Format, folder: Path, taken: set[str]
) -> Iterator[tuple[Path, str]]:
    """Where each file of a session goes, and what it is made from: a channel, or the name."""
    recording = _recording(session)
    channels = labels.channels(session)
    for name in channels if form.by_channel else [recording]:
        parts = [recording] if session.call is None else [recording, f"call {session.call}"]
        if form.by_channel and len(channels) > 1:
            parts.append(name)
        stem = _safe("-".join(parts))
        if stem.casefold() in taken:  # recordings of one name in several folders
            stem = _safe("-".join([*parts, session.id]))
        unique, number = stem, 1
        while unique.casefold() in taken:
            number += 1
            unique = f"{stem}-{number}"
        taken.add(unique.casefold())
        yield folder / f"{unique}{form.suffix}", name


def _recording(session: LoggedSession) -> str:
    """The name of the recording without its suffix, as players look for it; else the session's."""
    name = PurePosixPath(session.source.replace("\\", "/"))
    return name.stem if re.fullmatch(r"\.\w{2,5}", name.suffix) else session.id


def _of(session: LoggedSession, channel: str) -> list[LoggedUtterance]:
    return [utterance for utterance in session.utterances if utterance.channel == channel]


def _safe(name: str) -> str:
    """The name of a file on any system; letters that are special anywhere are percent-encoded."""
    kept = "".join(
        each if each.isalnum() or each in "-_. ()" else quote(each, safe="") for each in name
    )
    return kept[:MAX_NAME].strip(" .") or "session"


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made a folder: {error.strerror}") from error


def _check(path: Path, *, replace: bool) -> None:
    if path.is_dir():
        raise OutputError(f"{path}: is a folder, expected a file or a new name")
    if path.exists() and not replace:
        raise OutputError(f"{path}: exists; --replace writes it anew")


def _write(path: Path, text: str, *, replace: bool) -> None:
    _check(path, replace=replace)
    with whole_file(path) as draft:
        draft.write_text(text, encoding="utf-8", newline="\n")
