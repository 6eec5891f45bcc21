"""Measures ``streamer file`` on an archive: speed, memory, and what a kill costs.

    python benchmarks/bulk.py stages                 # where the time of a recording goes
    python benchmarks/bulk.py speed --jobs 1 2       # hours of audio per core-hour
    python benchmarks/bulk.py memory --counts 1000 20000
    python benchmarks/bulk.py kill --times 5 --count 2000

Recordings are made of the tests' voices, 2 s or ten minutes each; of one content many names are
linked. Memory and kills are measured with the scripted model of the tests and webrtcvad, since
neither depends on the network's answers: all else is the real program.
"""

import argparse
import csv
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

import numpy as np
import soundfile

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests"
sys.path.insert(0, str(TESTS))

from fakes import silence, speech  # noqa: E402 - the voices of the tests

RATE = 16_000
CONTENTS = 50
"""Different recordings; the others are further names of these."""
PER_FOLDER = 1000
LONG_S = 600
CHILD = [sys.executable, str(TESTS / "child.py"), "file"]
PROGRAM = [sys.executable, "-m", "streamer", "file"]
QUICK = {"STREAMER_VAD_ENGINE": "webrtc"}


def short(seed: int) -> "np.typing.NDArray[np.int16]":
    """Two seconds: a sentence between pauses."""
    return np.concatenate((silence(0.2, seed), speech(1.4, seed), silence(0.4, seed)))


def long(seed: int) -> "np.typing.NDArray[np.int16]":
    """Ten minutes, of which half is speech."""
    rng = np.random.default_rng(seed)
    parts: list[np.typing.NDArray[np.int16]] = []
    while sum(map(len, parts)) < LONG_S * RATE:
        parts += [speech(rng.uniform(1, 8), int(rng.integers(100))), silence(rng.uniform(1, 8))]
    return np.concatenate(parts)[: LONG_S * RATE]


def make(
    folder: Path, count: int, sound: "Callable[[int], np.typing.NDArray[np.int16]]" = short
) -> None:
    """Make ``count`` recordings, in folders of a thousand."""
    first = []
    for number in range(count):
        parent = folder / f"{number // PER_FOLDER:04}"
        path = parent / f"{number % PER_FOLDER:03}.wav"
        parent.mkdir(exist_ok=True, parents=True)
        if number < CONTENTS:
            soundfile.write(path, sound(number), RATE)
            first.append(path)
        else:
            os.link(first[number % CONTENTS], path)


