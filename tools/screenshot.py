"""Takes the pictures of the dashboard: ``python tools/screenshot.py`` writes them to docs/.

Nothing in them is made up: the bundled recording goes at real-time pace through the real pipeline
and the real model, and a picture is the frame that the screen would show then. On a busy machine
the latencies in it are those of a busy machine.
"""

import argparse
import csv
import re
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
import soundfile
from rich.console import Console
from rich.terminal_theme import DEFAULT_TERMINAL_THEME, SVG_EXPORT_THEME, TerminalTheme

from streamer.analysis.alerts import AlertEngine
from streamer.audio.demo import DEMO
from streamer.audio.sources import FileSource
from streamer.config import Config
from streamer.dashboard.controls import press
from streamer.dashboard.reducer import reduce
from streamer.dashboard.state import ChannelState, Snapshot
from streamer.dashboard.view import render
from streamer.events import Event
from streamer.model.classifier import Classifier
from streamer.pipeline.live import Pipeline
from streamer.types import SAMPLE_RATE, Mark, Utterance

FOLDER = Path(__file__).parent.parent
SPEAKING_S = 1.5
"""For so long somebody has been speaking: the newest verdict has settled."""

AGENT = (1, 3, 5, 7)
CUSTOMER = (2, 4, 6)
"""Utterances of the bundled recording that are a call to a customer service."""

QUIET = 10 ** (-66 / 20)
FONT_FACE = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)


@dataclass(frozen=True)
class Picture:
    """What is to be seen.

    Attributes:
        name: Of the file in docs/.
        height: In lines.
        theme: Colours of the terminal.
        rows: Utterances to wait for.
        config: What ``config.yaml`` would say.
        mark: A note on the third utterance; empty for none.
        keys: Pressed before the picture is taken.
    """

    name: str
    height: int
    theme: TerminalTheme
    rows: int
    config: Config
    mark: str = ""
    keys: tuple[str, ...] = ()

    @property
    def desk(self) -> bool:
        """Whether it shows a call with two sides."""
        return bool(self.config.audio.channels)


PICTURES = (
    Picture("dashboard.svg", 36, SVG_EXPORT_THEME, 9, Config()),
    Picture(
        "desk.svg",
        35,
        DEFAULT_TERMINAL_THEME,
        6,
        Config.model_validate({"audio": {"channels": ["agent", "customer"]}}),
        mark="asks for the manager",
        keys=("down", "down", "enter"),
    ),
)
WIDTH = 120


def call(folder: Path) -> Path:
    """The bundled recording as a call: the agent on the left, the customer on the right."""
    sound, _ = soundfile.read(DEMO, dtype="float32")
    with DEMO.with_suffix(".csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    end = round((float(rows[max(AGENT) - 1]["end_s"]) + 1) * SAMPLE_RATE)
    both = QUIET * np.random.default_rng(5).standard_normal((end, 2))
    for number, row in enumerate(rows, start=1):
        if number in (*AGENT, *CUSTOMER):
            said = slice(*(round(float(row[key]) * SAMPLE_RATE) for key in ("start_s", "end_s")))
            both[said, int(number in CUSTOMER)] = sound[said]
    path = folder / "call.flac"
    soundfile.write(path, both, SAMPLE_RATE)
    return path


def play(picture: Picture, folder: Path) -> Snapshot:
    """The screen at the first moment at which there is to be seen what is wanted."""
    config = picture.config
    path = call(folder) if picture.desk else DEMO
    name = "the bundled recording" + ", as a call" * picture.desk
    source = FileSource(path, block_s=config.audio.block_ms / 1000, name=name)
    pipeline = Pipeline(
        source, lambda: Classifier.load(config.model.name, threads=config.model.threads), config
    )
    engine = AlertEngine(config)
    channels = tuple(map(ChannelState, config.audio.streams))
    snapshot = Snapshot(channels=channels, smoothing_s=config.dashboard.smoothing_s)
    pipeline.start()
    while not _ready(picture, snapshot):
        event = pipeline.events.get()
        if event is None:
            raise SystemExit(f"it ended before there was such a moment: {snapshot.notice}")
        following: list[Event] = [*engine.add(event)] if isinstance(event, Utterance) else [event]
        for each in following:
            snapshot = reduce(snapshot, each, time.monotonic())
        if picture.mark and not snapshot.marks and len(snapshot.rows) == 3:
            snapshot = _pressed(snapshot, ["m", *picture.mark, "enter"])
    pipeline.stop()
    pipeline.join()
    return _pressed(snapshot, picture.keys)


def _ready(picture: Picture, snapshot: Snapshot) -> bool:
    classified = sum(isinstance(row, Utterance) for row in snapshot.rows)
    speaking = any(c.speech and c.since_s >= SPEAKING_S for c in snapshot.channels)
    return classified >= picture.rows and speaking


def _pressed(snapshot: Snapshot, keys: Sequence[str]) -> Snapshot:
    """After keys, as ``streamer run`` takes them."""
    for key in keys:
        snapshot, action = press(snapshot, key, page=10)
        if isinstance(action, Mark):
            snapshot = reduce(snapshot, action, time.monotonic())
    return snapshot


def main() -> None:
    """Play, wait for the moment, take the picture."""
    names = [picture.name for picture in PICTURES]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}: all")
    parser.add_argument("--to", type=Path, default=FOLDER / "docs", help="folder: docs")
    options = parser.parse_args()
    if unknown := set(options.names) - set(names):
        parser.error(f"no such picture: {', '.join(unknown)}")
    for picture in PICTURES:
        if options.names and picture.name not in options.names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            snapshot = play(picture, Path(folder))
        console = Console(file=StringIO(), record=True, width=WIDTH, height=picture.height)
        console.print(render(snapshot, width=WIDTH, height=picture.height))
        svg = console.export_svg(title="streamer run", theme=picture.theme)
        svg = FONT_FACE.sub("", svg)  # the reader's own monospace font: no network for a picture
        (options.to / picture.name).write_text(svg, encoding="utf-8")
        print(options.to / picture.name)


if __name__ == "__main__":
    main()
