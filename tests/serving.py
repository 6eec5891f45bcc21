"""Runs ``streamer serve`` as a process with a scripted model, and connects to it."""

import csv
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import soundfile
from voices import VOICES
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from streamer.server.protocols.audio import BYTES
from streamer.server.protocols.native import Header
from streamer.types import SAMPLE_RATE

CHILD = Path(__file__).parent / "child.py"
ROOT = Path(__file__).parents[1]
WAIT_S = 60


class Serving:
    """``streamer serve`` as a process.

    Args:
        folder: Where it runs and writes.
        args: For the command.
        trusted: What to trust it by, where it speaks TLS.
    """

    def __init__(self, folder: Path, *args: str, trusted: ssl.SSLContext | None = None) -> None:
        self.csv = folder / "calls.csv"
        self._errors = (folder / "stderr").open("w")
        self.process = subprocess.Popen(
            [
                *(sys.executable, str(CHILD), "serve", "--listen", "127.0.0.1:0"),
                *("--csv", str(self.csv), "--ahead", "3600", *args),
            ],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        scheme = "https" if trusted else "http"
        found = re.fullmatch(rf"listening on {scheme}://127\.0\.0\.1:(\d+)\n", line)
        assert found, (folder / "stderr").read_text()
        self.port = int(found[1])
        self.audiosocket = 0
        if "--audiosocket" in args:
            self.audiosocket = int(self.process.stdout.readline().rpartition(":")[2])
        self.http = httpx.Client(
            base_url=f"{scheme}://127.0.0.1:{self.port}", verify=trusted or True, trust_env=False
        )
        self.wait(lambda: self.http.get("/readyz").status_code == 200)

    def close(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.communicate()
        self.http.close()
        self._errors.close()

    def wait(self, done: Callable[[], bool]) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + WAIT_S
        while not done():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def connect(
        self, path: str = "/v1/stream", subprotocols: list[str] | None = None, **headers: str
    ) -> ClientConnection:
        """A connection to it."""
        return connect(
            f"ws://127.0.0.1:{self.port}{path}",
            proxy=None,
            additional_headers=headers,
            subprotocols=subprotocols,
            open_timeout=WAIT_S,
        )

    def stop(self) -> int:
        """Send SIGTERM; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(WAIT_S)

    def rows(self, call: str | None = None) -> list[dict[str, str]]:
        """What is in the CSV, or of a call in it."""
        with self.csv.open(newline="") as file:
            return [row for row in csv.DictReader(file) if call in (None, row["source"])]

    def figure(self, name: str) -> float:
        """A figure of ``/metrics``."""
        found = re.search(rf"^{name} (\S+)$", self.http.get("/metrics").text, re.MULTILINE)
        assert found is not None
        return float(found[1])


def voices(seconds: float) -> bytes:
    """The beginning of the recording of several voices, s16le."""
    pcm, _ = soundfile.read(VOICES, dtype="int16", frames=round(seconds * SAMPLE_RATE))
    return pcm.tobytes()


def send(socket: ClientConnection, header: Header, audio: bytes) -> None:
    """A header and audio, in pieces of 100 ms."""
    socket.send(header.to_json())
    piece = BYTES[header.encoding] * len(header.channels) * header.rate // 10
    for at in range(0, len(audio), piece):
        socket.send(audio[at : at + piece])


def lines(socket: ClientConnection) -> list[dict[str, object]]:
    """All that is sent back."""
    return [json.loads(line) for line in socket]


def cut(socket: ClientConnection) -> tuple[int, str]:
    """With what code and reason a connection is closed."""
    try:
        while True:
            socket.recv(WAIT_S)
    except ConnectionClosed as error:
        closed = error.rcvd
    assert closed is not None
    return closed.code, closed.reason
