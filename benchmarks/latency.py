"""Measures the latency of the screen from outside: speech into a microphone, text on a terminal.

    python benchmarks/latency.py [--channels 4] [--utterances 20] [--busy] [--json]

Utterances of the bundled recording, with pauses in between, are played into a virtual microphone
(PulseAudio). A second listener on the same microphone notes when each onset and each end arrives
there; `streamer run` with its dashboard runs on a terminal of its own, whose output is watched for
the first prediction of each utterance and for its row. With several channels, all speak at once,
each half a second after the one before. With ``--busy``, something else keeps one core busy.
"""

import argparse
import json
import math
import multiprocessing
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from fcntl import ioctl
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import soundfile
from rich.console import Console
from rich.table import Table
from speech_clips import FRAME, demo_clips, spans, truth

from streamer.config import Config
from streamer.types import SAMPLE_RATE

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from virtual_microphone import VirtualMicrophone, missing

PAUSE_S = 1.6
STAGGER_S = 0.5  # from one channel's utterances to the next one's
MIN_S = 1.0  # an utterance that is over before its first prediction has none
MARKER_S = 0.05  # a tone at the very beginning, by which the second listener finds its place
ROWS, COLUMNS = 50, 220  # room for all of a verdict, with several channels, too
FRAME_START = re.compile(rb"\x1b\[H")
CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
SILENT = 60  # of full scale 32768: anything louder is the marker, or speech


@dataclass
class Talk:
    """One channel: what is played into it, and where its utterances are.

    Attributes:
        audio: Shape (samples,), full scale 1.
        spans: Onset and end of each utterance, in seconds.
    """

    audio: list[np.ndarray] = field(default_factory=list)
    spans: list[tuple[float, float]] = field(default_factory=list)


def talk(clips: Iterator[np.ndarray], count: int, lead_s: float) -> Talk:
    """So many utterances with pauses, after so much silence."""
    made = Talk([np.zeros(round(lead_s * SAMPLE_RATE))])
    at = len(made.audio[0])
    for clip in clips:
        speech = spans(truth(clip))
        onset, end = speech[0][0] * FRAME, speech[-1][1] * FRAME
        gaps = [after[0] - before[1] for before, after in pairwise(speech)]
        if end - onset < MIN_S * SAMPLE_RATE or max(gaps, default=0) * FRAME > 0.25 * SAMPLE_RATE:
            continue  # nobody could say where such an utterance ends
        made.spans.append(((at + onset) / SAMPLE_RATE, (at + end) / SAMPLE_RATE))
        made.audio += [clip, np.zeros(round(PAUSE_S * SAMPLE_RATE))]
        at += len(clip) + len(made.audio[-1])
        if len(made.spans) == count:
            break
    return made


def recording(talks: list[Talk]) -> np.ndarray:
    """All channels side by side, a short tone in each at the very beginning."""
    whole = [np.concatenate(each.audio) for each in talks]
    mixed = np.zeros((max(map(len, whole)) + SAMPLE_RATE, len(talks)))
    for channel, audio in enumerate(whole):
        mixed[: len(audio), channel] = audio
    tone = np.arange(round(MARKER_S * SAMPLE_RATE)) / SAMPLE_RATE
    mixed[: len(tone)] = 0.02 * np.sin(2 * np.pi * 1000 * tone)[:, None]
    return mixed


class Listener(threading.Thread):
    """Notes when the recording begins to arrive at the microphone."""

    def __init__(self, microphone: VirtualMicrophone, channels: int) -> None:
        super().__init__(daemon=True)
        self.began: float | None = None
        self._frame_bytes = 2 * channels
        self._process = microphone.listen()

    def run(self) -> None:
        """Until the first sound."""
        pipe = self._process.stdout
        while self.began is None and pipe is not None:
            data = os.read(pipe.fileno(), 1 << 16)
            now = time.monotonic()
            whole = len(data) // self._frame_bytes
            heard = np.frombuffer(data[: whole * self._frame_bytes], np.int16).reshape(whole, -1)
            loud = np.flatnonzero(np.abs(heard.astype(int)).max(axis=1) > SILENT)
            if len(loud):
                self.began = now - (whole - loud[0]) / SAMPLE_RATE
        self._process.terminate()


class Screen:
    """A terminal in which streamer runs: when was what first to be seen?"""

    def __init__(self, names: list[str], env: dict[str, str], csv: Path) -> None:
        self.predicted: dict[str, list[float]] = {name: [] for name in names}
        """Per channel, when a prediction of a new utterance was first on screen."""
        self.rows: dict[tuple[str, int], float] = {}
        """By channel and number, when its row was first on screen."""
        self._names = names
        self._open = dict.fromkeys(names, False)
        self.listening = threading.Event()
        self._process, self._fd = _run(names, env, csv)
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        """End it; returns its exit code."""
        self._process.send_signal(signal.SIGINT)
        code = self._process.wait(30)
        self._thread.join(5)
        return code

    def _watch(self) -> None:
        rest = b""
        while True:
            try:
                data = os.read(self._fd, 1 << 16)
            except OSError:
                return
            now = time.monotonic()
            *frames, rest = FRAME_START.split(rest + data)
            if not select.select([self._fd], [], [], 0.002)[0]:  # the rest is a whole frame, too
                frames.append(rest)
            for frame in frames:
                self._look(CONTROL.sub("", frame.decode(errors="ignore")), now)

    def _look(self, text: str, now: float) -> None:
        if "listening" in text:
            self.listening.set()
        lines = text.splitlines()
        single = len(self._names) == 1
        for place, line in enumerate(lines):
            row = re.match(r"\s+(\d+)\s+(?:(\S+)\s+)?\d:\d\d:\d\d\.\d\s", line)
            if row:
                name = self._names[0] if single else row[2]
                self.rows.setdefault((name, int(row[1])), now)
            if "so far" not in line and " mood " not in line and "ø" not in line:
                continue
            name = self._names[0] if single else lines[place - 1].strip().partition(" ")[0]
            if name not in self._open:
                continue
            said = re.split("mood|ø", line)[0]
            open_now = "%" in said and "#" not in said  # a final verdict names its utterance
            if open_now and not self._open[name]:
                self.predicted[name].append(now)
            self._open[name] = open_now


