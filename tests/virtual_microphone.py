"""A microphone without a sound card: a private PulseAudio, heard through PortAudio and ALSA."""

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

NEEDS = ("pulseaudio", "pactl", "paplay")


class VirtualMicrophone:
    """A sink that recordings are played into, and a source that repeats what the sink hears."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
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
            "load-module", "module-null-sink", "sink_name=speaker", "rate=16000", "channels=1"
        )
        self._pactl(
            "load-module", "module-remap-source", "source_name=microphone", "master=speaker.monitor"
        )

    def unplug(self) -> None:
        """Take the source away, and all others, so that the server cannot offer another one."""
        self._pactl("unload-module", "module-remap-source")
        self._pactl("unload-module", "module-null-sink")

    def play(self, recording: Path) -> None:
        """Play a recording to its end."""
        subprocess.run(
            ["paplay", "--device=speaker", str(recording)], env=self.env, check=True, timeout=120
        )

    def _pactl(self, *args: str, check: bool = True) -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(["pactl", *args], env=self.env, check=check, capture_output=True)


def missing() -> str:
    """What the virtual microphone lacks on this machine, in words; nothing where it can run."""
    lacking = [program for program in NEEDS if shutil.which(program) is None]
    plugins = list(Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so"))
    if not plugins:
        lacking.append("libasound2-plugins")
    return ", ".join(lacking)
