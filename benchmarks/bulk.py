"""What `streamer file` and `bulk` do with an archive: speed, memory, and what a kill costs.

    python benchmarks/bulk.py stages                     # where the time of a recording goes
    python benchmarks/bulk.py speed --page benchmarks    # hours of audio per core-hour

Recordings are made of the tests' voices, two minutes or 2 s each; of one content many names are
linked, which count as different recordings. `bulk_scale.py` has 100,000 of them, and kills the
program; `bulk_remote.py` has a bucket. `--page` renews the section of BULK.md.
"""

import argparse
import importlib.util
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import soundfile
from page import heading

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests"
sys.path.insert(0, str(TESTS))

from fakes import silence, speech  # noqa: E402 - the voices of the tests

from streamer.config import Config  # noqa: E402 - after the path

RATE = 16_000
CONTENTS = 50
"""Different recordings; the others are further names of these."""
PER_FOLDER = 1000
LONG_S = 120
POLL_S = 0.5
"""Seconds between two looks at all processes: each takes time from those that are measured."""
Took: TypeAlias = tuple[float, float, int]
"""Wall seconds, CPU seconds, the largest process in MB."""
PROGRAM = [sys.executable, "-m", "streamer", "file"]
RAY = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0", "OMP_NUM_THREADS": "1"}
SMILE = """
import sys, opensmile
smile = opensmile.Smile(
    opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals, num_workers=1
)
smile.process_files(sys.argv[1:])
"""


def short(seed: int) -> "np.typing.NDArray[np.int16]":
    """Two seconds: a sentence between pauses."""
    return np.concatenate((silence(0.2, seed), speech(1.4, seed), silence(0.4, seed)))


def long(seed: int) -> "np.typing.NDArray[np.int16]":
    """Two minutes, of which half is speech."""
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


def run(command: list[str], env: dict[str, str] | None = None) -> Took:
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
    from streamer.model import features  # noqa: PLC0415
    from streamer.model.classifier import Classifier  # noqa: PLC0415
    from streamer.pipeline.frontend import Frontend  # noqa: PLC0415
    from streamer.pipeline.offline import segments_of  # noqa: PLC0415

    model = Classifier.load("default", threads=1)
    model.warm_up()
    config = Config()
    for name, sound, count in (("2 s", short, 100), ("2 min", long, 5)):
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


@dataclass(frozen=True, slots=True)
class Course:
    """What a run took, and what of it came after its first result.

    Attributes:
        wall: Seconds.
        cpu: Seconds of all its processes.
        rate: Recordings a second, from the first result to the last.
        cpu_each: CPU seconds for each recording meanwhile.
        rss: The largest process, in MB.
    """

    wall: float
    cpu: float
    rate: float
    cpu_each: float
    rss: int


def speed(folder: Path, longs: int, smile: int) -> list[str]:
    """Measure the hours of audio that one core-hour analyses: `file`, Ray, openSMILE."""
    make(folder / "long", longs, long)
    rows = [
        f"{longs} recordings of two minutes, half of it speech. Wall and CPU time are of all, from",
        "the command to its end; the figures behind them are without start and end, which an",
        "archive pays once: they count from the first result to the last.",
        "",
        "| | wall s | CPU s | h of audio per core-hour | of linear | largest process, MB |",
        "| --- | --- | --- | --- | --- | --- |",
    ]  # fmt: skip
    ways: dict[str, Callable[[Path], Course | None]] = {
        "`streamer file --jobs 1`": lambda calls: file(calls, 1),
        "`streamer file --jobs 2`": lambda calls: file(calls, 2),
        "`streamer bulk`, two nodes of a CPU each": on_ray,
    }
    alone = 0.0
    for name, way in ways.items():
        took = way(folder / "long")
        if took is None:
            continue
        linear = took.rate / (2 * alone) if alone else 1.0
        alone = alone or took.rate
        rows.append(
            f"| {name} | {took.wall:.1f} | {took.cpu:.1f} | {LONG_S / took.cpu_each:.0f} "
            f"| {linear:.2f} | {took.rss} |"
        )
        print(rows[-1], flush=True)
    if importlib.util.find_spec("opensmile"):
        paths = sorted(map(str, (folder / "long").rglob("*.wav")))[:smile]
        wall, cpu, rss = measured([sys.executable, "-c", SMILE, *paths])
        name = f"openSMILE eGeMAPS, functionals, batch, {smile} of these, one worker"
        rate = smile * LONG_S / cpu
        rows.append(f"| {name} | {wall:.1f} | {cpu:.1f} | {rate:.0f} | | {rss} |")
        print(rows[-1], flush=True)
    return rows


def file(calls: Path, jobs: int) -> Course:
    """Run `streamer file`."""
    out = calls.with_name(f"file-{jobs}")
    return watched([*PROGRAM, str(calls), "--out", str(out), "--jobs", str(jobs)], out)


