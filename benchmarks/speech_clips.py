"""Clean speech for measurements, and which of its frames are speech.

The truth comes from the energy of the clean clips: frames within 30 dB of the loud ones (95th
percentile), without blips of up to 40 ms, with the gaps of up to 200 ms in between. Clips with a
background that would blur it are left out.
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np
import soundfile
from numpy.typing import NDArray

from streamer.types import SAMPLE_RATE

ROOT = Path(__file__).parents[1]
CORPORA = ("ravdess", "crema-d", "savee", "tess", "nemo", "casia")
FRAME = SAMPLE_RATE // 50

Audio: TypeAlias = NDArray[np.float64]
"""Shape (samples,) at `SAMPLE_RATE`, full scale ±1."""
Frames: TypeAlias = NDArray[np.bool_]
"""Whether each `FRAME` is speech."""


def frame_db(audio: Audio) -> Audio:
    """Level of each frame, without what is below 70 Hz."""
    spectrum = np.fft.rfft(audio)
    spectrum[: 70 * len(audio) // SAMPLE_RATE] = 0
    frames = np.fft.irfft(spectrum, len(audio))[: len(audio) // FRAME * FRAME].reshape(-1, FRAME)
    return np.asarray(10 * np.log10(np.square(frames).mean(axis=1) + 1e-12))


def spans(frames: Frames) -> list[tuple[int, int]]:
    """Begin and end of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], frames, [False]))))
    return [(int(begin), int(end)) for begin, end in edges.reshape(-1, 2)]


def bridged(frames: Frames, gap: int) -> Frames:
    """With gaps of up to ``gap`` frames filled."""
    frames = frames.copy()
    for begin, end in spans(~frames):
        if begin > 0 and end < len(frames) and end - begin <= gap:
            frames[begin:end] = True
    return frames


def truth(clean: Audio) -> Frames:
    """Which frames of a clean clip are speech."""
    levels = frame_db(clean)
    frames = levels > np.percentile(levels, 95) - 30
    for begin, end in spans(frames):
        if end - begin <= 2:
            frames[begin:end] = False
    return bridged(frames, gap=10)


def is_clean(clip: Audio) -> bool:
    """Whether the background is far enough below the speech to say which is which."""
    quiet, loud = np.percentile(frame_db(clip), (5, 95))
    return bool(loud - quiet > 35)


def corpus_clips(data: Path, rng: np.random.Generator) -> Iterator[Audio]:
    """Clean clips, each corpus in turn, in random order."""
    with (data / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    paths = {name: [row["path"] for row in rows if row["corpus"] == name] for name in CORPORA}
    while True:
        for name in CORPORA:
            clip, rate = soundfile.read(data / paths[name][rng.integers(len(paths[name]))])
            if rate == SAMPLE_RATE and is_clean(clip):
                yield clip[: len(clip) // FRAME * FRAME]


def demo_clips() -> Iterator[Audio]:
    """The utterances of the demo recording, over and over."""
    folder = ROOT / "streamer" / "recordings"
    audio, _ = soundfile.read(folder / "demo.flac")
    with (folder / "demo.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    while True:
        for row in rows:
            begin, end = float(row["start_s"]), float(row["end_s"])
            clip = audio[int(begin * SAMPLE_RATE) : int(end * SAMPLE_RATE)]
            yield clip[: len(clip) // FRAME * FRAME]
