"""Runs `streamer serve` as a process of its own, and reads its costs and metrics (Linux)."""

import csv
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

READY_S = 120.0
"""How long it may take to load the model."""


class ServerProcess:
    """A server that takes calls.

    Args:
        folder: For its CSV and what it says.
        options: Of the command.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self.csv = folder / "calls.csv"
        self._errors = (folder / "errors").open("w", encoding="utf-8")
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [
                *(sys.executable, "-m", "streamer", "serve", "--listen", "127.0.0.1:0"),
                *("--csv", str(self.csv), *options),
            ],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        assert self._process.stdout is not None, "piped"  # noqa: S101 - for type checkers
        found = re.fullmatch(r"listening on http://(\S+)\n", self._process.stdout.readline())
        if found is None:
            raise SystemExit(f"the server does not start:\n{(folder / 'errors').read_text()}")
        self.address = found[1]
        ends_at = time.monotonic() + READY_S
        while self._status("/readyz") != 200:
            if time.monotonic() > ends_at:
                raise SystemExit("the server is not ready")
            time.sleep(0.1)

    def figure(self, name: str) -> float:
        """A figure of its metrics."""
        with urllib.request.urlopen(f"http://{self.address}/metrics") as answer:
            found = re.search(rf"^{name} (\S+)$", answer.read().decode(), re.MULTILINE)
        if found is None:
            raise SystemExit(f"the server has no figure {name}")
        return float(found[1])

    def cpu_s(self) -> float:
        """Processor time that it has used, with the process of its model."""
        return sum(map(_cpu_s, self._tasks("stat")))

    def thread_cpu_s(self) -> dict[str, float]:
        """The same by the names of its threads, as far as the system knows them."""
        found: dict[str, float] = {}
        for text in self._tasks("task/*/stat"):
            name = text.partition("(")[2].rpartition(")")[0]
            found[name] = found.get(name, 0.0) + _cpu_s(text)
        return found

    def resident_mb(self) -> float:
        """Memory that it has now."""
        pages = sum(int(text.split()[1]) for text in self._tasks("statm"))
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def descriptors(self) -> int:
        """Files and sockets that it has open."""
        return sum(len(list((folder / "fd").iterdir())) for folder in self._folders())

    def threads(self) -> int:
        """Threads that it has."""
        return sum(len(list((folder / "task").iterdir())) for folder in self._folders())

    def _folders(self) -> list[Path]:
        """What the system knows of its processes."""
        own = Path(f"/proc/{self._process.pid}")
        children = [each.read_text().split() for each in own.glob("task/*/children")]
        return [own, *(Path("/proc") / pid for pids in children for pid in pids)]

    def _tasks(self, pattern: str) -> list[str]:
        return [path.read_text() for folder in self._folders() for path in folder.glob(pattern)]

    def rows(self) -> list[dict[str, str]]:
        """What is in its CSV."""
        with self.csv.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file, strict=True))

    def stop(self) -> int:
        """Have it end as an orchestrator does; returns its exit code."""
        self._process.terminate()
        code = self._process.wait(READY_S)
        self._errors.close()
        return code

    def kill(self) -> None:
        """End it at once, where it still runs."""
        self._process.kill()
        self._process.communicate()

    def _status(self, path: str) -> int:
        try:
            with urllib.request.urlopen(f"http://{self.address}{path}") as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code


def _cpu_s(stat: str) -> float:
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def served(folder: Path, *options: str) -> Iterator[ServerProcess]:
    """A server for as long as it is needed."""
    server = ServerProcess(folder, *options)
    try:
        yield server
    finally:
        server.kill()


def own_cpu_s() -> float:
    """Processor time that this process has used: what the callers cost."""
    return time.process_time()


def twilio_start(call: str) -> str:
    """The first message of a call of two tracks."""
    form = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
    start = {
        "streamSid": f"MZ{call}",
        "callSid": call,
        "tracks": ["inbound", "outbound"],
        "customParameters": {},
        "mediaFormat": form,
    }
    return json.dumps({"event": "start", "start": start})
