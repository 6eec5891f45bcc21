"""A device is known again by what does not change when it is unplugged."""

import os
import shutil
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from commands import streamer
from virtual_microphone import NEEDS, VirtualMicrophone

from streamer.audio import devices, microphone
from streamer.audio.devices import Device, Identity, choose
from streamer.audio.microphone import MicrophoneSource
from streamer.audio.sound_server import SELECTING_VARIABLES, SoundSource
from streamer.errors import InputError


def device(index, name="Headset: USB Audio (hw:1,0)", host_api="ALSA"):
    """An input device."""
    return Device(index, name, host_api, 1, 16_000, default=index == 0)


def test_the_same_device_is_found_under_another_index_and_card():
    """ALSA counts cards anew; Windows lists one device under several host APIs."""
    before = [device(0, "default"), device(3)]
    after = [device(0, "default"), device(7, "Headset: USB Audio (hw:2,0)"), device(8, "Other")]
    assert Identity.of(before[1], before).find(after) == after[1]
    windows = [device(i, "Mic", api) for i, api in enumerate(("MME", "DirectSound", "WASAPI"))]
    identity = Identity.of(windows[2], windows)
    assert identity.find([device(9, "Mic", "WASAPI"), *windows[:2]]).index == 9
    with pytest.raises(InputError, match=r"Mic \(WASAPI\): is not there"):
        identity.find(windows[:2])


def test_of_two_equal_devices_never_the_other_one():
    """The second is the second again; while one is missing, neither is taken."""
    both = [device(1, "Headset (hw:1,0)"), device(2, "Headset (hw:2,0)")]
    again = [device(4, "Headset (hw:1,0)"), device(6, "Headset (hw:3,0)")]
    for place in (0, 1):
        identity = Identity.of(both[place], both)
        assert identity.find(again) == again[place]
        with pytest.raises(InputError, match="1 of 2 of this name are there"):
            identity.find(again[:1])


def test_a_host_api_tells_devices_of_one_name_apart():
    """As the error lists them."""
    windows = [device(i, "Mic", api) for i, api in enumerate(("MME", "WASAPI"))]
    listed = r"'mic' is ambiguous; give the index, or more .*\n  0: Mic \(MME\)"
    with pytest.raises(InputError, match=listed):
        choose(windows, "mic")
    assert choose(windows, "mic, wasapi") == windows[1]


class PortAudioError(Exception):
    """PortAudio's own."""


class Portaudio:
    """One device; the driver lets go of a stream when it is told to."""

    PortAudioError = PortAudioError

    def __init__(self) -> None:
        self.started = 0
        self.hangs = threading.Event()
        self.default = SimpleNamespace(device={"input": 0})

    def _terminate(self):
        self.started += 1

    def _initialize(self):
        """Nothing to start."""

    def query_hostapis(self):
        """One."""
        return [{"name": "ALSA"}]

    def query_devices(self):
        """One."""
        entry = {"index": 0, "name": "desk", "hostapi": 0, "max_input_channels": 2}
        return [entry | {"default_samplerate": 16_000.0}]

    def check_input_settings(self, **_settings: object):
        """All are fine."""

    def InputStream(self, *, callback, **_settings: object):  # noqa: N802 - its name
        """A stream whose end hangs while it shall."""
        self.callback = callback
        return SimpleNamespace(
            active=True,
            start=lambda: None,
            abort=lambda: self.hangs.wait(60),
            close=lambda: None,
        )

    def deliver(self, pcm, seconds):
        """Have blocks of 0.1 s come at once."""
        for _ in range(round(seconds * 10)):
            self.callback(pcm, len(pcm), None, SimpleNamespace(input_overflow=False))


@pytest.fixture
def portaudio(monkeypatch):
    """A scripted one."""
    scripted = Portaudio()
    monkeypatch.setattr(devices, "portaudio", lambda: scripted)
    monkeypatch.setattr(microphone, "portaudio", lambda: scripted)
    monkeypatch.setattr(microphone, "CLOSE_TIMEOUT_S", 0.05)
    monkeypatch.setattr(microphone, "uptime", lambda: 0.0)
    yield scripted
    scripted.hangs.set()
    while devices._STREAMS.count:
        time.sleep(0.01)


