"""How well speech is told from noise: webrtcvad alone and ours, by frame and by utterance.

    python benchmarks/vad.py [--data FOLDER] [--clips 40] [--seed 1]

Speech is read from the corpora in ``../shared/data`` (where absent: from the demo recording), put
at -26 dBFS between pauses, and mixed with noise. The truth comes from the energy of the clean
clips: frames within 30 dB of the clip's loud ones (95th percentile), without blips of up to 40 ms,
with the gaps of up to 200 ms in between. Clips with a background that would blur it are left out.
"""

import argparse
import csv
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import soundfile
import webrtcvad
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from streamer.config import RollingConfig, SegmenterConfig, VadConfig
from streamer.segmenter import Segmenter
from streamer.types import SAMPLE_RATE, EndReason, Pcm, Segment
from streamer.vad import VoiceActivityDetector

ROOT = Path(__file__).parents[1]
CORPORA = ("ravdess", "crema-d", "savee", "tess", "nemo", "casia")
FRAME = SAMPLE_RATE // 50
SPEECH_DBFS = -26.0
SNRS_DB = (20, 10, 5, 0)
ALONE_DBFS = (-60, -40, -20)
ALONE_MINUTES = 10

Audio: TypeAlias = NDArray[np.float64]
"""Shape (samples,) at `SAMPLE_RATE`, full scale ±1."""
Frames: TypeAlias = NDArray[np.bool_]
"""One verdict for each `FRAME`."""
Detector: TypeAlias = Callable[[Pcm], bool]
Noise: TypeAlias = Callable[[np.random.Generator, int], Audio]


def ours() -> Detector:
    """The product's detector, as configured by default."""
    return VoiceActivityDetector(VadConfig())


def webrtc_alone() -> Detector:
    """Only webrtcvad."""
    vad = webrtcvad.Vad(VadConfig().aggressiveness)
    return lambda frame: bool(vad.is_speech(frame.tobytes(), SAMPLE_RATE))


DETECTORS: dict[str, Callable[[], Detector]] = {"webrtcvad": webrtc_alone, "ours": ours}


# --- speech and its truth -------------------------------------------------------------------------


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
    """With gaps of up to so many frames filled."""
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


def conversation(
    clips: Iterator[Audio], count: int, rng: np.random.Generator
) -> tuple[Audio, Frames]:
    """Clips between pauses of 0.8 to 2.5 s over a room at -75 dBFS, and which frames are speech."""
    audio: list[Audio] = []
    frames: list[Frames] = []
    for _ in range(count):
        clip = next(clips)
        speech = truth(clip)
        rms = np.sqrt(np.square(clip.reshape(-1, FRAME)[speech]).mean())
        pause = int(rng.uniform(0.8, 2.5) * SAMPLE_RATE) // FRAME
        audio += [np.zeros(pause * FRAME), clip * 10 ** (SPEECH_DBFS / 20) / rms]
        frames += [np.zeros(pause, np.bool_), speech]
    mixed = np.concatenate(audio)
    return mixed + at_level(white(rng, len(mixed)), -75.0), np.concatenate(frames)


# --- noises ---------------------------------------------------------------------------------------


def white(rng: np.random.Generator, samples: int) -> Audio:
    """A detuned radio."""
    return rng.standard_normal(samples)


def hum(rng: np.random.Generator, samples: int) -> Audio:
    """Mains at 50 Hz and its harmonics."""
    t = np.arange(samples) / SAMPLE_RATE
    partials = (1, 2, 3, 4, 5, 6, 7, 9, 11, 13)
    waves = [np.sin(100 * np.pi * k * t + rng.uniform(0, 6)) / k for k in partials]
    return np.asarray(np.sum(waves, axis=0))


def fan(rng: np.random.Generator, samples: int) -> Audio:
    """Deep noise, slowly swelling, with the tones of the blades."""
    t = np.arange(samples) / SAMPLE_RATE
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    spectrum *= np.maximum(np.fft.rfftfreq(samples, 1 / SAMPLE_RATE), 20) ** -0.75
    noise = np.fft.irfft(spectrum, samples)
    blades = np.sum([np.sin(2 * np.pi * 47 * k * t) / k for k in (1, 2, 3, 4)], axis=0)
    swell = 1 + 0.1 * np.sin(2 * np.pi * 1.3 * t)
    return np.asarray(noise / noise.std() * swell + 0.3 * blades)


