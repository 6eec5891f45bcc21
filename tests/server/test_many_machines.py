"""Two servers behind HAProxy, Redis and a wallboard, as processes; one server is killed."""

import contextlib
import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import soundfile
from processes import RedisServer, free_port, needed, wait_for_port
from voices import VOICES
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from streamer.server.protocols.native import END, Header
from streamer.types import SAMPLE_RATE

CHILD = Path(__file__).parents[1] / "child.py"
ROOT = Path(__file__).parents[2]
WAIT_S = 60
PLACES = ("CALLS", "SERVER_ONE", "SERVER_TWO", "WALLBOARD")
PIECE = SAMPLE_RATE // 5


class Program:
    """A command of streamer as a process that says where it listens."""

    def __init__(self, folder: Path, name: str, *argv: str) -> None:
        self.folder = folder / name
        self.folder.mkdir()
        self._errors = (self.folder / "stderr").open("w")
        self.process = subprocess.Popen(
            [sys.executable, str(CHILD), *argv, "--listen", "127.0.0.1:0"],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

    def address(self) -> str:
        """Host and port, once it listens."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.fullmatch(r"listening on http://([\d.:]+)\n", line)
        assert found, (self.folder / "stderr").read_text()
        self.port = found[1].partition(":")[2]
        return found[1]

    def rows(self) -> list[dict[str, str]]:
        """What is in its CSV."""
        with (self.folder / "calls.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    def close(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.communicate()
        self._errors.close()


class Caller:
    """A call through the balancer, in streamer's own protocol."""

    def __init__(self, edge: str, call: str) -> None:
        self.call = call
        self._pcm, _ = soundfile.read(VOICES, dtype="int16")
        self._at = 0
        self.utterances: list[dict[str, object]] = []
        self._url = f"ws://{edge}/v1/stream"
        self._connect()

    def _connect(self) -> None:
        self._stack = contextlib.ExitStack()
        self._socket = self._stack.enter_context(
            connect(self._url, proxy=None, open_timeout=WAIT_S, close_timeout=1)
        )
        self._socket.send(Header(SAMPLE_RATE, ("customer",), call=self.call).to_json())

    def speak(self, seconds: float) -> bool:
        """Send the next seconds and take what comes back; False where the connection is gone."""
        try:
            for _ in range(round(seconds * 5)):
                self._socket.send(self._pcm[self._at : self._at + PIECE].tobytes())
                self._at = (self._at + PIECE) % (len(self._pcm) - PIECE)
            self._take(0.05)
        except ConnectionClosed:
            return False
        return True

    def heard_until(self, count: int) -> bool:
        """Wait for a number of utterances; False where the connection is gone before."""
        try:
            deadline = time.monotonic() + WAIT_S
            while len(self.utterances) < count:
                assert time.monotonic() < deadline
                self._take(0.2)
        except ConnectionClosed:
            return False
        return True

    def again(self) -> None:
        """Connect again, as a peer does whose connection has gone."""
        with contextlib.suppress(ConnectionClosed):
            self._take(0.05)
        self._stack.close()
        self._connect()

    def end(self) -> None:
        """End the call and take all that comes back."""
        self._socket.send(END)
        for line in self._socket:
            self._note(line)

    def _take(self, timeout_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            while True:
                self._note(self._socket.recv(timeout_s))

    def _note(self, line: str | bytes) -> None:
        event = json.loads(line)
        if event["event"] == "utterance":
            self.utterances.append(event)


@pytest.fixture(scope="module")
def machines(tmp_path_factory):
    """All processes: the two servers, the wallboard, and where HAProxy listens."""
    folder = tmp_path_factory.mktemp("machines")
    haproxy = needed("haproxy")
    redis = RedisServer(folder / "redis")
    serve = ("serve", "--publish", redis.url, "--csv", "calls.csv", "--ahead", "3600")
    one, two = Program(folder, "one", *serve), Program(folder, "two", *serve)
    board = Program(folder, "board", "wallboard", "--from", redis.url, "--lost-after", "3")
    edge = f"127.0.0.1:{free_port()}"
    addresses = [program.address() for program in (one, two, board)]
    balancer = subprocess.Popen(
        [haproxy, "-f", str(ROOT / "deploy/haproxy.cfg")],
        env=dict(zip(PLACES, (edge, *addresses), strict=True)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for_port(int(edge.partition(":")[2]), balancer)
        for address in addresses:
            until(lambda a=address: get(a, "/readyz").status_code == 200)
        until(lambda: get(edge, "/").status_code == 200)
        yield one, two, edge
    finally:
        for program in (one, two, board):
            program.close()
        balancer.kill()
        balancer.wait()
        redis.kill()


def get(address, path):
    """An answer over HTTP."""
    return httpx.get(f"http://{address}{path}", trust_env=False, timeout=WAIT_S)


def until(done):
    """Wait until something is so."""
    deadline = time.monotonic() + WAIT_S
    while not (found := done()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def on_board(edge, call):
    """A call as the wallboard shows it; empty where it does not."""
    answer = get(edge, f"/wallboard/calls/{call}")
    return answer.json() if answer.status_code == 200 else {}


def test_a_server_is_killed_and_nothing_that_was_acknowledged_is_lost(machines):
    """Calls on the other go on, callers connect again, the wallboard shows what happened."""
    one, two, edge = machines
    callers = {name: Caller(edge, name) for name in ("c-1", "c-2", "c-3", "c-4")}
    for caller in callers.values():
        assert caller.speak(18)
    for caller in callers.values():
        assert caller.heard_until(3)
    where = {name: until(lambda n=name: on_board(edge, n).get("server")) for name in callers}
    assert sorted(list(where.values()).count(s) for s in set(where.values())) == [2, 2]

    # an alert is acknowledged, over the balancer
    call, alert = until(
        lambda: next(
            ((c, a["id"]) for c in callers for a in on_board(edge, c).get("alerts", [])), None
        )
    )
    asked = {"call": call, "alert": alert, "by": "Eva"}
    url = f"http://{edge}/wallboard/acknowledge"
    assert httpx.post(url, json=asked, trust_env=False).status_code == 204

    # the server that has it is killed
    gone = where[call]
    victim, other = (one, two) if f":{one.port}-" in gone else (two, one)
    victim.process.send_signal(signal.SIGKILL)
    victim.process.wait()
    on_victim = [name for name, server in where.items() if server == gone]
    on_other = [name for name in callers if name not in on_victim]
    before = {name: len(callers[name].utterances) for name in on_other}
    for name in on_other:
        assert callers[name].speak(8)
    for name in on_other:
        assert callers[name].heard_until(before[name] + 1)

    # what its peers were told of is in the CSV of the server that is no more
    rows = {(row["source"], row["utterance"]) for row in victim.rows()}
    for name in on_victim:
        until(lambda n=name: not callers[n].speak(0.2))
        told = {(name, str(u["utterance"])) for u in callers[name].utterances}
        assert len(told) >= 2
        assert told <= rows

    # one of its callers connects again, and is on the other server; the other one is lost
    comes, stays_away = call, next(name for name in on_victim if name != call)
    callers[comes].again()
    assert callers[comes].speak(8)
    until(lambda: on_board(edge, comes).get("server") not in (gone, None))
    lost = until(lambda: (c := on_board(edge, stays_away)).get("status") == "lost" and c)
    assert len(lost["utterances"]) >= 2
    shown = on_board(edge, comes)
    assert shown["status"] == "live"
    assert [(a["id"], a["by"]) for a in shown["alerts"] if a["id"] == alert] == [(alert, "Eva")]

    for name in (comes, *on_other):
        callers[name].end()
        until(lambda n=name: on_board(edge, n).get("status") == "ended")
    told = {(n, str(u["utterance"])) for n in on_other for u in callers[n].utterances}
    assert told <= {(row["source"], row["utterance"]) for row in other.rows()}
    other.process.send_signal(signal.SIGTERM)
    assert other.process.wait(WAIT_S) == 0
