import csv
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soundfile

import streamer
from streamer import config as configuration
from streamer.config import SILERO_PACKAGES, RollingConfig, SegmenterConfig, VadConfig
from streamer.errors import ConfigError
from streamer.segmentation.segmenter import Segmenter
from streamer.segmentation.vad import VoiceActivityDetector
from streamer.types import SAMPLE_RATE, EndReason, Pcm, Segment

RECORDINGS = Path(streamer.__file__).parent / "recordings"

needs_silero = pytest.mark.skipif(
    not all(map(find_spec, SILERO_PACKAGES)), reason="the extra silero is not installed"
)


def detector(frame_ms: int) -> VoiceActivityDetector:
    """A new one that lets the quietest sound count."""
    return VoiceActivityDetector(VadConfig(engine="silero", frame_ms=frame_ms, floor_dbfs=-96))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def demo() -> Pcm:
    """The demo recording."""
    pcm, _ = soundfile.read(RECORDINGS / "demo.flac", dtype="int16")
    return np.asarray(pcm)


def verdicts(pcm: Pcm, frame_ms: int) -> np.ndarray:
    """What a new detector says of each frame."""
    judge = detector(frame_ms)
    frames = pcm[: len(pcm) // judge.frame_samples * judge.frame_samples]
    return np.array([judge(frame) for frame in frames.reshape(-1, judge.frame_samples)])


def test_absent(monkeypatch: pytest.MonkeyPatch):
    """Without the extra the configuration is refused, with what to install."""
    monkeypatch.setattr(configuration, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"vad\.engine: got 'silero' from flag.*") as error:
        configuration.load(flags={"vad.engine": "silero"}, environ={})
    assert "pip install onnxruntime silero-vad" in str(error.value)
    assert error.value.exit_code == 2


@needs_silero
@pytest.mark.parametrize("frame_ms", [10, 20, 30])
def test_utterances(demo: Pcm, frame_ms: int):
    """The utterances of the demo recording are found, whatever the length of a frame."""
    judge = detector(frame_ms)
    segmenter = Segmenter(SegmenterConfig(), RollingConfig(), judge.frame_samples, judge)
    events = segmenter.push(demo) + segmenter.close(EndReason.END_OF_INPUT)
    found = [
        (event.start / SAMPLE_RATE, event.end / SAMPLE_RATE)
        for event in events
        if isinstance(event, Segment)
    ]
    with (RECORDINGS / "demo.csv").open(encoding="utf-8", newline="") as file:
        truth = [(float(row["start_s"]), float(row["end_s"])) for row in csv.DictReader(file)]
    assert len(found) == len(truth)
    late = np.abs(np.array(found) - np.array(truth))
    assert np.median(late) <= 0.15
    assert late.max() <= 0.7


@needs_silero
@pytest.mark.parametrize("frame_ms", [10, 20, 30])
def test_chunks(demo: Pcm, frame_ms: int, monkeypatch: pytest.MonkeyPatch):
    """The network hears every 32 ms as soon as they are complete, with the 4 ms before them."""
    from streamer.segmentation.vad.silero import Silero, _network  # noqa: PLC0415 - only with the extra

    judge, told, heard = detector(frame_ms), [], 0
    asked = Silero._judge
    monkeypatch.setattr(
        Silero, "_judge", lambda self, chunk: told.append(asked(self, chunk)) or told[-1]
    )
    for begin in range(0, 3 * SAMPLE_RATE - judge.frame_samples, judge.frame_samples):
        judge(demo[begin : begin + judge.frame_samples])
        heard += judge.frame_samples
        assert len(told) == heard // 512

    padded = np.concatenate((np.zeros(64), demo / 32768)).astype(np.float32)
    state = np.zeros((2, 1, 128), np.float32)
    for number, probability in enumerate(told):
        inputs = padded[np.newaxis, number * 512 : number * 512 + 576]
        feed = {"input": inputs, "state": state, "sr": np.array(SAMPLE_RATE, np.int64)}
        expected, state = _network().run(None, feed)
        assert probability == pytest.approx(expected.item(), abs=1e-5)


@needs_silero
def test_channels_apart(demo: Pcm):
    """Detectors share the network, not what it remembers."""
    pcm = demo[: 4 * SAMPLE_RATE].reshape(-1, 320)
    one, other = detector(20), detector(20)
    together = [(one(frame), other(np.zeros(320, np.int16))) for frame in pcm]
    assert [said for said, _ in together] == verdicts(pcm.ravel(), 20).tolist()
    assert not any(silent for _, silent in together)


@needs_silero
def test_least_level(demo: Pcm):
    """What is quieter than the least level is no speech, though it be a voice."""
    judge = VoiceActivityDetector(VadConfig(engine="silero", floor_dbfs=-20))
    frames = (demo[: 10 * SAMPLE_RATE] // 10).reshape(-1, judge.frame_samples)
    assert not any(judge(frame) for frame in frames)


@needs_silero
def test_without_torch():
    """Only the network is read: neither torch nor Silero's own package is imported."""
    code = (
        "import sys; from streamer.config import VadConfig;"
        "from streamer.segmentation.vad import VoiceActivityDetector;"
        "VoiceActivityDetector(VadConfig(engine='silero'));"
        "sys.exit('torch' in sys.modules or 'silero_vad' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
