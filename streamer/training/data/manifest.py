"""Reads the manifest: a CSV of recordings with speaker and emotion."""

import csv
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from streamer.errors import ConfigError, InputError
from streamer.types import EMOTIONS

OBLIGATORY = ("path", "speaker", "emotion")
ONLY_CORPUS = "recordings"  # what a manifest without a ``corpus`` column is called


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording of one speaker in one emotion.

    Attributes:
        path: The recording.
        name: Its path as the manifest says it: the same on every machine.
        corpus: Recordings made alike, with the same choice of emotions.
        speaker: Unique within its corpus.
        emotion: The acted or annotated one.
        perceived: The emotion that most listeners heard, several on a tie; empty if not known.
        fold: The test fold of its speaker; empty where the corpus has none.
        ordinary: True for speech that nobody acted and nobody labelled, see `read_ordinary`.
    """

    path: Path
    name: str
    corpus: str
    speaker: str
    emotion: str
    perceived: tuple[str, ...] = ()
    fold: str = ""
    ordinary: bool = False

    @property
    def voice(self) -> tuple[str, str]:
        """The speaker, unique among all corpora."""
        return self.corpus, self.speaker


def read_manifest(manifest: Path, *, corpora: Collection[str] = ()) -> list[Clip]:
    """Read a manifest.

    Args:
        manifest: A CSV with a header. ``path`` (relative to the manifest), ``speaker`` and
            ``emotion`` are obligatory; ``corpus``, ``heard_as`` and ``fold`` are used where given;
            others are ignored.
        corpora: Only these; empty takes all.

    Raises:
        InputError: It cannot be read, lacks a column, has a wrong value (the message names line and
            value) or a missing recording, or has nothing of ``corpora``.
    """
    try:
        with manifest.open(encoding="utf-8-sig", newline="") as file:
            clips = list(_clips(csv.DictReader(file), manifest))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{manifest}: cannot be read: {error}") from error
    known = sorted({clip.corpus for clip in clips})
    if unknown := sorted(set(corpora) - set(known)):
        raise InputError(
            f"{manifest}: got corpora {', '.join(unknown)}, it holds: {', '.join(known)}"
        )
    if not clips:
        raise InputError(f"{manifest}: holds no recordings")
    return [clip for clip in clips if not corpora or clip.corpus in corpora]


def leave_out(clips: Collection[Clip], names: Collection[str]) -> list[Clip]:
    """The clips without some corpora, or some folds of them.

    Args:
        clips: All there are.
        names: Each a corpus, or ``CORPUS:FOLD``.

    Raises:
        ConfigError: There is no such corpus or fold, or nothing would be left.
    """
    known = {clip.corpus for clip in clips} | {f"{clip.corpus}:{clip.fold}" for clip in clips}
    if unknown := sorted(set(names) - known):
        there = ", ".join(sorted(name for name in known if not name.endswith(":")))
        raise ConfigError(f"cannot leave out {', '.join(unknown)}, there are: {there}")
    left = [
        clip
        for clip in clips
        if clip.corpus not in names and f"{clip.corpus}:{clip.fold}" not in names
    ]
    if not left:
        raise ConfigError(f"without {', '.join(names)} nothing is left to learn from")
    return left


def without(clips: Collection[Clip], names: Collection[str]) -> list[Clip]:
    """The clips without some speakers, or some emotions of a corpus.

    Args:
        clips: All there are.
        names: Each ``CORPUS:SPEAKER``, held out for a demonstration or a test; or
            ``CORPUS:EMOTION``, where a corpus means something else by the word.

    Raises:
        ConfigError: There is no such speaker or emotion.
    """
    known = {name for clip in clips for name in _names(clip)}
    if unknown := sorted(set(names) - known):
        raise ConfigError(f"cannot leave out {', '.join(unknown)}: no clips are of these")
    return [clip for clip in clips if not set(_names(clip)) & set(names)]


def _names(clip: Clip) -> tuple[str, str]:
    return f"{clip.corpus}:{clip.speaker}", f"{clip.corpus}:{clip.emotion}"


def labels_of(clips: Collection[Clip]) -> tuple[str, ...]:
    """The emotions that occur, in the order of `EMOTIONS`."""
    seen = {clip.emotion for clip in clips}
    return tuple(emotion for emotion in EMOTIONS if emotion in seen)


def _clips(rows: "csv.DictReader[str]", manifest: Path) -> Iterator[Clip]:
    if missing := [name for name in OBLIGATORY if name not in (rows.fieldnames or ())]:
        raise InputError(
            f"{manifest}: got columns {', '.join(rows.fieldnames or ['none'])}, "
            f"expected also: {', '.join(missing)}"
        )
    for row in rows:
        where = f"{manifest}:{rows.line_num}"
        for name in OBLIGATORY:
            if not row[name]:
                raise InputError(f"{where}: {name} is empty")
        _check_emotions(where, "emotion", [row["emotion"]])
        perceived = (row.get("heard_as") or "").split()
        _check_emotions(where, "heard_as", perceived)
        path = manifest.parent / row["path"]
        if not path.is_file():
            raise InputError(f"{where}: there is no recording {row['path']!r} in {manifest.parent}")
        yield Clip(
            path=path,
            name=row["path"],
            corpus=row.get("corpus") or ONLY_CORPUS,
            speaker=row["speaker"],
            emotion=row["emotion"],
            perceived=tuple(perceived),
            fold=row.get("fold") or "",
        )


def _check_emotions(where: str, column: str, emotions: Collection[str]) -> None:
    for emotion in emotions:
        if emotion not in EMOTIONS:
            raise InputError(
                f"{where}: {column}: got {emotion!r}, expected one of: {', '.join(EMOTIONS)}"
            )
