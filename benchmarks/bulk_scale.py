"""What an archive of 100,000 recordings costs `streamer file`, killed in the middle and resumed.

    python benchmarks/bulk_scale.py --page benchmarks

Recordings of 2 s are made of the tests' voices: a quarter hold a sentence, the others the noise of
a room, faint to loud. Of one content many names are linked, which count as different recordings.
First, planning, ledger, rows and progress alone, for several numbers of recordings: nothing is
read, and each gets the same utterance. Then the real program analyses all of the largest archive in
one process, is killed by `kill -9` at random instants, and is resumed. `--page` renews the section
of BULK.md.

    python benchmarks/bulk_scale.py --long 1000 --page benchmarks

Recordings of ten minutes instead, of which half is speech: the real program alone. This takes two
hours.
"""

import argparse
import csv
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from pathlib import Path
from typing import TypeAlias

import numpy as np
from bulk import LONG_S, PROGRAM, RATE, long, make, measured, short, silence, write

from streamer.bulk.analyse_recording import Analysed, Analysis, begin
from streamer.bulk.local import Request
from streamer.bulk.plan import Task
from streamer.cli import file as file_command
from streamer.config import Config
from streamer.sinks.summary import Summary
from streamer.types import EndReason, Pcm, Prediction, Utterance

STUB = [sys.executable, __file__, "stub"]
SENTENCES = 4
"""Every fourth content holds a sentence."""
ROOMS = (1, 4, 16, 64)
"""How loud the rooms are."""
SAMPLE_S = 0.5
MINUTES = 10
PARTS = 10
TICKS = os.sysconf("SC_CLK_TCK")