def on_ray(calls: Path) -> Course | None:
    """Run `streamer bulk` on two nodes of this machine; None where Ray is not installed."""
    if not importlib.util.find_spec("ray"):
        return None
    os.environ |= RAY
    from ray.cluster_utils import Cluster  # noqa: PLC0415 - an extra

    node = {"num_cpus": 1, "object_store_memory": 80_000_000, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    try:
        cluster.add_node(**node)
        cluster.wait_for_nodes()
        out = calls.with_name("ray")
        command = [*PROGRAM[:-1], "bulk", str(calls), "--out", str(out)]
        return watched([*command, "--address", cluster.address], out)
    finally:
        cluster.shutdown()


def watched(command: list[str], out: Path) -> Course:
    """Run it to its end: what it and the processes that were started before it take.

    Args:
        command: Analyses recordings of one channel.
        out: The folder of its tables.
    """
    results = out / ".work" / "calls-00001-of-00001.csv"
    known = _cpu_by_process()
    before, latest, rss = sum(known.values()), dict(known), 0
    # of the first result and the last: recordings, wall seconds, CPU seconds
    seen: list[tuple[int, float, float]] = []
    began = time.monotonic()
    running = subprocess.Popen(  # noqa: S603 - ourselves
        command, env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while running.poll() is None:
        latest |= _cpu_by_process()  # of those that end meanwhile, what they had last
        rss = max(rss, *map(_rss_mb, latest))
        done = _lines(results)
        if done > (seen[-1][0] if seen else 0):
            seen[1:] = [(done, time.monotonic() - began, sum(latest.values()) - before)]
        time.sleep(POLL_S)
    wall, cpu = time.monotonic() - began, sum(latest.values()) - before
    if running.returncode or len(seen) < 2:
        raise SystemExit(f"{command}: {running.returncode}")
    (first, first_s, first_cpu), (last, last_s, last_cpu) = seen
    more = last - first
    return Course(wall, cpu, more / (last_s - first_s), (last_cpu - first_cpu) / more, rss)


def _lines(path: Path) -> int:
    """How many rows a CSV has."""
    return max(0, path.read_bytes().count(b"\n") - 1) if path.exists() else 0


def _rss_mb(pid: int) -> int:
    """Memory of a process; 0 where it has ended."""
    with suppress(OSError):
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") // 1_000_000
    return 0


def _cpu_by_process() -> dict[int, float]:
    """CPU seconds so far of each process that was started from here and from there on."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
            number = int(stat.parent.name)
            parents[number], ticks[number] = int(fields[1]), sum(map(int, fields[11:13]))
    ours: set[int] = set()
    while found := {n for n, parent in parents.items() if parent in ours | {os.getpid()}} - ours:
        ours |= found
    return {number: ticks[number] / os.sysconf("SC_CLK_TCK") for number in ours}


def measured(command: list[str], env: dict[str, str] | None = None) -> Took:
    """As `run`, in a process of its own, since the largest child is remembered for good."""
    code = f"import bulk; print(*bulk.run({command!r}, {env!r}))"
    done = subprocess.run(  # noqa: S603 - ourselves
        [sys.executable, "-c", code], cwd=Path(__file__).parent, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    wall, cpu, rss = done.stdout.split()[-3:]
    return float(wall), float(cpu), int(rss)


TITLES = {
    "speed": "Hours of audio",
    "scale": "Many recordings",
    "long": "Long recordings",
    "remote": "A bucket",
}
COMMANDS = {
    "speed": "bulk.py speed",
    "scale": "bulk_scale.py",
    "long": "bulk_scale.py --long 1000",
    "remote": "bulk_remote.py",
}
ABOUT = """What an archive costs `streamer file` and `streamer bulk`. An hour of audio per core-hour
is an hour of recordings that one core analyses in an hour. "Of linear" compares the recordings a
second with those of one process, for each core. Times are of the processes of the program, measured
from outside.
"""


def write(folder: Path, what: str, lines: list[str]) -> None:
    """Renew a section of the page."""
    path = folder / "BULK.md"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    head, *sections = text.split("\n## ")
    kept = {one.partition("\n")[0]: one for one in sections}
    stamp = heading("", f"Written by `python benchmarks/{COMMANDS[what]} --page benchmarks`.")[2:]
    kept[TITLES[what]] = "\n".join([TITLES[what], "", *stamp, *lines, ""])
    head = f"# Recordings in bulk\n\n{ABOUT}"
    sections = [kept[title] for title in TITLES.values() if title in kept]
    path.write_text("\n## ".join([head, *sections]), encoding="utf-8")


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("stages", "speed"))
    parser.add_argument("--page", type=Path, help="renew the section of BULK.md in this folder")
    parser.add_argument("--longs", type=int, default=60)
    parser.add_argument("--smile", type=int, default=10)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if args.what == "stages":
            stages(folder)
            return
        lines = speed(folder, args.longs, args.smile)
    if args.page:
        write(args.page, args.what, lines)


if __name__ == "__main__":
    main()
