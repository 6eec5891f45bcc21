"""Measures how many calls one server takes at once, and how soon its events come.

    python benchmarks/serve.py --calls 15 --seconds 60 [--run] [--page FOLDER | --json]
    make serve-load                     # 15 and 30 calls, three minutes of a quiet machine

So many telephones call a server of their own on this machine, as Twilio sends it: two tracks of
mu-law at 8 kHz, a message of 20 ms each, at the pace of real time. Each side speaks 40 % of the
time, in utterances of the bundled recording. What has to come of it is known beforehand, from the
same samples without a clock: one row an utterance, at the same times. A viewer of the server's
events notes when each utterance is seen, from its last sample on.

``--run`` plays the same sides through the pipeline of `streamer run` as one recording of many
channels, for what the server costs beyond that.
"""

import argparse
import asyncio
import base64
import io
import json
import os
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from threading import Thread

import load
import numpy as np
import soundfile
from page import heading, parsed
from rich.console import Console
from rich.table import Table
from server import ServerProcess, own_cpu_s, served, twilio_start
from speech_clips import demo_clips
from websockets.asyncio.client import connect

from streamer.audio.g711 import decode
from streamer.config import Config
from streamer.model.classifier import Classifier
from streamer.pipeline.frontend import Frontend
from streamer.pipeline.live import Pipeline
from streamer.segmentation.channel import Channel
from streamer.session import LiveSession
from streamer.types import SAMPLE_RATE, Excerpt, Segment, SourceInfo

RATE = 8_000
FRAME = 160
"""Samples of a message: 20 ms."""

SPEAKING = 0.4
SCRIPTS = 4
"""Conversations that differ; calls share them, each beginning at another moment."""

SPREAD_S = 2.0
"""Within which all calls begin."""

CROSSTALK_OFF = "audio: {crosstalk: false}\n"
"""As for the many channels of one recording, whose sides would be compared with all others."""

Key = tuple[str, int, float, float]
"""Channel, number, start and end in seconds of an utterance."""


@dataclass(frozen=True, slots=True)
class Script:
    """What is said in a call.

    Attributes:
        messages: As Twilio sends them, a pair each 20 ms.
        sides: Both sides as they are decoded, shape (samples, 2).
        rows: That have to come of it.
        partials: Results while somebody speaks that have to come of it.
    """

    messages: tuple[tuple[str, str], ...]
    sides: np.ndarray
    rows: frozenset[Key]
    partials: int


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of a number of calls at once.

    Attributes:
        calls: How many.
        cores: Processor time of the server, per second.
        peers_cores: The same of the callers, which share the machine.
        resident_mb: Memory of the server at the end.
        rows: That were due.
        missing: Rows that are not in the CSV, or at other times: sound was lost.
        late_s: Sound that came too late, as the server says.
        unclassified: Rows without a prediction.
        unseen: Rows of which the viewer got no event.
        partials: Part of the partial results due that did not give way to a newer one.
        row_ms: From the last sample of an utterance to its row, as the server says, p50 and p95.
        event_ms: From the last sample of an utterance to its event, p50 and p95; the hangover of
            400 ms is in it.
        run_cores: What `run` needs for the same sides; None where it was not measured.
    """

    calls: int
    cores: float
    peers_cores: float
    resident_mb: float
    rows: int
    missing: int
    late_s: float
    unclassified: int
    unseen: int
    partials: float
    row_ms: tuple[float, float]
    event_ms: tuple[float, float]
    run_cores: float | None = None

    @property
    def complete(self) -> bool:
        """True where every utterance has its row and its event, and no sound was lost."""
        return not self.missing and not self.unseen and not self.late_s


def side(seed: int, seconds: float) -> bytes:
    """One side of a call as mu-law: utterances and pauses that are half as long again."""
    rng = np.random.default_rng(seed)
    said = np.zeros(round(seconds * SAMPLE_RATE))
    at = round(rng.uniform(0.5, 3.0) * SAMPLE_RATE)
    for clip in islice(demo_clips(), seed * 3 % 11, None):
        if at + len(clip) >= len(said):
            break
        said[at : at + len(clip)] = clip
        at += round(len(clip) * (1 + (1 / SPEAKING - 1) * rng.uniform(0.8, 1.2)))
    return mulaw(said + load.ROOM / 32768 * rng.standard_normal(len(said)))


def mulaw(audio: np.ndarray) -> bytes:
    """Audio at 16 kHz as the telephone has it."""
    file = io.BytesIO()
    soundfile.write(file, audio[::2], RATE, format="RAW", subtype="ULAW")
    return file.getvalue()


def script(number: int, seconds: float, config: Config) -> Script:
    """A conversation, and what has to come of it."""
    sides = [side(2 * number + each, seconds) for each in range(2)]
    whole = min(map(len, sides)) // FRAME * FRAME
    messages = tuple(
        tuple(
            media(track, at // 8, said[at : at + FRAME])
            for track, said in zip(("inbound", "outbound"), sides, strict=True)
        )
        for at in range(0, whole, FRAME)
    )
    pcm = np.stack([decode(said[:whole], "mulaw") for said in sides], axis=1)
    named = config.with_channels(("customer", "agent"))
    channels = [Channel(name, named) for name in named.audio.streams]
    frontend = Frontend(SourceInfo("script", RATE, 2, live=True), named)
    blocks = [frontend.convert(pcm), frontend.flush()]
    rows, partials = set(), 0
    for name, event in load.events(channels, blocks):
        partials += isinstance(event, Excerpt)
        if isinstance(event, Segment):
            rows.add(key(name, event.utterance, event.start / SAMPLE_RATE, event.end / SAMPLE_RATE))
    return Script(messages, pcm, frozenset(rows), partials)  # type: ignore[arg-type]


def media(track: str, at_ms: int, payload: bytes) -> str:
    """A message with audio."""
    found = {
        "track": track, "timestamp": str(at_ms), "payload": base64.b64encode(payload).decode(),
    }  # fmt: skip
    return json.dumps({"event": "media", "media": found})


def key(channel: str, number: int, start_s: float, end_s: float) -> Key:
    """An utterance of a call."""
    return channel, number, round(start_s, 3), round(end_s, 3)


class Viewer(Thread):
    """Notes when each utterance is seen, on a thread of its own."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self.seen: dict[tuple[str, Key], float] = {}
        self._events = urllib.request.urlopen(f"http://{address}/events")

    def run(self) -> None:
        """Read until the server ends."""
        for line in self._events:
            if line.startswith(b"data: ") and b'"utterance"' in line:
                now = time.monotonic()
                found = json.loads(line[6:])
                if found["event"] == "utterance":
                    said = key(*(found[k] for k in ("channel", "utterance", "start_s", "end_s")))
                    self.seen[found["call"], said] = now


