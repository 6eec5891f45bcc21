"""Kills streamer at random instants, and pulls plugs: kill.py --times 200 --cuts 50.

A live session with a scripted model (all else is the real program) writes rows as fast as it can,
and is killed. Afterwards every line of the CSV is whole, every row that was announced is there, and
the next start appends to the same file. The sessions are forked from a process that has imported
everything, so that they are killed at work, and not while Python starts.

With ``--cuts``, the CSV lies on a file system of its own, whose plug is pulled at such an instant
(ext4's shutdown without its journal): what was not synced by then is gone when it is mounted again.
That needs root and loop devices.
"""

import argparse
import csv
import json
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

TESTS = Path(__file__).parents[1] / "tests"
sys.path.insert(0, str(TESTS))

from fakes import FakeModel, silence, speech  # noqa: E402 - the scripted voices of the tests
from page import heading  # noqa: E402 - as all of these
from power_cut import Disk  # noqa: E402 - the disk of the tests

from streamer import session  # noqa: E402, F401 - imported before anything is forked
from streamer.bulk import local  # noqa: E402, F401 - imported before anything is forked
from streamer.cli import main as cli  # noqa: E402 - imported before anything is forked
from streamer.cli import run  # noqa: E402 - imported before anything is forked

UTTERANCES = 400


@dataclass(frozen=True, slots=True)
class Killed:
    """What one run left behind.

    Attributes:
        announced: Rows that it had told of when it was killed.
        lost: Of these, how many are not in the CSV.
        torn: Lines of the CSV that are not whole, but for the end of the last.
    """

    announced: int
    lost: int
    torn: int


def prepare(folder: Path) -> Path:
    """Raw PCM of many short utterances."""
    said = np.concatenate((speech(0.4), silence(0.5)))
    path = folder / "said.pcm"
    path.write_bytes(np.tile(said, UTTERANCES).tobytes())
    return path


def kill_once(folder: Path, pcm: Path, delay_s: float, disk: Disk | None = None) -> Killed:
    """Start, wait, kill; then look at what there is.

    Args:
        folder: The CSV is in it, and stays for the next time.
        pcm: What is heard.
        delay_s: From the start of the session.
        disk: Where the CSV lies instead; its plug is pulled before.
    """
    rows, lines, errors = (folder / name for name in ("rows.csv", "lines.json", "errors"))
    rows = rows if disk is None else disk.folder / "rows.csv"
    child = os.fork()
    if not child:
        for number, path, flags in (
            (0, pcm, os.O_RDONLY),
            (1, lines, os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
            (2, errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        ):
            os.dup2(os.open(path, flags), number)
        run.model_loader = lambda _config: FakeModel  # as the tests' own child does
        os._exit(cli.main(["run", "--json", "--input", "-", "--csv", str(rows)]))
    time.sleep(delay_s)
    announced = lines.read_bytes() if lines.exists() else b""
    if disk is not None:
        disk.cut()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    if "Traceback" in (said := errors.read_text() if errors.exists() else ""):
        raise SystemExit(said)
    if disk is None:
        announced = lines.read_bytes() if lines.exists() else b""
    else:
        disk.start_again()
    if not announced:
        return Killed(0, 0, 0)
    whole = announced.rpartition(b"\n")[0].splitlines()
    told = [line for line in map(json.loads, whole) if line["event"] == "utterance"]
    if not rows.exists():
        return Killed(len(told), len(told), 0)
    content, _, rest = rows.read_bytes().rpartition(b"\n")
    header, *records = csv.reader(content.decode().splitlines())
    there = {(record[0], record[1]) for record in records}
    lost = sum((line["session"], str(line["utterance"])) not in there for line in told)
    torn = sum(len(record) != len(header) for record in records)
    return Killed(len(told), lost, torn + bool(rest))


def told(killed: list[Killed]) -> tuple[str, ...]:
    """How often, how often at work, rows announced, lost, torn."""
    busy = sum(one.announced > 0 for one in killed)
    sums = (sum(getattr(one, what) for one in killed) for what in Killed.__slots__)
    return (str(len(killed)), str(busy), *map(str, sums))


def page(results: dict[str, list[Killed]]) -> str:
    """All of it in Markdown."""
    lines = heading(
        "Killed at random instants",
        "Written by `benchmarks/kill.py`, which says what the figures mean.",
    )
    names = ("times", "while rows were written", "rows announced", "of these lost", "torn lines")
    lines += [f"| | {' | '.join(names)} |", f"| --- |{' --- |' * len(names)}"]
    lines += [f"| {name} | {' | '.join(told(found))} |" for name, found in results.items()]
    return "\n".join([*lines, ""])


def main() -> None:
    """Kill it many times; the exit code is 1 where anything was lost or torn."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--cuts", type=int, default=0, help="pulled plugs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--longest", type=float, default=2.0, help="seconds until it is killed")
    parser.add_argument("--page", type=Path, help="write KILL.md to this folder")
    args = parser.parse_args()
    rng = random.Random(args.seed)
    results: dict[str, list[Killed]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pcm = prepare(folder)
        results["`kill -9`"] = [
            kill_once(folder, pcm, rng.uniform(0, args.longest)) for _ in range(args.times)
        ]
        if args.cuts:
            disk = Disk(folder)
            results["the page cache lost, too"] = [
                kill_once(folder, pcm, rng.uniform(0, args.longest), disk) for _ in range(args.cuts)
            ]
            disk.remove()
    if args.page:
        (args.page / "KILL.md").write_text(page(results), encoding="utf-8")
    for name, killed in results.items():
        times, busy, announced, lost, torn = told(killed)
        print(f"{name}: {times} times, {busy} of them while rows were written")
        print(f"rows announced {announced}, lost {lost}; torn lines {torn}")
    bad = any(one.lost or one.torn for killed in results.values() for one in killed)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
