"""Events through a real Redis: published, read, acknowledged, deleted, and its end survived."""

import asyncio
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from board_events import Simulation
from processes import RedisServer
from redis import Redis

from streamer.errors import ConfigError, OutputError
from streamer.server.redis import publisher as publishing
from streamer.server.redis.publisher import RedisPublisher
from streamer.server.redis.reader import RedisReader
from streamer.server.redis.streams import EVENTS, connect, shown
from streamer.server.redis.wallboard import RedisWallboard

CHILD = Path(__file__).parents[1] / "child.py"
ROOT = Path(__file__).parents[2]
WAIT_S = 60


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    """One Redis for the module."""
    found = RedisServer(tmp_path_factory.mktemp("redis") / "data")
    yield found
    found.kill()


@pytest.fixture(autouse=True)
def empty(redis):
    """Empty it for each test."""
    with Redis.from_url(redis.url) as client:
        client.flushall()


async def until(done):
    """Wait until something is so."""
    async with asyncio.timeout(WAIT_S):
        while not done():  # noqa: ASYNC110 - of a thread or another process
            await asyncio.sleep(0.01)


def event(call, kind="alert", **more: object):
    """An event of a call."""
    return {"event": kind, "call": call, "server": "s1", "at": time.time(), **more}


async def published(redis, *events: dict, keep_s=None):
    """Events that are in Redis."""
    publisher = RedisPublisher(connect(redis.url), redis.url, keep_s)
    writing = asyncio.create_task(publisher.run())
    for each in events:
        publisher.take(each)
    await publisher.written()
    return publisher, writing


async def ended(publisher, writing):
    """End a publisher; returns what it could not write."""
    left = await publisher.close()
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    return left


def test_what_is_published_is_read_in_order(redis):
    """What was before is read as of when it was; what comes later as of now."""

    async def run():
        seen = []
        before = [event(f"c-{i}") for i in range(5)]
        publisher, writing = await published(redis, *before)
        reader = RedisReader(connect(redis.url), "redis", lambda *it: seen.append(it), print)
        reading = asyncio.create_task(reader.run())
        await until(lambda: len(seen) == 5)
        await until(lambda: reader.ready)
        publisher.take(event("c-6", "rolling"))
        publisher.take(event("c-7"))
        await until(lambda: len(seen) == 7)
        reading.cancel()
        assert await ended(publisher, writing) == 0
        return seen

    seen = asyncio.run(run())
    assert [each["call"] for each, _ in seen[:5]] == [f"c-{i}" for i in range(5)]
    assert all(abs(at - time.time()) < 60 for _, at in seen[:5])
    assert {each["call"] for each, at in seen[5:] if at is None} == {"c-6", "c-7"}


def test_while_redis_is_away_events_wait(redis, caplog):
    """And come to it, in order, when it is back; who waits for one is told."""

    async def run():
        notices = []
        seen = []
        publisher, writing = await published(redis, event("c-1"))
        reader = RedisReader(
            connect(redis.url), "redis", lambda *it: seen.append(it), notices.append
        )
        reading = asyncio.create_task(reader.run())
        await until(lambda: len(seen) == 1)
        redis.kill()
        await until(lambda: any("does not answer" in notice for notice in notices))
        for i in range(2, 6):
            publisher.take(event(f"c-{i}"))
        publishing.TIMEOUT_S, kept = 0.1, publishing.TIMEOUT_S
        with pytest.raises(OutputError, match="does not answer"):
            await publisher.written()
        publishing.TIMEOUT_S = kept
        redis.start()
        await until(lambda: len(seen) == 5)
        await until(lambda: notices[-1] == "")
        reading.cancel()
        assert await ended(publisher, writing) == 0
        return seen

    seen = asyncio.run(run())
    assert [each["call"] for each, _ in seen] == [f"c-{i}" for i in range(1, 6)]
    assert "answers again" in caplog.text


def test_what_waits_is_bounded(redis, monkeypatch, caplog):
    """The oldest go, counted and said."""
    monkeypatch.setattr(publishing, "MAX_WAITING", 10)
    publisher = RedisPublisher(connect(redis.url), "redis")
    for i in range(15):
        publisher.take(event(f"c-{i}"))
    assert (publisher.waiting, publisher.lost) == (10, 5)
    assert "the oldest are lost" in caplog.text
    assert caplog.records[0].levelno == logging.ERROR
    assert asyncio.run(publisher.close()) == 5


