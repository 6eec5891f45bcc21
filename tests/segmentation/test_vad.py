import csv
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from importlib.metadata import distribution
from pathlib import Path
from unittest.mock import patch

import numpy as np
import onnxruntime
import pytest
import soundfile
import webrtcvad
from numpy.typing import NDArray
from voices import VOICES

from streamer.config import PartialResultsConfig, SegmenterConfig, VadConfig
from streamer.pipeline import offline
from streamer.segmentation import silero, vad
from streamer.segmentation.segmenter import Segmenter
from streamer.segmentation.vad import VoiceActivityDetector
from streamer.types import SAMPLE_RATE, EndReason, Pcm, Segment

DATA = Path(__file__).parents[3] / "shared" / "data"
FRAME_MS = (10, 20, 30)


def to_pcm(audio: NDArray[np.float64], dbfs: float | None = None) -> Pcm:
    """Full scale ±1 -> int16, at an RMS level if one is given."""
    if dbfs is not None:
        audio = audio * 10 ** (dbfs / 20) / np.sqrt(np.square(audio).mean())
    return np.clip(np.rint(audio * 32767), -32768, 32767).astype(np.int16)


def verdicts(pcm: Pcm, frame_ms: int = 20) -> NDArray[np.bool_]:
    """What a new detector says of each frame, all at once: that is quicker."""
    detector = VoiceActivityDetector(VadConfig(frame_ms=frame_ms))  # type: ignore[arg-type]
    whole = pcm[: len(pcm) // detector.frame_samples * detector.frame_samples]
    frames = whole.reshape(-1, detector.frame_samples)
    detector.classify_ahead(frames)
    return np.array([detector(frame) for frame in frames])


def utterances(pcm: Pcm, frame_ms: int = 20) -> list[tuple[float, float]]:
    """Start and end of each utterance that the product would find, in seconds."""
    detector = VoiceActivityDetector(VadConfig(frame_ms=frame_ms))  # type: ignore[arg-type]
    segmenter = Segmenter(
        SegmenterConfig(),
        PartialResultsConfig(),
        detector.frame_samples,
        detector,
        detector.classify_ahead,
    )
    events = segmenter.push(pcm) + segmenter.close(EndReason.END_OF_INPUT)
    return [
        (event.start / SAMPLE_RATE, event.end / SAMPLE_RATE)
        for event in events
        if isinstance(event, Segment)
    ]


# --- what is not speech ---------------------------------------------------------------------------


def time(seconds: float) -> NDArray[np.float64]:
    """A time axis."""
    return np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE


def white(seconds: float, seed: int = 1) -> NDArray[np.float64]:
    """A detuned radio."""
    return np.random.default_rng(seed).standard_normal(round(seconds * SAMPLE_RATE))


def coloured(seconds: float, slope: float, seed: int = 1) -> NDArray[np.float64]:
    """Pink (slope 1) or brown (slope 2) noise: a fan, the wind, a car."""
    noise = white(seconds, seed)
    spectrum = np.fft.rfft(noise)
    spectrum *= np.maximum(np.fft.rfftfreq(len(noise), 1 / SAMPLE_RATE), 20) ** (-slope / 2)
    return np.fft.irfft(spectrum, len(noise))


def hum(seconds: float, hz: float = 50) -> NDArray[np.float64]:
    """Mains and its harmonics."""
    t = time(seconds)
    return np.asarray(
        np.sum([np.sin(2 * np.pi * hz * k * t + k) / k for k in (1, 2, 3, 5, 7)], axis=0)
    )


def keyboard(seconds: float, keys_per_s: float, seed: int = 1) -> NDArray[np.float64]:
    """Keys pressed and let go: each a burst and a damped resonance of the desk."""
    rng = np.random.default_rng(seed)
    audio = 1e-3 * white(seconds + 1, seed)
    t = time(0.06)
    for press in np.arange(0.1, seconds - 0.2, 1 / keys_per_s):
        moment = press + rng.uniform(0, 0.3 / keys_per_s)
        for delay, strength in ((0.0, 1.0), (rng.uniform(0.06, 0.12), 0.5)):
            click = rng.standard_normal(len(t)) * np.exp(-t / 0.003)
            click += np.sin(2 * np.pi * rng.uniform(150, 400) * t) * np.exp(-t / 0.012)
            begin = round((moment + delay) * SAMPLE_RATE)
            audio[begin : begin + len(t)] += strength * rng.uniform(0.5, 1.4) * click
    return audio[: round(seconds * SAMPLE_RATE)]


@pytest.mark.parametrize("dbfs", [-60, -40, -20])
def test_white_noise(dbfs: float):
    """White noise is never speech, however loud."""
    assert not verdicts(to_pcm(white(5), dbfs)).any()


@pytest.mark.parametrize("dbfs", [-60, -40, -20])
@pytest.mark.parametrize("slope", [1, 2])
def test_fan(slope: float, dbfs: float):
    """Noise of a fan opens no utterance and is no speech once it is known."""
    pcm = to_pcm(coloured(8, slope), dbfs)
    assert utterances(pcm) == []
    assert not verdicts(pcm)[75:].any()


@pytest.mark.parametrize("dbfs", [-50, -30, -20])
@pytest.mark.parametrize("hz", [50, 120])
def test_hum(hz: float, dbfs: float):
    """Mains hum opens no utterance, though it is as periodic as a voice."""
    assert utterances(to_pcm(hum(5, hz) + 1e-2 * white(5), dbfs)) == []


def tones(hz: tuple[float, ...], on: float, off: float, count: int) -> NDArray[np.float64]:
    """A signal of the telephone network: these frequencies together, again and again."""
    wave = np.sum([np.sin(2 * np.pi * each * time(on)) for each in hz], axis=0) / len(hz)
    return np.tile(np.concatenate((wave, np.zeros(round(off * SAMPLE_RATE)))), count)


def strings(notes: tuple[float, ...]) -> NDArray[np.float64]:
    """Hold music: bowed notes with vibrato, and rests."""
    t = time(1.2)
    fade = np.minimum(1, t / 0.1) * np.minimum(1, (1.2 - t) / 0.1)
    rest = np.zeros(round(0.6 * SAMPLE_RATE))
    parts = []
    for hz in notes:
        phase = np.cumsum(2 * np.pi * hz * (1 + 0.006 * np.sin(11 * np.pi * t)) / SAMPLE_RATE)
        bow = np.sum([np.sin(k * phase) / k for k in range(1, 10)], axis=0)
        parts += [bow * fade, rest]
    return np.concatenate(parts)


ON_THE_LINE = {
    "ringing, Europe": tones((425,), 1, 4, 3),
    "ringing, America": tones((440, 480), 2, 4, 2),
    "busy": tones((425,), 0.5, 0.5, 10),
    "dial tone": tones((350, 440), 8, 0, 1),
    "keys": np.tile(np.concatenate((tones((697, 1209), 0.15, 0.15, 3),
                                    tones((852, 1477), 0.15, 0.15, 3))), 4),
    "fax": np.concatenate((tones((1100,), 0.5, 3, 2), tones((2100,), 3, 0.5, 2))),
    "recording beep": tones((1400,), 0.2, 4.8, 2),
    "hold music": strings((261.6, 329.6, 392, 523.3, 293.7, 349.2, 440, 587.3)),
}  # fmt: skip


@pytest.mark.parametrize("name", ON_THE_LINE)
def test_telephone_tones_and_hold_music(name: str):
    """Nobody speaks: there is no utterance that could get an emotion."""
    sound = to_pcm(ON_THE_LINE[name], -20)
    assert utterances(to_pcm(sound / 32768 + 5e-4 * white(len(sound) / SAMPLE_RATE))) == []


@pytest.mark.parametrize("dbfs", [-40, -20])
@pytest.mark.parametrize("keys_per_s", [3, 5, 8])
def test_keyboard(keys_per_s: float, dbfs: float):
    """Somebody who types says nothing."""
    clicks = keyboard(10, keys_per_s)
    clicks /= np.percentile(np.abs(clicks), 97) * 3
    pcm = to_pcm(clicks * 10 ** ((dbfs + 10) / 20))
    assert utterances(pcm) == []


def test_digital_silence():
    """Zeros are not speech, and neither is dither."""
    dither = np.random.default_rng(1).integers(-1, 2, 5 * SAMPLE_RATE).astype(np.int16)
    assert not verdicts(np.zeros(5 * SAMPLE_RATE, np.int16)).any()
    assert not verdicts(dither).any()


@pytest.mark.parametrize("rise_db", [10, 20, 30])
@pytest.mark.parametrize("slope", [0, 1, 2])
def test_noise_rises(slope: float, rise_db: float):
    """When the noise grows in the middle of a stream, it is not speech for long."""
    noise = coloured(12, slope) / coloured(12, slope).std()
    noise[: 4 * SAMPLE_RATE] *= 10 ** (-rise_db / 20)
    pcm = to_pcm(noise * 10 ** (-26 / 20))
    assert not verdicts(pcm)[(4 * 1000 + 1600) // 20 :].any()
    assert all(end - start < 1.7 for start, end in utterances(pcm))


# --- what is speech -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def demo() -> NDArray[np.float64]:
    """The demo recording, full scale ±1."""
    audio, _ = soundfile.read(VOICES)
    return np.asarray(audio)


@pytest.fixture(scope="module")
def truth() -> list[tuple[float, float]]:
    """Where its utterances begin and end, in seconds."""
    with VOICES.with_suffix(".csv").open(encoding="utf-8", newline="") as file:
        return [(float(row["start_s"]), float(row["end_s"])) for row in csv.DictReader(file)]


def lateness(
    found: list[tuple[float, float]], truth: list[tuple[float, float]]
) -> NDArray[np.float64]:
    """By how much each utterance begins and ends late, in seconds; all must have been found."""
    assert len(found) == len(truth)
    return np.array(found) - np.array(truth)


@pytest.mark.parametrize(("gain_db", "frame_ms"), [(-20, 20), (0, 10), (0, 30), (6, 20)])
def test_gain(
    demo: NDArray[np.float64], truth: list[tuple[float, float]], gain_db: float, frame_ms: int
):
    """The utterances are the same whether the microphone is turned down or up."""
    late = lateness(utterances(to_pcm(demo * 10 ** (gain_db / 20)), frame_ms), truth)
    assert np.median(late[:, 0]) <= 0.15
    assert np.median(np.abs(late[:, 1])) <= 0.15
    assert np.abs(late).max() <= 0.7


def test_faint(demo: NDArray[np.float64], truth: list[tuple[float, float]]):
    """Speech at -53 dBFS is found all but for a word."""
    found = utterances(to_pcm(demo * 10 ** (-30 / 20)))
    assert sum(any(a < end and b > start for a, b in found) for start, end in truth) >= 10


def test_onset(demo: NDArray[np.float64], truth: list[tuple[float, float]]):
    """Words are heard from their first sound on, before there is a voice in it."""
    speech = verdicts(to_pcm(demo))
    late = [(speech[round(start * 50) :].argmax()) * 20 for start, _ in truth]
    assert np.median(late) <= 20


def test_onset_wherever_frames_begin(demo: NDArray[np.float64], truth: list[tuple[float, float]]):
    """A first word with little voice is not missed because the frames cut it elsewhere."""
    begin, end = truth[1]
    word = to_pcm(demo[round((begin - 1) * SAMPLE_RATE) : round(end * SAMPLE_RATE)])
    for shift in range(0, 320, 16):
        (found,) = utterances(np.concatenate((np.zeros(8000 + shift, np.int16), word)))
        assert found[0] - shift / SAMPLE_RATE == pytest.approx(1.5, abs=0.06)


@pytest.mark.parametrize("noise", ["white", "pink", "hum", "keyboard"])
def test_noise(demo: NDArray[np.float64], truth: list[tuple[float, float]], noise: str):
    """In noise 10 dB below the speech, nearly all utterances are found, and nothing else."""
    duration = len(demo) / SAMPLE_RATE
    sounds = {
        "white": white(duration),
        "pink": coloured(duration, 1),
        "hum": hum(duration),
        "keyboard": keyboard(duration, 5),
    }
    sound = sounds[noise][: len(demo)] / sounds[noise].std()
    found = utterances(to_pcm(demo + sound * 10 ** ((-23 - 10) / 20)))
    hits = [any(a < end and b > start for a, b in found) for start, end in truth]
    false = [(a, b) for a, b in found if not any(a < end and b > start for start, end in truth)]
    assert sum(hits) >= len(truth) - 1
    assert false == []


def test_long_speech(demo: NDArray[np.float64], truth: list[tuple[float, float]]):
    """Speech without a pause does not become the background of itself."""
    slices = [slice(int(a * SAMPLE_RATE), int(b * SAMPLE_RATE)) for a, b in truth[:7]]
    breathless = np.concatenate([demo[piece] for piece in slices])
    speech = verdicts(to_pcm(breathless))
    assert len(speech) > 15 * 50
    assert speech[: len(speech) // 2].mean() > 0.9
    assert speech[len(speech) // 2 :].mean() > 0.9


def test_speech_after_noise(demo: NDArray[np.float64], truth: list[tuple[float, float]]):
    """A voice is heard though loud noise has just stopped."""
    sound = np.concatenate((white(5) * 0.1, demo))
    found = utterances(to_pcm(sound))
    late = lateness(found, [(start + 5, end + 5) for start, end in truth])
    assert np.abs(late).max() <= 0.7


@pytest.mark.parametrize(("drop_db", "pause_s"), [(20, 0), (30, 8)])
def test_speech_after_shouting(demo: NDArray[np.float64], drop_db: float, pause_s: int):
    """A voice quieter than the one before is heard as well; much quieter, after a while."""
    first, second = demo[SAMPLE_RATE : 5 * SAMPLE_RATE], demo[8 * SAMPLE_RATE : 13 * SAMPLE_RATE]
    pause = 1e-4 * white(pause_s)
    found = utterances(to_pcm(np.concatenate((first, pause, second * 10 ** (-drop_db / 20)))))
    assert sum(end - start for start, end in found if start > 4 + pause_s) > 3


def test_ends_in_loud_noise(demo: NDArray[np.float64], truth: list[tuple[float, float]]):
    """Noise that webrtcvad alone takes for speech does not draw out the ends of utterances."""
    sound = demo + white(len(demo) / SAMPLE_RATE) * 10 ** (-33 / 20)
    found = utterances(to_pcm(sound * 2))
    ends = [max(b for a, b in found if a < end and b > start) - end for start, end in truth]
    assert np.median(ends) < 0.15


def whispered(audio: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same words without a voice: each 20 ms keep their resonances, which shape noise.

    Linear prediction of order 16 tells the resonances (autocorrelation method).
    """
    size, hop, order = 640, 320, 16
    window = np.hanning(size + 1)[:-1]
    rng = np.random.default_rng(1)
    made = np.zeros(len(audio))
    for begin in range(0, len(audio) - size, hop):
        frame = audio[begin : begin + size] * window
        correlation = np.correlate(frame, frame, "full")[size - 1 : size + order]
        correlation[0] = correlation[0] * 1.0001 + 1e-9
        rows = np.abs(np.subtract.outer(np.arange(order), np.arange(order)))
        filter_ = np.linalg.solve(correlation[rows], correlation[1:])
        response = np.fft.rfft(np.concatenate(([1.0], -filter_)), 2 * size)
        noise = np.fft.rfft(rng.standard_normal(size) * window, 2 * size)
        shaped = np.fft.irfft(noise / response, 2 * size)[:size]
        made[begin : begin + size] += shaped * np.sqrt(
            np.square(frame).sum() / np.square(shaped).sum()
        )
    return made


def test_whisper(demo: NDArray[np.float64], truth: list[tuple[float, float]]):
    """Whispered words are found, though there is no voice in them."""
    found = utterances(to_pcm(whispered(demo), -40))
    assert sum(any(a < end and b > start for a, b in found) for start, end in truth) >= 10
    assert sum(b - a for a, b in found) > 0.7 * sum(end - start for start, end in truth)


@pytest.mark.parametrize(
    "clip",
    [
        "ased/s4-05-02-02-54.opus",
        "banglaser/03-01-03-02-03-02-06.opus",
        "ravdess/03-01-05-02-01-02-18.opus",
    ],
)
def test_high_voices(clip: str):
    """Somebody who weeps, shouts or rages is found, though the network was made for talk."""
    if not (path := DATA / clip).is_file():
        pytest.skip(f"no recordings in {DATA}")
    assert utterances(offline.mixed(path))


@pytest.mark.parametrize("gap_chunks", [0, 1, 7])
def test_slowed_stream_goes_on(demo: NDArray[np.float64], gap_chunks: int):
    """After chunks that were skipped, the slowed sound is about as likely to be speech."""
    chunks = to_pcm(demo[2 * SAMPLE_RATE :]).astype(np.float32)[: 60 * 512].reshape(-1, 512) / 32768
    always, sometimes = (silero.SlowedSileroStream(silero.network()) for _ in range(2))
    expected = [always(chunk) > 0.5 for chunk in chunks]
    for chunk in chunks[20 : 20 + gap_chunks]:
        sometimes.skip(chunk)
    got = [sometimes(chunk) > 0.5 for chunk in chunks[20 + gap_chunks :]]
    assert np.mean(np.array(got) != expected[20 + gap_chunks :]) < 0.1


def test_offset(demo: NDArray[np.float64]):
    """A converter's offset changes nothing."""
    late = np.abs(lateness(utterances(to_pcm(demo + 0.1)), utterances(to_pcm(demo))))
    assert late.mean() < 0.1
    assert late.max() <= 0.7  # one word dies away at the edge of what Silero finds


def test_least_level(demo: NDArray[np.float64]):
    """What is quieter than the least level is no speech, though it be a voice."""
    detector = VoiceActivityDetector(VadConfig(floor_dbfs=-20))
    frames = to_pcm(demo[: 10 * SAMPLE_RATE] * 0.1).reshape(-1, detector.frame_samples)
    assert not any(detector(frame) for frame in frames)


# --- the interface --------------------------------------------------------------------------------


def test_deterministic(demo: NDArray[np.float64]):
    """Two detectors say the same of the same, and do not disturb each other."""
    pcm = to_pcm(demo[: 6 * SAMPLE_RATE])
    one, other = (VoiceActivityDetector(VadConfig()) for _ in range(2))
    pairs = [(one(frame), other(frame)) for frame in pcm.reshape(-1, one.frame_samples)]
    assert all(a == b for a, b in pairs)
    assert [a for a, _ in pairs] == verdicts(pcm).tolist()


class Recorded(silero.SileroStream):
    """The real one; remembers what the network was given and what it answered."""

    def __init__(self) -> None:
        super().__init__(silero.network())
        self.given: list[NDArray[np.float32]] = []
        self.answers: list[float] = []

    def _probabilities(self, chunks: NDArray[np.float32]) -> list[float]:
        context = self._context
        answers = super()._probabilities(chunks)
        before = np.concatenate((context[np.newaxis], chunks[:-1, -64:]))
        self.given += list(np.concatenate((before, chunks), axis=1))
        self.answers += answers
        return answers


def recorded() -> tuple[vad.GatedSilero, Recorded]:
    """The engine, and what its network is asked about the sound at its own speed."""
    engine = vad.GatedSilero(silero.network())
    engine._plain = stream = Recorded()
    return engine, stream


def stepwise() -> onnxruntime.InferenceSession:
    """Silero's network that takes a chunk at a time."""
    path = distribution("silero-vad").locate_file("silero_vad/data/silero_vad_16k_op15.onnx")
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize(
    ("frame_ms", "frames"), [(10, 7), (20, 7), (30, 7), (10, 10_000), (30, 10_000)]
)
def test_frames_at_once(demo: NDArray[np.float64], frame_ms: int, frames: int):
    """However many frames come at once, with pauses that close the gate: the verdicts are these."""
    pause = to_pcm(white(3), -70)
    first, second = demo[: 5 * SAMPLE_RATE], demo[2 * SAMPLE_RATE : 7 * SAMPLE_RATE]
    pcm = np.concatenate((to_pcm(first), pause, to_pcm(second)))
    size = frame_ms * SAMPLE_RATE // 1000
    whole = pcm[: len(pcm) // size * size].reshape(-1, size)
    config = VadConfig(frame_ms=frame_ms)  # type: ignore[arg-type]
    one, other = (VoiceActivityDetector(config) for _ in range(2))
    got = []
    for at in range(0, len(whole), frames):
        other.classify_ahead(whole[at : at + frames])
        got += [other(frame) for frame in whole[at : at + frames]]
    assert got == [one(frame) for frame in whole]
    assert 0.1 < np.mean(got) < 0.9


@pytest.mark.parametrize("frame_ms", FRAME_MS)
def test_chunks(demo: NDArray[np.float64], frame_ms: int):
    """The network gets each 32 ms as soon as they are complete, with the 4 ms before them."""
    pcm = to_pcm(demo[2 * SAMPLE_RATE : 4 * SAMPLE_RATE])  # speech: the gate is open
    engine, stream = recorded()
    size = frame_ms * SAMPLE_RATE // 1000
    for end in range(size, len(pcm) + 1, size):
        engine(pcm[np.newaxis, end - size : end])
        assert len(stream.given) == end // 512
    padded = np.concatenate((np.zeros(64), pcm / 32768)).astype(np.float32)
    one_by_one = stepwise()
    state = np.zeros((2, 1, 128), np.float32)
    for number, (given, answer) in enumerate(zip(stream.given, stream.answers, strict=True)):
        expected = padded[number * 512 : number * 512 + 576]
        assert np.array_equal(given, expected)
        feed = {"input": expected[np.newaxis], "state": state, "sr": np.array(SAMPLE_RATE)}
        probability, state = one_by_one.run(None, feed)
        assert answer == pytest.approx(probability.item(), abs=1e-6)


@pytest.mark.parametrize("gain_db", [0, -30])
def test_gate(demo: NDArray[np.float64], gain_db: float, monkeypatch: pytest.MonkeyPatch):
    """What the network says of every chunk, the gate all but never changes."""
    pcm = to_pcm(demo * 10 ** (gain_db / 20))
    gated = verdicts(pcm)
    monkeypatch.setattr(
        vad.GatedSilero, "_may_be_speech", lambda _self, frames: [True] * len(frames)
    )
    always = verdicts(pcm)
    assert (gated != always).mean() < 0.015


def test_silence_is_cheap(demo: NDArray[np.float64]):
    """In a quiet room the network is not asked; after it, words are found from the start on."""
    engine, stream = recorded()
    room = to_pcm(white(20), -65)
    for frame in room.reshape(-1, 1, 320):
        engine(frame)
    assert len(stream.given) < 0.02 * len(room) / 512
    before = len(stream.given)
    engine_says = [engine(frame)[0] for frame in to_pcm(demo[20800:36800]).reshape(-1, 1, 320)]
    assert len(stream.given) - before >= len(engine_says) * 320 // 512
    assert engine_says.index(True) * 20 <= 150


def test_channels_apart(demo: NDArray[np.float64]):
    """Detectors share the network, not what it remembers."""
    pcm = to_pcm(demo[: 4 * SAMPLE_RATE])
    one, other = (VoiceActivityDetector(VadConfig()) for _ in range(2))
    together = [(one(frame), other(np.zeros(320, np.int16))) for frame in pcm.reshape(-1, 320)]
    assert [said for said, _ in together] == verdicts(pcm).tolist()
    assert not any(silent for _, silent in together)


def test_webrtc_alone(demo: NDArray[np.float64]):
    """The other engine is webrtcvad as it is."""
    pcm = to_pcm(demo[: 4 * SAMPLE_RATE]).reshape(-1, 320)
    detector = VoiceActivityDetector(VadConfig(engine="webrtc", aggressiveness=1))
    plain = webrtcvad.Vad(1)
    assert [detector(frame) for frame in pcm] == [
        plain.is_speech(frame.tobytes(), SAMPLE_RATE) for frame in pcm
    ]
    assert vad.fallback_reason(VadConfig(engine="webrtc")) is None


@pytest.fixture
def anew() -> Iterator[None]:
    """Nothing is known of the network before the test, nor of what the test did after it."""
    kept = (silero.network, silero.network_error)
    for cached in kept:
        cached.cache_clear()
    yield
    for cached in kept:
        cached.cache_clear()


@pytest.mark.parametrize(
    ("absent", "told"),
    [
        (patch.dict(sys.modules, onnxruntime=None), "onnxruntime"),
        (patch.object(silero, "NETWORK_FILE", "silero_vad/data/absent.onnx"), "absent.onnx"),
        (patch.object(silero, "SILERO", "no-such-package"), "no-such-package is not installed"),
    ],
)
@pytest.mark.usefixtures("anew")
def test_fallback(absent: AbstractContextManager[object], told: str):
    """Where the network cannot be loaded webrtcvad decides alone, and the reason is told."""
    with absent:
        said = vad.fallback_reason(VadConfig())
        detector = VoiceActivityDetector(VadConfig())
        detector(np.zeros(320, np.int16))
    assert said is not None
    assert "Silero cannot be loaded" in said
    assert told in said
    assert "pip install onnxruntime silero-vad" in said
    assert isinstance(detector._engine, vad.WebRtc)


def test_without_torch():
    """Only the network is read: neither torch nor Silero's own package is imported."""
    code = """
import sys
from streamer.config import VadConfig
from streamer.segmentation.vad import fallback_reason
print(fallback_reason(VadConfig()), 'torch' in sys.modules, 'silero_vad' in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=100
    )
    assert done.stdout.split() == ["None", "False", "False"]


def test_refusals():
    """What is not a frame is refused, in words."""
    detector = VoiceActivityDetector(VadConfig())
    with pytest.raises(TypeError, match="got samples of type float32, expected int16"):
        detector(np.zeros(320, np.float32))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"got a frame of shape \(160,\), expected \(320,\)"):
        detector(np.zeros(160, np.int16))
    with pytest.raises(ValueError, match=r"got a frame of shape \(320, 1\), expected \(320,\)"):
        detector(np.zeros((320, 1), np.int16))