def _run(names: list[str], env: dict[str, str], csv: Path) -> tuple[subprocess.Popen[bytes], int]:
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    arguments = ["--channels", ",".join(names)] if len(names) > 1 else []
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "streamer", "run", "--csv", str(csv), *arguments],
        env=env | {"TERM": "xterm-256color"}, stdin=theirs, stdout=theirs,
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    return process, ours


@contextmanager
def busy() -> Iterator[None]:
    """Something else that keeps one core busy."""
    hog = multiprocessing.Process(target=_spin, daemon=True)
    hog.start()
    try:
        yield
    finally:
        hog.kill()


def _spin() -> None:
    while True:
        math.sqrt(2.0)


@dataclass(frozen=True)
class Result:
    """Milliseconds.

    Attributes:
        first: From each onset to the first prediction on screen.
        row: From each end to its row on screen; one that came before, because the end was taken
            to be earlier, is not measured.
        missing: Utterances without a row.
        code: Streamer's exit code.
    """

    first: list[float]
    row: list[float]
    missing: int
    code: int


def measure(channels: int, utterances: int, *, hog: bool) -> Result:
    """Play, watch, and compare."""
    clips = demo_clips()
    names = [f"line{index + 1}" for index in range(channels)]
    talks = [
        talk(islice(clips, index, None), utterances, 1.5 + STAGGER_S * index)
        for index in range(channels)
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "talk.wav"
        soundfile.write(path, recording(talks), SAMPLE_RATE, subtype="PCM_16")
        microphone = VirtualMicrophone(Path(folder), channels=channels)
        microphone.start()
        screen = Screen(names, microphone.env, Path(folder) / "rows.csv")
        try:
            if not screen.listening.wait(60):
                raise SystemExit("streamer does not listen")
            time.sleep(1.0)
            listener = Listener(microphone, channels)
            listener.start()
            time.sleep(0.5)
            with busy() if hog else nullcontext():
                microphone.play(path)
                time.sleep(2.0)
            code = screen.stop()
        finally:
            microphone.stop()
        if listener.began is None:
            raise SystemExit("nothing arrived at the microphone")
        return compare(talks, names, screen, listener.began, code)


def compare(talks: list[Talk], names: list[str], screen: Screen, began: float, code: int) -> Result:
    """Match what was seen with what was played, by time."""
    first: list[float] = []
    row: list[float] = []
    lost = 0
    for name, spoken in zip(names, talks, strict=True):
        rows = sorted(at for (channel, _), at in screen.rows.items() if channel == name)
        for onset, end in spoken.spans:
            own = [at for at in rows if onset <= at - began < end + PAUSE_S]
            lost += not own
            row += [1000 * (at - began - end) for at in own if at - began >= end][:1]
            seen = [at for at in screen.predicted[name] if onset <= at - began < end + PAUSE_S]
            first += [1000 * (seen[0] - began - onset)] if seen else []
    return Result(first, row, lost, code)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--utterances", type=int, default=20, help="on each channel")
    parser.add_argument("--busy", action="store_true")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if lacking := missing():
        raise SystemExit(f"no virtual microphone without {lacking}")
    result = measure(args.channels, args.utterances, hog=args.busy)
    hangover = Config().segmenter.hangover_ms
    figures = {
        "channels": args.channels,
        "busy": args.busy,
        "hangover_ms": hangover,
        "first_prediction_ms": _percentiles(result.first),
        "row_ms": _percentiles(result.row),
        "row_after_hangover_ms": _percentiles([ms - hangover for ms in result.row]),
        "utterances": args.channels * args.utterances,
        "without_a_row": result.missing,
        "exit_code": result.code,
    }
    if args.json:
        print(json.dumps(figures))
        return
    table = Table("from", "to", "p50", "p95", "most", "measured")
    for start, end, key in (
        ("onset", "first prediction on screen", "first_prediction_ms"),
        ("end", "row on screen", "row_ms"),
        ("end + hangover", "row on screen", "row_after_hangover_ms"),
    ):
        found = figures[key]
        cells = (f"{found[q]:.0f} ms" for q in ("p50", "p95", "most"))
        table.add_row(start, end, *cells, str(found["measured"]))
    console = Console()
    console.print(table)
    console.print(f"{result.missing} of {figures['utterances']} utterances without a row")


def _percentiles(values: list[float]) -> dict[str, float]:
    if not values:
        return {"p50": math.nan, "p95": math.nan, "most": math.nan, "measured": 0}
    p50, p95, most = np.quantile(values, (0.5, 0.95, 1.0)).tolist()
    return {"p50": p50, "p95": p95, "most": most, "measured": len(values)}


if __name__ == "__main__":
    main()