async def telephone(address: str, call: str, said: Script, begins_at: float) -> float:
    """One call, message by message at its time; returns when its first sample was spoken."""
    await asyncio.sleep(max(0.0, begins_at - time.monotonic()))
    async with connect(
        f"ws://{address}/v1/twilio", compression=None, proxy=None, ping_interval=None
    ) as socket:
        await socket.send(twilio_start(call))
        began = time.monotonic()
        for number, pair in enumerate(said.messages):
            wait = began + (number + 1) * FRAME / RATE - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            for message in pair:
                await socket.send(message)
        await socket.send(json.dumps({"event": "stop"}))
        async for _ in socket:
            pass
    return began


async def telephones(address: str, calls: list[tuple[str, Script]]) -> dict[str, float]:
    """All calls at once; returns when each began."""
    start = time.monotonic() + 0.5
    began = await asyncio.gather(
        *(
            telephone(address, call, said, start + SPREAD_S * number / len(calls))
            for number, (call, said) in enumerate(calls)
        )
    )
    return {call: at for (call, _), at in zip(calls, began, strict=True)}


def measure(server: ServerProcess, count: int, scripts: list[Script]) -> Measured:
    """So many calls at once, to a server that has nothing else to do."""
    calls = [(f"CA{count:03}{number:03}", scripts[number % SCRIPTS]) for number in range(count)]
    viewer = Viewer(server.address)
    viewer.start()
    dropped = server.figure("streamer_partials_dropped")
    began_at, used, own = time.monotonic(), server.cpu_s(), own_cpu_s()
    began = asyncio.run(telephones(server.address, calls))
    wall = time.monotonic() - began_at
    cores, peers = (server.cpu_s() - used) / wall, (own_cpu_s() - own) / wall
    dropped = server.figure("streamer_partials_dropped") - dropped
    time.sleep(0.5)  # for the viewer's last lines
    due = {(call, row) for call, said in calls for row in said.rows}
    rows = [row for row in server.rows() if row["source"] in began]
    got = {(row["source"], _row_key(row)) for row in rows}
    late = [at - began[call] - row[3] for (call, row), at in viewer.seen.items() if call in began]
    return Measured(
        calls=count,
        cores=cores,
        peers_cores=peers,
        resident_mb=server.resident_mb(),
        rows=len(due),
        missing=len(due - got),
        late_s=server.figure("streamer_late_audio_seconds_total"),
        unclassified=sum(not row["emotion"] for row in rows),
        unseen=len(due - set(viewer.seen)),
        partials=1 - dropped / max(1, sum(said.partials for _, said in calls)),
        row_ms=load.percentiles([int(row["latency_ms"]) / 1000 for row in rows]),
        event_ms=load.percentiles(late),
    )


