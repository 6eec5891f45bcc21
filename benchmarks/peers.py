"""Compares cost and accuracy with other programs, each in its own environment, on the same speech.

Peers are installed from the package index into .cache/peers (3 GB), trained there on part of the
corpora and tested on speakers that nobody has heard; what was trained is kept for the next run.
Without the corpora there is no accuracy, and classifiers are timed that learned nothing. Times are
of the bundled recording, on one thread, in several rounds. Writes benchmarks/PEERS.md. A quarter
of an hour of a quiet machine; three minutes the second time.

example: python benchmarks/peers.py --data ../shared/data
"""

import argparse
import os
from pathlib import Path

from comparison.accuracy import learn, learn_ourselves, split
from comparison.baselines import BASELINES, CACHE, ROOT, STDERR, install, noting
from comparison.cost import drawn_by_lot, measure
from comparison.page import document, show
from rich.progress import track

from streamer.training.data.manifest import Clip, read_manifest

OUT = Path(__file__).parent / "PEERS.md"


def main() -> None:
    """Install, train, measure, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of manifest.csv"
    )
    parser.add_argument(
        "--encoder",
        type=Path,
        default=ROOT / "benchmarks" / "encoders" / "part.safetensors",
        help="streamer's encoder, fine-tuned without the speakers that are tested",
    )
    parser.add_argument("--clips", type=int, default=1000, help="at most, of each corpus")
    arguments = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0  # before we make some
    failures: dict[str, str] = {}
    for peer in track(BASELINES, "environments", console=STDERR):
        with noting(peer, failures):
            install(peer)
    accuracies: dict[str, dict[str, float]] = {}
    tests: dict[str, list[Clip]] = {}
    if (arguments.data / "manifest.csv").is_file():
        train, tests = split(read_manifest(arguments.data / "manifest.csv"), arguments.clips)
        if arguments.encoder.is_file():
            accuracies["predicting"] = learn_ourselves(arguments.encoder, train, tests)
    else:
        STDERR.print(f"no corpora in {arguments.data}: no accuracy, and untaught classifiers")
        train = drawn_by_lot()
    for peer in BASELINES:
        if peer.classifier and peer.script not in failures:
            with noting(peer, failures):
                accuracies[peer.script] = learn(peer, train, tests)
    costs = measure(failures)
    page = document(
        costs=costs,
        accuracies=accuracies,
        tests=tests,
        failures=failures,
        learned=len(train),
        load=load,
    )
    OUT.write_text("\n".join(page), encoding="utf-8")
    show(costs, accuracies)
    print(f"figures in {OUT}")


if __name__ == "__main__":
    main()
