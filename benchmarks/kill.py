"""kill -9 at random instants: python benchmarks/kill.py --times 200.

A live session with a scripted model (all else is the real program) writes rows as fast as it can,
and is killed. Afterwards every line of the CSV is whole, every row that was announced is there, and
the next start appends to the same file. The sessions are forked from a process that has imported
everything, so that they are killed at work, and not while Python starts.
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

from streamer import session  # noqa: E402, F401 - imported before anything is forked
from streamer.bulk import local  # noqa: E402, F401 - likewise
from streamer.cli import main as cli  # noqa: E402 - imported before anything is forked

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


def kill_once(folder: Path, pcm: Path, delay_s: float) -> Killed:
    """Start, wait, kill; then look at what there is.

    Args:
        folder: The CSV is in it, and stays for the next time.
        pcm: What is heard.
        delay_s: From the start of the session.
    """
    rows, lines, errors = (folder / name for name in ("rows.csv", "lines.json", "errors"))
    child = os.fork()
    if not child:
        for number, path, flags in (
            (0, pcm, os.O_RDONLY),
            (1, lines, os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
            (2, errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        ):
            os.dup2(os.open(path, flags), number)
        cli._loader = lambda _config: FakeModel  # noqa: SLF001 - as the tests' own child does
        os._exit(cli.main(["run", "--json", "--input", "-", "--csv", str(rows)]))
    time.sleep(delay_s)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    if "Traceback" in (said := errors.read_text() if errors.exists() else ""):
        raise SystemExit(said)
    if not lines.exists():
        return Killed(0, 0, 0)
    whole = lines.read_bytes().rpartition(b"\n")[0].splitlines()
    told = [line for line in map(json.loads, whole) if line["event"] == "utterance"]
    if not rows.exists():
        return Killed(0, 0, 0)
    content, _, rest = rows.read_bytes().rpartition(b"\n")
    header, *records = csv.reader(content.decode().splitlines())
    there = {(record[0], record[1]) for record in records}
    lost = sum((line["session"], str(line["utterance"])) not in there for line in told)
    torn = sum(len(record) != len(header) for record in records)
    return Killed(len(told), lost, torn + bool(rest))


def main() -> None:
    """Kill it many times; the exit code is 1 where anything was lost or torn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--longest", type=float, default=2.0, help="seconds until it is killed")
    args = parser.parse_args()
    rng = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pcm = prepare(folder)
        killed = [kill_once(folder, pcm, rng.uniform(0, args.longest)) for _ in range(args.times)]
    announced, lost, torn = (sum(getattr(k, what) for k in killed) for what in Killed.__slots__)
    busy = sum(k.announced > 0 for k in killed)
    print(f"killed {len(killed)} times, {busy} of them while rows were written")
    print(f"rows announced {announced}, lost {lost}; torn lines {torn}")
    sys.exit(1 if lost or torn else 0)


if __name__ == "__main__":
    main()