def _row_key(row: dict[str, str]) -> Key:
    return key(row["channel"], int(row["utterance"]), float(row["start_s"]), float(row["end_s"]))


def run_cores(count: int, scripts: list[Script]) -> float:
    """Processor time per second that `run` needs for the sides of a number of calls."""
    sides = np.concatenate([scripts[number % SCRIPTS].sides for number in range(count)], axis=1)
    names = [f"side{number}" for number in range(sides.shape[1])]
    config = Config.model_validate({"audio": {"channels": names, "crosstalk": False}})
    model = Classifier.load(threads=1)
    model.warm_up()
    with tempfile.TemporaryDirectory() as folder:
        path, rows = Path(folder) / "sides.wav", Path(folder) / "rows.csv"
        soundfile.write(path, sides, RATE, subtype="PCM_16")
        source = load.LiveRecording(path, block_s=config.audio.block_ms / 1000)
        session = LiveSession(
            Pipeline(source, lambda: model, config),
            config,
            csv=rows,
            dashboard=None,
            lines=load.Arrivals(lambda _: None),
            duration=None,
        )
        began, used = time.monotonic(), time.process_time()
        session.run()
        return (time.process_time() - used) / (time.monotonic() - began)


COLUMNS = (
    "calls", "cores", "callers", "MB", "rows", "missing", "late, s", "unclassified", "unseen",
    "partials",
    "row, ms", "event, ms", "run, cores",
)  # fmt: skip


def cells(found: Measured) -> list[str]:
    """A row of the table; of the milliseconds, median and 95th percentile."""
    return [
        str(found.calls),
        f"{found.cores:.2f}",
        f"{found.peers_cores:.2f}",
        f"{found.resident_mb:.0f}",
        *(str(n) for n in (found.rows, found.missing)),
        f"{found.late_s:.1f}",
        *(str(n) for n in (found.unclassified, found.unseen)),
        f"{found.partials:.0%}",
        *("{:.0f}/{:.0f}".format(*ms) for ms in (found.row_ms, found.event_ms)),
        "" if found.run_cores is None else f"{found.run_cores:.2f}",
    ]


def page(found: list[Measured], seconds: float, note: str) -> str:
    """All of it in Markdown."""
    cores = len(os.sched_getaffinity(0))
    lines = heading(
        "Calls at once",
        "Written by `make serve-load`; what the figures mean is said in `benchmarks/serve.py`.\n"
        f"{seconds:.0f} s at real-time pace each; each side speaks {SPEAKING:.0%} of the time.\n"
        f"The server and its callers had {cores} core{'s' if cores > 1 else ''}. {note}".rstrip(),
    )
    lines += [f"| {' | '.join(COLUMNS)} |", "| " + " | ".join("---" for _ in COLUMNS) + " |"]
    return "\n".join([*lines, *(f"| {' | '.join(cells(each))} |" for each in found), ""])


def measurements(args: argparse.Namespace) -> Iterator[Measured]:
    """One for each count of calls."""
    config = Config.model_validate({"audio": {"crosstalk": not args.run}})
    scripts = [script(number, args.seconds, config) for number in range(SCRIPTS)]
    for count in args.calls:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "serve.yaml").write_text(CROSSTALK_OFF if args.run else "", encoding="utf-8")
            with served(folder, "--config", str(folder / "serve.yaml")) as server:
                found = measure(server, count, scripts)
                if args.threads:
                    print({k: round(v, 1) for k, v in server.thread_cpu_s().items()})
        extra = {"run_cores": run_cores(count, scripts)} if args.run else {}
        yield Measured(**{**asdict(found), **extra})


def main() -> None:
    """Measure and print; the exit code is 1 where a row or an event was missing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, nargs="+", default=[15, 30], help="at once")
    parser.add_argument("--seconds", type=float, default=60, help="of each call")
    parser.add_argument("--run", action="store_true", help="compare with `streamer run`")
    parser.add_argument("--note", default="", help="about the machine, for the page")
    parser.add_argument("--threads", action="store_true", help="processor time by thread")
    args = parsed(parser, "SERVE.md")
    found = list(measurements(args))
    if args.json:
        print(json.dumps([asdict(each) for each in found]))
    elif args.page:
        (args.page / "SERVE.md").write_text(page(found, args.seconds, args.note), encoding="utf-8")
        print(f"figures in {args.page / 'SERVE.md'}")
    else:
        title = f"calls of two sides that speak {SPEAKING:.0%} of the time"
        table = Table(*COLUMNS, title=title)
        for each in found:
            table.add_row(*cells(each))
        Console(width=150).print(table)
    raise SystemExit(not all(each.complete for each in found))


if __name__ == "__main__":
    main()
