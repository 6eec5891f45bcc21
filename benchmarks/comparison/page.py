"""Writes the figures as a page and as a table."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from page import heading
from rich.console import Console
from rich.table import Table

from comparison.accuracy import UNSEEN
from comparison.baselines import BASELINES, OURS, python, run
from comparison.cost import PIECE_S, PIECES, ROUNDS, Cost, multiply_adds, peak
from streamer.config import Config
from streamer.model import bundle
from streamer.model.catalog import find_bundle
from streamer.model.quantization import is_quicker
from streamer.training.data.manifest import Clip

QUIET = 0.5
BUSY = (
    "**The machine was busy with other things (load {:.1f}): all times are too long, and no more "
    "than a sign that everything runs.**"
)
NO_ENCODER = (
    "streamer is missing here because no encoder was given that has not heard the speakers that "
    "are tested (`--encoder`); what it achieves on them is in `docs/figures/`."
)


def document(  # noqa: PLR0913 - all that there is to say
    *,
    costs: Mapping[str, Cost],
    accuracies: Mapping[str, Mapping[str, float]],
    tests: Mapping[str, Sequence[Clip]],
    failures: Mapping[str, str],
    learned: int,
    load: float,
) -> list[str]:
    """The whole page.

    Args:
        costs: The costs by program.
        accuracies: The accuracies by program and tested corpus.
        tests: The tested clips by corpus.
        failures: Why a program was not measured.
        learned: How many clips were learned from.
        load: The load of the machine before the run.
    """
    whole = json.loads(run([str(python(OURS)), "-m", "streamer", "bench", "--json"]))
    return [
        *heading(
            "Beside what else there is",
            "Written by `python benchmarks/peers.py`, which installs every peer from the package "
            "index into an\nenvironment of its own and gives all of them the same speech, in one "
            "run.",
        ),
        *([BUSY.format(load), ""] if load > QUIET else []),
        *costs_section(costs, failures, whole),
        *accuracy_section(accuracies, tests, learned),
        *limit_section(costs["classifying"]),
        *compared_section(costs, accuracies),
    ]


def costs_section(
    costs: Mapping[str, Cost], failures: Mapping[str, str], ours: Mapping[str, Any]
) -> list[str]:
    """A row per program."""
    lines = [
        "## What it costs, on one thread",
        "",
        (
            f"| | version | {PIECE_S:g} s classified, p50 / p95 | real-time factor, "
            "classified once | with partial results | peak memory | start to first answer "
            "| environment | model |"
        ),
        "| --- |" + " --- |" * 8,
    ]
    for peer in BASELINES:
        if (cost := costs.get(peer.script)) is None:
            lines.append(f"| {peer.title} | not measured: {failures[peer.script]} |" + " |" * 7)
            continue
        with_partials = "" if cost.with_partials is None else f"{cost.with_partials:.4f}"
        lines.append(
            f"| {peer.title} | {cost.version} | {cost.p50_ms:.1f} / {cost.p95_ms:.1f} ms "
            f"| {cost.once:.4f} | {with_partials} | {cost.peak_mb:.0f} MB | {cost.start_s:.2f} s "
            f"| {cost.environment_mb:.0f} MB | {cost.model_mb:.1f} MB |"
        )
    every = Config().rolling
    return [
        *lines,
        "",
        f"The bundled recording; of it {PIECES} pieces of {PIECE_S:g} s in each",
        f"round, of {ROUNDS}; a round starts a process of each. Partial results: besides",
        f"every utterance the newest {every.window_s:g} s of it, every {every.interval_ms} ms from",
        f"{every.first_ms} ms on, for all alike. Start-up: with everything in the page cache.",
        "Environment: all files in site-packages but pip's, for streamer with both models.",
        "`Classifier.classify` is how the live worker classifies utterances. No peer looks for",
        "speech, or says how sure it is.",
        "",
        "The whole of streamer as `streamer bench` counts it, voice activity and segmentation",
        "included, and each second of an utterance encoded once for its partial results:",
        f"{ours['real_time_factor']:.3f} with all of these,",
        f"{ours['once_ms'] / 1000 + ours['segmenting_us'] / 1e6:.3f} without,",
        f"{ours['peak_mb']:.0f} MB.",
        "",
    ]


def accuracy_section(
    accuracies: Mapping[str, Mapping[str, float]],
    tests: Mapping[str, Sequence[Clip]],
    learned: int,
) -> list[str]:
    """A row per program whose accuracy was measured."""
    lines = ["## How well it hears", ""]
    if not tests:
        return [*lines, "Not measured: the corpora were not there.", ""]
    columns = [*tests, *(f"{corpus} alone" for corpus in tests)]
    lines += [
        "| UAR | " + " | ".join(columns) + " |",
        "| --- |" + " --- |" * len(columns),
    ]
    for peer in BASELINES:
        if found := accuracies.get(peer.script):
            cells = (f"{found[column]:.3f}" if column in found else "" for column in columns)
            lines.append(f"| {peer.title} | {' | '.join(cells)} |")
    for corpus, clips in tests.items():
        speakers, emotions = ({getattr(c, what) for c in clips} for what in ("speaker", "emotion"))
        lines += ["", f"{corpus}: {len(clips)} clips of {len(speakers)} speakers that nobody has"]
        lines += [f"learned from, fold {' and '.join(UNSEEN[corpus])}, {len(emotions)} emotions."]
    return [
        *lines,
        "",
        "Unweighted average recall, any of the eight emotions allowed as an answer; differences",
        f"of 0.04 are chance. All learn from the same {learned} clips, each with",
        "the weight that it has in streamer's own training; in the columns *alone* a peer learns",
        "only from the corpus that it is tested on. The peers' penalties are chosen on held-out",
        "speakers. They get the speech cut out, at its original level; streamer gets the",
        "recording, has to find the speech in it, and is wrong where it finds none. What the",
        "peers do not have: streamer's encoder was made from other people's speech (Whisper)",
        "and fine-tuned on all clips of the speakers that are not tested.",
        *([] if "predicting" in accuracies else ["", NO_ENCODER]),
        "",
    ]


def limit_section(ours: Cost) -> list[str]:
    """Multiply-adds against what the machine can do."""
    shape = bundle.load(find_bundle("default")).manifest.shape
    most = peak()
    work = multiply_adds(shape, PIECE_S)
    least_ms = 1000 * work / most
    kind = "of 8-bit integers as in the net" if is_quicker() else "in float32"
    return [
        "## The physical limit",
        "",
        f"The net takes {work / PIECE_S / 1e6:.0f} million multiply-adds per second of speech",
        f"(pieces of {PIECE_S:g} s; counted from its shape). One thread here reaches",
        f"{most / 1e9:.0f} billion a second in a large linear layer, {kind}: so nothing",
        f"runs this net on {PIECE_S:g} s in less than {least_ms:.1f} ms, a real-time factor of",
        f"{least_ms / 1000 / PIECE_S:.4f}. Classifying them takes {ours.p50_ms:.1f} ms, silence,",
        f"spectrogram and all: {least_ms / ours.p50_ms:.0%} of the limit.",
        "",
    ]


def compared_section(
    costs: Mapping[str, Cost], accuracies: Mapping[str, Mapping[str, float]]
) -> list[str]:
    """How many times as much as streamer the others take that recognise emotion."""
    mine, heard = costs["classifying"], accuracies.get("predicting", {})
    of_costs = {
        "real-time factor": lambda cost: cost.once,
        "with partial results": lambda cost: cost.with_partials,
        "memory": lambda cost: cost.peak_mb,
        "start": lambda cost: cost.start_s,
        "environment": lambda cost: cost.environment_mb,
        "model": lambda cost: cost.model_mb,
    }
    lines = [
        "## Ahead, and not",
        "",
        "How many times as much as streamer (a piece classified) each takes, and how many times as",
        "often it is wrong (the better of its two ways to learn): above 1 streamer is ahead,",
        "**in bold** it is not.",
        "",
        "| | " + " | ".join([*of_costs, *(f"errors, {corpus}" for corpus in heard)]) + " |",
        "| --- |" + " --- |" * (len(of_costs) + len(heard)),
    ]
    for peer in BASELINES:
        if peer.classifier and (cost := costs.get(peer.script)):
            times = [of(cost) / of(mine) for of in of_costs.values()]
            for corpus, value in heard.items():
                found = accuracies[peer.script]
                times.append((1 - max(found[corpus], found[f"{corpus} alone"])) / (1 - value))
            cells = (f"{each:.2f}" if each > 1 else f"**{each:.2f}**" for each in times)
            lines.append(f"| {peer.title} | {' | '.join(cells)} |")
    return [*lines, ""]


def show(costs: Mapping[str, Cost], accuracies: Mapping[str, Mapping[str, float]]) -> None:
    """Print the main figures on the terminal."""
    table = Table("", "3 s, p50", "real-time factor", "with_partials", "memory", "start", "UAR")
    for peer in BASELINES:
        if cost := costs.get(peer.script):
            heard = accuracies.get(peer.script, {})
            table.add_row(
                peer.title,
                f"{cost.p50_ms:.1f} ms",
                f"{cost.once:.4f}",
                "" if cost.with_partials is None else f"{cost.with_partials:.4f}",
                f"{cost.peak_mb:.0f} MB",
                f"{cost.start_s:.2f} s",
                ", ".join(f"{corpus} {value:.2f}" for corpus, value in heard.items()),
            )
    Console().print(table)
