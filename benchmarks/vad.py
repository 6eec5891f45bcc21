"""Measures how well speech is told from noise, by frame and by utterance.

By webrtcvad alone, by ours (Silero behind webrtcvad as a gate), and by Silero on every chunk.

Speech is read from the corpora in ``../shared/data`` (where absent: from the demo recording), put
at -26 dBFS between pauses, and mixed with noise. The truth comes from the energy of the clean
clips: frames within 30 dB of the clip's loud ones (95th percentile), without blips of up to 40 ms,
with the gaps of up to 200 ms in between. Clips with a background that would blur it are left out.
Noises are synthetic, but for babble: eight of the clips at once.
"""

import argparse
import csv
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import TypeAlias

import numpy as np
import soundfile
import webrtcvad
from numpy.typing import NDArray
from page import heading
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import Progress

from streamer.audio.level import FULL_SCALE
from streamer.config import PartialResultsConfig, SegmenterConfig, VadConfig
from streamer.segmentation.segmenter import Segmenter
from streamer.segmentation.silero import CHUNK_SAMPLES, Hysteresis, SileroStream, network
from streamer.segmentation.vad import VoiceActivityDetector
from streamer.types import SAMPLE_RATE, EndReason, Pcm, Segment

EXAMPLE = """example:
  python benchmarks/vad.py --clips 60 --seed 5 --minutes 20 --out benchmarks/VAD.md
"""

ROOT = Path(__file__).parents[1]
CORPORA = ("ravdess", "crema-d", "savee", "tess", "nemo", "casia")
FRAME = SAMPLE_RATE // 50
SPEECH_DBFS = -26.0
WHISPER_DBFS = -41.0
SNRS_DB = (20, 10, 5, 0)
ALONE_DBFS = (-60, -40, -20)
PIECE_MINUTES = 5
"""Noise alone comes in pieces of this length, each to a detector that has heard nothing yet."""
PROMPT_MS = 150

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


def silero() -> Detector:
    """The network on every chunk, at the sound's own speed."""
    stream, verdict = SileroStream(network()), Hysteresis()
    pending = np.zeros(0, np.float32)

    def is_speech(frame: Pcm) -> bool:
        nonlocal pending
        pending = np.concatenate((pending, frame.astype(np.float32) / FULL_SCALE))
        if len(pending) >= CHUNK_SAMPLES:
            verdict(stream(pending[np.newaxis, :CHUNK_SAMPLES])[0])
            pending = pending[CHUNK_SAMPLES:]
        return verdict.speech

    return is_speech


DETECTORS: dict[str, Callable[[], Detector]] = {
    "webrtcvad": webrtc_alone, "ours": ours, "Silero": silero,
}  # fmt: skip


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


def conversation(
    clips: Iterator[Audio], count: int, rng: np.random.Generator, *, whisper: bool = False
) -> tuple[Audio, Frames]:
    """Clips between pauses of 0.8 to 2.5 s over a room at -75 dBFS, and which frames are speech."""
    level = WHISPER_DBFS if whisper else SPEECH_DBFS
    audio: list[Audio] = []
    frames: list[Frames] = []
    for _ in range(count):
        clip = next(clips)
        speech = truth(clip)
        if whisper:
            clip = whispered(clip, rng)
        rms = np.sqrt(np.square(clip.reshape(-1, FRAME)[speech]).mean())
        pause = int(rng.uniform(0.8, 2.5) * SAMPLE_RATE) // FRAME
        audio += [np.zeros(pause * FRAME), clip * 10 ** (level / 20) / rms]
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


