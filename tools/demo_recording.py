"""Makes streamer/recordings/: people who just talk, then one gets angry, one is sad, one happy.

Real voices that no bundle has learned from: LibriSpeech (CC BY 4.0) and CREMA-D (ODbL 1.0, contents
DbCL 1.0), of which `HELD_OUT` are left out in training. The acted clips are ones in which most
listeners heard the acted emotion.

    python tools/demo_recording.py ../shared/data
"""

import argparse
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from streamer.config import Config
from streamer.model.features import Waveform
from streamer.pipeline.offline import segments_of
from streamer.training.data.extraction import read_mono
from streamer.types import SAMPLE_RATE

FOLDER = Path(__file__).parents[1] / "streamer" / "recordings"
HELD_OUT = ("crema-d_1064", "crema-d_1006", "crema-d_1028")
"""Speakers of CREMA-D that are left out of the training of every bundle."""

LEVEL_DBFS, ROOM_DBFS = -23.0, -66.0
PAUSE_S = 1.1
READ_S = (2.5, 4.5)  # of an utterance that somebody reads

SENTENCES = {
    "DFA": "Don't forget a jacket.",
    "IEO": "It's eleven o'clock.",
    "IOM": "I'm on my way to the meeting.",
    "ITH": "I think I have a doctor's appointment.",
    "ITS": "I think I've seen this before.",
    "IWL": "I would like a new alarm clock.",
    "IWW": "I wonder what this is about.",
    "MTI": "Maybe tomorrow it will be cold.",
    "TAI": "The airplane is almost full.",
    "TIE": "That is exactly what happened.",
    "TSI": "The surface is slick.",
    "WSI": "We'll stop in a couple of minutes.",
}

ACTED = (
    ("crema-d_1064", "neutral", 2),
    ("crema-d_1064", "angry", 3),
    ("crema-d_1006", "neutral", 1),
    ("crema-d_1006", "sad", 2),
    ("crema-d_1028", "neutral", 1),
    ("crema-d_1028", "happy", 2),
)
"""Who says how many clips, and how, in this order."""


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """One utterance.

    Attributes:
        wave: Shape (samples,), at `SAMPLE_RATE`.
        voice: Who speaks, and where it is from.
        emotion: The acted one; empty where nobody acts.
        text: What is said, where that is known.
    """

    wave: Waveform
    voice: str
    emotion: str
    text: str


def read_aloud(data: Path, voices: int = 2, each: int = 2) -> Iterator[Piece]:
    """Utterances of LibriSpeech that are only for development, as the program cuts them."""
    with (data / "ordinary" / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = [
            r for r in csv.DictReader(file) if r["use"] == "dev" and r["corpus"] == "LibriSpeech"
        ]
    chosen = 0
    for gender in ("female", "male"):
        for row in (row for row in rows if row["gender"] == gender):
            pcm = np.rint(read_mono(data / "ordinary" / row["path"]) * 2**15).astype(np.int16)
            fits = [
                segment
                for segment in segments_of(pcm, Config())
                if READ_S[0] <= (segment.end - segment.start) / SAMPLE_RATE <= READ_S[1]
            ]
            if len(fits) >= each:
                for segment in fits[:each]:
                    begin = segment.start - segment.pcm_start
                    wave = segment.pcm[begin : begin + segment.end - segment.start] / 2**15
                    voice = f"LibriSpeech speaker {row['speaker'].removeprefix('libri_')}, reads"
                    yield Piece(wave.astype(np.float32), voice, "", "")
                chosen += 1
                break
    if chosen < voices:
        raise SystemExit(f"got {chosen} voices with {each} utterances each, expected {voices}")


def acted(data: Path) -> Iterator[Piece]:
    """Clips of CREMA-D in which listeners heard what was acted."""
    with (data / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["speaker"] in HELD_OUT]
    for speaker, emotion, count in ACTED:
        fits = [
            row
            for row in rows
            if (row["speaker"], row["emotion"], row["heard_as"]) == (speaker, emotion, emotion)
        ]
        fits.sort(key=lambda row: float(row["seconds"]))
        longest = {row["sentence"]: row for row in fits}  # of each sentence
        for row in sorted(longest.values(), key=lambda row: -float(row["seconds"]))[:count]:
            wave = read_mono(data / row["path"])
            pcm = np.rint(wave * 2**15).astype(np.int16)
            spoken = list(segments_of(pcm, Config()))
            wave = wave[spoken[0].start : spoken[-1].end] if spoken else wave
            voice = f"CREMA-D speaker {speaker.removeprefix('crema-d_')}, acts"
            yield Piece(wave, voice, emotion, SENTENCES[row["sentence"]])


def main() -> None:
    """Write demo.flac and demo.csv."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of the corpora, with manifest.csv")
    data = parser.parse_args().data
    rng = np.random.default_rng(0)
    parts, rows, samples = [], [], 0

    def add(wave: Waveform) -> None:
        nonlocal samples
        parts.append(wave)
        samples += len(wave)

    pause = np.zeros(round(PAUSE_S * SAMPLE_RATE), np.float32)
    for piece in [*read_aloud(data), *acted(data)]:
        add(pause)
        start = samples
        loud = np.square(piece.wave)
        level = np.sqrt(loud[loud > np.quantile(loud, 0.5)].mean()) / np.sqrt(2)
        add(piece.wave * np.float32(10 ** (LEVEL_DBFS / 20) / level))
        rows.append(
            (
                f"{start / SAMPLE_RATE:.2f}", f"{samples / SAMPLE_RATE:.2f}",
                piece.voice, piece.emotion, piece.text,
            )
        )  # fmt: skip
    add(pause)
    audio = np.concatenate(parts)
    audio += (10 ** (ROOM_DBFS / 20) * rng.standard_normal(len(audio))).astype(np.float32)
    soundfile.write(FOLDER / "demo.flac", audio, SAMPLE_RATE, subtype="PCM_16")
    with (FOLDER / "demo.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("start_s", "end_s", "voice", "emotion", "text"))
        writer.writerows(rows)
    print(f"{len(audio) / SAMPLE_RATE:.1f} s, {len(rows)} utterances")


if __name__ == "__main__":
    main()
