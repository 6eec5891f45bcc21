"""Makes a call with two sides of the bundled recording; who speaks when is known."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from voices import VOICES

from streamer.types import SAMPLE_RATE, Pcm

AGENT = (0, 2, 4, 6)
"""Utterances of the bundled recording that the agent says; the customer says all others."""

EARLIER_S = 2.6
"""By how much the customer's side is shifted: then some utterances overlap."""

LENGTH_S = 24.0
"""The rest of the recording adds nothing but time."""

QUIET = 32_768 * 10 ** (-66 / 20)
DELAY = 12 * SAMPLE_RATE // 1000
LEFT, RIGHT = "agent", "customer"


@dataclass(frozen=True)
class Said:
    """One utterance, in seconds."""

    channel: str
    start: float
    end: float


def said() -> list[Said]:
    """What is said in the call, by channel and in order."""
    with VOICES.with_suffix(".csv").open(newline="") as file:
        rows = [(float(row["start_s"]), float(row["end_s"])) for row in csv.DictReader(file)]
    agent = [Said(LEFT, *rows[index]) for index in AGENT]
    others = [row for index, row in enumerate(rows) if index not in AGENT]
    customer = [Said(RIGHT, start - EARLIER_S, end - EARLIER_S) for start, end in others]
    return [one for one in agent + customer if one.end < LENGTH_S - 0.5]


def sides() -> NDArray[np.float64]:
    """Without crosstalk, shape (samples, 2): agent on the left, customer on the right."""
    demo, _ = soundfile.read(VOICES, dtype="int16")
    samples = round(LENGTH_S * SAMPLE_RATE)
    both = QUIET * np.random.default_rng(5).standard_normal((samples, 2))
    for one in said():
        column, later = (0, 0.0) if one.channel == LEFT else (1, EARLIER_S)
        start, end = (round(s * SAMPLE_RATE) for s in (one.start - 0.1, one.end + 0.15))
        shift = round(later * SAMPLE_RATE)
        both[start:end, column] = demo[start + shift : end + shift]
    return both


def call(crosstalk_db: float | None) -> Pcm:
    """The call, shape (samples, 2), each side faintly heard on the other."""
    both = sides()
    if crosstalk_db is not None:
        faint = 10 ** (crosstalk_db / 20) * both[:-DELAY, ::-1]
        both[DELAY:] += faint
    return np.clip(np.rint(both), -32_768, 32_767).astype(np.int16)


def write_call(path: Path, crosstalk_db: float | None = -25) -> Path:
    """The call as a file."""
    soundfile.write(path, call(crosstalk_db), SAMPLE_RATE)
    return path
