import csv
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

import streamer
from streamer.model.bundle import load
from streamer.model.catalog import find_bundle
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
    assert 12 <= len(times) <= 20
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
    """Who speaks is told, and the README names each source, its licence, and what is held out."""
    readme = (RECORDINGS / "README.md").read_text(encoding="utf-8")
    voices = {row["voice"] for row in rows}
    assert len(voices) >= 5
    assert all(voice.startswith(("LibriSpeech speaker", "CREMA-D speaker")) for voice in voices)
    assert {row["emotion"] for row in rows} >= {"", "neutral", "angry", "sad", "happy"}
    for source in ("LibriSpeech", "CC BY 4.0", "CREMA-D", "ODbL 1.0", "DbCL 1.0"):
        assert source in readme


@pytest.mark.parametrize("model", ["default", "open", "small"])
def test_no_bundle_has_learned_from_it(model: str, rows: list[dict[str, str]]):
    """Its speakers were left out of training: acted ones by name, LibriSpeech's by their use."""
    left_out = load(find_bundle(model)).manifest.training["without"]
    acted = {
        row["voice"].split()[2].rstrip(",") for row in rows if row["voice"].startswith("CREMA")
    }
    assert isinstance(left_out, list)
    assert {f"crema-d:crema-d_{number}" for number in acted} <= set(left_out)
