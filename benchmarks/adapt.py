"""Adapts a model to some speakers of a corpus by the program's commands; tests it on others.

Each speaker becomes one recording with pauses between the clips. The column ``label`` is filled in
from the acted emotions of the corpus, in place of a listener:

    python benchmarks/adapt.py MANIFEST --corpus nemo --model open

The model must not have been trained on the corpus, or the figures mean nothing.
"""

import argparse
import csv
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from streamer.model.bundle import load as load_bundle
from streamer.model.catalog import find_bundle
from streamer.training.data.manifest import Clip, read_manifest
from streamer.training.evaluation.metrics import figures
from streamer.types import SAMPLE_RATE

PAUSE_S = 1.0
QUIET = 8  # of the noise in a pause, in steps of 16-bit PCM
Spans = dict[str, list[tuple[float, float, Clip]]]
"""By recording, where each clip begins and ends, in seconds."""


def main() -> None:
    """Print what adapting gives, on the speakers adapted to and on others."""
    args = arguments()
    known = load_bundle(find_bundle(args.model)).manifest.labels
    clips = [c for c in read_manifest(args.manifest, corpora=[args.corpus]) if c.emotion in known]
    chance = random.Random(args.seed)
    speakers = sorted({clip.speaker for clip in clips})
    chance.shuffle(speakers)
    mine, others = speakers[: args.speakers], speakers[args.speakers :]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        spans = record(clips, mine, args.clips, folder / "mine", chance)
        spans |= record(clips, others, args.test_clips, folder / "others", chance)
        log = folder / "mine.csv"
        streamer(
            *("file", folder / "mine", "--csv", log, "--save-audio", folder / "voices"),
            *("--model", args.model),
        )
        print(f"{args.corpus}, seed {args.seed}: {label(log, spans)} utterances labelled")
        began = time.monotonic()
        new = folder / "adapted"
        print(
            streamer(
                "adapt", log, "--audio", folder / "voices", "--model", args.model, "--out", new
            )
        )
        print(f"adapted in {time.monotonic() - began:.0f} s")
        for model in (args.model, new):
            for learns in (False, True):
                rows = folder / f"{Path(model).name}-{learns}.csv"
                streamer(
                    *("file", folder / "others", "--csv", rows, "--model", model),
                    env={"STREAMER_BASELINE_ENABLED": str(learns).lower()},
                )
                voices = "voices learned" if learns else "every utterance by itself"
                print(f"{len(others)} other speakers, {Path(model).name}, {voices}: ", end="")
                print(measure(rows, spans, known))


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--model", default="open")
    parser.add_argument("--speakers", type=int, default=3, help="to adapt to")
    parser.add_argument("--clips", type=int, default=40, help="of each of them")
    parser.add_argument("--test-clips", type=int, default=60, help="of each other one")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def record(
    clips: list[Clip], speakers: list[str], count: int, folder: Path, chance: random.Random
) -> Spans:
    """One recording per speaker: some of their clips in random order, with pauses."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    spans: Spans = {}
    for speaker in speakers:
        own = [clip for clip in clips if clip.speaker == speaker]
        pieces, at, path = [], 0, folder / f"{speaker}.flac"
        for clip in chance.sample(own, min(count, len(own))):
            pcm, _ = soundfile.read(clip.path, dtype="int16")
            pause = QUIET * rng.standard_normal(round(PAUSE_S * SAMPLE_RATE))
            span = ((at + len(pause)) / SAMPLE_RATE, (at + len(pause) + len(pcm)) / SAMPLE_RATE)
            spans.setdefault(str(path), []).append((*span, clip))
            pieces += [pause.astype(np.int16), pcm]
            at += len(pause) + len(pcm)
        soundfile.write(path, np.concatenate(pieces), SAMPLE_RATE)
    return spans


def truth(row: dict[str, str], spans: Spans) -> Clip | None:
    """The clip in whose span most of an utterance lies."""
    start, end = float(row["start_s"]), float(row["end_s"])
    for begins, ends, clip in spans[row["source"]]:
        if min(end, ends) - max(start, begins) > (end - start) / 2:
            return clip
    return None


def label(log: Path, spans: Spans) -> int:
    """Fill in the columns ``label`` and ``speaker``; returns in how many rows."""
    rows = read(log)
    for row in rows:
        clip = truth(row, spans)
        row["label"] = clip.emotion if clip and row["emotion"] != "no_speech" else ""
        row["speaker"] = clip.speaker if clip else ""
    with log.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return sum(bool(row["label"]) for row in rows)


def measure(log: Path, spans: Spans, labels: tuple[str, ...]) -> str:
    """Measure the rows of a log against the corpus."""
    probabilities, targets = [], []
    for row in read(log):
        clip = truth(row, spans)
        if clip is not None:
            probabilities.append([float(row[name]) for name in labels])
            targets.append(labels.index(clip.emotion))
    got = figures(np.array(probabilities), np.array(targets), labels)
    return f"UAR {got.uar:.3f}, accuracy {got.wa:.3f}, ECE {got.ece:.3f} ({got.clips} utterances)"


def read(log: Path) -> list[dict[str, str]]:
    """The rows of a CSV."""
    with log.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def streamer(*args: str | Path, env: dict[str, str] | None = None) -> str:
    """Run a command; return its output."""
    command = [sys.executable, "-m", "streamer", *map(str, args)]
    done = subprocess.run(  # noqa: S603 - the program itself
        command, env={**os.environ, **(env or {})}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{done.stdout}{done.stderr}")
    return done.stdout.strip()


if __name__ == "__main__":
    main()
