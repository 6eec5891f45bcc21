"""``streamer bench``: measure what the analysis costs on this machine."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from streamer.cli.options import add_config, add_model, load_config, model_loader
from streamer.cli.parser import CommandParser, Namespace

if TYPE_CHECKING:
    from streamer.diagnostics.benchmark import Measurements

NAME = "bench"
SUMMARY = "measure what the analysis costs on this machine"
EXAMPLE = "streamer bench --json"


def add_arguments(parser: CommandParser) -> None:
    """Add the command's arguments to its parser."""
    add_config(parser)
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of a table")
    add_model(parser)


def execute(args: Namespace) -> int:
    """Measure with the bundled recording, and print a table or a line of JSON."""
    from streamer.audio.demo import DEMO
    from streamer.diagnostics.benchmark import measure

    config = load_config(args).config
    measured = measure(config, model_loader(config), DEMO)
    if args.json:
        print(json.dumps(asdict(measured)))
    else:
        print_table(measured)
    return 0


def print_table(measured: "Measurements") -> None:
    """Print the measurements for people."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(measured.machine, highlight=False)
    console.print(f"model {measured.model}, loaded in {measured.load_ms:.0f} ms", highlight=False)
    table = Table("length of speech", "p50", "p95")
    for cost in measured.by_length:
        table.add_row(f"{cost.seconds} s", f"{cost.p50_ms:.0f} ms", f"{cost.p95_ms:.0f} ms")
    console.print(table)
    factor = measured.real_time_factor
    ratio, streams = measured.with_partials_ms / measured.once_ms, measured.streams_per_core
    for line in (
        f"an utterance with its partial results costs {ratio:.1f} times classifying it once",
        f"voice activity and segmentation: {measured.segmenting_us:.0f} µs per second of audio",
        f"real-time factor {factor:.3f}: {streams:.1f} streams of speech per core",
        f"peak memory {measured.peak_mb:.0f} MB",
    ):
        console.print(line, highlight=False)
