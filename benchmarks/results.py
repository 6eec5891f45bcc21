"""Runs the benchmarks of speed and writes benchmarks/RESULTS.md: five minutes of a quiet machine.

python benchmarks/results.py
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from page import heading
from rich.progress import track

HERE = Path(__file__).parent
OUT = HERE / "RESULTS.md"
LATENCIES = {
    "one channel": (),
    "one channel, one core busy with something else": ("--busy",),
    "four channels, all speaking": ("--channels", "4", "--utterances", "10"),
}


def run(*command: str) -> dict[str, Any]:
    """The JSON that one of our programs prints."""
    done = subprocess.run(  # noqa: S603 - our own programs
        [sys.executable, *command], stdout=subprocess.PIPE, check=True, cwd=HERE.parent
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def costs(report: Mapping[str, Any]) -> list[str]:
    """What `streamer bench` says."""
    ratio = report["with_partials_ms"] / report["once_ms"]
    return [
        "| a piece of speech of | p50 | p95 |",
        "| --- | --- | --- |",
        *(
            f"| {cost['seconds']:g} s | {cost['p50_ms']:.0f} ms | {cost['p95_ms']:.0f} ms |"
            for cost in report["by_length"]
        ),
        "",
        f"Model {report['model']}, loaded in {report['load_ms']:.0f} ms. Real-time factor with",
        f"all partial results {report['real_time_factor']:.3f}:",
        f"{report['streams_per_core']:.0f} streams of nothing but speech per core. An utterance",
        f"with its partial results costs {ratio:.1f} times classifying it once. Voice activity and",
        f"segmentation: {report['segmenting_us']:.0f} µs per second of audio.",
        f"Peak memory {report['peak_mb']:.0f} MB.",
    ]


def latencies(results: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What `latency.py` says, a row a case."""
    rows = [
        (
            "| p50 / p95 | onset to first prediction | end to row | end + hangover to row "
            "| utterances | without a row |"
        ),
        "| --- | --- | --- | --- | --- | --- |",
    ]
    keys = ("first_prediction_ms", "row_ms", "row_after_hangover_ms")
    for name, found in results.items():
        cells = (f"{found[key]['p50']:.0f} / {found[key]['p95']:.0f} ms" for key in keys)
        counts = f"{found['utterances']} | {found['without_a_row']}"
        rows.append(f"| {name} | {' | '.join(cells)} | {counts} |")
    return rows


def starts(found: Mapping[str, Mapping[str, float]]) -> list[str]:
    """What `startup.py` says."""
    rows = [f"| `{name}` | {t['p50']:.2f} s | {t['most']:.2f} s |" for name, t in found.items()]
    return ["| with warm caches | p50 | most |", "| --- | --- | --- |", *rows]


def document(
    report: Mapping[str, Any],
    results: Mapping[str, Mapping[str, Any]],
    startup: Mapping[str, Mapping[str, float]],
) -> Sequence[str]:
    """The whole page."""
    return [
        *heading(
            "Measured",
            "Written by `make bench`; what the figures mean is said in `streamer bench --help` "
            "and\n`benchmarks/latency.py`. Many lines and a whole day: `make load`, `make soak`.",
        ),
        "## What it costs (`streamer bench`, one torch thread)",
        "",
        *costs(report),
        "",
        "## How late the screen is (`benchmarks/latency.py`, microphone to terminal)",
        "",
        *latencies(results),
        "",
        "## How long it takes to start (`benchmarks/startup.py`, process to terminal)",
        "",
        *starts(startup),
        "",
    ]


def main() -> None:
    """Measure one after the other, and write."""
    report = run("-m", "streamer", "bench", "--json")
    startup = run(str(HERE / "startup.py"), "--json")
    results = {
        name: run(str(HERE / "latency.py"), "--json", *arguments)
        for name, arguments in track(LATENCIES.items(), "measuring latencies")
    }
    OUT.write_text("\n".join(document(report, results, startup)), encoding="utf-8")
    print(f"figures in {OUT}")


if __name__ == "__main__":
    main()
