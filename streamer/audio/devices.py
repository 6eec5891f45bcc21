"""Lists the audio input devices of this machine, as PortAudio knows them, and finds one of them."""

import os
import re
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamer.audio.sound_server import SoundSource, select, sources
from streamer.errors import InputError

_CARD = re.compile(r"\s*\(hw:\d+,\d+\)$")
"""The end of ALSA's names: the number of the card, which other devices may change."""


SERVERS = ("pulse", "pipewire", "default")
"""What PortAudio calls the sound server, the surest name first."""

SOUND_SERVER = "sound server"
"""The host API that is shown for sources of the sound server."""


class _Streams:
    """Counts PortAudio's open streams under a lock."""

    def __init__(self) -> None:
        self.count = 0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_error: object) -> None:
        self._lock.release()


_STREAMS = _Streams()


@dataclass(frozen=True, slots=True)
class Device:
    """An input device, as PortAudio knows it, or a source of the sound server.

    Attributes:
        index: The number by which it can be chosen.
        name: As a person would call it.
        host_api: The system through which it is recorded.
        channels: How many it has at most.
        sample_rate: Its own, in Hz.
        default: True for the one that is recorded unless another one is chosen.
        source: What the sound server has to record; None for a device of PortAudio.
        server: The index, as PortAudio knows it, of the sound server, where ``source`` is given.
    """

    index: int
    name: str
    host_api: str
    channels: int
    sample_rate: int
    default: bool
    source: SoundSource | None = None
    server: int | None = None

    def prepare(self) -> int:
        """Select the source, where it is one; returns the index that PortAudio is to open."""
        if self.source is None or self.server is None:
            return self.index
        select(self.source)
        return self.server


@dataclass(frozen=True, slots=True)
class Identity:
    """Identifies a device across reconnections, when its index may have changed.

    Attributes:
        name: Without the number of its sound card, which may change, too.
        host_api: One of several that may list it.
        place: Its place among devices of the same name there, from 0.
        count: How many of these there were.
    """

    name: str
    host_api: str
    place: int
    count: int

    @classmethod
    def of(cls, device: Device, devices: Sequence[Device]) -> "Identity":
        """Build the identity of a device."""
        equal = [one for one in devices if _bare(one) == _bare(device)]
        name, host_api = _bare(device)
        return cls(name, host_api, equal.index(device), len(equal))

    def find(self, devices: Sequence[Device]) -> Device:
        """Find the same device in a new list.

        Raises:
            InputError: It is not there, or some of several equal devices are missing.
        """
        equal = [one for one in devices if _bare(one) == (self.name, self.host_api)]
        if not equal:
            raise InputError(f"{self.name} ({self.host_api}): is not there")
        if len(equal) < self.count:
            raise InputError(
                f"{self.name} ({self.host_api}): {len(equal)} of {self.count} of this name are "
                "there, and which of them it was is unknown"
            )
        return equal[self.place]


def _bare(device: Device) -> tuple[str, str]:
    return _CARD.sub("", device.name), device.host_api


def input_devices() -> list[Device]:
    """List the input devices of this machine anew.

    Raises:
        InputError: PortAudio is missing or does not start.
    """
    sd = portaudio()
    _refresh(sd)
    apis = sd.query_hostapis()
    default = sd.default.device["input"]
    listed = [
        Device(
            index=entry["index"],
            name=entry["name"],
            host_api=apis[entry["hostapi"]]["name"],
            channels=entry["max_input_channels"],
            sample_rate=int(entry["default_samplerate"]),
            default=entry["index"] == default,
        )
        for entry in sd.query_devices()
        if entry["max_input_channels"] > 0
    ]
    return [*listed, *_sources(listed, count=len(sd.query_devices()))]


def _sources(listed: Sequence[Device], count: int) -> list[Device]:
    """The sources of the sound server, where PortAudio knows only the server itself."""
    server = min(
        (device for device in listed if device.name in SERVERS),
        key=lambda device: SERVERS.index(device.name),
        default=None,
    )
    if server is None or any("pulse" in device.host_api.casefold() for device in listed):
        return []
    return [
        Device(
            index=count + place,
            name=source.description,
            host_api=SOUND_SERVER,
            channels=source.channels,
            sample_rate=source.sample_rate,
            default=False,
            source=source,
            server=server.index,
        )
        for place, source in enumerate(sources())
    ]


