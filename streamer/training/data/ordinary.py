"""Reads ordinary speech: recordings of people who just talk, almost all of it neutral."""

import csv
from pathlib import Path

from streamer.errors import InputError
from streamer.training.data.manifest import Clip

NEUTRAL = "neutral"

ONLY_SOURCE = "ordinary speech"
"""The source of a manifest without a ``source`` column; no corpus has this name."""

TRAIN, DEV = "train", "dev"
"""The values of ``use``: for training, and to measure and choose how quiet a model is."""


def read_ordinary(manifest: Path, *, use: str = "") -> list[Clip]:
    """Read a manifest of ordinary speech.

    Args:
        manifest: A CSV with a header. ``path`` (relative to the manifest) is obligatory;
            ``source`` (recordings made alike), ``speaker`` and ``use`` are taken where given. A
            recording without a speaker counts as a voice of its own.
        use: Only the rows with this value of ``use``; empty takes all.

    Raises:
        InputError: It cannot be read, lacks the column, names a recording that is not there, or
            holds nothing for this use.
    """
    try:
        with manifest.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{manifest}: cannot be read: {error}") from error
    if rows and "path" not in rows[0]:
        raise InputError(f"{manifest}: got columns {', '.join(rows[0])}, expected also: path")
    clips = []
    for number, row in enumerate(rows, start=2):
        if use and row.get("use") != use:
            continue
        path = manifest.parent / (row["path"] or "")
        if not path.is_file():
            raise InputError(f"{manifest}:{number}: there is no recording {row['path']!r}")
        clips.append(
            Clip(
                path=path,
                name=row["path"],
                corpus=row.get("source") or ONLY_SOURCE,
                speaker=row.get("speaker") or f"unknown: {row['path']}",
                emotion=NEUTRAL,
                ordinary=True,
            )
        )
    if not clips:
        wanted = f" with use={use}" if use else ""
        raise InputError(f"{manifest}: got no recordings{wanted}, expected ordinary speech")
    return clips
