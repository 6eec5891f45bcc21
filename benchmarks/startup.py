"""Measures from outside how long it takes until streamer listens, with warm caches.

    python benchmarks/startup.py [--times 7] [--json]

From the start of the process to the end of `streamer --help`; and to the frame of the dashboard, on
a terminal of its own, that says "listening": to a virtual microphone (PulseAudio) where that can
run, else to the bundled recording. By then the model is loaded and warm. The first of each is not
counted: it fills the caches.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from latency import Screen
from rich.console import Console
from rich.progress import track
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from virtual_microphone import VirtualMicrophone, missing

PATIENCE_S = 60


def help_s(env: dict[str, str]) -> float:
    """Until the help is printed."""
    began = time.monotonic()
    command = [sys.executable, "-m", "streamer", "--help"]
    subprocess.run(command, check=True, env=env, stdout=subprocess.DEVNULL)  # noqa: S603 - ours
    return time.monotonic() - began


def listening_s(env: dict[str, str], folder: Path) -> float:
    """Until the dashboard says that it listens."""
    began = time.monotonic()
    screen = Screen(["mono"], env, folder / "rows.csv")
    if not screen.listening.wait(PATIENCE_S):
        raise SystemExit("streamer does not listen")
    taken = time.monotonic() - began
    screen.stop()
    return taken


def measure(times: int) -> dict[str, dict[str, float]]:
    """Median and most of each, in seconds."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        env = dict(os.environ)
        if not missing():
            microphone = VirtualMicrophone(folder)
            microphone.start()
            stack.callback(microphone.stop)
            env = microphone.env
        env.pop("PYTHONDONTWRITEBYTECODE", None)  # a user's Python keeps what it compiled
        cases: dict[str, Callable[[], float]] = {
            "streamer --help": lambda: help_s(env),
            "streamer run, listening": lambda: listening_s(env, folder),
        }
        taken = {
            name: [case() for _ in track(range(times + 1), name, console=Console(stderr=True))][1:]
            for name, case in cases.items()
        }
    return {name: {"p50": statistics.median(t), "most": max(t)} for name, t in taken.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    figures = measure(args.times)
    if args.json:
        print(json.dumps(figures))
        return
    table = Table("from the start of", "p50", "most")
    for name, found in figures.items():
        table.add_row(name, *(f"{found[key]:.2f} s" for key in ("p50", "most")))
    Console().print(table)


if __name__ == "__main__":
    main()
