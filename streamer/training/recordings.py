"""The speech of many recordings, decoded and trimmed once, at hand in any order."""

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from rich.progress import track

from streamer.errors import InputError
from streamer.model import features
from streamer.model.features import Waveform
from streamer.training.corpora import Clip
from streamer.training.extraction import read_mono
from streamer.types import Pcm

FULL_SCALE = 2**15 - 1
LOUDEST = 0.5  # of full scale: room for whoever adds to it


class Recordings:
    """Trimmed speech by clip, kept on disk as 16-bit PCM and read through the page cache.

    Args:
        clips: What to decode.
        cache: Folder for it; it may be deleted at any time.
        jobs: Recordings worked on at once; None takes every core.

    Raises:
        InputError: A recording cannot be read, is not mono at 16 kHz, or is silent.
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
        self._pcm: Pcm = np.load(pcm, mmap_mode="r", allow_pickle=False)
        self._ends = np.load(ends, allow_pickle=False)
        self._rows = {clip.name: row for row, clip in enumerate(clips)}

    def __getitem__(self, clip: Clip) -> Waveform:
        """The speech of a clip, at no particular level: shape (samples,)."""
        row = self._rows[clip.name]
        begin = self._ends[row - 1] if row else 0
        return self._pcm[begin : self._ends[row]].astype(np.float32) / np.float32(FULL_SCALE)


def _decode(clip: Clip) -> Pcm:
    wave = features.trim_silence(features.as_waveform(read_mono(clip.path)))
    if features.speech_rms(wave) < features.SILENCE_RMS:
        raise InputError(f"{clip.path}: is silent, expected speech")
    peak = np.float32(LOUDEST * FULL_SCALE / np.abs(wave).max())
    pcm: Pcm = np.rint(wave * peak).astype(np.int16)
    return pcm


def _key(clips: Sequence[Clip]) -> str:
    state = [(clip.name, clip.path.stat().st_size) for clip in clips]
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()[:24]
