"""Measures how many channels one process keeps up with when all of them speak all the time.

    python benchmarks/load.py [--seconds 30] [--most 64] [--page FOLDER | --json]
    python benchmarks/load.py --seconds 20 --most 8     # a first look, in two minutes

A recording with 1, 2, 4, 8, ... channels is played at real-time pace through the very pipeline of
`streamer run`, with its CSV, as a device would deliver it: it does not wait for us. Every channel
speaks without end: utterances of the bundled recording, with just enough of a pause in between for
a row each. What has to come of it is known beforehand, from the same samples without a clock. It
ends with the first count at which rows come late or incomplete. Then all of that once more, while
something else keeps one core busy.
"""

import argparse
import csv
import io
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TypeAlias

import numpy as np
import soundfile
from latency import busy
from page import heading, panels, parsed, resident_mb
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from speech_clips import demo_clips

from streamer.audio.recording import Recording
from streamer.audio.sources import FileSource
from streamer.config import Config
from streamer.events import Counters, Event, LevelMeasured, PartialResult, SourceOpened
from streamer.model.classifier import Classifier
from streamer.model.protocol import Model
from streamer.pipeline.frontend import AnalysedAudio, Frontend
from streamer.pipeline.live import Pipeline
from streamer.segmentation.channel import Channel
from streamer.session import LiveSession
from streamer.sinks.lines import JsonLines
from streamer.sinks.row import Session
from streamer.types import (
    SAMPLE_RATE,
    EndReason,
    Excerpt,
    Segment,
    SourceInfo,
    SpeechStart,
    Utterance,
)

PAUSES_S = (0.5, 0.7)  # just longer than the hangover
ROOM = 8.0  # RMS of the room's noise, of full scale 32768: -72 dBFS
LATE_S = 2.0
"""Rows that come so long after the end of their utterance (95th percentile) are too late."""

Key: TypeAlias = tuple[str, int, float, float]
"""Channel, number, start and end in seconds of an utterance, as its row has them."""


@dataclass(frozen=True, slots=True)
class Due:
    """What has to come of a recording.

    Attributes:
        rows: One for each utterance.
        excerpts: How many partial results.
        speech_s: How long is spoken, all channels together.
    """

    rows: frozenset[Key]
    excerpts: int
    speech_s: float


@dataclass(frozen=True, slots=True)
class Load:
    """What came of a number of lines at once.

    Attributes:
        lines: How many.
        cores: Processor time used, per second.
        resident_mb: Memory of the process at the end.
        speaking: Part of the time in which somebody speaks, mean of the lines.
        partials: Part of the partial results due that came.
        partial_ms: From the last sample of an excerpt to its prediction, p50 and p95.
        row_ms: From the end of an utterance in the stream to its row, p50 and p95.
        rows: How many were due.
        missing: Rows that are not in the CSV, or at other times.
        unclassified: Rows without a prediction.
        dropped_partials: Excerpts that a newer one replaced, as the program itself says.
        lost_s: Sound that was lost.
    """

    lines: int
    cores: float
    resident_mb: float
    speaking: float
    partials: float
    partial_ms: tuple[float, float]
    row_ms: tuple[float, float]
    rows: int
    missing: int
    unclassified: int
    dropped_partials: int
    lost_s: float

    @property
    def behind(self) -> bool:
        """True where rows are late, or not what they should be."""
        return bool(
            self.missing or self.unclassified or self.lost_s or self.row_ms[1] > 1000 * LATE_S
        )


class LiveRecording(FileSource):
    """A recording at real-time pace that, like a device, does not wait for us."""

    def open(self) -> SourceInfo:
        """Start its clock."""
        return replace(super().open(), live=True)


class Arrivals(JsonLines):
    """Notes what is shown, and when: by then its row is on disk."""

    def __init__(self, progress: Callable[[float], None]) -> None:
        super().__init__(io.StringIO())
        self.partial_s: list[float] = []
        self.row_s: list[float] = []
        self.unclassified = 0
        self.counters = Counters()
        self._progress = progress
        self._epoch = 0.0

    def write(self, event: Event, session: Session | None) -> None:
        """Note an event."""
        del session
        since = time.time() - self._epoch
        match event:
            case SourceOpened():
                self._epoch = event.epoch
            case PartialResult():
                self.partial_s.append(since - event.end / SAMPLE_RATE)
            case Utterance():
                self.row_s.append(since - event.end_s)
                self.unclassified += event.prediction is None
            case Counters():
                self.counters = event
            case LevelMeasured():
                self._progress(event.position / SAMPLE_RATE)


