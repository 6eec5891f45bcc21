"""Writes what pages of figures have in common: machine, date, commit, plots."""

import argparse
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from streamer.diagnostics.benchmark import machine

HERE = Path(__file__).parent


def heading(title: str, about: str) -> list[str]:
    """The first lines of a page.

    Args:
        title: Of the page.
        about: Which command wrote it, and where is said what the figures mean.
    """
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],  # noqa: S607 - whichever git there is
        capture_output=True, text=True, check=False, cwd=HERE,
    ).stdout.strip()  # fmt: skip
    where = f"{machine()}; {datetime.now(UTC):%Y-%m-%d}, commit {commit or 'unknown'}."
    return [f"# {title}", "", where, about, ""]


def parsed(parser: argparse.ArgumentParser, files: str) -> argparse.Namespace:
    """The arguments, among them ``--json``, or a folder for the page, which is made now.

    Args:
        parser: Knows the others.
        files: What is written to the folder.
    """
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true")
    form.add_argument("--page", type=Path, help=f"write {files} to this folder")
    args = parser.parse_args()
    if args.page:
        args.page.mkdir(parents=True, exist_ok=True)  # amiss, it is so before the work
    return args


def resident_mb() -> float:
    """Memory that this process has now (Linux)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 1e6


def panels(count: int) -> tuple[Any, list[Any]]:
    """A figure of a number of pictures side by side."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - most pages have none

    figure = Figure(figsize=(4.2 * count, 3.4), layout="constrained")
    return figure, list(figure.subplots(1, count, squeeze=False)[0])
