"""Measures how well speech is told from noise, by frame and by utterance.

By webrtcvad alone, by ours (Silero behind webrtcvad as a gate), and by Silero on every chunk.

Speech is read from the corpora in ``../shared/data`` (where absent: from the demo recording), put
at -26 dBFS between pauses, and mixed with noise (`noises.py`); `speech_clips.py` says how it is
known which frames are speech. Better are recordings that people have labelled: `labelled.py`. The
source package of pyannote.audio 2.1.1 (on PyPI) holds 14 excerpts of meetings, in ``tests/data``.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import TypeAlias

import numpy as np
import webrtcvad
from labelled import LabelledRecording, read_labelled
from noises import Noise, at_level, babble_of, fan, hum, keyboard, music, to_pcm, whispered, white
from numpy.typing import NDArray
from page import heading
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import Progress
from speech_clips import FRAME, ROOT, Audio, Frames, bridged, corpus_clips, demo_clips, spans, truth

from streamer.audio.level import FULL_SCALE
from streamer.config import PartialResultsConfig, SegmenterConfig, VadConfig
from streamer.segmentation.segmenter import Segmenter
from streamer.segmentation.silero import CHUNK_SAMPLES, Hysteresis, SileroStream, network
from streamer.segmentation.vad import VoiceActivityDetector
from streamer.types import SAMPLE_RATE, EndReason, Pcm, Segment

EXAMPLE = """example:
  python benchmarks/vad.py --clips 60 --seed 5 --minutes 20 --out benchmarks/VAD.md
  python benchmarks/vad.py --labelled pyannote.audio-2.1.1/tests/data --out benchmarks/VAD.md
"""

SPEECH_DBFS = -26.0
WHISPER_DBFS = -41.0
SNRS_DB = (20, 10, 5, 0)
ALONE_DBFS = (-60, -40, -20)
PIECE_MINUTES = 5
"""Noise alone comes in pieces of this length, each to a detector that has heard nothing yet."""
PROMPT_MS = 150

Detector: TypeAlias = Callable[[Pcm], bool]


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

    def __add__(self, other: "Hits") -> "Hits":
        return Hits(self.right + other.right, self.found + other.found, self.there + other.there)

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


def hits(found: Frames, there: Frames) -> Hits:
    """Compare the frames found with those of speech."""
    return Hits(int((found & there).sum()), int(found.sum()), int(there.sum()))


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
        frames=hits(found, speech),
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


def labelled_sheet(recordings: Sequence[LabelledRecording]) -> Sheet:
    """Recordings that people have labelled; each begins anew."""
    minutes = sum(len(one.speech) for one in recordings) * FRAME / SAMPLE_RATE / 60
    sheet = Sheet(
        "Recordings that people have labelled",
        f"{minutes:.1f} min. F1 (precision, recall) of the frames that are in an utterance,\n"
        "since the pauses within what somebody says are labelled as speech, too.",
        ("recording", "speech"),
    )
    frames, whole = ([Hits(0, 0, 0) for _ in DETECTORS] for _ in range(2))
    for one in recordings:
        row = []
        for index, make in enumerate(DETECTORS.values()):
            found, segments = listen(make(), one.pcm)
            inside = np.zeros(len(one.speech), np.bool_)
            for segment in segments:
                inside[segment.start // FRAME : segment.end // FRAME] = True
            row.append(hits(inside, one.speech))
            whole[index] += row[-1]
            frames[index] += hits(found[: len(one.speech)], one.speech)
        sheet.rows.append((one.name, f"{one.speech.mean():.0%}", *map(str, row)))
    sheet.rows.append(("**all**", "", *map(str, whole)))
    sheet.rows.append(("all, frame by frame", "", *map(str, frames)))
    return sheet


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
    parser.add_argument("--labelled", type=Path, help="a folder of .wav and .rttm files")
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
    labelled = list(read_labelled(arguments.labelled)) if arguments.labelled else []
    with Progress(console=console) as progress:
        sheets = [labelled_sheet(labelled)] if labelled else []
        sheets += speech_sheets(
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
