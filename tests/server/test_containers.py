"""The container's image and deploy/compose.yaml at work, in Docker: ``make test-image``."""

import os
import secrets
import shutil
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import soundfile
from voices import VOICES

ROOT = Path(__file__).parents[2]
IMAGE = os.environ.get("IMAGE")
WAIT_S = 300

pytestmark = [
    pytest.mark.skipif(IMAGE is None, reason="is for `make test-image`, which builds the image"),
    pytest.mark.timeout(WAIT_S),
]


def docker(*args: str) -> str:
    """What a command of Docker prints, at its end."""
    done = subprocess.run(
        ["docker", *args], capture_output=True, text=True, timeout=WAIT_S, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def confined(folder):
    """What takes from a container all that it can do without."""
    return (
        *("--network", "none", "--read-only", "--cap-drop", "ALL", "--volume", f"{folder}:/data"),
        *("--user", f"{os.getuid()}:{os.getgid()}"),
    )


@pytest.fixture(scope="module")
def excerpt(tmp_path_factory):
    """The first seconds of speech, as a file."""
    path = tmp_path_factory.mktemp("calls") / "call.wav"
    pcm, rate = soundfile.read(VOICES, stop=8 * soundfile.info(VOICES).samplerate, dtype="int16")
    soundfile.write(path, pcm, rate)
    return path


def test_recordings_are_analysed(excerpt):
    """As the Dockerfile's first lines say; the rows are those of who started it."""
    done = docker(
        "run", "--rm", *confined(excerpt.parent), IMAGE, "file", ".", "--csv", "calls.csv"
    )
    assert "call.wav: " in done
    rows = excerpt.parent / "calls.csv"
    assert len(rows.read_text().splitlines()) > 1
    assert rows.stat().st_uid == os.getuid()


def test_a_stop_ends_it_with_its_rows(excerpt, tmp_path):
    """And at once, although nothing more comes through the pipe."""
    pcm, _ = soundfile.read(excerpt, dtype="int16")
    name = f"streamer-{secrets.token_hex(4)}"
    with subprocess.Popen(
        [
            *("docker", "run", "--rm", "--interactive", "--name", name, *confined(tmp_path)),
            *(IMAGE, "run", "--input", "-", "--csv", "rows.csv"),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        running.stdin.write(pcm.tobytes() + bytes(2 * 16_000))  # a second of silence ends speech
        running.stdin.flush()
        for line in running.stdout:
            if b" s  mono  " in line:  # an utterance
                break
        docker("stop", "--time", "60", name)
    assert running.returncode == 0
    assert len((tmp_path / "rows.csv").read_text().splitlines()) > 1


@pytest.fixture(scope="module")
def composed(tmp_path_factory):
    """A token, and `docker compose` with a copy of deploy/ in which secrets are."""
    folder = tmp_path_factory.mktemp("compose")
    shutil.copytree(ROOT / "deploy", folder, dirs_exist_ok=True)
    shutil.rmtree(folder / "secrets", ignore_errors=True)
    (folder / "secrets").mkdir(mode=0o700)
    token = secrets.token_hex(16)
    for name in ("tokens", "redis"):
        (folder / "secrets" / name).write_text(f"{token}\n")
        (folder / "secrets" / name).chmod(0o644)

    def compose(*args: str) -> str:
        name = ("--project-name", "streamer-test")
        return docker("compose", *name, "--file", str(folder / "compose.yaml"), *args)

    try:
        compose("up", "--detach", "--wait", "--wait-timeout", "200")
        yield token, compose
    finally:
        compose("down", "--volumes")


def calling(path, token):
    """The command that sends a call through the balancer."""
    url = "ws://127.0.0.1:8765/v1/stream"
    return [sys.executable, "-u", ROOT / "examples/serve/call.py", path, url, token]


def call(path, token):
    """The utterances that a call through the balancer brings; None where it is refused."""
    done = subprocess.run(
        calling(path, token), capture_output=True, text=True, timeout=WAIT_S, check=False
    )
    return done.stdout.count("utterance") if done.returncode == 0 else None


def rows(compose):
    """The rows of both servers."""
    texts = (compose("exec", s, "sh", "-c", "cat /data/*.csv || true") for s in ("one", "two"))
    return [line for text in texts for line in text.splitlines() if ",customer," in line]


def test_calls_are_answered_and_their_rows_stay(composed, excerpt):
    """Also those of a call during which everything is stopped."""
    token, compose = composed
    while (heard := call(excerpt, token)) is None:  # until the balancer has seen a server ready
        time.sleep(1)
    assert heard > 0
    assert call(excerpt, "no" * 10) is None
    page = httpx.get("http://127.0.0.1:8765/", trust_env=False)
    assert (page.status_code, "Calls" in page.text) == (200, True)
    with subprocess.Popen(calling(excerpt, token), stdout=subprocess.PIPE) as late:
        assert late.stdout is not None
        late.stdout.read(1)
        compose("stop")
    assert late.returncode == 0
    compose("start")
    assert len(rows(compose)) == 2 * heard
