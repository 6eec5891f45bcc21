"""Starts real programs of Debian for the tests: Redis, HAProxy."""

import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

WAIT_S = 30


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


def needed(program: str) -> str:
    """The path of a program; the test is skipped where it is not installed."""
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin")
    if found is None:
        pytest.skip(f"{program} is not installed: apt-get install {program}")
    return found


def wait_for_port(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Wait until something answers there."""
    deadline = time.monotonic() + WAIT_S
    while True:
        assert process.poll() is None, "it has ended"
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < deadline, "it does not answer"
            time.sleep(0.02)
        else:
            return


class RedisServer:
    """A Redis of its own, which keeps what it is given on disk."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self._folder = folder
        folder.mkdir(exist_ok=True)
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it, with what it had."""
        self._process = subprocess.Popen(
            [
                *(needed("redis-server"), "--port", str(self.port), "--bind", "127.0.0.1"),
                *("--dir", str(self._folder), "--appendonly", "yes", "--appendfsync", "always"),
                *("--save", "", "--daemonize", "no"),
            ],
            stdout=subprocess.DEVNULL,
        )
        wait_for_port(self.port, self._process)

    def kill(self) -> None:
        """End it at once, as a power cut does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
