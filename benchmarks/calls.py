"""Runs a day of calls through the pipeline, faster than real time; no call may influence the next.

    python benchmarks/calls.py [--hours 24] [--every 180] [--model NAME] [--page FOLDER | --json]

The live path of `streamer run` with its CSV and its dashboard. All calls are the same recording: a
caller who gets angry and a silence, which ends the call (`calls.gap_s`). So each call has to come
to the same rows as any other: emotions, probabilities, moods, alerts, and how much of the voice was
known. Without ``--model``, a scripted model answers, whose probabilities show how many utterances
the speaker adaptation remembers, and webrtcvad finds the speech: a day takes minutes then.

What is looked at: calls whose rows differ from those of the second one (the first begins with a
detector that has not heard the room), alerts, memory and threads through the day.
"""

import argparse
import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from page import heading, parsed, resident_mb
from rich.console import Console
from rich.table import Table
from simulated import rows_of_session

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fakes import FakeModel, silence, speech  # the scripted voices of the tests

from streamer.config import Config
from streamer.model.classifier import Classifier
from streamer.model.protocol import Model
from streamer.model.speaker.adaptation import SpeakerAdaptation
from streamer.pipeline.live import Pipeline
from streamer.types import SAMPLE_RATE, Block, Pcm, Prediction, SourceInfo

BLOCK = SAMPLE_RATE // 10
GAP_S = 15.0
MAX_WAITING = 2000  # events that the main thread has not taken yet
WARM_UP = 1 / 8
"""Part of the day after which memory has to stay as it is."""
MAX_GROWTH = 0.05
TIME_SLACK_S = 0.03
"""How far the beginning of an utterance may differ from call to call, in seconds: one frame."""
SLACK = 0.02
"""How far a probability of a real model may differ: it hears from another sample on."""


class Remembering(FakeModel):
    """A scripted model whose confidence is the number of utterances that adaptation keeps."""

    def classify(
        self, pcm: Pcm, adaptation: SpeakerAdaptation | None = None, *, learn: bool = False
    ) -> Prediction:
        """As `FakeModel`, surer with each utterance that is known."""
        known = 0 if adaptation is None else adaptation.utterances
        heard = super().classify(pcm, adaptation, learn=learn)
        sure = 0.65 + 0.01 * min(known, 30)
        rest = (1 - sure) / (len(heard.labels) - 1)
        shares = tuple(sure if p > 0.5 else rest for p in heard.probabilities)
        return Prediction(heard.labels, shares, mood=heard.mood, uncertain=False)


