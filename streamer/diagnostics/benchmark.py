"""Measures the analysis on this machine: latency, real-time factor, memory, streams per core."""

import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from rich.console import Console
from rich.progress import track

from streamer.config import Config
from streamer.model.protocol import Model
from streamer.pipeline import offline
from streamer.segmentation.channel import Channel
from streamer.segmentation.segmenter import SegmenterEvent
from streamer.types import SAMPLE_RATE, EndReason, Excerpt, Pcm, PossibleEnd, Segment

Speech = TypeVar("Speech", Excerpt, Segment)

LENGTHS_S = (0.5, 1.0, 3.0, 12.0)
RUNS = 30
MAX_S = 120.0
"""Length of the longest recording to measure with."""
VECTORS = {"avx512_vnni": "AVX-512 VNNI", "avx512f": "AVX-512", "avx2": "AVX2"}
"""Vector instructions by Linux's name for them, the fastest first."""


@dataclass(frozen=True, slots=True)
class LengthCost:
    """What classifying speech of one length costs, on one torch thread unless configured otherwise.

    Attributes:
        seconds: Length of the speech.
        p50_ms: Median over `RUNS`.
        p95_ms: 95th percentile.
    """

    seconds: float
    p50_ms: float
    p95_ms: float


@dataclass(frozen=True, slots=True)
class Measurements:
    """All figures of one run.

    Attributes:
        machine: Processor, cores, operating system, Python.
        model: Its name.
        load_ms: Time to load the model, without importing torch.
        by_length: Cost of one classification, by length of the speech.
        segmenting_us: Voice activity, segmentation and level of a second of audio.
        once_ms: Classifying every utterance of the recording once, per second of speech.
        with_partials_ms: The same with all partial results, and with what was embedded in pauses
            after which somebody spoke on.
        real_time_factor: Everything, per second of speech: below 1 one core keeps up.
        streams_per_core: How many streams of nothing but speech one core keeps up with.
        peak_mb: Peak memory of the process.
    """

    machine: str
    model: str
    load_ms: float
    by_length: tuple[LengthCost, ...]
    segmenting_us: float
    once_ms: float
    with_partials_ms: float
    real_time_factor: float
    streams_per_core: float
    peak_mb: float


def measure(config: Config, load: Callable[[], Model], recording: Path) -> Measurements:
    """Measure; shows its progress on stderr.

    Args:
        config: The configuration.
        load: Loads the model.
        recording: Speech to measure with, at most `MAX_S` long.

    Raises:
        InputError: The recording cannot be read.
        ModelError: The model cannot be loaded.
    """
    load()  # imports torch
    started = time.perf_counter()
    model = load()
    load_ms = _ms_since(started)
    model.warm_up()
    pcm = offline.whole(recording, MAX_S)
    if pcm is None:
        raise ValueError(f"{recording}: expected a recording of up to {MAX_S:.0f} s")
    by_length = tuple(
        _cost(model, pcm, seconds)
        for seconds in track(LENGTHS_S, "classifying", console=Console(stderr=True), transient=True)
    )
    started = time.perf_counter()
    channel = Channel("mono", config)
    events = [*channel.push(pcm), *channel.close(EndReason.END_OF_INPUT)]
    segmenting_us = _ms_since(started) * 1000 / (len(pcm) / SAMPLE_RATE)
    excerpts = [event for event in events if isinstance(event, Excerpt)]
    segments = [event for event in events if isinstance(event, Segment)]
    speech_s = sum(s.end - s.start for s in segments) / SAMPLE_RATE
    once_ms = _ms_for(segments, lambda segment: model.classify(segment.pcm)) / speech_s
    partials_ms = _ms_for(excerpts, model.open_stream().classify)
    in_vain_ms = _ms_for(_went_on(events), lambda segment: model.classify(segment.pcm))
    with_partials_ms = once_ms + (partials_ms + in_vain_ms) / speech_s
    factor = with_partials_ms / 1000 + segmenting_us / 1e6
    return Measurements(
        machine=machine(),
        model=model.name,
        load_ms=load_ms,
        by_length=by_length,
        segmenting_us=segmenting_us,
        once_ms=once_ms,
        with_partials_ms=with_partials_ms,
        real_time_factor=factor,
        streams_per_core=1 / factor,
        peak_mb=_peak_mb(),
    )


def _cost(model: Model, pcm: Pcm, seconds: float) -> LengthCost:
    length = round(seconds * SAMPLE_RATE)
    starts = np.linspace(0, len(pcm) - length, RUNS).astype(int)
    costs = []
    for start in starts:
        started = time.perf_counter()
        model.classify(pcm[start : start + length])
        costs.append(_ms_since(started))
    return LengthCost(seconds, statistics.median(costs), float(np.quantile(costs, 0.95)))


def _went_on(events: list[SegmenterEvent]) -> list[Segment]:
    """The utterances as they were in pauses that did not end them."""
    ends = {event.end for event in events if isinstance(event, Segment)}
    pauses = [event.segment for event in events if isinstance(event, PossibleEnd)]
    return [pause for pause in pauses if pause.end not in ends]


def _ms_for(pieces: list[Speech], classify: Callable[[Speech], object]) -> float:
    started = time.perf_counter()
    for piece in pieces:
        classify(piece)
    return _ms_since(started)


def _ms_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000


def machine() -> str:
    """Processor, cores, operating system and Python, in one line."""
    python = f"Python {platform.python_version()}"
    return ", ".join((_processor(), f"{os.cpu_count()} cores", platform.system(), python))


def _processor() -> str:
    """Its name and, on Linux, its widest vector instructions, on which the speed depends."""
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
    """Peak memory of this process alone: ru_maxrss begins with that of its parent."""
    status = Path("/proc/self/status")
    if status.is_file():
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) / 1e3
    if sys.platform == "win32":
        return math.nan
    import resource  # noqa: PLC0415 - POSIX only

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # macOS counts bytes
