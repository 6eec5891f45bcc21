"""Draws the wallboard's picture in docs/ from simulated calls.

    python tools/wallboard_screenshot.py [--out FOLDER]

Needs Chromium. With ``--out FOLDER`` it draws phone, laptop and 4K, light and dark, to look at.
"""

import argparse
import random
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from streamer.server.access import Access
from streamer.server.wallboard.background import BackgroundWallboard

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests/server"))
from board_events import Event, Simulation
from browser import Browser

PICTURE = Path(__file__).parents[1] / "docs/wallboard.png"
ANGRY = 3  # the place of the call whose customer is angry
CALLERS = ("+49 30 5550", "Jane Doe, +1 415 5550", "", "+33 1 5550")
"""Who calls, as telephone systems say it or not."""

SIZES = {
    "phone": (390, 844, 9),
    "laptop": (1440, 900, 24),
    "4k": (3840, 2160, 200),
    "4k-few": (3840, 2160, 24),
}


def board(count: int) -> BackgroundWallboard:
    """A wallboard of calls as they may be: most of what is said is neutral."""
    shown = BackgroundWallboard(socket.create_server(("127.0.0.1", 0)), Access())
    shown.start()
    now = time.time()
    calls = Simulation(count, now)
    for event in (*so_far(calls, now), *right_now(calls, now)):
        shown.take({**event, "server": ""})
    return shown


def so_far(calls: Simulation, now: float) -> Iterator[Event]:
    """What was said until now."""
    rng = random.Random(5)
    for i, event in enumerate(calls.begin()):
        call = event["call"]
        said: list[Event] = []
        for turn in range(rng.randint(12, 30)):
            for channel in ("customer", "agent"):
                heard = rng.choices(("neutral", "calm", "happy", "sad"), (12, 3, 2, 1))[0]
                if i == ANGRY and channel == "customer" and turn > 8:
                    heard = "angry"
                said += calls.utterance(call, channel, heard)
        at = now - calls.length(call) - rng.choice((1, 1, 2, 3, 14))
        caller = CALLERS[i % len(CALLERS)]
        yield {**event, "at": at, "caller": caller and f"{caller}{100 + i}"}
        yield from said


def right_now(calls: Simulation, now: float) -> Iterator[Event]:
    """Who speaks, what has just ended, and what has raised an alert."""
    for i, call in enumerate(calls.ids):
        one, other = ("customer", "agent") if i % 3 else ("agent", "customer")
        opened, partial, *_ = calls.utterance(call, one, "neutral")
        if i % 4:
            yield from (opened, partial)
        if i % 11 == 1:
            yield {**opened, "channel": other}
    yield calls.alert(calls.ids[ANGRY], now - 25)
    if calls.ids[8:]:
        seen = calls.alert(calls.ids[7], now - 200)
        key = f"customer/{seen['utterance']}/{seen['rule']}"
        told = {"event": "acknowledged", "call": calls.ids[7], "alert": key, "by": "Eva"}
        yield from (seen, {**told, "at": now})
        yield {"event": "call_ended", "call": calls.ids[5], "at": now - 4}


def draw(
    browser: Browser, path: Path, size: tuple[int, int, int], *, dark: bool, detail: bool = False
) -> None:
    """Draw a picture of a number of calls."""
    width, height, count = size
    shown = board(count)
    try:
        browser.show(shown.url, width=width, height=height, dark=dark)
        time.sleep(1.5)
        if detail:
            browser.ask(f"document.querySelectorAll('.tile')[{ANGRY}].click()")
            time.sleep(1.5)
        path.write_bytes(browser.picture())
    finally:
        browser.show("about:blank")
        shown.stop()


def main() -> None:
    """Draw the picture, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="a folder: draw all sizes there instead")
    out = parser.parse_args().out
    with tempfile.TemporaryDirectory() as profile, Browser(Path(profile)) as browser:
        if out is None:
            draw(browser, PICTURE, (1180, 760, 18), dark=False)
            return
        for name, size in SIZES.items():
            for dark in (False, True):
                draw(browser, out / f"{name}-{'dark' if dark else 'light'}.png", size, dark=dark)
        for name in ("phone", "laptop"):
            draw(
                browser, out / f"{name}-detail.png", SIZES[name], dark=name == "phone", detail=True
            )


if __name__ == "__main__":
    main()