def music(rng: np.random.Generator, samples: int) -> Audio:
    """A band: chords that are held, a tune over them, a bass, and a drum on the off-beat."""
    beat = SAMPLE_RATE // 2
    audio = np.zeros(samples + 4 * beat)

    def add(begin: int, length: int, hz: float, strength: float, decay_s: float) -> None:
        t = np.arange(length) / SAMPLE_RATE
        tone = sum(np.sin(2 * np.pi * hz * k * t) / k**1.5 for k in range(1, 9) if hz * k < 7000)
        fade = np.minimum(1, np.minimum(t, t[::-1]) / 0.01)
        audio[begin : begin + length] += strength * tone * np.exp(-t / decay_s) * fade

    for number, begin in enumerate(range(0, samples, beat)):
        root = 110 * 2 ** ((0, 5, 7, 3)[number // 4 % 4] / 12)
        if number % 4 == 0:
            for step in (12, 16, 19):
                add(begin, 4 * beat, root * 2 ** (step / 12), 0.3, 3.0)
        add(begin, beat, root, 0.7, 0.3)
        add(begin, beat, root * 2 ** (2 + rng.choice((0, 2, 4, 7, 9)) / 12), 0.6, 0.5)
        t = np.arange(beat // 4) / SAMPLE_RATE
        off = begin + beat // 2
        audio[off : off + len(t)] += 0.5 * rng.standard_normal(len(t)) * np.exp(-t / 0.02)
    return audio[:samples]


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


def whispered(clip: Audio, rng: np.random.Generator) -> Audio:
    """The clip with its voice taken away: each 20 ms keep their spectral envelope and are noise."""
    size, hop = 512, 128
    window = np.hanning(size + 1)[:-1]
    begins = range(0, len(clip) - size, hop)
    made = np.zeros(len(clip))
    for begin in begins:
        cepstrum = np.fft.irfft(
            np.log(np.abs(np.fft.rfft(clip[begin : begin + size] * window)) + 1e-6)
        )
        cepstrum[24 : size - 23] = 0  # harmonics of a voice lie beyond
        envelope = np.exp(np.fft.rfft(cepstrum).real)
        noise = np.fft.rfft(rng.standard_normal(size) * window)
        made[begin : begin + size] += np.fft.irfft(envelope * noise, size) * window
    return made


def at_level(noise: Audio, dbfs: float) -> Audio:
    """Noise at an RMS level; of clicks, the 95th percentile of the frames has it."""
    level = max(10 * math.log10(np.square(noise).mean()), float(np.percentile(frame_db(noise), 95)))
    return np.asarray(noise * 10 ** ((dbfs - level) / 20))


def to_pcm(audio: Audio) -> Pcm:
    """Rounded and clipped."""
    return np.clip(np.rint(audio * 32767), -32768, 32767).astype(np.int16)


# --- figures --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Hits:
    """What was found against what there is.

    Attributes:
        right: How much of what was found is there.
        found: How much was found.
        there: How much there is.
    """

    right: int
    found: int
    there: int

    @property
    def precision(self) -> float:
        """Part of what was found that is there."""
        return self.right / max(self.found, 1)

    @property
    def recall(self) -> float:
        """Part of what is there that was found."""
        return self.right / max(self.there, 1)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return 2 * self.right / max(self.found + self.there, 1)

    def __str__(self) -> str:
        return f"{self.f1:.3f} ({self.precision:.2f}, {self.recall:.2f})"


@dataclass(frozen=True)
class Score:
    """How a detector did in one condition.

    Attributes:
        frames: Frames of speech.
        utterances: Utterances; one is found by a segment that shares more than half with it
            (intersection over union).
        onsets_ms: By how much segments begin late, for each utterance that has one.
        ends_ms: By how much they end late.
    """

    frames: Hits
    utterances: Hits
    onsets_ms: NDArray[np.float64]
    ends_ms: NDArray[np.float64]

    @property
    def prompt(self) -> float:
        """Part of the utterances whose end is seen within `PROMPT_MS`."""
        return float((self.ends_ms <= PROMPT_MS).mean())


def listen(detector: Detector, pcm: Pcm) -> tuple[Frames, list[Segment]]:
    """What a detector, and the segmenter after it, make of a stream."""
    verdicts: list[bool] = []

    def is_speech(frame: Pcm) -> bool:
        verdicts.append(detector(frame))
        return verdicts[-1]

    segmenter = Segmenter(SegmenterConfig(), PartialResultsConfig(), FRAME, is_speech)
    events = segmenter.push(pcm) + segmenter.close(EndReason.END_OF_INPUT)
    return np.array(verdicts), [event for event in events if isinstance(event, Segment)]


def score(detector: Detector, pcm: Pcm, speech: Frames) -> Score:
    """Compare with the truth."""
    found, segments = listen(detector, pcm)
    onsets: list[float] = []
    ends: list[float] = []
    matched = 0
    # What is said within the hangover of each other is one utterance.
    config = SegmenterConfig()
    hangover, least = (ms // 20 for ms in (config.hangover_ms, config.min_speech_ms))
    said = [(begin, end) for begin, end in spans(bridged(speech, hangover)) if end - begin >= least]
    for begin, end in said:
        start, stop = begin * FRAME, end * FRAME
        during = [segment for segment in segments if segment.start < stop and segment.end > start]
        matched += any(
            min(segment.end, stop) - max(segment.start, start)
            > 0.5 * (max(segment.end, stop) - min(segment.start, start))
            for segment in during
        )
        if during:
            onsets.append((during[0].start - start) * 1000 / SAMPLE_RATE)
            ends.append((during[-1].end - stop) * 1000 / SAMPLE_RATE)
    return Score(
        frames=Hits(int((found & speech).sum()), int(found.sum()), int(speech.sum())),
        utterances=Hits(matched, len(segments), len(said)),
        onsets_ms=np.array(onsets or [np.nan]),
        ends_ms=np.array(ends or [np.nan]),
    )


def lateness(values_ms: NDArray[np.float64]) -> str:
    """Median, and the 5th and 95th percentile."""
    low, middle, high = np.percentile(values_ms, (5, 50, 95))
    return f"{middle:.0f} ({low:.0f} … {high:.0f})"


# --- the page -------------------------------------------------------------------------------------


@dataclass
class Sheet:
    """A table, as Markdown: conditions down, detectors across."""

    title: str
    note: str
    corner: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)

    def lines(self, names: Sequence[str]) -> list[str]:
        """Heading, table and what its figures are."""
        table = [(*self.corner, *names), ["---"] * (len(self.corner) + len(names)), *self.rows]
        return [
            f"## {self.title}", "", self.note, "",
            *(f"| {' | '.join(cells)} |" for cells in table), "",
        ]  # fmt: skip


def speech_sheets(
    talk: tuple[Audio, Frames],
    whisper: tuple[Audio, Frames],
    noises: dict[str, Noise],
    rng: np.random.Generator,
    progress: Progress,
) -> list[Sheet]:
    """Speech, clean and in noise."""
    clean, speech = talk
    minutes = len(clean) / SAMPLE_RATE / 60
    corner = ("noise", "SNR, dB")
    spread = "Median (5th … 95th percentile) in ms; negative is early."
    frames = Sheet(
        "Which frames are speech", f"F1 (precision, recall) over {minutes:.1f} min.", corner
    )
    utterances = Sheet(
        "Which utterances are found",
        "F1 (precision, recall). Found: a segment shares more than half with it.",
        corner,
    )
    onsets = Sheet("How late the beginning of an utterance is seen", spread, corner)
    ends = Sheet(
        "How late the end of an utterance is seen",
        f"The hangover apart. {spread} Then the share seen within {PROMPT_MS} ms.",
        corner,
    )
    made = DETECTORS.values()
    task = progress.add_task("speech", total=(2 + len(noises) * len(SNRS_DB)) * len(made))

    def add(noise: str, snr: str, audio: Audio, speech: Frames) -> None:
        scores = []
        for make in made:
            scores.append(score(make(), to_pcm(audio), speech))
            progress.advance(task)
        for sheet, tell in (
            (frames, lambda score: str(score.frames)),
            (utterances, lambda score: str(score.utterances)),
            (onsets, lambda score: lateness(score.onsets_ms)),
            (ends, lambda score: f"{lateness(score.ends_ms)}, {score.prompt:.0%}"),
        ):
            sheet.rows.append((noise, snr, *map(tell, scores)))

    add("none", "", clean, speech)
    add("none, whispered", "", *whisper)
    for name, make in noises.items():
        noise = make(rng, len(clean))
        for snr in SNRS_DB:
            add(name, str(snr), clean + at_level(noise, SPEECH_DBFS - snr), speech)
    return [frames, utterances, onsets, ends]


def noise_sheets(
    noises: dict[str, Noise], minutes: int, rng: np.random.Generator, progress: Progress
) -> list[Sheet]:
    """Noise alone, and what a detector costs."""
    false = Sheet("False utterances per hour", f"From {minutes} min each.", ("noise alone", "dBFS"))
    cost = Sheet("Cost", "Milliseconds of one core per second of audio, segmenter included.", ("",))
    made = DETECTORS
    pieces = max(1, minutes // PIECE_MINUTES)
    counts = {key: [0] * len(made) for key in product(noises, ALONE_DBFS)}
    seconds = [0.0] * len(made)
    task = progress.add_task("noise alone", total=pieces * len(counts) * len(made))
    for name, make in noises.items():
        for _ in range(pieces):
            noise = make(rng, PIECE_MINUTES * 60 * SAMPLE_RATE)
            for dbfs, (index, detector) in product(ALONE_DBFS, enumerate(made.values())):
                began = time.process_time()
                _, segments = listen(detector(), to_pcm(at_level(noise, dbfs)))
                seconds[index] += time.process_time() - began
                counts[name, dbfs][index] += len(segments)
                progress.advance(task)
    heard_s = pieces * PIECE_MINUTES * 60
    for (name, dbfs), found in counts.items():
        false.rows.append((name, str(dbfs), *(f"{n * 3600 / heard_s:.0f}" for n in found)))
    cost.rows.append(("ms/s", *(f"{1000 * s / heard_s / len(counts):.1f}" for s in seconds)))
    return [false, cost]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--clips", type=int, default=60, help="length of the conversation")
    parser.add_argument("--minutes", type=int, default=20, help="of each noise alone")
    parser.add_argument("--seed", type=int, default=1, help="of clips, pauses and noises")
    parser.add_argument("--out", type=Path, help="write the tables there, as Markdown")
    arguments = parser.parse_args()
    console = Console()
    rng = np.random.default_rng(arguments.seed)
    if (arguments.data / "manifest.csv").is_file():
        clips = corpus_clips(arguments.data, rng)
    else:
        console.print(f"no corpora in {arguments.data}: speech is from the demo recording")
        clips = demo_clips()
    alone: dict[str, Noise] = {
        "white": white, "hum": hum, "fan": fan, "keyboard": keyboard, "music": music,
    }  # fmt: skip
    talk = conversation(clips, arguments.clips, rng)
    whispering = conversation(clips, arguments.clips, rng, whisper=True)
    with Progress(console=console) as progress:
        sheets = speech_sheets(
            talk, whispering, alone | {"babble": babble_of(clips)}, rng, progress
        )
        rng = np.random.default_rng((arguments.seed, 1))  # whatever the clips were
        sheets += noise_sheets(alone, arguments.minutes, rng, progress)
    lines = heading(
        "Voice activity, measured",
        f"Speech of {arguments.clips} clips, seed {arguments.seed}.\n"
        "Written by `python benchmarks/vad.py`, which says how the truth and the noises are made.",
    )
    for sheet in sheets:
        lines += sheet.lines(list(DETECTORS))
    page = "\n".join(lines)
    console.print(Markdown(page))
    if arguments.out is not None:
        arguments.out.write_text(page, encoding="utf-8")
        console.print(f"figures in {arguments.out}")


if __name__ == "__main__":
    main()
