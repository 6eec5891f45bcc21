"""How well crosstalk is told from speech: utterances of two channels, alone and mixed.

    python benchmarks/crosstalk.py --data ../shared/data --pairs 40

Each pair of speakers (of different corpora where there are several) talks in two channels of a
call, in turn and at once, over noise at -62 dBFS. Then each channel is mixed into the other at
some level, delayed and, as through the air, filtered; and what is found is compared with what is
found in the channels alone.
"""

import argparse
import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from streamer.channel import Channel, Intake
from streamer.config import Config
from streamer.types import SAMPLE_RATE, EndReason, Pcm, Segment, SourceInfo

LEVEL_DBFS = -26
NOISE_DBFS = -62
PATHS = ("wire", "air")
LEVELS_DB = (-12, -15, -20, -25, -30, -35, -40)


def found(stereo: Pcm, *, gated: bool) -> list[list[tuple[int, int]]]:
    """Start and end of the utterances of both channels, in samples."""
    config = Config.model_validate({"audio": {"channels": ["a", "b"]}})
    intake = Intake(SourceInfo("mix", SAMPLE_RATE, 2, live=False), config)
    taken = intake.convert(stereo)
    rows: list[list[tuple[int, int]]] = []
    for index in (0, 1):
        channel = Channel("x", config)
        events = [*channel.push(taken[:, index], taken[:, 2 + index] if gated else None)]
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


def spurious(got: list[tuple[int, int]], alone: list[tuple[int, int]]) -> int:
    """Utterances that lie outside all that were found alone."""
    return sum(all(e <= a or s >= b for a, b in alone) for s, e in got)


def covered(got: list[tuple[int, int]], alone: list[tuple[int, int]]) -> list[float]:
    """The part of each utterance found alone that is found again."""
    return [sum(max(0, min(e, b) - max(s, a)) for s, e in got) / (b - a) for a, b in alone]


def main() -> None:
    """Print a row per path and level."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a folder with manifest.csv")
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=40)
    args = parser.parse_args()
    people = speakers(args.data)
    makers: dict[str, Callable[[np.random.Generator], np.ndarray]] = {"wire": wire, "air": air}
    table: dict[tuple[str, int, bool], list[np.ndarray]] = {}
    cover: dict[tuple[str, int, bool], list[float]] = {}
    for pair in range(args.pairs):
        rng = np.random.default_rng(pair)
        left, right = rng.choice(len(people), 2, replace=False)
        sides = np.stack(
            [turns(people[i], rng, seconds=args.seconds) for i in (left, right)], axis=1
        )
        noise = 32768 * 10 ** (NOISE_DBFS / 20) * rng.standard_normal(sides.shape)
        alone = found(int16(sides + noise), gated=False)
        for path, make in makers.items():
            response = make(rng)
            heard = np.stack(
                [np.convolve(sides[:, 1 - i], response)[: len(sides)] for i in (0, 1)], axis=1
            )
            for level in (*LEVELS_DB, -200):
                mixed = int16(sides + noise + heard * 10 ** (level / 20))
                for gated in (False, True):
                    rows = found(mixed, gated=gated)
                    pairs = list(zip(rows, alone, strict=True))
                    parts = [part for got, true in pairs for part in covered(got, true)]
                    table.setdefault((path, level, gated), []).append(
                        np.array(
                            [
                                sum(spurious(got, true) for got, true in pairs),
                                sum(len(true) for true in alone),
                                sum(part < 0.5 for part in parts),
                            ]
                        )
                    )
                    cover.setdefault((path, level, gated), []).extend(parts)
    print("path  level  gate  utterances  from crosstalk  lost  covered")
    for (path, level, gated), counts in table.items():
        extra, true, lost = np.sum(counts, axis=0)
        part = np.mean(cover[path, level, gated])
        mark = "on " if gated else "off"
        print(
            f"{path:4}  {level:4}   {mark}   {true:6}      {extra:6}        {lost:4}   {part:.3f}"
        )


def int16(samples: np.ndarray) -> Pcm:
    """As PCM; what is too loud is clipped."""
    return np.clip(np.rint(samples), -32768, 32767).astype(np.int16)


if __name__ == "__main__":
    main()