def test_portaudio_is_not_started_anew_beside_a_stream_that_hangs(portaudio):
    """That would hang or crash there, too; when the driver has let go, it is."""
    source = MicrophoneSource(None, channels=1, block_s=0.1)
    source.open()
    started = portaudio.started
    source.close()
    with pytest.raises(InputError, match="its driver has not let go of it yet"):
        source.open()
    devices.input_devices()
    assert portaudio.started == started
    portaudio.hangs.set()
    source._closing.join(10)
    source.open()
    assert portaudio.started == started + 1
    source.close()


def test_what_waits_too_long_is_lost_and_counted(portaudio, monkeypatch):
    """Rather than memory without end, where the capture thread is behind."""
    monkeypatch.setattr(microphone, "MAX_WAITING_S", 1.0)
    source = MicrophoneSource(None, channels=1, block_s=0.1)
    source.open()
    sound = np.ones((1600, 1), np.int16)
    portaudio.deliver(sound, 3.0)
    kept = 0
    while len(source.read().pcm):
        kept += 1600
    portaudio.deliver(sound, 0.1)
    block = source.read()
    assert block.overrun
    assert kept + block.lost == 3 * 16_000
    assert 1.0 <= kept / 16_000 <= 1.2
    source.close()


def test_digital_silence_is_asked_about_once(portaudio):
    """After five seconds, and again when there was sound in between; by channel."""
    source = MicrophoneSource(None, channels=2, block_s=0.1)
    source.open()
    silence, sound = np.zeros((1600, 2), np.int16), np.ones((1600, 2), np.int16)
    half = sound * np.array([1, 0], np.int16)

    def asked(pcm, seconds):
        """What is said meanwhile."""
        portaudio.deliver(pcm, seconds)
        return [text for _ in range(round(seconds * 10)) for text in source.read().warnings]

    assert asked(silence, 4.9) == []
    (text,) = asked(silence, 10.0)
    assert text == "desk: all 2 channels: digital silence for 5 s: is it muted?"
    assert asked(sound, 1.0) == []
    (text,) = asked(half, 6.0)
    assert "channel 2: digital silence" in text
    source.close()


@pytest.fixture
def sound_server(tmp_path):
    """A real one, without a sound card."""
    if not all(map(shutil.which, NEEDS)):
        pytest.skip("PulseAudio is not installed")
    server = VirtualMicrophone(tmp_path)
    server.start()
    yield server
    server.stop()


def test_the_sources_of_the_sound_server_are_listed_and_heard(sound_server, tmp_path):
    """By the names that a person knows; PortAudio knows only the server."""
    listed = streamer("devices", env=sound_server.env, cwd=tmp_path)
    text = listed.stdout.decode()
    assert "Remapped" in text
    assert text.count("sound server") == 2
    assert "what the" in text
    env = {name: value for name, value in sound_server.env.items() if name != "PULSE_SOURCE"}
    words = ["run", "--no-dashboard", "--no-csv", "--duration", "0.2", "--device"]
    heard = streamer(*words, "speaker.monitor", env=env, cwd=tmp_path)
    assert b"source: Monitor of Null Output\n" in heard.stdout, heard.stderr
    several = streamer(*words, "Null Output", env=env, cwd=tmp_path)
    assert several.returncode == 3
    assert b"Null Output (sound server: speaker.monitor)" in several.stderr


def test_a_source_is_opened_through_the_server(monkeypatch):
    """Which is told what to record; by name, by the server's own name, and by index."""
    source = SoundSource("alsa_input.usb", "Headset", 1, 48_000, default=True)
    monkeypatch.setattr(devices, "sources", lambda: [source])
    listed = [device(0, "default"), device(1, "pulse")]
    (found,) = devices._sources(listed, count=9)
    for wanted in ("headset", "alsa_input.usb", 9, "Headset, sound server"):
        assert choose([*listed, found], wanted) == found
    for variable in SELECTING_VARIABLES:
        monkeypatch.setenv(variable, "")  # put back after the test
    assert found.prepare() == 1
    assert os.environ["PULSE_SOURCE"] == os.environ["PIPEWIRE_NODE"] == "alsa_input.usb"
    assert listed[0].prepare() == 0


@pytest.mark.parametrize("others", [[device(3, "Headset")], [device(3, "Mic", "PulseAudio")]])
def test_without_a_server_of_its_own_nothing_is_added(monkeypatch, others):
    """Or where PortAudio itself knows the server's sources."""
    monkeypatch.setattr(devices, "sources", lambda: pytest.fail("nobody is asked"))
    assert devices._sources(others, count=9) == []
