"""Begins and ends many calls: memory, files and threads of the server must not grow.

    python benchmarks/serve_soak.py --calls 10000 [--at-once 20] [--json]

Each is a call of two tracks as Twilio sends it, sent as fast as the server takes it. In every tenth
one utterance of the bundled recording is said; in the others, nobody speaks for half a second.
Every third is cut off by its caller in the middle, those in which somebody speaks, too. The exit
code is 1 where a row is missing, or where the server has grown: after the first tenth of the calls
by more than 5 % in memory, or by a file or thread.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from serve import FRAME, RATE, media, mulaw
from server import ServerProcess, served, twilio_start
from speech_clips import demo_clips
from websockets.asyncio.client import connect

from streamer.types import SAMPLE_RATE

PAUSE_S = 0.5
SILENCE = b"\xff"
"""Of mu-law."""
STEPS = 10
GROWTH = 1.05
SPEAKS = 10
"""In one call of this many, somebody speaks."""
CUT = 3
"""One call of this many is cut off."""
QUIET_S = 0.5
"""How long the others are."""


@dataclass(frozen=True, slots=True)
class State:
    """What the server holds after a number of calls."""

    calls: int
    seconds: float
    resident_mb: float
    descriptors: int
    threads: int
    rows: int


async def telephone(address: str, call: str, messages: list[str], *, cut: bool) -> None:
    """One call, as fast as it goes."""
    async with connect(
        f"ws://{address}/v1/twilio", compression=None, proxy=None, ping_interval=None
    ) as socket:
        await socket.send(twilio_start(call))
        for message in messages[: len(messages) // 2] if cut else messages:
            await socket.send(message)
        if cut:
            socket.transport.abort()
            return
        await socket.send(json.dumps({"event": "stop"}))
        async for _ in socket:
            pass


async def telephones(
    address: str, numbers: range, spoken: list[str], quiet: list[str], at_once: int
) -> None:
    """So many calls, some at once."""
    waiting = iter(numbers)

    async def caller() -> None:
        for number in waiting:
            messages = quiet if number % SPEAKS else spoken
            await telephone(address, f"CA{number:06}", messages, cut=number % CUT == 0)

    await asyncio.gather(*(caller() for _ in range(at_once)))


def utterance() -> bytes:
    """A short utterance of the recording between two pauses, as mu-law."""
    clip = min(islice(demo_clips(), 11), key=len)
    return mulaw(np.pad(clip, round(PAUSE_S * SAMPLE_RATE)))


def messages_of(said: bytes) -> list[str]:
    """The messages of a call in which the customer says that, and the agent nothing."""
    return [
        message
        for at in range(0, len(said) - FRAME, FRAME)
        for message in (
            media("inbound", at // 8, said[at : at + FRAME]),
            media("outbound", at // 8, SILENCE * FRAME),
        )
    ]


def soak(server: ServerProcess, calls: int, at_once: int) -> Iterator[State]:
    """What the server has after each step."""
    spoken = messages_of(utterance())
    quiet = messages_of(SILENCE * round(QUIET_S * RATE))
    began = time.monotonic()
    for step in range(STEPS):
        numbers = range(calls * step // STEPS, calls * (step + 1) // STEPS)
        asyncio.run(telephones(server.address, numbers, spoken, quiet, at_once))
        ends_at = time.monotonic() + 10
        while server.figure("streamer_calls") and time.monotonic() < ends_at:
            time.sleep(0.1)
        yield State(
            numbers.stop,
            time.monotonic() - began,
            server.resident_mb(),
            server.descriptors(),
            server.threads(),
            len(server.rows()),
        )


def grown(states: list[State]) -> list[str]:
    """What has grown since the first step."""
    first, last = states[0], states[-1]
    found = []
    if last.resident_mb > first.resident_mb * GROWTH:
        found.append(f"memory: {first.resident_mb:.0f} MB, then {last.resident_mb:.0f} MB")
    if last.descriptors > first.descriptors:
        found.append(f"files: {first.descriptors}, then {last.descriptors}")
    if last.threads > first.threads:
        found.append(f"threads: {first.threads}, then {last.threads}")
    return found


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--at-once", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, served(Path(folder), "--ahead", "3600") as server:
        states = []
        for state in soak(server, args.calls, args.at_once):
            states.append(state)
            print(state, file=sys.stderr, flush=True)
        called = {row["source"] for row in server.rows()}
        left = server.stop()
    uncut = {f"CA{number:06}" for number in range(0, args.calls, SPEAKS) if number % CUT}
    missing = len(uncut - called)
    faults = grown(states)
    if missing:
        faults.append(f"{missing} calls without a row")
    if left:
        faults.append(f"the server ended with {left}")
    if args.json:
        print(json.dumps({"states": [asdict(state) for state in states], "faults": faults}))
    else:
        table = Table("calls", "s", "MB", "files", "threads", "rows", title="soak")
        for state in states:
            values = (state.resident_mb, state.descriptors, state.threads, state.rows)
            table.add_row(str(state.calls), *(f"{value:.0f}" for value in (state.seconds, *values)))
        Console().print(table)
        for fault in faults:
            print(fault)
    raise SystemExit(bool(faults))


if __name__ == "__main__":
    main()
