"""PipeWire, where it is installed: its sources are listed by name, and each can be heard."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile
from fakes import speech
from virtual_microphone import ALSA_CONFIG

NEEDS = ("pipewire", "pipewire-pulse", "wireplumber", "dbus-run-session", "pactl", "paplay")
CHILD = Path(__file__).parents[1] / "child.py"
PATIENCE_S = 40


@pytest.fixture(scope="module")
def pipewire(tmp_path_factory):
    """A server of its own with two sinks, of which the default one is silent; its environment."""
    lacking = [name for name in NEEDS if shutil.which(name) is None]
    if not list(Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so")):
        lacking.append("libasound2-plugins")
    if lacking:
        pytest.skip(f"no PipeWire without {', '.join(lacking)}")
    folder = tmp_path_factory.mktemp("pw")
    alsa = folder / "asound.conf"
    alsa.write_text(ALSA_CONFIG)
    unset = ("PULSE_SOURCE", "PIPEWIRE_NODE", "DBUS_SESSION_BUS_ADDRESS")
    env = {key: value for key, value in os.environ.items() if key not in unset}
    env |= {
        "HOME": str(folder),
        "XDG_RUNTIME_DIR": str(folder),
        "PULSE_SERVER": f"unix:{folder}/pulse/native",
        "ALSA_CONFIG_PATH": str(alsa),
    }
    server = subprocess.Popen(
        ["dbus-run-session", "--", "sh", "-c", "pipewire & wireplumber & pipewire-pulse & wait"],
        env=env, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for name in ("speaker", "other"):
            sink = (
                *("load-module", "module-null-sink", f"sink_name={name}"),
                *("rate=16000", "channels=1", "channel_map=mono"),
            )
            until_it_works("pactl", *sink, env=env)
        until_it_works("pactl", "set-default-source", "other.monitor", env=env)
        yield env
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(PATIENCE_S)


def until_it_works(*command: str, env):
    """Repeat a command while the server starts."""
    deadline = time.monotonic() + PATIENCE_S
    while subprocess.run(command, env=env, check=False, capture_output=True).returncode:
        assert time.monotonic() < deadline, command
        time.sleep(0.1)


def test_sources_are_listed_by_name(pipewire):
    """Beside what PortAudio knows, which is the server alone."""
    done = subprocess.run(
        [sys.executable, "-m", "streamer", "devices"],
        env=pipewire | {"COLUMNS": "200"}, capture_output=True, text=True, timeout=100, check=True,
    )  # fmt: skip
    sources = [line for line in done.stdout.splitlines() if "sound server" in line]
    assert len(sources) == 2, done.stdout
    (default,) = [line for line in sources if "what the default hears" in line]
    assert "Monitor of other" in default
    assert any("Monitor of speaker" in line for line in sources)


def test_a_source_that_is_not_the_default_is_heard(pipewire, tmp_path):
    """What is played into one sink arrives, while the default source is silent."""
    soundfile.write(tmp_path / "said.wav", speech(2.0), 16_000)
    words = ("run", "--device", "Monitor of speaker", "--json", "--no-csv", "--duration", "30")
    with subprocess.Popen(
        [sys.executable, str(CHILD), *words],
        env=pipewire, stdout=subprocess.PIPE, text=True,
    ) as running:  # fmt: skip
        assert running.stdout is not None
        heard = map(json.loads, running.stdout)
        assert next(e for e in heard if e["event"] == "state" and e["state"] == "listening")
        player = subprocess.Popen(
            ["paplay", "--device=speaker", str(tmp_path / "said.wav")], env=pipewire
        )
        found = next((event for event in heard if event["event"] == "utterance"), None)
        running.send_signal(signal.SIGINT)
        assert player.wait(PATIENCE_S) == 0
    assert found is not None
    assert found["duration_s"] == pytest.approx(2.0, abs=0.7)
