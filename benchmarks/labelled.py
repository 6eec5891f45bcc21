"""Reads recordings in which people have labelled who speaks when: RTTM files.

RTTM is the format of NIST's evaluations of diarisation: a line for each turn, ``SPEAKER recording
channel begin duration ...``, in seconds.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from speech_clips import FRAME, Frames

from streamer.errors import InputError
from streamer.pipeline.offline import mixed
from streamer.types import SAMPLE_RATE, Pcm


@dataclass(frozen=True, eq=False)
class LabelledRecording:
    """A recording, and which of its frames are speech.

    Attributes:
        name: As the labels say it.
        pcm: Mono at `SAMPLE_RATE`, shape (samples,).
        speech: Whether somebody speaks in the middle of each frame, shape (frames,).
    """

    name: str
    pcm: Pcm
    speech: Frames


def read_labelled(folder: Path) -> Iterator[LabelledRecording]:
    """Read the recordings of a folder that its ``*.rttm`` files label; others are passed over.

    Raises:
        InputError: There is none, or a label or a recording cannot be read.
    """
    turns: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for file in sorted(folder.glob("*.rttm")):
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            if not line.startswith("SPEAKER "):
                continue
            try:
                _, name, _, begin, duration, *_ = line.split()
                turns[name].append((float(begin), float(begin) + float(duration)))
            except ValueError as error:
                raise InputError(f"{file}, line {number}: is no turn of RTTM: {error}") from error
    paths = {path.stem: path for path in folder.glob("*.wav")}
    names = sorted(paths.keys() & turns.keys())
    if not names:
        raise InputError(f"{folder}: got no .wav file that an .rttm file labels")
    for name in names:
        pcm = mixed(paths[name])
        centres = (np.arange(len(pcm) // FRAME) + 0.5) * FRAME / SAMPLE_RATE
        speech = np.zeros(len(centres), bool)
        for begin, end in turns[name]:
            speech |= (centres >= begin) & (centres < end)
        yield LabelledRecording(name, pcm, speech)
