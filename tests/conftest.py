"""Fixtures: the recording of several voices, a virtual microphone, streamer as a process."""

import csv
import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hooks import Server
from hypothesis import settings
from real_terminal import terminal  # noqa: F401 - a fixture
from virtual_microphone import VirtualMicrophone, missing
from voices import VOICES, Excerpt, truth

settings.register_profile("streamer", deadline=None)  # a busy machine is no fault
settings.load_profile("streamer")

EXCERPT_S = 9.0
BRISK_S, BRISK_PAUSE_S = 1.6, 0.6


def pytest_configure() -> None:
    """One thread for torch in each process: several run at once, and threads would wait in turn."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the garbage collector from what is there for good: modules and tests, a million objects.

    It would walk them again and again while they come and when Python ends: 3 s of each process.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session")
def excerpt(tmp_path_factory: pytest.TempPathFactory) -> Excerpt:
    """The first utterances of several voices, as a WAV file that ends in a pause."""
    pcm, rate = soundfile.read(VOICES, dtype="int16")
    inside = [t for t in truth() if t.end + 1.0 < EXCERPT_S]
    after = next(t.start for t in truth() if t.start > inside[-1].end)
    path = tmp_path_factory.mktemp("excerpt") / "excerpt.wav"
    soundfile.write(path, pcm[: round((after - 0.1) * rate)], rate)
    return Excerpt(path, inside)


@pytest.fixture(scope="session")
def brisk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The beginnings of its utterances in quick succession, for tests that wait for rows."""
    pcm, rate = soundfile.read(VOICES, dtype="int16")
    starts = [round(t.start * rate) for t in truth()]
    parts = [pcm[: starts[0]]]
    for start in starts:
        parts += [pcm[start:][: round(BRISK_S * rate)], pcm[: round(BRISK_PAUSE_S * rate)]]
    path = tmp_path_factory.mktemp("brisk") / "brisk.wav"
    soundfile.write(path, np.tile(np.concatenate(parts), 2), rate)
    return path


@pytest.fixture(scope="session")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VirtualMicrophone]:
    """A virtual microphone, plugged in."""
    if lacking := missing():
        pytest.skip(f"no virtual microphone without {lacking}")
    virtual = VirtualMicrophone(tmp_path_factory.mktemp("mic"))
    virtual.start()
    yield virtual
    virtual.stop()


class Running:
    """``streamer run --json`` as a process, and the lines that it has written so far."""

    def __init__(
        self, args: list[str], env: dict[str, str], folder: Path, *, real_model: bool
    ) -> None:
        self.csv = folder / "rows.csv"
        program = ("-m", "streamer") if real_model else (str(Path(__file__).parent / "child.py"),)
        self.process = subprocess.Popen(
            [sys.executable, *program, "run", "--json", "--csv", str(self.csv), *args],
            env=env,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def wait_for(self, wanted: Callable[[dict[str, Any]], bool], count: int = 1) -> None:
        """Wait until a number of lines are as wanted."""
        deadline = time.monotonic() + 60
        while sum(map(wanted, self.lines)) < count:
            assert self.process.poll() is None, self.process.stderr and self.process.stderr.read()
            assert time.monotonic() < deadline, f"waited too long; got {self.lines}"
            time.sleep(0.02)

    def wait_for_state(self, state: str, count: int = 1) -> None:
        """Wait until it has been in a state so often."""
        self.wait_for(lambda line: line["event"] == "state" and line["state"] == state, count)

    def stop(self, number: int = signal.SIGINT) -> int:
        """Send a signal; returns the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(30)
        self._reader.join(10)
        return code

    def rows(self) -> list[dict[str, str]]:
        """The CSV's rows."""
        with self.csv.open(newline="") as file:
            return list(csv.DictReader(file))


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Start ``streamer run --json`` with arguments and an environment; ended with the test."""
    started: list[Running] = []

    def start(*args: str, env: dict[str, str] | None = None, real_model: bool = True) -> Running:
        running = Running(list(args), env or dict(os.environ), tmp_path, real_model=real_model)
        started.append(running)
        return running

    yield start
    for running in started:
        running.process.kill()
        running.process.communicate()


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Server]]:
    """Start servers; ended with the test."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    started = []

    def start(*answers: int | threading.Event) -> Server:
        started.append(Server(*answers))
        return started[-1]

    yield start
    for server in started:
        server.close()
