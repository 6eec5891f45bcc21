"""``streamer run --wallboard`` as a process: one desk on a page."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import httpx
import soundfile
from voices import VOICES

CHILD = Path(__file__).parents[1] / "child.py"
ROOT = Path(__file__).parents[2]
WAIT_S = 30


def run(*args: str, folder):
    """The command, with raw PCM on standard input."""
    return subprocess.Popen(
        [sys.executable, str(CHILD), "run", "--input", "-", "--no-csv", *args],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def address(process) -> str:
    """Of the wallboard; what is logged may come before it."""
    lines = (line.decode() for line in process.stderr)
    return next(
        filter(None, (re.fullmatch(r"wallboard on (http://[\d.:]+/)\n", n) for n in lines))
    )[1]


def test_a_desk_is_on_the_wallboard(tmp_path):
    """With what was heard, while it goes on; the lines on standard output stay as they are."""
    pcm, _ = soundfile.read(VOICES, dtype="int16", frames=8 * 16_000)
    with run("--wallboard", "127.0.0.1:0", folder=tmp_path) as process:
        try:
            url = address(process)
            process.stdin.write(pcm.tobytes())
            process.stdin.flush()
            deadline = time.monotonic() + WAIT_S
            shown = {}
            with httpx.Client(trust_env=False) as web:
                while not shown.get("utterances"):
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
                    answer = web.get(f"{url}wallboard/calls/standard input")
                    shown = answer.json() if answer.status_code == 200 else {}
                assert "<title>Calls</title>" in web.get(url).text
            process.stdin.close()
            assert process.wait(WAIT_S) == 0
        finally:
            process.kill()
    assert shown["status"] == "live"
    assert [channel["name"] for channel in shown["channels"]] == ["mono"]
    assert shown["utterances"][0]["heard"]["emotion"] in ("angry", "calm")


def test_a_wallboard_of_one_desk_is_for_this_machine_alone(tmp_path):
    """It has no tokens."""
    with run("--wallboard", "0.0.0.0:0", folder=tmp_path) as process:
        _, errors = process.communicate(timeout=WAIT_S)
    assert process.returncode == 2
    assert b"expected 127.0.0.1:PORT" in errors