def find_device(wanted: str | int | None) -> Device:
    """The device with this index or with this in its name; None: the default one.

    Raises:
        InputError: There is none, or there are several; the candidates are listed.
    """
    return choose(input_devices(), wanted)


def choose(devices: Sequence[Device], wanted: str | int | None) -> Device:
    """Find a device in a list, as `find_device`. A name may end in a comma and the host API.

    Raises:
        InputError: There is none, or there are several; the candidates are listed.
    """
    if not devices:
        raise InputError(
            "no input device: plug in a microphone, or play a recording with --input FILE"
        )
    if wanted is None:
        return next((device for device in devices if device.default), devices[0])
    if isinstance(wanted, str) and wanted.isdecimal():
        wanted = int(wanted)
    if isinstance(wanted, int):
        found = [device for device in devices if device.index == wanted]
    else:
        name = wanted.casefold()
        found = [device for device in devices if name in _names(device)]
        found = found or [d for d in devices if wanted.casefold() in d.name.casefold()]
    if len(found) == 1:
        return found[0]
    problem = "is ambiguous" if found else "is no input device"
    candidates = "\n".join(f"  {d.index}: {_told(d)}" for d in found or devices)
    cure = "give the index, or more of the name, of one of these"
    raise InputError(f"device {wanted!r} {problem}; {cure}:\n{candidates}")


def _names(device: Device) -> set[str]:
    """What a device may be called, in small letters."""
    names = {device.name, f"{device.name}, {device.host_api}"}
    if device.source is not None:
        names.add(device.source.name)
    return {name.casefold() for name in names}


def _told(device: Device) -> str:
    source = "" if device.source is None else f": {device.source.name}"
    return f"{device.name} ({device.host_api}{source})"


def portaudio() -> Any:  # noqa: ANN401 - the sounddevice module, which ships no types
    """The sounddevice module, which starts PortAudio when it is first imported.

    Raises:
        InputError: PortAudio is missing or does not start.
    """
    try:
        import sounddevice as sd  # noqa: PLC0415 - opens PortAudio: only where it is needed
    except OSError as error:
        raise InputError(
            "PortAudio is missing: install it (Debian: apt-get install libportaudio2), "
            "or play a recording with --input FILE"
        ) from error
    except Exception as error:
        if type(error).__name__ != "PortAudioError":  # of the module that was not imported
            raise
        raise _not_started(error) from error
    return sd


def _not_started(error: Exception) -> InputError:
    return InputError(
        f"PortAudio does not start ({error}): on Linux, look for a mistake in ~/.asoundrc and "
        "/etc/asound.conf; or play a recording with --input FILE"
    )


def _refresh(sd: Any) -> None:  # noqa: ANN401 - the sounddevice module
    """Have PortAudio list the devices again, which it does only when it starts.

    Not while a stream is open, or hangs in its driver while it is closed: ending PortAudio would
    close it, too, and hang or crash there.
    """
    with _STREAMS:
        if _STREAMS.count:
            return
        try:
            sd._terminate()  # noqa: SLF001 - there is no public way
            sd._initialize()  # noqa: SLF001
        except sd.PortAudioError as error:
            raise _not_started(error) from error


def hold_portaudio() -> None:
    """Register a stream that is about to be opened. Waits while devices are listed."""
    with _STREAMS:
        _STREAMS.count += 1


def release_portaudio() -> None:
    """Unregister a closed stream. On any thread."""
    with _STREAMS:
        _STREAMS.count -= 1


@contextmanager
def native_stderr_muted() -> Iterator[None]:
    """Keep what C code writes to stderr off the terminal; Python's own stderr still works.

    ALSA and PortAudio report absent cards and lost devices there, line upon line, on threads of
    their own: that would damage the dashboard, and adds nothing to our own errors.
    """
    sys.stderr.flush()
    try:
        ours = sys.stderr.fileno() == 2  # noqa: PLR2004 - else muting the descriptor leaves it alone
    except OSError:  # it has no descriptor
        ours = False
    kept = os.dup(2)
    with (
        os.fdopen(kept, "w", errors="backslashreplace") as still_heard,
        Path(os.devnull).open("wb") as sink,
    ):
        os.dup2(sink.fileno(), 2)
        try:
            with redirect_stderr(still_heard) if ours else nullcontext():
                yield
        finally:
            os.dup2(kept, 2)
