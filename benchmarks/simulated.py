"""A live session as `streamer run` has it, with its CSV and its dashboard, but nobody who looks."""

import csv
import os
import tempfile
from pathlib import Path

from rich.console import Console

from streamer.config import Config
from streamer.dashboard.dashboard import Dashboard
from streamer.pipeline.live import Pipeline
from streamer.session import LiveSession


def rows_of_session(pipeline: Pipeline, config: Config) -> list[dict[str, str]]:
    """Run a session to the end of its source; the dashboard draws into nothing.

    Args:
        pipeline: Not yet started.
        config: The one that it was made with.

    Returns:
        The rows of the CSV.
    """
    with tempfile.TemporaryDirectory() as folder, Path(os.devnull).open("w") as nowhere:
        path = Path(folder) / "rows.csv"
        console = Console(file=nowhere, force_terminal=True, width=140, height=40)
        with Dashboard(console, config.dashboard, config.audio.streams, bell=False) as dashboard:
            LiveSession(
                pipeline, config, csv=path, dashboard=dashboard, lines=None, duration=None
            ).run()
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file, strict=True))