def talk(first: int, seconds: float) -> np.ndarray:
    """One line that speaks without end, beginning with another utterance each, full scale 1."""
    rng = np.random.default_rng(first)
    said = np.zeros(round(seconds * SAMPLE_RATE))
    at = round(rng.uniform(*PAUSES_S) * SAMPLE_RATE)
    for clip in islice(demo_clips(), first % 11, None):
        if at >= len(said):
            break
        said[at : at + len(clip)] = clip[: len(said) - at]
        at += len(clip) + round(rng.uniform(*PAUSES_S) * SAMPLE_RATE)
    return said + ROOM / 32768 * rng.standard_normal(len(said))


def record(path: Path, lines: int, seconds: float) -> None:
    """Write a number of lines to a recording with as many channels."""
    sides = np.stack([talk(line, seconds) for line in range(lines)], axis=1)
    soundfile.write(path, sides, SAMPLE_RATE, subtype="PCM_16")


def due(path: Path, config: Config) -> Due:
    """What has to come of a recording: the same modules, without threads and clock."""
    channels = [Channel(name, config) for name in config.audio.streams]
    rows: set[Key] = set()
    excerpts = 0
    with Recording(path) as recording:
        frontend = Frontend(recording.info, config)
        for name, event in events(channels, map(frontend.convert, recording.blocks(1.0))):
            excerpts += isinstance(event, Excerpt)
            if isinstance(event, Segment):
                start, end = event.start / SAMPLE_RATE, event.end / SAMPLE_RATE
                rows.add((name, event.utterance, round(start, 3), round(end, 3)))
    return Due(frozenset(rows), excerpts, sum(end - start for *_, start, end in rows))


def events(
    channels: list[Channel], blocks: Iterable[AnalysedAudio]
) -> Iterator[tuple[str, LevelMeasured | SpeechStart | Excerpt | Segment]]:
    """All that becomes of what comes in, with the channel's name."""
    for taken in blocks:
        for index, channel in enumerate(channels):
            found = channel.push(taken.pcm[:, index], taken.crosstalk[:, index])
            yield from ((channel.name, event) for event in found)
    for channel in channels:
        yield from ((channel.name, event) for event in channel.close(EndReason.END_OF_INPUT))


def measure(
    model: Model, lines: int, seconds: float, progress: Callable[[float], None] = lambda _: None
) -> Load:
    """Play a number of lines at once.

    Args:
        model: Classifies them.
        lines: How many.
        seconds: How long each of them speaks.
        progress: Told how many seconds of the stream have gone by.
    """
    channels = [f"line{i + 1}" for i in range(lines)]  # of as many calls: nobody hears another
    config = Config.model_validate({"audio": {"channels": channels, "crosstalk": False}})
    with tempfile.TemporaryDirectory() as folder:
        path, rows = Path(folder) / "lines.wav", Path(folder) / "rows.csv"
        record(path, lines, seconds)
        wanted = due(path, config)
        arrivals = Arrivals(progress)
        pipeline = Pipeline(
            LiveRecording(path, block_s=config.audio.block_ms / 1000), lambda: model, config
        )
        session = LiveSession(
            pipeline, config, csv=rows, dashboard=None, lines=arrivals, duration=None
        )
        began, used = time.monotonic(), time.process_time()
        session.run()
        cores = (time.process_time() - used) / (time.monotonic() - began)
        got = keys(rows)
    return Load(
        lines=lines,
        cores=cores,
        resident_mb=resident_mb(),
        speaking=wanted.speech_s / seconds / lines,
        partials=len(arrivals.partial_s) / max(wanted.excerpts, 1),
        partial_ms=percentiles(arrivals.partial_s),
        row_ms=percentiles(arrivals.row_s),
        rows=len(wanted.rows),
        missing=len(wanted.rows - got),
        unclassified=arrivals.unclassified,
        dropped_partials=arrivals.counters.dropped_partials,
        lost_s=arrivals.counters.lost_samples / SAMPLE_RATE,
    )


def keys(path: Path) -> frozenset[Key]:
    """The rows of a CSV."""
    with path.open(newline="", encoding="utf-8") as file:
        return frozenset(
            (row["channel"], int(row["utterance"]), float(row["start_s"]), float(row["end_s"]))
            for row in csv.DictReader(file, strict=True)
        )


def percentiles(seconds: list[float]) -> tuple[float, float]:
    """Median and 95th percentile in ms."""
    middle, most = 1000 * np.quantile(seconds or [np.nan], (0.5, 0.95))
    return float(middle), float(most)


def counts(most: int) -> Iterator[int]:
    """1, 2, 4, 8, ..."""
    lines = 1
    while lines <= most:
        yield lines
        lines *= 2


