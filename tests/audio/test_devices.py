"""A device is known again by what does not change when it is unplugged."""

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from streamer.audio import devices, microphone
from streamer.audio.devices import Device, Identity, choose
from streamer.audio.microphone import MicrophoneSource
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
    with pytest.raises(InputError, match=r"'mic' is ambiguous.*\n  0: Mic \(MME\)"):
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
    monkeypatch.setattr(microphone, "_uptime", lambda: 0.0)
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
    assert text == "desk: channel 1, 2: digital silence for 5 s: is it muted?"
    assert asked(sound, 1.0) == []
    (text,) = asked(half, 6.0)
    assert "channel 2: digital silence" in text
    source.close()
