"""Measures how late and how smooth the wallboard is, in a real headless Chromium.

    python benchmarks/wallboard.py [--calls 4] [--seconds 60] [--tiles 200] [--page benchmarks]

First, recordings are sent to a `streamer serve` as calls of streamer's own protocol, in frames of
20 ms at their own pace, while the browser shows its page. For each utterance that a silence ended:
the time from the media frame with which that silence was long enough, as it left the sender, to
the first animation frame in which its tile has it. Sender and browser read the same clock.

Then a page shows simulated calls with as many events a second as real ones have, and the
browser counts its animation frames. Without a GPU, and on a core that something else uses, it
draws fewer than on a desk.
"""

import argparse
import itertools
import json
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import soundfile
from websockets.sync.client import ClientConnection, connect

from streamer.config import Config
from streamer.server.access import Access
from streamer.server.protocols.native import END, Header
from streamer.server.wallboard.background import BackgroundWallboard
from streamer.types import SAMPLE_RATE

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests/server"))
from board_events import Simulation
from browser import Browser, program
from voices import VOICES

FRAME_S = 0.02
UTTERANCE_S = 6.0  # a channel of a call has one as often as that
HANGOVER_S = Config().segmenter.hangover_ms / 1000
WATCH = """
window.seen = {};
addEventListener("drawn", (event) => requestAnimationFrame(() => {
  for (const call of event.detail) if (call) {
    const count = call.channels.reduce((sum, channel) => sum + channel.utterances, 0);
    seen[`${call.id} ${count}`] ??= Date.now() / 1000;
  }
}));
"""
COUNT = """
new Promise((done) => {
  const at = [];
  const step = (now) => {
    at.push(now);
    if (now - at[0] < SECONDS * 1000) requestAnimationFrame(step);
    else done(at);
  };
  requestAnimationFrame(step);
})
"""


@dataclass(eq=False)
class Caller(threading.Thread):
    """A call at the pace of its recording."""

    port: int
    call: str
    seconds: float
    offset_s: float
    sent: list[float] = field(default_factory=list)  # when each frame left
    utterances: list[dict[str, object]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def run(self) -> None:
        """Send, and keep what comes back."""
        pcm, _ = soundfile.read(VOICES, dtype="int16")
        frame = round(FRAME_S * SAMPLE_RATE)
        at = round(self.offset_s * SAMPLE_RATE)
        with connect(f"ws://127.0.0.1:{self.port}/v1/stream", proxy=None) as peer:
            reading = threading.Thread(target=self._read, args=(peer,))
            reading.start()
            peer.send(Header(SAMPLE_RATE, ("customer",), call=self.call).to_json())
            begin = time.monotonic()
            for number in range(round(self.seconds / FRAME_S)):
                time.sleep(max(0.0, begin + number * FRAME_S - time.monotonic()))
                here = (at + number * frame) % (len(pcm) - frame)
                self.sent.append(time.time())
                peer.send(pcm[here : here + frame].tobytes())
            peer.send(END)
            reading.join()

    def _read(self, peer: ClientConnection) -> None:
        for line in peer:
            event = json.loads(line)
            if event["event"] == "utterance" and event["emotion"] != "no_speech":
                self.utterances.append(event)

    def delays(self, seen: dict[str, float]) -> list[float]:
        """For each utterance that a silence ended, how late it was on the page."""
        found = []
        for count, each in enumerate(self.utterances, 1):
            frame = int((float(each["end_s"]) + HANGOVER_S) / FRAME_S)
            drawn = seen.get(f"{self.call} {count}")
            if each["end_reason"] == "silence" and drawn and frame < len(self.sent):
                found.append(drawn - self.sent[frame])
        return found


def lateness(browser: Browser, calls: int, seconds: float, child: str | None) -> list[float]:
    """The delays of all utterances."""
    command = [child] if child else ["-m", "streamer"]
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, *command, "serve", "--listen", "127.0.0.1:0", "--no-csv"],
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
        )
        try:
            line = server.stdout.readline() if server.stdout is not None else ""
            port = int(re.findall(r":(\d+)", line)[0])
            time.sleep(8)  # the model is loaded
            browser.show(f"http://127.0.0.1:{port}/", width=1440, height=900)
            browser.ask(WATCH)
            callers = [Caller(port, f"c-{i}", seconds, 3.7 * i) for i in range(calls)]
            for caller in callers:
                caller.start()
                time.sleep(0.31)
            for caller in callers:
                caller.join()
            time.sleep(1)
            seen = browser.ask("seen")
        finally:
            server.kill()
            server.wait()
    return [delay for caller in callers for delay in caller.delays(seen)]


def smoothness(browser: Browser, tiles: int, seconds: float) -> list[float]:
    """The times between animation frames, in ms, while a number of calls go on."""
    board = BackgroundWallboard(socket.create_server(("127.0.0.1", 0)), Access())
    board.start()
    calls = Simulation(tiles, time.time() - 400)
    for event in calls.begin():
        board.take(event)
    over = threading.Event()

    def feed() -> None:
        pause = UTTERANCE_S / (2 * tiles)
        while not over.is_set():
            for call in calls.ids:
                for channel in ("customer", "agent"):
                    opened, partial, *rest = calls.utterance(call, channel)
                    for each in (opened, partial, partial, partial, *rest):
                        board.take(each)
                    if over.wait(pause):
                        return

    feeding = threading.Thread(target=feed)
    try:
        browser.show(board.url, width=1920, height=1080)
        feeding.start()
        time.sleep(2)
        at = browser.ask(COUNT.replace("SECONDS", str(seconds)))
    finally:
        over.set()
        feeding.join()
        board.stop()
    return [after - before for before, after in itertools.pairwise(at)]


def quantile(values: list[float], share: float) -> float:
    """A quantile of a list."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def row(what: str, values_ms: list[float], of: str) -> str:
    """A line of the table."""
    p50, p95 = quantile(values_ms, 0.5), quantile(values_ms, 0.95)
    return f"| {what} | {p50:.0f} ms | {p95:.0f} ms | {of} |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=4, help="that are sent at once")
    parser.add_argument("--seconds", type=float, default=60, help="how long each is")
    parser.add_argument("--tiles", type=int, default=200, help="calls on the page for its frames")
    parser.add_argument("--child", help="a program in place of streamer: tests/child.py")
    parser.add_argument("--page", type=Path, help="a folder: write WALLBOARD.md there, too")
    args = parser.parse_args()
    if program() is None:
        raise SystemExit("no Chromium is installed: apt-get install chromium")
    with tempfile.TemporaryDirectory() as profile, Browser(Path(profile)) as browser:
        frames = smoothness(browser, args.tiles, 10)
        late = lateness(browser, args.calls, args.seconds, args.child)
    lines = [
        "| what | p50 | p95 | of |",
        "| --- | --- | --- | --- |",
        row(
            f"from the media frame that ends an utterance to the page, {args.calls} calls",
            [1000 * delay for delay in late],
            f"{len(late)} utterances",
        ),
        row(
            f"between animation frames, {args.tiles} calls on the page",
            frames,
            f"{len(frames)} frames, {1000 / statistics.mean(frames):.0f} a second",
        ),
    ]
    print("\n".join(lines))
    if args.page:
        head = "# The wallboard in a browser\n\n`python benchmarks/wallboard.py` wrote this.\n\n"
        (args.page / "WALLBOARD.md").write_text(head + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
