import csv
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

import streamer
from streamer.types import SAMPLE_RATE

RECORDINGS = Path(streamer.__file__).parent / "recordings"


@pytest.fixture(scope="module")
def audio() -> NDArray[np.float64]:
    """The demo recording, full scale ±1."""
    samples, rate = soundfile.read(RECORDINGS / "demo.flac")
    assert rate == SAMPLE_RATE
    return np.asarray(samples)


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    """What it says."""
    with (RECORDINGS / "demo.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def rms_dbfs(samples: NDArray[np.float64]) -> float:
    """RMS level."""
    return float(10 * np.log10(np.square(samples).mean()))


def test_size(audio: NDArray[np.float64]):
    """Half a minute to a minute of one channel, small enough to be carried along."""
    assert audio.ndim == 1
    assert 30 * SAMPLE_RATE <= len(audio) <= 60 * SAMPLE_RATE
    assert (RECORDINGS / "demo.flac").stat().st_size < 1_500_000
    assert np.abs(audio).max() < 1 - 2**-14  # nowhere clipped


def test_times(audio: NDArray[np.float64], rows: list[dict[str, str]]):
    """Utterances are in order, with pauses between them, and all of them lie inside."""
    times = [(float(row["start_s"]), float(row["end_s"])) for row in rows]
    assert 8 <= len(times) <= 12
    assert all(start < end for start, end in times)
    assert all(end + 0.45 < start for (_, end), (start, _) in pairwise(times))
    assert times[0][0] > 0.5
    assert times[-1][1] < len(audio) / SAMPLE_RATE - 0.5


def test_levels(audio: NDArray[np.float64], rows: list[dict[str, str]]):
    """Speech is as loud as it should be, and pauses are quiet without being dead."""
    times = [(float(row["start_s"]), float(row["end_s"])) for row in rows]
    for start, end in times:
        level = rms_dbfs(audio[int(start * SAMPLE_RATE) : int(end * SAMPLE_RATE)])
        assert -30 < level < -18
    for (_, end), (start, _) in pairwise(times):
        pause = audio[int((end + 0.15) * SAMPLE_RATE) : int((start - 0.15) * SAMPLE_RATE)]
        assert -90 < rms_dbfs(pause) < -40


def test_origin(rows: list[dict[str, str]]):
    """Who speaks is told, synthetic voices are called so, and the README names each source."""
    readme = (RECORDINGS / "README.md").read_text(encoding="utf-8")
    voices = {row["voice"] for row in rows}
    assert len(voices) >= 4
    assert all(row["text"] for row in rows)
    assert all(voice.startswith(("synthetic: ", "John F. Kennedy")) for voice in voices)
    for source in ("flite", "espeak-ng", "John F. Kennedy", "public domain", "synthetic"):
        assert source in readme