def keyboard(rng: np.random.Generator, samples: int) -> Audio:
    """3 to 8 keys a second, each pressed and let go: a burst, and three damped resonances."""
    audio = np.zeros(samples + SAMPLE_RATE)
    t = np.arange(SAMPLE_RATE * 60 // 1000) / SAMPLE_RATE
    now = 0.0
    while now * SAMPLE_RATE < samples:
        for delay, strength in ((0.0, 1.0), (rng.uniform(0.06, 0.12), rng.uniform(0.3, 0.7))):
            click = rng.standard_normal(len(t)) * np.exp(-t / rng.uniform(0.002, 0.005))
            for low, high in ((150, 400), (700, 1500), (2000, 4500)):
                tone = np.sin(2 * np.pi * rng.uniform(low, high) * t + rng.uniform(0, 6))
                click += rng.uniform(0.2, 0.8) * tone * np.exp(-t / rng.uniform(0.004, 0.015))
            begin = int((now + delay) * SAMPLE_RATE)
            audio[begin : begin + len(t)] += strength * 10 ** rng.uniform(-0.3, 0.15) * click
        now += 1 / rng.uniform(3, 8) if rng.random() < 0.9 else rng.uniform(0.3, 1.5)
    return audio[:samples] + 1e-3 * rng.standard_normal(samples)


def babble_of(clips: Iterator[Audio]) -> Noise:
    """Eight people at once."""

    def babble(_: np.random.Generator, samples: int) -> Audio:
        total = np.zeros(samples)
        for _voice in range(8):
            said: list[Audio] = []
            while sum(map(len, said)) < samples:
                clip = next(clips)
                begin, *_between, end = np.flatnonzero(truth(clip))
                said.append(clip[begin * FRAME : end * FRAME] / clip.std())
            total += np.concatenate(said)[:samples]
        return total

    return babble


def at_level(noise: Audio, dbfs: float) -> Audio:
    """Noise at an RMS level; of clicks, the 95th percentile of the frames has it."""
    level = max(10 * math.log10(np.square(noise).mean()), float(np.percentile(frame_db(noise), 95)))
    return np.asarray(noise * 10 ** ((dbfs - level) / 20))


def to_pcm(audio: Audio) -> Pcm:
    """Rounded and clipped."""
    return np.clip(np.rint(audio * 32767), -32768, 32767).astype(np.int16)


# --- figures --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Score:
    """How a detector did in one condition.

    Attributes:
        precision: Of the frames called speech, how many are.
        recall: Of the frames of speech, how many were found.
        missed: Utterances without any segment, as a part of all.
        onset_ms: By how much segments begin late: 5th, 50th, 95th percentile.
        end_ms: By how much they end late.
    """

    precision: float
    recall: float
    missed: float
    onset_ms: NDArray[np.float64]
    end_ms: NDArray[np.float64]

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return 2 * self.precision * self.recall / max(self.precision + self.recall, 1e-9)


def listen(detector: Detector, pcm: Pcm) -> tuple[Frames, list[Segment]]:
    """What a detector, and the segmenter after it, make of a stream."""
    verdicts: list[bool] = []

    def is_speech(frame: Pcm) -> bool:
        verdicts.append(detector(frame))
        return verdicts[-1]

    segmenter = Segmenter(SegmenterConfig(), RollingConfig(), FRAME, is_speech)
    events = segmenter.push(pcm) + segmenter.close(EndReason.END_OF_INPUT)
    return np.array(verdicts), [event for event in events if isinstance(event, Segment)]


def score(detector: Detector, pcm: Pcm, speech: Frames) -> Score:
    """Compare with the truth."""
    found, segments = listen(detector, pcm)
    hits = float((found & speech).sum())
    onsets: list[float] = []
    ends: list[float] = []
    missed = 0
    # What is said within the hangover of each other is one utterance.
    config = SegmenterConfig()
    hangover, least = (ms // 20 for ms in (config.hangover_ms, config.min_speech_ms))
    said = [(begin, end) for begin, end in spans(bridged(speech, hangover)) if end - begin >= least]
    for begin, end in said:
        start, stop = begin * FRAME, end * FRAME
        during = [segment for segment in segments if segment.start < stop and segment.end > start]
        missed += not during
        if during:
            onsets.append((during[0].start - start) * 1000 / SAMPLE_RATE)
            ends.append((during[-1].end - stop) * 1000 / SAMPLE_RATE)
    return Score(
        precision=hits / max(found.sum(), 1),
        recall=hits / speech.sum(),
        missed=missed / len(said),
        onset_ms=np.percentile(onsets or [np.nan], (5, 50, 95)),
        end_ms=np.percentile(ends or [np.nan], (5, 50, 95)),
    )


def main() -> None:
    """Print two tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--clips", type=int, default=40, help="length of the conversation")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    console = Console()
    rng = np.random.default_rng(arguments.seed)
    if (arguments.data / "manifest.csv").is_file():
        clips = corpus_clips(arguments.data, rng)
    else:
        console.print(f"no corpora in {arguments.data}: speech is from the demo recording")
        clips = demo_clips()
    noises: dict[str, Noise] = {"white": white, "hum": hum, "fan": fan, "keyboard": keyboard}
    speech_table(console, conversation(clips, arguments.clips, rng), noises, clips, rng)
    noise_table(console, noises, rng)


def speech_table(
    console: Console,
    talk: tuple[Audio, Frames],
    noises: dict[str, Noise],
    clips: Iterator[Audio],
    rng: np.random.Generator,
) -> None:
    """Speech in noise."""
    clean, speech = talk
    table = Table("noise", "SNR, dB", title=f"{len(clean) / SAMPLE_RATE / 60:.1f} min of speech")
    for name in DETECTORS:
        for column in ("F1", "precision", "recall", "missed, %", "onset, ms", "end, ms"):
            table.add_column(f"{name}\n{column}", justify="right")

    def add_row(noise: str, snr: str, audio: Audio) -> None:
        cells: list[str] = []
        for make in DETECTORS.values():
            result = score(make(), to_pcm(audio), speech)
            cells += [f"{value:.3f}" for value in (result.f1, result.precision, result.recall)]
            cells += [f"{100 * result.missed:.0f}"]
            for low, middle, high in (result.onset_ms, result.end_ms):
                cells.append(f"{middle:.0f} [{low:.0f} … {high:.0f}]".replace("[", "\\["))
        table.add_row(noise, snr, *cells)

    add_row("none", "–", clean)  # noqa: RUF001 -- typography
    for name, make in (noises | {"babble": babble_of(clips)}).items():
        noise = make(rng, len(clean))
        for snr in SNRS_DB:
            add_row(name, str(snr), clean + at_level(noise, SPEECH_DBFS - snr))
    console.print(
        table, "onset and end: lateness, median [5th … 95th percentile]".replace("[", "\\[")
    )


def noise_table(console: Console, noises: dict[str, Noise], rng: np.random.Generator) -> None:
    """Noise alone, and what a frame costs."""
    table = Table("noise alone", "dBFS", *DETECTORS, title="False utterances per hour")
    seconds, frames = 0.0, 0
    for name, make in noises.items():
        noise = make(rng, ALONE_MINUTES * 60 * SAMPLE_RATE)
        for dbfs in ALONE_DBFS:
            pcm = to_pcm(at_level(noise, dbfs))
            counts: list[str] = []
            for detector in DETECTORS.values():
                began = time.perf_counter()
                _, segments = listen(detector(), pcm)
                if detector is ours:
                    seconds += time.perf_counter() - began
                    frames += len(pcm) // FRAME
                counts.append(f"{len(segments) * 60 / ALONE_MINUTES:.0f}")
            table.add_row(name, str(dbfs), *counts)
    console.print(table, f"ours, with the segmenter: {seconds / frames * 1e6:.0f} µs a frame")


if __name__ == "__main__":
    main()
