"""Shows the dashboard without audio or a model: ``python tools/dashboard_demo.py``.

Keys work as in ``streamer run``. ``--at S`` prints one frame as it is after S seconds instead,
``--press down,down,enter`` after these keys; ``--channels agent,customer`` shows two voices;
``--speed N`` plays faster.
"""

import argparse
import math
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from streamer.config import DashboardConfig
from streamer.dashboard.controls import press
from streamer.dashboard.glyphs import ASCII, UNICODE, Glyphs
from streamer.dashboard.keys import Keys
from streamer.dashboard.languages import words
from streamer.dashboard.reducer import advance, reduce
from streamer.dashboard.screen import Screen, usable
from streamer.dashboard.state import ChannelState, Input, Notice, Snapshot
from streamer.dashboard.view import render
from streamer.events import (
    Alert,
    Counters,
    LevelMeasured,
    PartialResult,
    StateChanged,
    UtteranceStarted,
)
from streamer.types import EMOTIONS, EndReason, Mark, Prediction, State, Utterance

FPS = 6
WARM_UP_S = 1.0


def script(channels: tuple[str, ...], seed: int = 7) -> Iterator[tuple[float, Input]]:
    """An endless session: what happens, and when (in seconds from the start)."""
    yield 0.0, StateChanged(State.WARMING_UP, "loading the model")
    yield (
        WARM_UP_S,
        StateChanged(State.LISTENING, "no microphone found: playing the bundled recording"),
    )
    yield WARM_UP_S, Counters()
    voices = [
        Voice(name, random.Random(f"{seed}{name}"), index) for index, name in enumerate(channels)
    ]
    tick = 0
    while True:
        tick += 1
        now = WARM_UP_S + tick / 10
        for voice in voices:
            for event in voice.tick(tick):
                yield now, event
        if tick == 250:
            yield now, Notice("emotions.csv can be written again")
        if tick == 380:
            yield now, Mark(1, tick * 1600, "asks for the manager")
        if tick == 600:
            name, reason = channels[-1], "angry 62 % over 3 utterances"
            yield now, Alert("angry caller", name, 9, tick * 1600, "angry", 0.8, -0.4, reason)
        if tick == 400:
            yield now, Counters(overruns=1, gaps=1, lost_samples=12_800, dropped_partials=3)
        if tick == 900:
            yield now, StateChanged(State.LOST, "USB microphone: trying again in 4 s")
        if tick == 960:
            yield now, StateChanged(State.LISTENING)


class Voice:
    """Somebody who speaks, in one mood or another."""

    def __init__(self, name: str, rng: random.Random, index: int) -> None:
        self.name, self.rng, self.number = name, rng, 0
        self.begin = 12 + 25 * index
        self.end = self.begin + 30
        self.target = self.rng.choice(EMOTIONS)

    def predict(self, sureness: float) -> Prediction:
        """More certain as the utterance goes on."""
        weights = [math.exp(self.rng.gauss(0, 0.8)) for _ in EMOTIONS]
        weights[EMOTIONS.index(self.target)] *= 1 + 40 * sureness * self.rng.random()
        shares = [weight / sum(weights) for weight in weights]
        mood = shares[1] + shares[2] + shares[7] / 2 - sum(shares[3:7])
        return Prediction(EMOTIONS, tuple(shares), mood, max(shares) < 0.45)

    def tick(self, tick: int) -> Iterator[Input]:
        """What happens in this tenth of a second."""
        speech = self.begin <= tick < self.end
        swing = math.sin(tick * 1.3) * 5 + self.rng.gauss(0, 2)
        rms = -24 + swing if speech else -56 + self.rng.gauss(0, 1.5)
        peak = min(0.0, rms + 9 + abs(self.rng.gauss(0, 4)))
        if tick == self.begin:
            self.number += 1
            yield UtteranceStarted(self.name, self.number, tick * 1600)
        yield LevelMeasured(self.name, tick * 1600, rms, peak, peak > -0.5, speech)
        if speech and tick - self.begin >= 5 and tick % 3 == 0:
            sure = (tick - self.begin) / 30
            yield PartialResult(self.name, self.number, tick * 1600, self.predict(sure), 60.0, 9.0)
        if tick == self.end + 5:
            yield Utterance(
                number=self.number,
                channel=self.name,
                start=self.begin * 1600,
                end=self.end * 1600,
                prediction=self.predict(1) if self.number % 11 else None,
                level_dbfs=-24 + self.rng.gauss(0, 3),
                end_reason=EndReason.MAX_LENGTH
                if self.end - self.begin > 60
                else EndReason.SILENCE,
                latency_ms=480 + abs(self.rng.gauss(0, 60)),
                compute_ms=24.0,
            )
            self.begin = tick + self.rng.randint(3, 40)
            self.end = self.begin + self.rng.randint(8, 70)
            self.target = self.rng.choice(EMOTIONS)


