"""A peer that takes nothing of what it is sent: bounded, and its rows are written."""

import asyncio
import csv
import time

import pytest
from fakes import FakeModel
from serving import voices

from streamer.config import Config
from streamer.server import connection as connections
from streamer.server.connection import Connection, Limits
from streamer.server.engine import Engine
from streamer.server.hub import Hub
from streamer.server.protocols.native import END, Header, NativeCodec
from streamer.types import SAMPLE_RATE


class Deaf:
    """A transport whose peer sends a call and never reads."""

    def __init__(self, messages: list[str | bytes]) -> None:
        self._messages = messages
        self.closed: tuple[int, str] | None = None

    async def receive(self) -> str | bytes | None:
        """The next message."""
        return self._messages.pop(0) if self._messages else None

    async def send(self, message: str | bytes) -> None:
        """Wait for ever."""
        del message
        await asyncio.Event().wait()

    async def close(self, code: int, reason: str) -> None:
        """Note it."""
        self.closed = code, reason


@pytest.fixture
def engine(tmp_path):
    """With a scripted model."""
    found = Engine(FakeModel, Config(), tmp_path / "rows.csv")
    found.start()
    while found.model is None:
        time.sleep(0.01)
    yield found
    found.stop()


def test_a_peer_that_never_reads_loses_messages_and_no_row(engine, tmp_path, monkeypatch):
    """What waits for it is bounded, the end does not wait for it."""
    monkeypatch.setattr(connections, "MAX_LINES", 3)
    monkeypatch.setattr(connections, "LINES_TIMEOUT_S", 0.1)
    said = voices(8)
    pieces = [said[at : at + 3200] for at in range(0, len(said), 3200)]
    peer = Deaf([Header(SAMPLE_RATE).to_json(), *pieces, END])

    async def run() -> Connection:
        hub = Hub("here", lambda: 0, lambda: 0)
        found = Connection(peer, NativeCodec(), engine, hub, Limits(ahead_s=3600))
        await found.run(asyncio.Event())
        return found

    found = asyncio.run(run())
    assert peer.closed == (1000, "")
    assert found._outgoing.qsize() <= 3
    with (tmp_path / "rows.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) >= 2
