"""Measures time, memory and disk of each program, and the limit of the machine."""

import json
import random
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from rich.progress import track

from comparison.baselines import (
    BASELINES,
    CACHE,
    OURS,
    ROOT,
    STDERR,
    WORKERS,
    Peer,
    megabytes,
    noting,
    python,
    run,
)
from streamer.audio.demo import DEMO
from streamer.config import Config
from streamer.model import bundle, features
from streamer.model.catalog import find_bundle
from streamer.model.encoder import NetworkShape
from streamer.pipeline import offline
from streamer.training.data.manifest import Clip
from streamer.types import EMOTIONS, SAMPLE_RATE, Pcm

PIECE_S, PIECES, ROUNDS = 3.0, 50, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The cost of a program.

    Attributes:
        version: Version of its main package.
        p50_ms: Median time to classify `PIECE_S`, over all pieces and rounds.
        p95_ms: 95th percentile of the same.
        once: Time to classify each utterance once, in seconds per second of speech.
        with_partials: Time for that and all partial results; None where it has none.
        peak_mb: Peak memory of the whole process.
        start_s: Time from the start of the process to its first answer.
        environment_mb: Size of its environment on disk, without pip.
        model_mb: Size of its model on disk.
    """

    version: str
    p50_ms: float
    p95_ms: float
    once: float
    with_partials: float | None
    peak_mb: float
    start_s: float
    environment_mb: float
    model_mb: float


def utterances() -> list[Pcm]:
    """The utterances of the bundled recording."""
    pcm = offline.whole(DEMO, 120)
    if pcm is None:
        raise ValueError(f"{DEMO}: expected a recording of up to 120 s")
    return list(offline.speech_in(pcm, Config()))


def excerpts(utterance: Pcm) -> Iterator[Pcm]:
    """What is classified while somebody speaks: the newest seconds, every so often."""
    partials = Config().rolling
    first, step = (ms * SAMPLE_RATE // 1000 for ms in (partials.first_ms, partials.interval_ms))
    for end in range(first, len(utterance), step):
        yield utterance[max(0, end - round(partials.window_s * SAMPLE_RATE)) : end]


def speech_to_time() -> tuple[Path, float]:
    """A file for `workers/clock.py`, and how many seconds of speech its utterances are."""
    said = utterances()
    speech = np.concatenate(said)
    length = round(PIECE_S * SAMPLE_RATE)
    begins = np.linspace(0, len(speech) - length, PIECES).astype(int)
    partials = [excerpt for utterance in said for excerpt in excerpts(utterance)]
    path = CACHE / "to-time.npz"
    np.savez(
        path,
        pieces=np.stack([features.as_waveform(speech[at : at + length]) for at in begins]),
        utterances=features.as_waveform(speech),
        utterances_ends=np.cumsum([len(utterance) for utterance in said]),
        excerpts=features.as_waveform(np.concatenate(partials)),
        excerpts_ends=np.cumsum([len(excerpt) for excerpt in partials]),
    )
    return path, len(speech) / SAMPLE_RATE


def measure(failures: dict[str, str]) -> dict[str, Cost]:
    """Time all programs in turn, several times, so that a disturbance affects all of them."""
    speech, seconds = speech_to_time()
    rounds: dict[str, list[dict[str, Any]]] = {}
    for _ in track(range(ROUNDS), "rounds of timing", console=STDERR):
        for peer in BASELINES:
            if peer.script not in failures:
                with noting(peer, failures):
                    rounds.setdefault(peer.script, []).append(clock(peer, speech))
    costs = {}
    for peer in BASELINES:
        if peer.script in failures:
            continue
        got = rounds[peer.script]
        pieces = [each * 1000 for figures in got for each in figures["pieces_s"]]
        once = statistics.median(figures["utterances_s"] for figures in got) / seconds
        again = statistics.median(figures["windows_s"] for figures in got) / seconds
        model = _model(peer)
        costs[peer.script] = Cost(
            version=version(peer),
            p50_ms=statistics.median(pieces),
            p95_ms=float(np.quantile(pieces, 0.95)),
            once=once,
            with_partials=once + again if peer.streams else None,
            peak_mb=max(figures["peak_mb"] for figures in got),
            start_s=statistics.median(figures["start_s"] for figures in got),
            environment_mb=megabytes(peer.site_packages),
            model_mb=model.stat().st_size / 1e6,
        )
    return costs


def clock(peer: Peer, speech: Path) -> dict[str, Any]:
    """One process of a contender, from its start to its end."""
    started = time.perf_counter()
    ready = []

    def said(line: str) -> None:
        if line == "ready":
            ready.append(time.perf_counter() - started)

    fitted = str(peer.fitted) if peer.classifier else ""
    out = run(
        [str(python(peer)), str(WORKERS / "clock.py"), peer.script, fitted, str(speech)], said
    )
    return {**json.loads(out.splitlines()[-1]), "start_s": ready[0]}


def version(peer: Peer) -> str:
    """Of what it is made of."""
    if peer.requires == OURS.requires:
        manifest = bundle.load(find_bundle("default")).manifest
        return f"{manifest.name}-{manifest.version}"
    name = (*peer.alone, *peer.requires)[0]
    code = f"from importlib.metadata import version; print(version({name!r}))"
    return run([str(python(peer)), "-c", code]).strip()


def _model(peer: Peer) -> Path:
    if peer.model is None:
        return peer.fitted
    places = (ROOT / peer.model, peer.site_packages / peer.model)
    return next(place for place in places if place.is_file())


def multiply_adds(shape: NetworkShape, seconds: float) -> float:
    """Multiply-adds of the net for a piece of speech, in matrix products and convolutions."""
    frames = seconds * SAMPLE_RATE / features.HOP
    states, width = frames / 2, shape.width
    total = frames * 3 * shape.mels * width + states * 3 * width**2  # the convolutions
    for block in range(shape.blocks):
        seen = states / 2 if block >= shape.full_rate else states
        total += seen * (4 + 8) * width**2  # attention's four, and the perceptron's two
        total += 2 * seen**2 * width  # attention of every state to every state
    return total + shape.features * shape.labels


def peak() -> float:
    """Multiply-adds a second that one thread reaches here at best."""
    return float(run([str(python(OURS)), str(WORKERS / "peak.py")]))


def drawn_by_lot() -> list[Clip]:
    """Seconds of the bundled recording with random emotions, for timing only."""
    folder = CACHE / "lot"
    folder.mkdir(exist_ok=True)
    speech = np.concatenate(utterances())
    clips = []
    for index, begin in enumerate(np.linspace(0, len(speech) - SAMPLE_RATE, 240).astype(int)):
        path = folder / f"{index}.wav"
        soundfile.write(path, speech[begin : begin + SAMPLE_RATE], SAMPLE_RATE)
        emotion, voice = random.choice(EMOTIONS), str(index % 3)
        clips.append(Clip(path, path.name, "lot", voice, emotion))
    return clips