def run(command: list[str], env: dict[str, str] | None = None) -> tuple[float, float, int]:
    """Run it to its end: wall seconds, CPU seconds with its processes, the largest one's RSS."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    done = subprocess.run(  # noqa: S603 - ourselves
        command, env=os.environ | {"OMP_NUM_THREADS": "1"} | (env or {}),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False,
    )  # fmt: skip
    wall = time.monotonic() - began
    if done.returncode:
        raise SystemExit(done.stderr.decode())
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, after.ru_maxrss // 1024


# --- speed ----------------------------------------------------------------------------------------


@contextmanager
def timed(spent: Counter[str], name: str) -> Iterator[None]:
    """Add CPU time to a stage."""
    began = time.process_time()
    yield
    spent[name] += time.process_time() - began  # type: ignore[assignment]


def stages(folder: Path) -> None:
    """Where the CPU time goes: what each stage takes alone, in the order of the data."""
    import torch  # noqa: PLC0415 - only here

    from streamer.audio.recording import Recording  # noqa: PLC0415
    from streamer.config import Config  # noqa: PLC0415
    from streamer.model import features  # noqa: PLC0415
    from streamer.model.classifier import Classifier  # noqa: PLC0415
    from streamer.pipeline.frontend import Frontend  # noqa: PLC0415
    from streamer.pipeline.offline import segments_of  # noqa: PLC0415

    model = Classifier.load("default", threads=1)
    model.warm_up()
    config = Config()
    for name, sound, count in (("2 s", short, 100), ("10 min", long, 1)):
        spent: Counter[str] = Counter()
        make(folder / name, count, sound)
        seconds = 0.0
        for path in sorted((folder / name).rglob("*.wav")):
            with timed(spent, "decode"), Recording(path) as recording:
                frontend = Frontend(recording.info, config)
                blocks = [frontend.convert(block).pcm for block in recording.blocks(1.0)]
                pcm = np.concatenate(blocks)[:, 0]
            seconds += len(pcm) / RATE
            with timed(spent, "VAD, segments"):
                segments = list(segments_of(pcm, config))
            for segment in segments:
                with timed(spent, "features"):
                    wave = features.prepare(segment.pcm)
                    mel = features.log_mel(wave) if wave is not None else None
                if mel is None:
                    continue
                with timed(spent, "network"), torch.inference_mode():
                    model._network.embed(mel[None])  # noqa: SLF001 - only this part of it
        total = sum(spent.values())
        print(f"{count} recordings of {name}: {1000 * total / seconds:.1f} ms a second of audio")
        for stage, cpu in spent.items():
            print(f"  {stage:<14} {1000 * cpu / seconds:6.2f} ms  {cpu / total:4.0%}")


def speed(folder: Path, jobs: list[int], shorts: int, longs: int) -> None:
    """Measure the hours of audio that one core-hour analyses, by the number of processes."""
    make(folder / "short", shorts)
    make(folder / "long", longs, long)
    one = folder / "one"
    make(one, 1)
    print("| recordings | jobs | wall s | CPU s | h of audio per core-hour | largest process, MB |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, seconds in (("short", 2.0 * shorts), ("long", LONG_S * longs)):
        if not seconds:
            continue
        for count in jobs:
            options = ["--no-csv", "--jobs", str(count)]
            wall, cpu, rss = run([*PROGRAM, str(folder / name), *options])
            print(
                f"| {name}: {seconds / 3600:.2f} h | {count} | {wall:.1f} | {cpu:.1f} "
                f"| {seconds / cpu:.0f} | {rss} |",
                flush=True,
            )


# --- memory, kills --------------------------------------------------------------------------------


def memory(folder: Path, counts: list[int]) -> None:
    """The largest process, and the time for a recording, by how many there are."""
    print("| recordings | RSS MB | ms a recording | again, all done: s |")
    print("| --- | --- | --- | --- |")
    for count in counts:
        calls = folder / str(count)
        make(calls, count)
        command = [*CHILD, str(calls), "--csv", str(folder / f"{count}.csv"), "--jobs", "1"]
        # in a process of its own, since the largest child is remembered for good
        measure = f"import bulk; print(*bulk.run({command!r}, {QUICK!r}))"
        fields = []
        for _ in range(2):
            done = subprocess.run(  # noqa: S603 - ourselves
                [sys.executable, "-c", measure], cwd=Path(__file__).parent, check=True,
                capture_output=True, text=True,
            )  # fmt: skip
            fields.append([float(field) for field in done.stdout.split()])
        (_, cpu, rss), (_, again, _) = fields
        print(f"| {count} | {rss:.0f} | {1000 * cpu / count:.2f} | {again:.1f} |", flush=True)


def kill(folder: Path, times: int, count: int, jobs: int, seed: int) -> None:
    """Kill -9 at random instants until all is done: every recording's rows once, together."""
    rng = random.Random(seed)
    calls, out = folder / "calls", folder / "rows.csv"
    make(calls, count)
    command = [*CHILD, str(calls), "--csv", str(out), "--jobs", str(jobs)]
    env = os.environ | QUICK | {"OMP_NUM_THREADS": "1"}
    for _ in range(times):
        size = out.stat().st_size if out.exists() else 0
        running = subprocess.Popen(  # noqa: S603 - ourselves
            command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while running.poll() is None and (not out.exists() or out.stat().st_size <= size):
            time.sleep(0.01)  # until it writes again
        time.sleep(rng.uniform(0, 2.0))
        os.kill(running.pid, signal.SIGKILL)
        running.wait()
        print(f"killed; {sum(1 for _ in out.open()) - 1 if out.exists() else 0} rows", flush=True)
    run(command, QUICK)
    with out.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    groups = [source for source, _ in groupby(row["source"] for row in rows)]
    apart = len(groups) - len(set(groups))
    twice = len(rows) - len({(r["source"], r["channel"], r["utterance"]) for r in rows})
    print(f"{len(set(groups))} of {count} recordings, {len(rows)} rows; twice {twice}, ", end="")
    print(f"not together {apart}")
    sys.exit(1 if twice or apart or len(set(groups)) != count else 0)


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("stages", "speed", "memory", "kill"))
    parser.add_argument("--jobs", type=int, nargs="+", default=[1])
    parser.add_argument("--shorts", type=int, default=400)
    parser.add_argument("--longs", type=int, default=2)
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 20_000])
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        match args.what:
            case "stages":
                stages(folder)
            case "speed":
                speed(folder, args.jobs, args.shorts, args.longs)
            case "memory":
                memory(folder, args.counts)
            case "kill":
                kill(folder, args.times, args.count, args.jobs[0], args.seed)


if __name__ == "__main__":
    main()
