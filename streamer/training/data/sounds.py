"""Reads, makes and cuts sounds that are not speech, as clips.

There are collected sounds, synthetic ones, and those that pass the VAD. The "corpus" of a clip is
where it comes from. Its "speaker" is its package or family, which is held out as a whole, so that
figures are about unseen kinds of sounds.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile

from streamer.config import Config
from streamer.errors import InputError
from streamer.model.features import Waveform, as_waveform, speech_rms
from streamer.model.manifest import DataSource
from streamer.pipeline.offline import segments_of
from streamer.training.augmentation.noise import FAMILIES
from streamer.training.augmentation.synthesis import white
from streamer.training.data.extraction import read_mono
from streamer.training.data.licences import SOUND_COLLECTIONS
from streamer.training.data.manifest import Clip
from streamer.types import NO_SPEECH, SAMPLE_RATE, Pcm

MADE_UP, COLLECTED = "made-up sounds", "collected sounds"  # the corpora
LENGTHS_S = (0.5, 6.0)
LEVEL_DBFS, ROOM_DBFS = -26.0, -70.0  # of a sound that the VAD is asked about, and around it
AROUND_S = 1.5

MANIFEST = "manifest.csv"
UNKNOWN = "not stated: ask whoever made the sounds"


@dataclass(frozen=True, slots=True)
class Sounds:
    """Sounds that are not speech.

    Attributes:
        clips: The recordings.
        sources: The sources of the collected ones, each with its licence.
    """

    clips: tuple[Clip, ...]
    sources: tuple[DataSource, ...] = ()


def all_sounds(collected: Path | None, *, made_up: int, cache: Path) -> Sounds:
    """Make the synthetic sounds, and read the collected ones if there are any.

    Args:
        collected: As for `read_sounds`; None for none.
        made_up: How many of each family to synthesise.
        cache: Folder for the synthetic sounds.

    Raises:
        InputError: As `read_sounds`.
    """
    recorded = read_sounds(collected) if collected else Sounds(())
    return Sounds((*make_up(cache, each=made_up), *recorded.clips), recorded.sources)


def read_sounds(where: Path) -> Sounds:
    """Collected sounds, mono at `SAMPLE_RATE`, as ``tools/collect_sounds.py`` writes them.

    Args:
        where: A CSV with a header, or the folder of a ``manifest.csv``. ``path`` (relative to the
            manifest, or to the folder above) is obligatory; ``package`` or ``speaker`` (sounds of
            one are kept together), ``licence`` and ``url`` are used where given.

    Raises:
        InputError: It cannot be read, lacks a column, or names a recording that is not there.
    """
    manifest = where / MANIFEST if where.is_dir() else where
    try:
        with manifest.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{manifest}: cannot be read: {error}") from error
    if not rows or "path" not in rows[0]:
        raise InputError(
            f"{manifest}: got {len(rows)} rows of {', '.join(rows[0] if rows else [])}, "
            "expected sounds, with a column path"
        )
    clips, sources = [], {}
    for number, row in enumerate(rows, start=2):
        places = (folder / (row["path"] or "") for folder in manifest.absolute().parents[:2])
        path = next((place for place in places if place.is_file()), None)
        if path is None:
            raise InputError(f"{manifest}:{number}: there is no sound {row['path']!r}")
        package = row.get("package") or row.get("speaker") or manifest.parent.name
        clips.append(_clip(path, f"{COLLECTED}/{row['path']}", COLLECTED, package))
        licence, url = row.get("licence") or UNKNOWN, row.get("url") or ""
        collection = row.get("package") or manifest.parent.name
        sources[collection] = SOUND_COLLECTIONS.get(
            collection, DataSource(name=f"sounds of {collection}", licence=licence, url=url)
        )
    return Sounds(tuple(clips), tuple(sources[name] for name in sorted(sources)))


def make_up(cache: Path, *, each: int) -> list[Clip]:
    """Synthesise ``each`` sounds of each family, always the same; write those that are missing."""
    clips = []
    for family, make in FAMILIES.items():
        for number in range(each):
            name = f"{MADE_UP}/{family}/{number:03}"
            path = cache / f"{name}.flac"
            if not path.is_file():
                rng = np.random.default_rng(list(name.encode()))
                samples = round(rng.uniform(*LENGTHS_S) * SAMPLE_RATE)
                sound = make(rng, samples)
                level = 10 ** (rng.uniform(-40, -14) / 20) / (speech_rms(sound) or 1.0)
                _write(path, sound * np.float32(level))
            clips.append(_clip(path, name, MADE_UP, family))
    return clips


def let_through(clips: Sequence[Clip], *, cache: Path) -> list[Clip]:
    """Cut out the parts of sounds that the program's own VAD takes for utterances.

    Args:
        clips: The sounds; each is mixed with the noise of a quiet room.
        cache: Folder for the pieces.

    Raises:
        InputError: A sound cannot be read.
    """
    config, pieces = Config(), []
    for clip in clips:
        pcm = _in_a_quiet_room(read_mono(clip.path), clip.name)
        for segment in segments_of(pcm, config):
            name = f"let through/{clip.name}-{segment.utterance}"
            path = cache / f"{name}.flac"
            if not path.is_file():
                _write(path, as_waveform(segment.pcm))
            pieces.append(replace(clip, path=path, name=name))
    return pieces


def _in_a_quiet_room(sound: Waveform, name: str) -> Pcm:
    around = round(AROUND_S * SAMPLE_RATE)
    room = white(np.random.default_rng(list(name.encode())), len(sound) + 2 * around)
    room *= np.float32(10 ** (ROOM_DBFS / 20))
    gain = 10 ** (LEVEL_DBFS / 20) / (speech_rms(sound) or 1.0)
    room[around : around + len(sound)] += np.float32(gain) * sound
    return np.clip(np.rint(room * 2**15), -(2**15), 2**15 - 1).astype(np.int16)


def _clip(path: Path, name: str, corpus: str, kind: str) -> Clip:
    return Clip(path=path, name=name, corpus=corpus, speaker=kind, emotion=NO_SPEECH)


def _write(path: Path, wave: Waveform) -> None:
    """Write a sound completely or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".tmp")
    soundfile.write(unfinished, np.clip(wave, -1, 1), SAMPLE_RATE, format="FLAC")
    unfinished.replace(path)
