"""Decodes the speech of many recordings once, augments it, and gives random access to both."""

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import cached_property, partial
from multiprocessing import get_context
from pathlib import Path
from shutil import disk_usage
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from streamer.errors import InputError, OutputError
from streamer.model import features
from streamer.model.features import Waveform
from streamer.training.augmentation.degrade import SPEED, degrade
from streamer.training.data.extraction import read_mono
from streamer.training.data.manifest import Clip
from streamer.types import Pcm

FULL_SCALE = 2**15 - 1
LOUDEST = 0.5  # of full scale: headroom for augmentation
CHUNK = 2000  # clips that a process augments before it asks for more


class Recordings:
    """Trimmed speech by clip, kept on disk as 16-bit PCM and read through the page cache.

    Args:
        clips: The clips to decode.
        cache: Folder for the PCM; it may be deleted at any time.
        jobs: Recordings worked on at once; None takes every core.

    Raises:
        InputError: A recording cannot be read, or is silent.
    """

    def __init__(self, clips: Sequence[Clip], *, cache: Path, jobs: int | None = None) -> None:
        key = _key(clips)
        pcm, ends = cache / f"recordings-{key}.npy", cache / f"recordings-{key}-ends.npy"
        if not ends.is_file():
            with ThreadPoolExecutor(jobs or os.cpu_count() or 1) as workers:
                pieces = list(track(workers.map(_decode, clips), "decoding", len(clips)))
            cache.mkdir(parents=True, exist_ok=True)
            np.save(pcm, np.concatenate(pieces))
            np.save(ends, np.cumsum([len(piece) for piece in pieces]))
        self._file = pcm
        self._ends = np.load(ends, allow_pickle=False)
        self._rows = {clip.name: row for row, clip in enumerate(clips)}

    @cached_property
    def _pcm(self) -> Pcm:
        pcm: Pcm = np.load(self._file, mmap_mode="r", allow_pickle=False)
        return pcm

    def __getstate__(self) -> dict[str, Any]:
        """The state for another process, which opens the file itself."""
        return {name: value for name, value in vars(self).items() if name != "_pcm"}

    def __getitem__(self, clip: Clip) -> Pcm:
        """The speech of a clip, at no particular level: shape (samples,)."""
        row = self._rows[clip.name]
        begin = self._ends[row - 1] if row else 0
        return self._pcm[begin : self._ends[row]]


class Augmented:
    """Augmented copies of the speech of each clip (`degrade`), kept like `Recordings`.

    Args:
        clips: The clips to augment.
        recordings: The recordings of these clips, and of the voices.
        voices: Clips for babble in the background.
        copies: How many copies of each clip to make.
        cache: Folder for them; it may be deleted at any time.
        jobs: Processes that work at once; None takes every core.

    Raises:
        OutputError: There is not enough room on the disk.
    """

    def __init__(  # noqa: PLR0913 - each is a choice of the caller
        self,
        clips: Sequence[Clip],
        recordings: Recordings,
        *,
        voices: Sequence[Clip],
        copies: int,
        cache: Path,
        jobs: int | None = None,
    ) -> None:
        key = f"{_key(clips)}-{_key(voices)}-{copies}"
        pcm, ends = cache / f"augmented-{key}.npy", cache / f"augmented-{key}-ends.npy"
        longest = [int(len(recordings[clip]) / SPEED[0]) + 1 for clip in clips]
        self._begins = np.cumsum([0, *longest])
        self._rows = {clip.name: row for row, clip in enumerate(clips)}
        if copies and not ends.is_file():
            unfinished = pcm.with_suffix(".tmp.npy")
            shape = copies, int(self._begins[-1])
            _allocate(unfinished, shape)
            augment = partial(_augment, recordings, clips, voices, self._begins, unfinished)
            tasks = [
                (copy, range(begin, min(begin + CHUNK, len(clips))))
                for copy in range(copies)
                for begin in range(0, len(clips), CHUNK)
            ]
            with ProcessPoolExecutor(jobs, get_context("spawn")) as workers:
                done = map(augment, tasks) if jobs == 1 else workers.map(augment, tasks)
                lengths = list(track(done, "augmenting", len(tasks)))
            unfinished.replace(pcm)
            np.save(ends, self._begins[:-1] + np.concatenate(lengths).reshape(copies, -1))
        if copies:
            self._pcm: Pcm = np.load(pcm, mmap_mode="r", allow_pickle=False)
            self._ends = np.load(ends, allow_pickle=False)

    def __call__(self, clip: Clip, copy: int) -> Pcm:
        """The speech of a clip, at no particular level: shape (samples,)."""
        row = self._rows[clip.name]
        return self._pcm[copy, self._begins[row] : self._ends[copy, row]]


def _allocate(file: Path, shape: tuple[int, int]) -> None:
    """Make room for PCM.

    Raises:
        OutputError: There is not enough. A process that writes to mapped memory would be killed
            instead of reporting that.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    needed, free = 2 * shape[0] * shape[1], disk_usage(file.parent).free
    if free < needed:
        raise OutputError(
            f"{file.parent}: got {free / 1e9:.1f} GB of room, "
            f"expected {needed / 1e9:.1f} for augmented speech"
        )
    np.lib.format.open_memmap(file, "w+", np.int16, shape).flush()


def _augment(  # noqa: PLR0913, PLR0917 - all that another process needs
    recordings: Recordings,
    clips: Sequence[Clip],
    voices: Sequence[Clip],
    begins: NDArray[np.int64],
    out: Path,
    task: tuple[int, range],
) -> list[int]:
    """Write a copy of some clips to the file, in any process; return their lengths."""

    def anyone(rng: np.random.Generator) -> Waveform:
        return _wave(recordings[voices[int(rng.integers(len(voices)))]])

    copy, rows = task
    pcm = np.load(out, mmap_mode="r+", allow_pickle=False)
    lengths = []
    for row in rows:
        rng = np.random.default_rng([copy, *clips[row].name.encode()])
        augmented = _to_pcm(degrade(_wave(recordings[clips[row]]), rng, anyone))
        pcm[copy, begins[row] : begins[row] + len(augmented)] = augmented
        lengths.append(len(augmented))
    return lengths


def _decode(clip: Clip) -> Pcm:
    wave = features.trim_silence(features.as_waveform(read_mono(clip.path)))
    if features.speech_rms(wave) < features.SILENCE_RMS:
        raise InputError(f"{clip.path}: is silent, expected speech")
    return _to_pcm(wave)


def _to_pcm(wave: Waveform) -> Pcm:
    peak = np.float32(LOUDEST * FULL_SCALE / (np.abs(wave).max() or 1.0))
    pcm: Pcm = np.rint(wave * peak).astype(np.int16)
    return pcm


def _wave(pcm: Pcm) -> Waveform:
    return pcm.astype(np.float32) / np.float32(FULL_SCALE)


def _key(clips: Sequence[Clip]) -> str:
    state = [(clip.name, clip.path.stat().st_size) for clip in clips]
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()[:24]