def main() -> None:
    """Play the script on this terminal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--at", type=float, metavar="S", help="print one frame instead")
    parser.add_argument("--size", default="100x30", help="of that frame: COLUMNSxLINES")
    parser.add_argument("--svg", type=Path, help="write that frame there")
    parser.add_argument("--press", default="", help="keys before that frame: down,enter")
    parser.add_argument("--ascii", action="store_true", help="draw in ASCII")
    parser.add_argument("--language", default="en", help="of the labels: de, es, fr, pl, zh")
    parser.add_argument("--channels", default="mix", help="names, separated by commas")
    parser.add_argument("--speed", type=float, default=1.0)
    parser.add_argument("--skip", type=float, default=0.0, metavar="S", help="start later")
    options = parser.parse_args()
    channels = tuple(options.channels.split(","))
    snapshot = Snapshot(
        device="MacBook Pro Microphone (Core Audio)",
        model="default-1",
        channels=tuple(ChannelState(name) for name in channels),
    )
    events = script(channels)
    named = words(DashboardConfig.model_validate({"language": options.language}))
    glyphs = (ASCII if options.ascii else UNICODE).called(named)
    if options.at is not None:
        width, height = map(int, options.size.split("x"))
        for at, event in events:
            if at > options.at:
                break
            snapshot = reduce(snapshot, event, at)
        for key in filter(None, options.press.split(",")):
            snapshot, _ = press(snapshot, key, page=5)
        console = Console(width=width, height=height, record=options.svg is not None)
        console.print(render(snapshot, width=width, height=height, glyphs=glyphs))
        if options.svg is not None:
            console.save_svg(str(options.svg), title="streamer")
        return
    play(snapshot, events, glyphs, options.speed, options.skip)


def play(
    snapshot: Snapshot,
    events: Iterator[tuple[float, Input]],
    glyphs: Glyphs,
    speed: float,
    skip: float,
) -> None:
    """The loop that ``streamer run`` has too: drain events, read keys, draw, wait."""
    console = Console()
    if not usable(console):
        raise SystemExit("the dashboard needs a terminal")
    began = time.monotonic() - skip / speed
    at, event = next(events)
    with ExitStack() as stack:
        screen = stack.enter_context(Screen(console, glyphs))
        keys = stack.enter_context(Keys(suspended=screen.hide, resumed=screen.unhide))
        while True:
            now = (time.monotonic() - began) * speed
            while at <= now:
                snapshot = reduce(snapshot, event, at)
                at, event = next(events)
            snapshot = advance(snapshot, now)
            while (key := keys.read()) is not None:
                snapshot, action = press(snapshot, key, screen.page)
                if action == "q":
                    return
                if action == " ":
                    paused = snapshot.state is State.PAUSED
                    event_now = StateChanged(State.LISTENING if paused else State.PAUSED)
                    snapshot = reduce(snapshot, event_now, now)
                elif isinstance(action, Mark):
                    snapshot = reduce(snapshot, action, now)
            screen.show(snapshot)
            time.sleep(1 / FPS)


if __name__ == "__main__":
    main()