def sound(seed: int) -> Pcm:
    """Two seconds, with a sentence in them or none."""
    if seed % SENTENCES == 0:
        return short(seed)
    return np.asarray(silence(2.0, seed) * ROOMS[seed // SENTENCES % len(ROOMS)], np.int16)


def minutes(seed: int) -> Pcm:
    """Ten minutes, of which half is speech."""
    parts = [long(seed * MINUTES + part) for part in range(MINUTES * 60 // LONG_S + 1)]
    return np.concatenate(parts)[: MINUTES * 60 * RATE]


# --- without analysis -----------------------------------------------------------------------------


def bookkeeping(folder: Path, counts: list[int]) -> list[str]:
    """CPU time for a recording and the largest process, by the number of recordings."""
    rows = [
        "Planning, ledger, rows and progress alone, without reading or analysing anything:", "",
        "| recordings | CPU ms each | again, all done: CPU s | largest process, MB |",
        "| --- | --- | --- | --- |",
    ]  # fmt: skip
    for count in counts:
        calls = folder / str(count)
        make(calls, count, sound)
        command = [*STUB, str(calls), str(folder / f"{count}.csv")]
        _, cpu, rss = measured(command)
        _, again, _ = measured(command)
        rows.append(f"| {count:,} | {1000 * cpu / count:.2f} | {again:.1f} | {rss} |")
        print(rows[-1], flush=True)
    return rows


def stub(calls: str, out: str) -> None:
    """`streamer file` on a folder, but that nothing is read: each holds the same utterance."""
    analysis = file_command.analysis(Config(), split=True)
    shares = tuple(1 / len(analysis.model.labels) for _ in analysis.model.labels)
    heard = Prediction(analysis.model.labels, shares, mood=0.0, uncertain=True)
    utterance = Utterance(1, "mono", 3200, 25_600, heard, -20.0, EndReason.SILENCE, None, 0.9)

    def engine(analysis: Analysis, tasks: Iterator[Task]) -> Generator[Analysed]:
        for task in tasks:
            made = begin(analysis, task)
            made.summary = Summary(analysis.config.audio.streams)
            made.summary.add(utterance)
            made.events.append(utterance)
            made.seconds = 2.0
            yield made

    request = Request(paths=[calls], analysis=analysis, csv=Path(out), engine=engine)
    sys.exit(file_command.analyse(request))


# --- the real program -----------------------------------------------------------------------------

Sample: TypeAlias = tuple[int, float, float, float]
"""Recordings done, CPU seconds of the process, its wall seconds, its RSS in MB."""


@dataclass
class Costs:
    """What the recordings of each part of the archive cost, in the order in which they are done."""

    count: int
    recordings: Counter[int] = field(default_factory=Counter)
    cpu: defaultdict[int, float] = field(default_factory=lambda: defaultdict(float))
    wall: defaultdict[int, float] = field(default_factory=lambda: defaultdict(float))
    memory: dict[int, float] = field(default_factory=dict)
    restarts: Counter[int] = field(default_factory=Counter)

    def add(self, samples: list[Sample]) -> None:
        """Take the samples of one process; what it took before its first result is its start."""
        begun = [one for one in samples if one[0] > samples[0][0]]
        for before, after in pairwise(begun):
            part = min(PARTS - 1, before[0] * PARTS // self.count)
            self.recordings[part] += after[0] - before[0]
            self.cpu[part] += after[1] - before[1]
            self.wall[part] += after[2] - before[2]
            self.memory[part] = max(self.memory.get(part, 0.0), after[3])

    def rows(self) -> list[str]:
        """As a table."""
        lines = [
            "| recordings done | CPU ms each | recordings a second | memory, MB | killed |",
            "| --- | --- | --- | --- | --- |",
        ]
        for part, number in sorted(self.recordings.items()):
            lines.append(
                f"| {(part + 1) * self.count // PARTS:,} | {1000 * self.cpu[part] / number:.1f} "
                f"| {number / self.wall[part]:.2g} | {self.memory[part]:.0f} "
                f"| {self.restarts[part] or ''} |"
            )
        return lines


@dataclass(frozen=True)
class Kills:
    """How often the program is killed, and the seed of the random instants."""

    number: int
    seed: int


class Lines:
    """How many lines a growing file has."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0
        self._count = 0

    def __call__(self) -> int:
        """Count those that came since."""
        if self._path.exists():
            if self._path.stat().st_size < self._at:  # unfinished ones were taken off
                self._at = self._count = 0
            with self._path.open("rb") as file:
                file.seek(self._at)
                text = file.read()
            self._at += len(text)
            self._count += text.count(b"\n")
        return self._count


def archive(folder: Path, calls: Path, count: int, what: str, args: Kills) -> list[str]:
    """Analyse all in one process, killed and resumed; the program ends where a row is amiss.

    Args:
        folder: Where the tables go.
        calls: The recordings.
        count: How many there are.
        what: Their length and what they hold.
        args: When the program is killed.
    """
    rng, kills = random.Random(args.seed), args.number
    instants = sorted(rng.uniform(0.1, 0.9) for _ in range(kills))
    rows, summary = folder / "rows.csv", folder / "summary.csv"
    command = [*PROGRAM, str(calls), "--csv", str(rows), "--summary", str(summary), "--jobs", "1"]
    costs, lines = Costs(count), Lines(summary)
    began = time.monotonic()
    for instant in (*instants, 2.0):
        samples = until(command, lines, round(instant * count), rng.uniform(0, 2))
        costs.add(samples)
        if instant < 1:
            costs.restarts[min(PARTS - 1, samples[-1][0] * PARTS // count)] += 1
        print(f"{samples[-1][0]:,} done after {time.monotonic() - began:.0f} s", flush=True)
        print("\n".join(costs.rows()), flush=True)
    _, again, peak = measured(command)
    cpu, wall = sum(costs.cpu.values()), sum(costs.wall.values())
    text = (
        f"The real program, `--jobs 1`: {count:,} recordings of {what}, "
        f"at {1000 * cpu / costs.recordings.total():.1f} ms of CPU each, {wall / 60:.0f} minutes "
        "beside other programs, without the starts. Named again when all were done, they took "
        f"{again:.1f} s of CPU and {peak} MB."
    )
    return [text, "", *costs.rows(), "", once(rows, summary, count, kills)]


def until(command: list[str], lines: Lines, number: int, more_s: float) -> list[Sample]:
    """Run it, sampled, to its end or until so much is done, then kill it a little later."""
    with tempfile.TemporaryFile() as errors:
        running = subprocess.Popen(  # noqa: S603 - ourselves
            command, env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL, stderr=errors,
        )  # fmt: skip
        began = time.monotonic()
        samples = [(max(0, lines() - 1), 0.0, 0.0, 0.0)]
        while running.poll() is None and samples[-1][0] < number:
            time.sleep(SAMPLE_S)
            try:
                stat = Path(f"/proc/{running.pid}/stat").read_text(encoding="utf-8")
            except OSError:
                break
            fields = stat.rpartition(")")[2].split()
            cpu = sum(map(int, fields[11:13])) / TICKS
            rss = int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / 1e6
            samples.append((max(0, lines() - 1), cpu, time.monotonic() - began, rss))
        if samples[-1][0] >= number:
            time.sleep(more_s)
            running.kill()
        if running.wait() > 0:
            errors.seek(0)
            raise SystemExit(errors.read().decode()[-2000:])
    return samples


def once(rows: Path, summary: Path, count: int, kills: int) -> str:
    """Each recording was analysed, its rows are there once, together; else the program ends."""
    done, expected, number, distinct, split = (0,) * 5
    sessions: set[str] = set()
    for path, keys in ((rows, ("session", "channel", "utterance")), (summary, ("session",))):
        with sqlite3.connect(f"{path}.ledger") as ledger:
            ((done, owed),) = ledger.execute("SELECT count(*), sum(rows) FROM recording")
        expected += owed
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            sessions = set()
            seen: set[tuple[str, ...]] = set()
            for session, group in groupby(reader, lambda row: row["session"]):
                split += session in sessions
                sessions.add(session)
                own = [tuple(row[key] for key in keys) for row in group]
                number += len(own)
                seen.update(own)
        distinct += len(seen)
    text = (
        f"{kills} times `kill -9` at random instants, then resumed: {done:,} of {count:,} "
        f"recordings are done. Both files have {number:,} rows of {expected:,}, "
        f"{number - distinct} of them twice, {split} recordings whose rows are not together."
    )
    print(text, flush=True)
    if (done, len(sessions), number, number, split) != (count, count, expected, distinct, 0):
        sys.exit(1)
    return text


def main() -> None:
    """Measure, and write the page."""
    if sys.argv[1:2] == ["stub"]:
        stub(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--page", type=Path, help="renew the section of BULK.md in this folder")
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--long", type=int, help="instead, this number of ten-minute recordings")
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    kills = Kills(args.kills, args.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if args.long:
            what = f"{MINUTES} minutes, half of it speech"
            make(folder / "long", args.long, minutes)
            section, lines = "long", archive(folder, folder / "long", args.long, what, kills)
        else:
            largest, what = max(args.counts), "2 s, a quarter with a sentence"
            section, lines = "scale", bookkeeping(folder, args.counts)
            lines += ["", *archive(folder, folder / str(largest), largest, what, kills)]
    if args.page:
        write(args.page, section, lines)


if __name__ == "__main__":
    main()
