"""Make streamer/recordings/ anew: several synthetic voices, then a historic one, with pauses.

Needs the programs ``espeak-ng`` and ``flite`` (Debian packages of these names) and John F.
Kennedy's sentence as a 16 kHz mono file: ``whisper.cpp/samples/jfk.wav`` in the source distribution
of pywhispercpp, or ``tests/jfk.flac`` in the repository of openai/whisper.

    python tools/demo_recording.py jfk.wav
"""

import argparse
import csv
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

FOLDER = Path(__file__).parents[1] / "streamer" / "recordings"
RATE = 16_000
FRAME = RATE // 100

LEVEL_DBFS = -23.0
ROOM_DBFS = -66.0
SPEECH_DB = -25.0  # speech is what is louder than this below the loudest frames
PAUSE_S = 0.45  # a longer pause separates two utterances

Audio: TypeAlias = NDArray[np.float64]
"""Shape (samples,) at `RATE`, full scale ±1."""


@dataclass(frozen=True)
class Line:
    """Something to be said: by which program and voice, how, and after what pause."""

    command: tuple[str, ...]
    voice: str
    text: str
    pause_s: float
    gain_db: float = 0.0


LINES = (
    Line(
        ("flite", "-voice", "slt", "-o", "{path}", "-t"),
        "synthetic: flite slt (woman, US)",
        "Good morning, you are speaking with customer service.",
        pause_s=1.2,
    ),
    Line(
        ("espeak-ng", "-v", "en-us", "-s", "210", "-p", "70", "-w", "{path}"),
        "synthetic: espeak-ng en-us, fast and high, as if angry",
        "I have been waiting on this line for forty five minutes!",
        pause_s=0.9,
        gain_db=3.0,
    ),
    Line(
        ("flite", "-voice", "rms", "-o", "{path}", "-t"),
        "synthetic: flite rms (man, US)",
        "I am very sorry to hear that, let me look into it right away.",
        pause_s=1.1,
    ),
    Line(
        ("espeak-ng", "-v", "en-us+f3", "-s", "120", "-p", "25", "-w", "{path}"),
        "synthetic: espeak-ng en-us+f3, slow and low, as if sad",
        "It was the only photograph that I had of her.",
        pause_s=1.6,
        gain_db=-3.0,
    ),
    Line(
        ("flite", "-voice", "awb", "-o", "{path}", "-t"),
        "synthetic: flite awb (man, Scotland)",
        "The parcel was found this morning and is on its way to you.",
        pause_s=0.8,
    ),
    Line(
        ("espeak-ng", "-v", "en-gb+f2", "-s", "185", "-p", "85", "-w", "{path}"),
        "synthetic: espeak-ng en-gb+f2, lively and high, as if happy",
        "That is the best news I have heard all week!",
        pause_s=1.3,
    ),
    Line(
        ("flite", "-voice", "slt", "-o", "{path}", "-t"),
        "synthetic: flite slt (woman, US)",
        "Is there anything else that I can do for you today?",
        pause_s=1.0,
    ),
)

KENNEDY = "John F. Kennedy, 20 January 1961"
KENNEDY_TEXTS = (
    "And so, my fellow Americans:",
    "ask not",
    "what your country can do for you,",
    "ask what you can do for your country.",
)
KENNEDY_PAUSE_S = 2.0


