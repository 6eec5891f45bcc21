"""The README's picture of the dashboard: ``python tools/screenshot.py`` writes docs/dashboard.svg.

Nothing in it is made up: the bundled recording goes at real-time pace through the real pipeline
and the real model, and the picture is the frame that the screen would show then.
"""

import argparse
import re
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path

from rich.console import Console

from streamer.audio.sources import FileSource
from streamer.cli import DEMO
from streamer.config import Config
from streamer.dashboard.state import Channel, Snapshot, fold
from streamer.dashboard.view import render
from streamer.model.classifier import Classifier
from streamer.pipeline import Pipeline
from streamer.types import Utterance

FOLDER = Path(__file__).parent.parent
SIZE = "120x36"
ROWS = 9
"""Most utterances are over by then."""

SPEAKING_S = 2.0
"""For so long somebody has been speaking: the newest verdict has settled."""


FONT_FACE = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)


def play(until: Callable[[Snapshot], bool]) -> Snapshot:
    """The screen at the first moment that is as wanted."""
    config = Config()
    name = f"{DEMO.name} (the bundled recording)"
    source = FileSource(DEMO, block_s=config.audio.block_ms / 1000, name=name)
    pipeline = Pipeline(
        source, lambda: Classifier.load(config.model.name, threads=config.model.threads), config
    )
    channels = tuple(map(Channel, config.audio.streams))
    snapshot = Snapshot(channels=channels, smoothing_s=config.dashboard.smoothing_s)
    pipeline.start()
    while not until(snapshot):
        event = pipeline.events.get()
        if event is None:
            raise SystemExit(f"it ended before there was such a moment: {snapshot.notice}")
        snapshot = fold(snapshot, event, time.monotonic())
    pipeline.stop()
    pipeline.join()
    return snapshot


def main() -> None:
    """Play, wait for the moment, take the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default=SIZE, help=f"COLUMNSxLINES: {SIZE}")
    parser.add_argument("--rows", type=int, default=ROWS, help=f"utterances to wait for: {ROWS}")
    parser.add_argument("--to", type=Path, default=FOLDER / "docs" / "dashboard.svg")
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))

    def moment(snapshot: Snapshot) -> bool:
        judged = sum(isinstance(row, Utterance) for row in snapshot.rows)
        (channel,) = snapshot.channels
        return judged >= options.rows and channel.speech and channel.since_s >= SPEAKING_S

    frame = render(play(moment), width=width, height=height)
    console = Console(file=StringIO(), record=True, width=width, height=height)
    console.print(frame)
    options.to.parent.mkdir(exist_ok=True)
    svg = console.export_svg(title="streamer run")
    svg = FONT_FACE.sub("", svg)  # the reader's own monospace font: no network for a picture
    options.to.write_text(svg, encoding="utf-8")
    print(options.to)


if __name__ == "__main__":
    main()