def call(length_s: float) -> Pcm:
    """A call: somebody speaks calmly, then loudly, with pauses; then a silence that ends it."""
    pieces = [silence(0.5)]
    number = 0
    while sum(map(len, pieces)) < (length_s - GAP_S - 8) * SAMPLE_RATE:
        quiet = 20 if number < 4 else 1
        pieces += [speech(0.8 + number % 3, seed=number) // quiet, silence(0.8 + number % 4)]
        number += 1
    left = round(length_s * SAMPLE_RATE) - sum(map(len, pieces))
    pcm = np.concatenate((*pieces, silence(left / SAMPLE_RATE, seed=5)))
    return pcm[: len(pcm) // BLOCK * BLOCK]


class Calls:
    """A source: the same call again and again, as fast as it is taken.

    Args:
        pcm: The call.
        count: How often.
        crowded: Returns True while the pipeline is behind, so that the source waits.
        tick: Called at the begin of each call with its number.
    """

    def __init__(
        self, pcm: Pcm, count: int, *, crowded: Callable[[], bool], tick: Callable[[int], None]
    ) -> None:
        self._crowded = crowded
        self._blocks = self._cut(pcm, count, tick)

    def open(self) -> SourceInfo:
        """Nothing to open."""
        return SourceInfo("a day of calls", SAMPLE_RATE, 1, live=False)

    def read(self) -> Block | None:
        """The next block; waits for those who listen."""
        while self._crowded():
            time.sleep(0.005)
        pcm = next(self._blocks, None)
        return None if pcm is None else Block(pcm.reshape(-1, 1), time.monotonic())

    def close(self) -> None:
        """Nothing to close."""

    @staticmethod
    def _cut(pcm: Pcm, count: int, tick: Callable[[int], None]) -> Iterator[Pcm]:
        for number in range(count):
            tick(number)
            for start in range(0, len(pcm), BLOCK):
                yield pcm[start : start + BLOCK]


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a day.

    Attributes:
        calls: How many there were.
        found: How many the CSV has.
        every_s: Seconds from the begin of one to that of the next.
        took_s: Seconds for all of them.
        rows: Rows of a call, by most of them.
        alerts: Alerts of a call, by most of them.
        unlike: Calls whose rows differ from those of the second one.
        memory_mb: Memory at the end of the warm-up.
        growth: Most memory after that, against it.
        threads: Fewest and most.
        files: Fewest and most open files.
    """

    calls: int
    found: int
    every_s: float
    took_s: float
    rows: int
    alerts: int
    unlike: tuple[int, ...]
    memory_mb: float
    growth: float
    threads: tuple[int, int]
    files: tuple[int, int]

    @property
    def kept(self) -> bool:
        """Whether all calls have equal rows, and memory did not grow."""
        return self.found == self.calls and not self.unlike and self.growth < MAX_GROWTH


def measure(hours: float, every_s: float, load: Callable[[], Model], *, engine: str) -> Result:
    """Run a day of calls.

    Args:
        hours: How long it is.
        every_s: From the begin of one call to that of the next.
        load: Loads the model.
        engine: What finds the speech.
    """
    config = Config.model_validate(
        {
            "calls": {"gap_s": GAP_S},
            "vad": {"engine": engine},
            "rolling": {"first_ms": 5000, "interval_ms": 5000},
        }
    )
    pcm, count = call(every_s), max(3, round(hours * 3600 / every_s))
    samples: list[tuple[float, int, int]] = []

    def tick(number: int) -> None:
        if number >= WARM_UP * count:
            files = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names are enough
            samples.append((resident_mb(), threading.active_count(), files))

    source = Calls(pcm, count, crowded=lambda: waiting() > MAX_WAITING, tick=tick)
    pipeline = Pipeline(source, load, config)
    waiting = pipeline.events.qsize
    began = time.monotonic()
    rows = rows_of_session(pipeline, config)
    by_call: dict[int, list[dict[str, str]]] = {}
    for row in rows:
        by_call.setdefault(int(row["call"]), []).append(row)
    expected = by_call[2]
    memory, threads, files = zip(*samples, strict=True)
    alerts = Counter(sum(bool(row["alert"]) for row in found) for found in by_call.values())
    return Result(
        calls=count,
        found=len(by_call),
        every_s=len(pcm) / SAMPLE_RATE,
        took_s=time.monotonic() - began,
        rows=Counter(map(len, by_call.values())).most_common(1)[0][0],
        alerts=alerts.most_common(1)[0][0],
        unlike=tuple(
            number
            for number, found in by_call.items()
            if number > 1 and not _alike(found, expected, engine)
        ),
        memory_mb=memory[0],
        growth=max(memory) / memory[0] - 1,
        threads=(min(threads), max(threads)),
        files=(min(files), max(files)),
    )


def _alike(found: list[dict[str, str]], expected: list[dict[str, str]], engine: str) -> bool:
    """Whether two calls have equal rows."""
    if len(found) != len(expected):
        return False
    slack = 1e-9 if engine == "webrtc" else SLACK
    began, expected_began = float(found[0]["start_s"]), float(expected[0]["start_s"])
    for row, other in zip(found, expected, strict=True):
        at, other_at = float(row["start_s"]) - began, float(other["start_s"]) - expected_began
        same = all(row[name] == other[name] for name in ("emotion", "uncertain", "alert"))
        near = all(
            abs(float(row[name] or 0) - float(other[name] or 0)) <= slack
            for name in ("confidence", "mood", "neutral", "angry")
            if name in row
        )
        if not same or not near or abs(at - other_at) > TIME_SLACK_S:
            return False
    return True


def figures(result: Result) -> list[tuple[str, str]]:
    """The figures of the result, each with its name."""
    hours = result.calls * result.every_s / 3600
    return [
        ("audio", f"{hours:.3g} h in {result.took_s / 60:.1f} min"),
        ("calls", f"{result.calls}, one every {result.every_s:.0f} s; in the CSV: {result.found}"),
        ("rows of a call, and alerts", f"{result.rows}, {result.alerts}"),
        ("calls unlike the others", str(len(result.unlike))),
        ("memory at the end of the warm-up", f"{result.memory_mb:.0f} MB"),
        ("most memory from then on", f"{result.growth:+.1%}"),
        ("threads", "{} to {}".format(*result.threads)),
        ("open files", "{} to {}".format(*result.files)),
    ]


def page(results: dict[str, Result]) -> str:
    """All of it in Markdown."""
    lines = heading(
        "A day of calls",
        "Written by `benchmarks/calls.py`, which says what the figures mean. All calls are the\n"
        "same recording, so that each has to come to the same rows, moods and alerts as any other.",
    )
    names = [name for name, _ in figures(next(iter(results.values())))]
    columns = [dict(figures(result)) for result in results.values()]
    lines += [f"| | {' | '.join(results)} |", f"| --- |{' --- |' * len(results)}"]
    lines += [f"| {name} | {' | '.join(column[name] for column in columns)} |" for name in names]
    return "\n".join([*lines, ""])


def main() -> None:
    """Measure and print; the exit code is 1 where a call was unlike the others, or memory grew."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=float, default=24.0, help="of the scripted model")
    parser.add_argument("--every", type=float, default=180.0, metavar="S")
    parser.add_argument("--model", metavar="NAME", help="a real one, too, for --model-hours")
    parser.add_argument("--model-hours", type=float, default=1.0)
    args = parsed(parser, "CALLS.md")
    results = {"scripted model": measure(args.hours, args.every, Remembering, engine="webrtc")}
    if args.model:
        results[args.model] = measure(
            args.model_hours,
            args.every,
            lambda: Classifier.load(args.model, threads=1),
            engine="silero",
        )
    if args.json:
        print(json.dumps({name: asdict(result) for name, result in results.items()}))
    elif args.page:
        (args.page / "CALLS.md").write_text(page(results), encoding="utf-8")
        print(f"figures in {args.page / 'CALLS.md'}")
    for name, result in results.items():
        table = Table(title=name, show_header=False)
        for cells in figures(result):
            table.add_row(*cells)
        Console(stderr=True).print(table)
        if result.unlike:
            print(f"unlike: {result.unlike[:20]}", file=sys.stderr)
    raise SystemExit(not all(result.kept for result in results.values()))


if __name__ == "__main__":
    main()
