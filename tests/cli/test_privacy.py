"""What is promised in SECURITY.md: no network, no audio on disk, nothing executed, no secrets."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from bundles import edit_manifest, small_bundle
from commands import streamer
from hooks import SECRET

from streamer.errors import ModelError
from streamer.model import bundle

HOOK = """
import os, sys
log = os.open({log!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND
def hook(event, args):
    if event == "open" and not (isinstance(args[2], int) and args[2] & WRITES):
        return
    if event == "open" and isinstance(args[0], int):
        return  # wraps a file that is open
    if event.startswith(("open", "socket.", "subprocess.", "os.exec", "os.system", "pickle.")):
        os.write(log, f"{{event}} {{args[0]}}\\n".encode(errors="replace"))
sys.addaudithook(hook)
"""

PROGRAM = [sys.executable, "-m", "streamer"]
CHILD = Path(__file__).parents[1] / "child.py"


def allowed(*command: str) -> list[str]:
    """What to put before a command; nothing where that is not there or not allowed."""
    try:
        done = subprocess.run([*command, "true"], capture_output=True, check=False)
    except FileNotFoundError:
        return []
    return list(command) if done.returncode == 0 else []


def without_network() -> list[str]:
    """What to put before a command to take its network away; nothing where that is not allowed."""
    return allowed("unshare", "--net")


@pytest.mark.parametrize("command", ["run --json --duration 4 --input", "file"])
def test_no_network_and_no_audio_on_disk(tmp_path, excerpt, command):
    """A whole run with the network taken away: no socket, no program, one file written.

    What Python opens is noted; strace, where there is one, tells what libraries connect to.
    """
    events = tmp_path / "events"
    events.touch()
    (tmp_path / "sitecustomize.py").write_text(HOOK.format(log=str(events)))
    paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"}
    folder, home, connects = (tmp_path / name for name in ("work", "home", "connects"))
    folder.mkdir()
    home.mkdir()
    connects.touch()
    env |= {"HOME": str(home), "XDG_CACHE_HOME": "", "ORT_DISABLE_TELEMETRY": "0"}
    tracing = allowed(
        *("strace", "-f", "--seccomp-bpf", "-qq", "-e", "trace=connect,sendto"),
        *("-o", str(connects)),
    )
    before = [*without_network(), *tracing]
    result = subprocess.run(
        [*before, *PROGRAM, *command.split(), str(excerpt.path), "--csv", "rows.csv"],
        cwd=folder, env=env, capture_output=True, timeout=100, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    told = events.read_text().splitlines()
    written = {line for line in told if line.startswith("open ")}
    assert [line for line in told if line not in written] == []
    assert "AF_INET" not in connects.read_text()
    assert list(home.iterdir()) == []
    ledger = {"rows.csv.ledger"} if command == "file" else set()
    opened = {line.rpartition("/")[2].removeprefix("open ") for line in written}
    assert opened - {"null"} == {"rows.csv"} | ledger
    assert {path.name for path in folder.iterdir()} == {"rows.csv"} | ledger
    assert len((folder / "rows.csv").read_text().splitlines()) > 1


def test_a_microphone_is_heard_without_a_network(microphone, excerpt, tmp_path):
    """The local sound server is a socket of another kind."""
    alone = without_network()
    if not alone:
        pytest.skip("taking the network away is not allowed here")
    running = subprocess.Popen(
        [*alone, sys.executable, str(CHILD), "run", "--csv", "rows.csv", "--duration", "5"],
        cwd=tmp_path, env=microphone.env, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert running.stdout is not None
    for line in running.stdout:
        if line.startswith("listening"):
            break
    microphone.play(excerpt.path)
    running.communicate(timeout=100)
    assert running.returncode == 0
    assert len((tmp_path / "rows.csv").read_text().splitlines()) > 1


class Boobytrap:
    """Does harm when it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("harm",)


def test_a_bundle_with_a_pickle_in_it_is_refused(tmp_path, monkeypatch):
    """Nothing of it is executed."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "small"
    bundle.save(small_bundle(), folder)
    (folder / bundle.WEIGHTS).write_bytes(pickle.dumps(Boobytrap()))
    digest = bundle._digest(folder / bundle.WEIGHTS)
    edit_manifest(folder, lambda content: content["files"].update({bundle.WEIGHTS: digest}))
    with pytest.raises(ModelError, match="cannot be read"):
        bundle.load(folder)
    assert not (tmp_path / "harm").exists()


def test_a_secret_of_the_environment_is_printed_nowhere(tmp_path):
    """Neither by `config show` nor in a message about what is wrong with it."""
    env = os.environ | {"STREAMER_ALERTS_WEBHOOK_SECRET": SECRET, "COLUMNS": "300"}
    shown = streamer("config", "show", cwd=tmp_path, env=env)
    assert b"STREAMER_ALERTS_WEBHOOK_SECRET" in shown.stdout
    env["STREAMER_ALERTS_TIMEOUT_S"] = "soon"
    wrong = streamer("config", "show", cwd=tmp_path, env=env)
    assert wrong.returncode == 2
    env |= {"STREAMER_ALERTS_WEBHOOK_SECRET": "short"}
    short = streamer("config", "show", cwd=tmp_path, env=env)
    assert b"got a secret" in short.stderr
    for result in (shown, wrong):
        assert SECRET.encode() not in result.stdout + result.stderr