def main() -> None:
    """Write demo.flac and demo.csv."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("jfk", type=Path, help="the sentence of John F. Kennedy, 16 kHz mono")
    parts: list[Audio] = []
    rows: list[tuple[str, str, str, str]] = []

    def add(audio: Audio, pause_s: float, voice: str, texts: tuple[str, ...]) -> None:
        parts.append(np.zeros(round(pause_s * RATE)))
        begin = sum(map(len, parts)) / RATE
        spans = utterances(audio)
        if len(spans) != len(texts):
            raise ValueError(f"{voice}: got {len(spans)} utterances, expected {len(texts)}")
        for (start, end), text in zip(spans, texts, strict=True):
            rows.append((f"{begin + start:.2f}", f"{begin + end:.2f}", voice, text))
        parts.append(audio)

    for line in LINES:
        audio = level(synthesise(line), LEVEL_DBFS + line.gain_db)
        add(trim(audio), line.pause_s, line.voice, (line.text,))
    kennedy, rate = soundfile.read(parser.parse_args().jfk)
    if rate != RATE or kennedy.ndim != 1:
        raise ValueError(f"got {kennedy.shape} at {rate} Hz, expected (samples,) at {RATE} Hz")
    add(fade(level(kennedy, LEVEL_DBFS)), KENNEDY_PAUSE_S, KENNEDY, KENNEDY_TEXTS)
    parts.append(np.zeros(RATE))

    speech = np.concatenate(parts)
    audio = speech + room_tone(len(speech))
    soundfile.write(FOLDER / "demo.flac", audio, RATE, subtype="PCM_16")
    with (FOLDER / "demo.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(
            [("start_s", "end_s", "voice", "text"), *rows]
        )


def synthesise(line: Line) -> Audio:
    """Have a line said."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "line.wav")
        command = [part.format(path=path) for part in line.command]
        subprocess.run([*command, line.text], check=True)  # noqa: S603 -- LINES, nothing else
        audio, rate = soundfile.read(path)
    return np.asarray(soxr.resample(audio, rate, RATE, quality="VHQ"))


def speech_frames(audio: Audio) -> NDArray[np.bool_]:
    """Which frames of 10 ms are within 25 dB of the loudest."""
    power = np.square(audio[: len(audio) // FRAME * FRAME]).reshape(-1, FRAME).mean(axis=1)
    return np.asarray(power > np.percentile(power, 98) * 10 ** (SPEECH_DB / 10))


def utterances(audio: Audio) -> list[tuple[float, float]]:
    """Start and end of each, in seconds."""
    spoken = np.flatnonzero(speech_frames(audio))
    breaks = np.flatnonzero(np.diff(spoken) * FRAME > PAUSE_S * RATE)
    starts = spoken[np.r_[0, breaks + 1]]
    ends = spoken[np.r_[breaks, len(spoken) - 1]] + 1
    return [(a * FRAME / RATE, b * FRAME / RATE) for a, b in zip(starts, ends, strict=True)]


def level(audio: Audio, dbfs: float) -> Audio:
    """Bring the speech in it to a level."""
    frames = audio[: len(audio) // FRAME * FRAME].reshape(-1, FRAME)
    rms = np.sqrt(np.square(frames[speech_frames(audio)]).mean())
    return np.asarray(audio * 10 ** (dbfs / 20) / rms)


def trim(audio: Audio) -> Audio:
    """Without the silence at its ends, but for 100 ms."""
    spoken = np.flatnonzero(speech_frames(audio))
    return fade(audio[max(0, spoken[0] - 10) * FRAME : (spoken[-1] + 11) * FRAME])


def fade(audio: Audio) -> Audio:
    """Let its own background come and go within 20 ms."""
    ramp = np.linspace(0, 1, RATE // 50)
    audio = audio.copy()
    audio[: len(ramp)] *= ramp
    audio[-len(ramp) :] *= ramp[::-1]
    return audio


def room_tone(samples: int) -> Audio:
    """Noise as in a quiet room: the deeper, the louder."""
    noise = np.random.default_rng(2026).standard_normal(samples)
    spectrum = np.fft.rfft(noise)
    hz = np.fft.rfftfreq(samples, 1 / RATE)
    spectrum /= np.sqrt(np.maximum(hz, 60))
    noise = np.fft.irfft(spectrum, samples)
    return np.asarray(noise * 10 ** (ROOM_DBFS / 20) / noise.std())


if __name__ == "__main__":
    main()
