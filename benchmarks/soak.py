"""Runs a whole day of speech and silence through the pipeline, faster than real time.

    python benchmarks/soak.py [--hours 24] [--speech 0.3] [--page FOLDER | --json]
    python benchmarks/soak.py --hours 0.5     # a first look

The live path of `streamer run` with its CSV and its dashboard, from a source that waits for us as a
pipe does, so that nothing is dropped: utterances of the bundled recording at changing levels, with
pauses of 0.8 s to minutes in a room whose noise changes. Every utterance is classified when it has
ended; partial results are put off until after 5 s of speech, which few utterances have: at
this pace most would be dropped, as they should.

Ctrl-C ends it early, with the figures up to there.

What is looked at: whether each utterance that was said has one row, and where; whether rows drift
against the samples; memory, threads and open files through the day.
"""

import argparse
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
from page import heading, panels, parsed, resident_mb
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from simulated import rows_of_session
from speech_clips import FRAME, demo_clips, spans, truth

from streamer.config import Config
from streamer.model.classifier import Classifier
from streamer.model.protocol import Model
from streamer.pipeline.live import Pipeline
from streamer.types import SAMPLE_RATE, Block, Pcm, SourceInfo

BLOCK = SAMPLE_RATE // 10
MIN_PAUSE_S = 0.8
MAX_GAP_S = 0.25  # within an utterance: nobody could say whether a longer one is a pause
ROOMS_DBFS = (-75.0, -60.0)
GAINS_DB = (-10.0, 3.0)
MAX_WAITING = 2000  # events that the main thread has not taken yet
WARM_UP = 1 / 8
"""Part of the day after which memory has to stay as it is: by then, all that is kept is full."""
MAX_GROWTH = 0.05
MAX_SEVERAL = 1 / 500
"""Part of the utterances that may come in several rows: where a quiet voice sinks into the noise of
its room for as long as a pause (one in 3,600: from 0.78 to 1.20 s of an utterance of 3 s)."""
FRAME_MS = 1000 * FRAME / SAMPLE_RATE
COLUMNS = (TextColumn("hour {task.completed:.1f}"), BarColumn(), TimeRemainingColumn())


@dataclass(frozen=True, slots=True)
class Sample:
    """The process at some time of the day.

    Attributes:
        hour: Of the stream.
        resident_mb: Memory.
        threads: How many there are.
        files: How many are open.
    """

    hour: float
    resident_mb: float
    threads: int
    files: int


@dataclass(frozen=True, slots=True)
class Spoken:
    """An utterance that was said; positions in samples."""

    start: int
    end: int


class Day:
    """A source: a day of speech and silence, as fast as it is taken.

    Args:
        hours: How long.
        share: The part of the time in which somebody speaks.
        seed: For levels, pauses and noise.
        crowded: Returns True while the pipeline is behind, so that the source waits.
        tick: Called at each block.
    """

    def __init__(
        self,
        hours: float,
        share: float,
        seed: int,
        *,
        crowded: Callable[[], bool],
        tick: Callable[[int], None],
    ) -> None:
        self.said: list[Spoken] = []
        self._samples = round(hours * 3600 * SAMPLE_RATE)
        self._share = share
        self._rng = np.random.default_rng(seed)
        self._room = self._rng.standard_normal(20 * SAMPLE_RATE).astype(np.float32)
        self._crowded = crowded
        self._tick = tick
        self._at = 0
        self._blocks = self._cut()

    @property
    def hours(self) -> float:
        """How much of it has gone by."""
        return self._at / SAMPLE_RATE / 3600

    @property
    def heard(self) -> list[Spoken]:
        """The utterances that have gone by, each with a second of the pause after it."""
        return [spoken for spoken in self.said if spoken.end + SAMPLE_RATE <= self._at]

    def open(self) -> SourceInfo:
        """Nothing to open."""
        return SourceInfo("a day", SAMPLE_RATE, 1, live=False)

    def read(self) -> Block | None:
        """The next block; waits for those who listen."""
        while self._crowded():
            time.sleep(0.005)
        pcm = next(self._blocks, None)
        if pcm is None:
            return None
        self._at += len(pcm)
        self._tick(self._at)
        return Block(pcm.reshape(-1, 1), time.monotonic())

    def close(self) -> None:
        """Nothing to close."""

    def _cut(self) -> Iterator[Pcm]:
        """Blocks of the same length, to the end of the day."""
        rest, left = np.zeros(0, np.int16), self._samples
        for piece in self._pieces():
            rest = np.concatenate((rest, piece))
            while len(rest) >= BLOCK:
                yield rest[:BLOCK]
                rest = rest[BLOCK:]
                left -= BLOCK
                if left < BLOCK:
                    return

    def _pieces(self) -> Iterator[Pcm]:
        """A pause and an utterance, over and over, no utterance beyond the end of the day."""
        clips = [clip for clip in islice(demo_clips(), 11) if _is_whole(clip)]
        mean_s = np.mean([len(clip) for clip in clips]) / SAMPLE_RATE
        pause_s = mean_s * (1 / self._share - 1) - MIN_PAUSE_S
        at = 0
        while True:
            clip = clips[self._rng.integers(len(clips))]
            frames = round((MIN_PAUSE_S + self._rng.exponential(pause_s)) * SAMPLE_RATE) // FRAME
            room = self._noise(10 ** (self._rng.uniform(*ROOMS_DBFS) / 20))
            while frames > 0:  # a pause may last for minutes
                some = min(frames, 500)
                yield _pcm(room(some * FRAME))
                at, frames = at + some * FRAME, frames - some
            if at + len(clip) + 2 * SAMPLE_RATE > self._samples:
                yield _pcm(room(self._samples - at + BLOCK))
                return
            speech = spans(truth(clip))
            self.said.append(Spoken(at + speech[0][0] * FRAME, at + speech[-1][1] * FRAME))
            yield _pcm(clip * 10 ** (self._rng.uniform(*GAINS_DB) / 20) + room(len(clip)))
            at += len(clip)

    def _noise(self, rms: float) -> Callable[[int], np.ndarray]:
        """Make the noise of a room, at an RMS level."""

        def room(samples: int) -> np.ndarray:
            start = self._rng.integers(len(self._room))
            return rms * self._room.take(range(start, start + samples), mode="wrap")

        return room


