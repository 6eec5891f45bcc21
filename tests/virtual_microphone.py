"""Makes a microphone without a sound card: a private PulseAudio, through PortAudio and ALSA."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

ALSA_CONFIG = """\
</usr/share/alsa/alsa.conf>
pcm.!default { type pulse }
ctl.!default { type pulse }
"""

PLACES = {
    1: "mono",
    2: "front-left,front-right",
    4: "front-left,front-right,rear-left,rear-right",
}
"""Where ALSA takes a number of channels to be; another map would be mixed."""

NEEDS = ("pulseaudio", "pactl", "paplay")


class VirtualMicrophone:
    """A sink that recordings are played into, and a source that repeats what the sink hears."""

    def __init__(self, folder: Path, *, channels: int = 1) -> None:
        self._folder = folder
        self._channels = channels
        self._socket = folder / "native"
        alsa = folder / "asound.conf"
        alsa.write_text(ALSA_CONFIG)
        self.env = os.environ | {
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
            "PULSE_SERVER": f"unix:{self._socket}",
            "PULSE_SOURCE": "microphone",
            "ALSA_CONFIG_PATH": str(alsa),
        }
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the sound server and plug the microphone in."""
        self._server = subprocess.Popen(
            [
                *("pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"),
                *("-L", f"module-native-protocol-unix auth-anonymous=1 socket={self._socket}"),
            ],
            env=self.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 10
        while self._pactl("info", check=False).returncode:
            if time.monotonic() > deadline:
                pytest.fail("PulseAudio does not start")
            time.sleep(0.05)
        self.plug_in()

    def stop(self) -> None:
        """End the sound server."""
        if self._server is not None:
            self._server.terminate()
            self._server.wait(10)

    def plug_in(self) -> None:
        """Make the source appear."""
        self._pactl(
            "load-module", "module-null-sink", "sink_name=speaker", "rate=16000",
            *self._map("channel_map"),
        )  # fmt: skip
        self._pactl(
            "load-module", "module-remap-source", "source_name=microphone",
            "master=speaker.monitor", "remix=no",
            *self._map("channel_map"), *self._map("master_channel_map")[1:],
        )  # fmt: skip

    def unplug(self) -> None:
        """Take the source away, and all others, so that the server cannot offer another one."""
        self._pactl("unload-module", "module-remap-source")
        self._pactl("unload-module", "module-null-sink")

    def play(self, recording: Path) -> None:
        """Play a recording to its end."""
        subprocess.run(
            [
                "paplay",
                "--device=speaker",
                "--no-remix",
                f"--channel-map={PLACES[self._channels]}",
                str(recording),
            ],
            env=self.env,
            check=True,
            timeout=600,
        )

    def listen(self) -> "subprocess.Popen[bytes]":
        """A second listener: 16-bit PCM at 16 kHz, channels interleaved, on its standard output."""
        return subprocess.Popen(
            ["parec", "--device=microphone", "--raw", "--format=s16le", "--rate=16000",
             f"--channels={self._channels}", f"--channel-map={PLACES[self._channels]}",
             "--latency-msec=5"],
            env=self.env, stdout=subprocess.PIPE,
        )  # fmt: skip

    def _map(self, key: str) -> tuple[str, str]:
        """The channels, for a module."""
        return f"channels={self._channels}", f"{key}={PLACES[self._channels]}"

    def _pactl(self, *args: str, check: bool = True) -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(["pactl", *args], env=self.env, check=check, capture_output=True)


def missing() -> str:
    """What the virtual microphone lacks on this machine, in words; nothing where it can run."""
    lacking = [program for program in NEEDS if shutil.which(program) is None]
    plugins = list(Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so"))
    if not plugins:
        lacking.append("libasound2-plugins")
    return ", ".join(lacking)
