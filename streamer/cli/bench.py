"""What streamer costs on this machine: milliseconds, real-time factor, memory, streams per core."""

import json as json_module
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from streamer.config import Config
from streamer.pipeline import offline
from streamer.pipeline.live import Model
from streamer.segmentation.channel import Channel
from streamer.types import SAMPLE_RATE, EndReason, Pcm, Segment, Window

Piece = TypeVar("Piece", Window, Segment)

LENGTHS_S = (0.5, 1.0, 3.0, 12.0)
RUNS = 30
WHOLE_S = 120.0
"""Longest recording to measure with."""
VECTORS = {"avx512_vnni": "AVX-512 VNNI", "avx512f": "AVX-512", "avx2": "AVX2"}
"""How processors multiply, by Linux's name for it, the best first."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What judging a piece of speech costs, on one torch thread unless the model was told more.

    Attributes:
        seconds: How long the piece is.
        p50_ms: Median over `RUNS`.
        p95_ms: 95th percentile.
    """

    seconds: float
    p50_ms: float
    p95_ms: float


@dataclass(frozen=True, slots=True)
class Report:
    """All figures of one run.

    Attributes:
        machine: Processor, cores, operating system, Python.
        model: Which one.
        load_ms: From asking for the model to having it, torch's import not counted.
        judged: By length of the piece.
        segmenting_us: Voice activity, segmentation and level of a second of audio.
        once_ms: Judging every utterance of the recording once, per second of speech.
        rolling_ms: The same with all rolling predictions.
        real_time_factor: Everything, per second of speech: below 1 one core keeps up.
        streams_per_core: How many streams of nothing but speech one core keeps up with.
        peak_mb: Most memory that the process has had.
    """

    machine: str
    model: str
    load_ms: float
    judged: tuple[Judged, ...]
    segmenting_us: float
    once_ms: float
    rolling_ms: float
    real_time_factor: float
    streams_per_core: float
    peak_mb: float


def bench(config: Config, load: Callable[[], Model], recording: Path, *, json: bool) -> None:
    """Measure, and print a table or a line of JSON.

    Args:
        config: What would be used.
        load: Loads the model.
        recording: Speech to measure with.
        json: Print JSON instead of a table.

    Raises:
        InputError: The recording cannot be read.
        ModelError: The model cannot be loaded.
    """
    report = measure(config, load, recording)
    if json:
        print(json_module.dumps(asdict(report)))
    else:
        _print(report)


def measure(config: Config, load: Callable[[], Model], recording: Path) -> Report:
    """Measure; shows its progress on stderr. Arguments and errors as for `bench`."""
    load()  # imports torch
    started = time.perf_counter()
    model = load()
    load_ms = _ms_since(started)
    model.warm_up()
    pcm = offline.whole(recording, WHOLE_S)
    if pcm is None:
        raise ValueError(f"{recording}: expected a recording of up to {WHOLE_S:.0f} s")
    judged = tuple(
        _judged(model, pcm, seconds)
        for seconds in track(LENGTHS_S, "judging", console=Console(stderr=True), transient=True)
    )
    started = time.perf_counter()
    windows, segments = _cut(pcm, config)
    segmenting_us = _ms_since(started) * 1000 / (len(pcm) / SAMPLE_RATE)
    speech_s = sum(s.end - s.start for s in segments) / SAMPLE_RATE
    once_ms = _ms_for(segments, lambda segment: model.judge(segment.pcm)) / speech_s
    rolling_ms = once_ms + _ms_for(windows, model.follow().judge) / speech_s
    factor = rolling_ms / 1000 + segmenting_us / 1e6
    return Report(
        machine=machine(),
        model=model.name,
        load_ms=load_ms,
        judged=judged,
        segmenting_us=segmenting_us,
        once_ms=once_ms,
        rolling_ms=rolling_ms,
        real_time_factor=factor,
        streams_per_core=1 / factor,
        peak_mb=_peak_mb(),
    )


def _judged(model: Model, pcm: Pcm, seconds: float) -> Judged:
    length = round(seconds * SAMPLE_RATE)
    starts = np.linspace(0, len(pcm) - length, RUNS).astype(int)
    costs = []
    for start in starts:
        started = time.perf_counter()
        model.judge(pcm[start : start + length])
        costs.append(_ms_since(started))
    return Judged(seconds, statistics.median(costs), float(np.quantile(costs, 0.95)))


def _cut(pcm: Pcm, config: Config) -> tuple[list[Window], list[Segment]]:
    """The rolling windows and the utterances of one stream."""
    channel = Channel("mono", config)
    events = [*channel.push(pcm), *channel.close(EndReason.END_OF_INPUT)]
    windows = [event for event in events if isinstance(event, Window)]
    return windows, [event for event in events if isinstance(event, Segment)]


def _ms_for(pieces: list[Piece], judge: Callable[[Piece], object]) -> float:
    started = time.perf_counter()
    for piece in pieces:
        judge(piece)
    return _ms_since(started)


def _ms_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000


def machine() -> str:
    """Processor, cores, operating system and Python, in a line."""
    python = f"Python {platform.python_version()}"
    return ", ".join((_processor(), f"{os.cpu_count()} cores", platform.system(), python))


def _processor() -> str:
    """Its name and the best that it multiplies with, which speed depends on (Linux)."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = (line.partition(":") for line in cpuinfo.read_text().splitlines())
        said = {name.strip(): value.strip() for name, _, value in lines}
        flags = said.get("flags", "").split()
        best = next((f" with {name}" for flag, name in VECTORS.items() if flag in flags), "")
        if "model name" in said:
            return said["model name"] + best
    return platform.processor() or platform.machine()


def _peak_mb() -> float:
    """Most memory of this process, and of it alone: ru_maxrss begins with the parent's."""
    status = Path("/proc/self/status")
    if status.is_file():
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) / 1e3
    if sys.platform == "win32":
        return math.nan
    import resource  # noqa: PLC0415 - POSIX only

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # macOS counts bytes


def _print(report: Report) -> None:
    console = Console()
    console.print(report.machine, highlight=False)
    console.print(f"model {report.model}, loaded in {report.load_ms:.0f} ms", highlight=False)
    table = Table("piece of speech", "p50", "p95")
    for judged in report.judged:
        table.add_row(f"{judged.seconds} s", f"{judged.p50_ms:.0f} ms", f"{judged.p95_ms:.0f} ms")
    console.print(table)
    ratio, streams = report.rolling_ms / report.once_ms, report.streams_per_core
    for line in (
        f"an utterance with its rolling predictions costs {ratio:.1f} times judging it once",
        f"voice activity and segmentation: {report.segmenting_us:.0f} µs per second of audio",
        f"real-time factor {report.real_time_factor:.3f}: {streams:.1f} streams of speech per core",
        f"peak memory {report.peak_mb:.0f} MB",
    ):
        console.print(line, highlight=False)