def climb(model: Model, most: int, seconds: float, *, hog: bool) -> list[Load]:
    """Ever more lines, until it falls behind."""
    loads: list[Load] = []
    shown = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.0f} s"))
    with (
        Progress(*shown, console=Console(stderr=True), transient=True) as progress,
        busy() if hog else nullcontext(),
    ):
        for lines in counts(most):
            name = f"{lines} lines{', a core busy' if hog else ''}"
            task = progress.add_task(name, total=seconds)
            loads.append(
                measure(model, lines, seconds, lambda at: progress.update(task, completed=at))  # noqa: B023 - called at once
            )
            progress.remove_task(task)
            if loads[-1].behind:
                break
    return loads


COLUMNS = (
    "lines", "cores", "MB", "partials", "partial, ms", "row, ms", "rows", "missing", "unclassified",
    "lost",
)  # fmt: skip


def cells(load: Load) -> list[str]:
    """A row of the table; of the milliseconds, median and 95th percentile."""
    return [
        str(load.lines),
        f"{load.cores:.2f}",
        f"{load.resident_mb:.0f}",
        f"{load.partials:.0%}",
        *("{:.0f}/{:.0f}".format(*ms) for ms in (load.partial_ms, load.row_ms)),
        *(str(count) for count in (load.rows, load.missing, load.unclassified)),
        f"{load.lost_s:.1f} s",
    ]


def draw(cases: dict[str, list[Load]], path: Path) -> None:
    """What gives way first, and what never does."""
    figure, (shares, lateness) = panels(2)
    ticks = sorted({load.lines for loads in cases.values() for load in loads})
    for (name, loads), style in zip(cases.items(), ("-", ":"), strict=True):
        lines = [load.lines for load in loads]
        finals = [100 * (1 - (load.unclassified + load.missing) / load.rows) for load in loads]
        partials = [100 * load.partials for load in loads]
        shares.plot(
            lines, partials, style, marker="o", color="tab:orange", label=f"partials, {name}"
        )
        shares.plot(lines, finals, style, marker="s", color="tab:blue", label=f"rows, {name}")
        for label, which, colour in (("p50", 0, "tab:green"), ("p95", 1, "tab:red")):
            late = [load.row_ms[which] for load in loads]
            lateness.plot(lines, late, style, marker="o", color=colour, label=f"{label}, {name}")
    shares.set(xlabel="lines", ylabel="classified, % of those due", ylim=(-3, 105))
    lateness.set(xlabel="lines", ylabel="end of utterance to row, ms", yscale="log")
    for axes in (shares, lateness):
        axes.set_xscale("log", base=2)
        axes.set_xticks(ticks, map(str, ticks))
        axes.legend(fontsize=7)
        axes.grid(alpha=0.3)
    figure.savefig(path)


def page(cases: dict[str, list[Load]], seconds: float) -> str:
    """All of it in Markdown."""
    speaking = np.mean([load.speaking for loads in cases.values() for load in loads])
    lines = heading(
        "Load",
        "Written by `make load`; what the figures mean is said in `benchmarks/load.py`.\n"
        f"{seconds:.0f} s at real-time pace each; a line speaks {speaking:.0%} of the time.\n"
        "Partials: the part of the partial results due that came. Milliseconds: "
        "median and\n95th percentile of how late after the sound; a row waits for the hangover of "
        "400 ms, too.",
    )
    for name, loads in cases.items():
        lines += [f"## {name[0].upper()}{name[1:]}", "", f"| {' | '.join(COLUMNS)} |"]
        lines += ["| " + " | ".join("---" for _ in COLUMNS) + " |"]
        lines += [f"| {' | '.join(cells(load))} |" for load in loads]
        lines += [""]
    return "\n".join([*lines, "![Partials give way, rows do not](load.svg)", ""])


def main() -> None:
    """Measure and print; the exit code is 1 where a row was missing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=30, help="of each count of lines")
    parser.add_argument("--most", type=int, default=64, help="lines to try, 64 at most")
    args = parsed(parser, "LOAD.md and load.svg")
    model = Classifier.load(threads=1)
    model.warm_up()
    cases = {
        name: climb(model, min(args.most, 64), args.seconds, hog=hog)
        for name, hog in (("alone", False), ("one core busy with something else", True))
    }
    if args.json:
        print(json.dumps({name: [asdict(load) for load in loads] for name, loads in cases.items()}))
    elif args.page:
        draw(cases, args.page / "load.svg")
        (args.page / "LOAD.md").write_text(page(cases, args.seconds), encoding="utf-8")
        print(f"figures in {args.page / 'LOAD.md'}")
    else:
        for name, loads in cases.items():
            table = Table(*COLUMNS, title=name)
            for load in loads:
                table.add_row(*cells(load))
            Console().print(table)
    raise SystemExit(any(load.missing for loads in cases.values() for load in loads))


if __name__ == "__main__":
    main()