def _is_whole(clip: np.ndarray) -> bool:
    """Whether an utterance has no pause in it."""
    gaps = [after[0] - before[1] for before, after in pairwise(spans(truth(clip)))]
    return max(gaps, default=0) * FRAME <= MAX_GAP_S * SAMPLE_RATE


def _pcm(audio: np.ndarray) -> Pcm:
    pcm: Pcm = np.clip(np.rint(audio * 32768), -32768, 32767).astype(np.int16)
    return pcm


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a day.

    Attributes:
        hours: How long it was.
        took_s: How long that took.
        said: How many utterances were said.
        rows: How many rows the CSV has.
        without_a_row: Utterances that were said and have no row.
        with_several: Utterances that have more than one.
        from_noise: Rows where nobody spoke.
        numbered: Whether the rows have the numbers 1, 2, 3, ... without a hole.
        unclassified: Rows without a prediction.
        start_ms: Beginning of a row minus that of what was said, 5th, 50th, 95th percentile, of the
            first tenth of the rows.
        start_ms_later: The same of the last tenth of the rows.
        drift_ms: By how much rows have moved against the samples: from the one median to the other.
        samples: The process through the day.
    """

    hours: float
    took_s: float
    said: int
    rows: int
    without_a_row: int
    with_several: int
    from_noise: int
    numbered: bool
    unclassified: int
    start_ms: tuple[float, float, float]
    start_ms_later: tuple[float, float, float]
    drift_ms: int
    samples: tuple[Sample, ...]

    @property
    def kept(self) -> bool:
        """Whether each utterance has its row, in its place, and memory stayed as it was."""
        rows = self.numbered and not (self.without_a_row or self.unclassified)
        rows = rows and self.with_several <= MAX_SEVERAL * self.said
        return rows and abs(self.drift_ms) < FRAME_MS and self.growth < MAX_GROWTH

    @property
    def after_warm_up(self) -> list[Sample]:
        """The samples after the warm-up."""
        return [sample for sample in self.samples if sample.hour >= WARM_UP * self.hours]

    @property
    def growth(self) -> float:
        """Most memory after the warm-up, against that at its end."""
        return (
            max(sample.resident_mb for sample in self.after_warm_up)
            / self.after_warm_up[0].resident_mb
            - 1
        )


def measure(
    hours: float,
    share: float,
    load: Callable[[], Model],
    *,
    seed: int = 0,
    progress: Callable[[float], None] = lambda _: None,
) -> Result:
    """Run a day.

    Args:
        hours: How long it is.
        share: The part of it in which somebody speaks.
        load: Loads the model.
        seed: For levels, pauses and noise.
        progress: Told the time of the day, in hours.
    """
    config = Config.model_validate({"rolling": {"first_ms": 5000, "interval_ms": 5000}})
    samples: list[Sample] = []
    every = hours / 240 * 3600 * SAMPLE_RATE

    def tick(at: int) -> None:
        if at >= len(samples) * every:
            files = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names are enough
            hour = at / SAMPLE_RATE / 3600
            samples.append(Sample(hour, resident_mb(), threading.active_count(), files))
            progress(hour)

    day = Day(hours, share, seed, crowded=lambda: waiting() > MAX_WAITING, tick=tick)
    pipeline = Pipeline(day, load, config)
    waiting = pipeline.events.qsize
    began = time.monotonic()
    rows = rows_of_session(pipeline, config)
    heard = day.heard
    if heard and day.hours < hours:  # ended early: an utterance may be cut
        rows = [row for row in rows if float(row["start_s"]) * SAMPLE_RATE < heard[-1].end]
    return compare(heard, rows, day.hours, time.monotonic() - began, samples)


def compare(
    said: list[Spoken],
    rows: list[dict[str, str]],
    hours: float,
    took_s: float,
    samples: list[Sample],
) -> Result:
    """Compare what was said with the rows."""
    if not rows:
        raise SystemExit("no row at all")
    spoken = np.array([(s.start, s.end) for s in said]) / SAMPLE_RATE
    found = np.array([(float(row["start_s"]), float(row["end_s"])) for row in rows])
    # of each row: the last utterance that begins before it ends, and does not end before it begins
    which = np.searchsorted(spoken[:, 0], found[:, 1]) - 1
    hit = (which >= 0) & (spoken[which, 1] > found[:, 0])
    per_utterance = np.bincount(which[hit], minlength=len(said))
    late_ms = 1000 * (found[hit, 0] - spoken[which[hit], 0])
    tenth = max(1, len(late_ms) // 10)
    first, last = late_ms[:tenth], late_ms[-tenth:]
    return Result(
        hours=hours,
        took_s=took_s,
        said=len(said),
        rows=len(rows),
        without_a_row=int((per_utterance == 0).sum()),
        with_several=int((per_utterance > 1).sum()),
        from_noise=int((~hit).sum()),
        numbered=[int(row["utterance"]) for row in rows] == list(range(1, len(rows) + 1)),
        unclassified=sum(not row["emotion"] for row in rows),
        start_ms=_percentiles(first),
        start_ms_later=_percentiles(last),
        drift_ms=round(float(np.median(last) - np.median(first))),
        samples=tuple(samples),
    )


def _percentiles(values: np.ndarray) -> tuple[float, float, float]:
    low, middle, high = np.percentile(values, (5, 50, 95))
    return float(low), float(middle), float(high)


def figures(result: Result) -> list[tuple[str, str]]:
    """The figures of the result, each with its name."""
    files, threads = (
        [getattr(s, what) for s in result.after_warm_up] for what in ("files", "threads")
    )
    starts = [
        "{1:.0f} ms ({0:.0f} to {2:.0f})".format(*p)
        for p in (result.start_ms, result.start_ms_later)
    ]
    return [
        ("audio", f"{result.hours:.3g} h in {result.took_s / 60:.1f} min"),
        ("utterances said", str(result.said)),
        ("rows in the CSV", f"{result.rows}{', numbered without a hole' * result.numbered}"),
        ("said, without a row", str(result.without_a_row)),
        ("said, with several rows", str(result.with_several)),
        ("rows where nobody spoke", str(result.from_noise)),
        ("rows without a prediction", str(result.unclassified)),
        ("row begins after the speech, first tenth of the rows", starts[0]),
        ("the same, last tenth", starts[1]),
        ("drift, from the one median to the other", f"{result.drift_ms} ms"),
        ("memory at the end of the warm-up", f"{result.after_warm_up[0].resident_mb:.0f} MB"),
        ("most memory from then on", f"{result.growth:+.1%}"),
        ("threads", f"{min(threads)} to {max(threads)}"),
        ("open files", f"{min(files)} to {max(files)}"),
    ]


def draw(result: Result, path: Path) -> None:
    """Memory through the day."""
    figure, (memory,) = panels(1)
    hours = [sample.hour for sample in result.samples]
    memory.plot(hours, [sample.resident_mb for sample in result.samples])
    level = result.after_warm_up[0].resident_mb
    memory.axhspan(
        0.95 * level, 1.05 * level, alpha=0.15, label="5 % around that after the warm-up"
    )
    memory.set(xlabel="hour of the day", ylabel="resident memory, MB", ylim=(0, None))
    memory.legend(fontsize=7)
    figure.savefig(path)


def page(result: Result, share: float) -> str:
    """All of it in Markdown."""
    lines = heading(
        "A day",
        "Written by `make soak`; what the figures mean is said in `benchmarks/soak.py`.\n"
        f"The live path, faster than real time; somebody speaks {share:.0%} of the time.",
    )
    lines += ["| | |", "| --- | --- |"]
    lines += [f"| {name} | {value} |" for name, value in figures(result)]
    return "\n".join([*lines, "", "![Memory through the day](soak.svg)", ""])


def main() -> None:
    """Measure and print; the exit code is 1 where utterances were lost or cut, or memory grew."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--speech", type=float, default=0.3, help="part of the day, 0.01 to 0.7")
    parser.add_argument("--seed", type=int, default=0)
    args = parsed(parser, "SOAK.md and soak.svg")
    with Progress(*COLUMNS, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("hours", total=args.hours)
        result = measure(
            args.hours,
            args.speech,
            lambda: Classifier.load(threads=1),
            seed=args.seed,
            progress=lambda hour: progress.update(task, completed=hour),
        )
    if args.json:
        print(json.dumps(asdict(result)))
    elif args.page:
        draw(result, args.page / "soak.svg")
        (args.page / "SOAK.md").write_text(page(result, args.speech), encoding="utf-8")
        print(f"figures in {args.page / 'SOAK.md'}")
    else:
        table = Table(show_header=False)
        for cells in figures(result):
            table.add_row(*cells)
        Console().print(table)
    raise SystemExit(not result.kept)


if __name__ == "__main__":
    main()
