"""Measures how well crosstalk is told from speech: utterances of two channels, alone and mixed.

    python benchmarks/crosstalk.py --data ../shared/data --pairs 20

Each pair of speakers (of different corpora where there are several) talks in two channels of a
call, in turn and at once, over noise at -62 dBFS. Then each channel is mixed into the other at
some level, delayed and, as through the air, filtered; and what is found is compared with what is
found in the channels alone. Takes a few seconds a pair and core.
"""

import argparse
import csv
import functools
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import soundfile
from rich.console import Console
from rich.progress import track

from streamer.config import Config
from streamer.pipeline.frontend import AnalysedAudio, Frontend
from streamer.segmentation.channel import Channel
from streamer.types import SAMPLE_RATE, EndReason, Pcm, Segment, SourceInfo

LEVEL_DBFS = -26
NOISE_DBFS = -62
LEVELS_DB = (-12, -15, -20, -25, -30, -35, -40)
CONFIG = Config.model_validate({"audio": {"channels": ["a", "b"]}})

Spans: TypeAlias = list[tuple[int, int]]
"""Start and end of the utterances of a channel, in samples."""
Case: TypeAlias = tuple[str, int | None, bool]
"""By which way, at which level in dB (None: not at all), and whether the gate is on."""


@dataclass
class Found:
    """What was found in one case, compared with what was found in the channels alone.

    Attributes:
        utterances: How many there were alone.
        spurious: Utterances that lie outside all that were found alone.
        parts: The part of each utterance found alone that is found again.
    """

    utterances: int
    spurious: int
    parts: list[float]


def taken_in(stereo: Pcm) -> AnalysedAudio:
    """What the pipeline makes of two channels."""
    return Frontend(SourceInfo("mix", SAMPLE_RATE, 2, live=False), CONFIG).convert(stereo)


def found(taken: AnalysedAudio, *, gated: bool) -> list[Spans]:
    """The utterances of both channels."""
    rows: list[Spans] = []
    for index in (0, 1):
        channel = Channel("x", CONFIG)
        events = [*channel.push(taken.pcm[:, index], taken.crosstalk[:, index] if gated else None)]
        events += channel.close(EndReason.END_OF_INPUT)
        rows.append([(e.start, e.end) for e in events if isinstance(e, Segment)])
    return rows


def speakers(data: Path) -> list[list[Path]]:
    """Clips of each speaker."""
    clips: dict[str, list[Path]] = {}
    with (data / "manifest.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            clips.setdefault(row["speaker"], []).append(data / row["path"])
    return [clips[name] for name in sorted(clips)]


def turns(clips: list[Path], rng: np.random.Generator, *, seconds: float) -> np.ndarray:
    """One side of a call: clips, between them pauses in which the other side may speak."""
    pcm = np.zeros(round(seconds * SAMPLE_RATE))
    at = round(rng.uniform(0.3, 3) * SAMPLE_RATE)
    while True:
        clip, _ = soundfile.read(clips[rng.integers(len(clips))])
        if at + len(clip) > len(pcm):
            return pcm
        loud = np.sort(np.abs(clip))[-len(clip) // 3 :]
        gain = 32768 * 10 ** ((LEVEL_DBFS + rng.uniform(-4, 4)) / 20) / (loud.std() + loud.mean())
        pcm[at : at + len(clip)] = clip * gain
        at += len(clip) + round(rng.uniform(0.3, 4) * SAMPLE_RATE)


def wire(rng: np.random.Generator) -> np.ndarray:
    """A delayed copy."""
    response = np.zeros(round(rng.uniform(1, 480)))
    response[-1] = 1
    return response


def air(rng: np.random.Generator) -> np.ndarray:
    """From a headset's loudspeaker to its microphone in a room: direct sound, colour, echoes."""
    delay = round(rng.uniform(1, 160))
    echo = rng.standard_normal(4000) * np.exp(-np.arange(4000) / 900)  # 0.4 s reverberation time
    echo *= 0.7 / np.sqrt(np.square(echo).sum())
    response = np.concatenate((np.zeros(delay), [1, 0.6, 0.3], np.zeros(30), echo))
    return response / np.sqrt(np.square(response).sum())


def compare(rows: list[Spans], alone: list[Spans]) -> Found:
    """Both channels with what was found in them alone."""
    both = list(zip(rows, alone, strict=True))
    return Found(
        utterances=sum(map(len, alone)),
        spurious=sum(all(e <= a or s >= b for a, b in true) for got, true in both for s, e in got),
        parts=[
            sum(max(0, min(e, b) - max(s, a)) for s, e in got) / (b - a)
            for got, true in both
            for a, b in true
        ],
    )


def heard(sides: np.ndarray, response: np.ndarray) -> np.ndarray:
    """What each channel hears of the other at 0 dB."""
    size = 1 << (len(sides) + len(response)).bit_length()
    spectra = np.fft.rfft(sides[:, ::-1], size, axis=0) * np.fft.rfft(response, size)[:, None]
    return np.fft.irfft(spectra, size, axis=0)[: len(sides)]


def try_pair(people: list[list[Path]], seconds: float, pair: int) -> list[tuple[Case, Found]]:
    """Two speakers, by every way and at every level, with the gate and without."""
    rng = np.random.default_rng(pair)
    chosen = rng.choice(len(people), 2, replace=False)
    sides = np.stack([turns(people[i], rng, seconds=seconds) for i in chosen], axis=1)
    clean = sides + 32768 * 10 ** (NOISE_DBFS / 20) * rng.standard_normal(sides.shape)
    alone_in = taken_in(int16(clean))
    alone = found(alone_in, gated=False)
    makers: dict[str, Callable[[np.random.Generator], np.ndarray]] = {"wire": wire, "air": air}

    def cases() -> Iterator[tuple[str, int | None, AnalysedAudio]]:
        for way, make in makers.items():
            other = heard(sides, make(rng))
            for level in LEVELS_DB:
                yield way, level, taken_in(int16(clean + other * 10 ** (level / 20)))
        yield "none", None, alone_in

    return [
        ((way, level, gated), compare(found(taken, gated=gated), alone))
        for way, level, taken in cases()
        for gated in (False, True)
    ]


def main() -> None:
    """Print a row per way and level."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="a folder with manifest.csv")
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=40, help="length of each call")
    args = parser.parse_args()
    attempt = functools.partial(try_pair, speakers(args.data), args.seconds)
    table: dict[Case, list[Found]] = {}
    with ProcessPoolExecutor() as pool:
        done = pool.map(attempt, range(args.pairs))
        for cases in track(done, "pairs", total=args.pairs, console=Console(stderr=True)):
            for case, result in cases:
                table.setdefault(case, []).append(result)
    print("way   level  gate  utterances  from crosstalk  lost  covered")
    for (way, level, gated), results in table.items():
        parts = [part for result in results for part in result.parts]
        true, extra = (
            sum(getattr(r, what) for r in results) for what in ("utterances", "spurious")
        )
        lost = sum(part < 0.5 for part in parts)
        mark, db = "on " if gated else "off", "-" if level is None else level
        print(
            f"{way:4}  {db:>4}   {mark}   {true:6}      {extra:6}        {lost:4}   "
            f"{np.mean(parts):.3f}"
        )


def int16(samples: np.ndarray) -> Pcm:
    """As PCM; what is too loud is clipped."""
    return np.clip(np.rint(samples), -32768, 32767).astype(np.int16)


if __name__ == "__main__":
    main()