def test_a_call_is_deleted(redis):
    """All of its entries, and no other's."""

    async def run():
        events = [event("gone"), event("stays"), event("gone"), event("gone", "call_deleted")]
        publisher, writing = await published(redis, *events)
        removed = await publisher.delete("gone")
        await ended(publisher, writing)
        return removed

    assert asyncio.run(run()) == 2
    with Redis.from_url(redis.url) as client:
        left = [fields[b"event"] for _, fields in client.xrange(EVENTS)]
    assert left == [b"alert", b"call_deleted"]


def test_what_is_too_old_is_removed(redis):
    """By Redis's own clock."""
    with Redis.from_url(redis.url) as client:
        client.xadd(EVENTS, {"json": "{}"}, id="1000-0")

        async def run():
            running = await published(redis, event("new"), keep_s=3600)
            await until(lambda: client.xlen(EVENTS) == 1)
            await ended(*running)

        asyncio.run(run())


def test_entries_of_others_do_no_harm(redis):
    """Whoever writes something else into the stream."""
    with Redis.from_url(redis.url) as client:
        client.xadd(EVENTS, {"json": "no"})
        client.xadd(EVENTS, {"other": "x"})
        client.xadd(EVENTS, {"json": "[1]"})
        client.xadd(EVENTS, {"json": json.dumps(event("fine"))})

    async def run():
        seen = []
        reader = RedisReader(connect(redis.url), "redis", lambda *it: seen.append(it), print)
        reading = asyncio.create_task(reader.run())
        await until(lambda: seen)
        reading.cancel()
        return seen

    assert [each["call"] for each, _ in asyncio.run(run())] == ["fine"]


def test_a_secret_in_the_address_is_not_shown():
    """Neither in messages nor in errors."""
    assert shown("redis://user:secret@host:1/0") == "redis://host:1/0"
    with pytest.raises(ConfigError, match=r"http://host") as error:
        connect("http://user:secret@host")
    assert "secret" not in str(error.value)


def test_the_wallboard_command_shows_and_acknowledges(redis, tmp_path):
    """A process of its own; what is acknowledged is in Redis when it says so."""
    calls = Simulation(2, time.time() - 30)

    async def write():
        events = [*calls.begin(), *calls.utterance("c-1001", "customer", "angry")]
        await ended(*await published(redis, *events, calls.alert("c-1001", time.time())))

    asyncio.run(write())
    with subprocess.Popen(
        [
            *(sys.executable, str(CHILD), "wallboard", "--from", redis.url),
            *("--listen", "127.0.0.1:0"),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            url = re.fullmatch(r"listening on (http://[\d.:]+)\n", process.stdout.readline())[1]
            with httpx.Client(base_url=url, trust_env=False, timeout=WAIT_S) as web:
                deadline = time.monotonic() + WAIT_S
                while web.get("/readyz").status_code != 200:
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
                (alert,) = web.get("/wallboard/calls/c-1001").json()["alerts"]
                asked = {"call": "c-1001", "alert": alert["id"], "by": "Eva <b>"}
                while (answer := web.post("/wallboard/acknowledge", json=asked)).status_code == 503:
                    assert time.monotonic() < deadline  # a busy Redis: it is tried further
                assert answer.status_code == 204
                with Redis.from_url(redis.url) as client:
                    last = json.loads(client.xrevrange(EVENTS, count=1)[0][1][b"json"])
                assert (last["event"], last["by"]) == ("acknowledged", "Eva b")
                while web.get("/wallboard/calls/c-1001").json()["alerts"][0]["by"] != "Eva b":
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
            process.send_signal(signal.SIGTERM)
            assert process.wait(WAIT_S) == 0
        finally:
            process.kill()


def test_a_wallboard_without_redis_says_so(tmp_path):
    """It starts, and is not ready."""
    del tmp_path
    wallboard = RedisWallboard(connect("redis://127.0.0.1:1"), "redis://127.0.0.1:1", None)

    async def run():
        stopped = asyncio.Event()
        running = asyncio.create_task(wallboard.run(stopped))
        await until(lambda: "does not answer" in wallboard._board._notice)
        stopped.set()
        return await running

    assert asyncio.run(run()) == 0
