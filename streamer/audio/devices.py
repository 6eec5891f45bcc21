"""The audio input devices of this machine, as PortAudio lists them."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamer.errors import InputError


@dataclass(frozen=True, slots=True)
class Device:
    """An input device, as PortAudio knows it."""

    index: int
    name: str
    host_api: str
    channels: int
    sample_rate: int
    default: bool


def input_devices() -> list[Device]:
    """The input devices of this machine, freshly looked for.

    Raises:
        InputError: PortAudio is missing or does not start.
    """
    sd = portaudio()
    _refresh(sd)
    apis = sd.query_hostapis()
    default = sd.default.device["input"]
    return [
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


def find_device(wanted: str | int | None) -> Device:
    """The device with this index or with this in its name; None: the default one.

    Raises:
        InputError: There is none, or there are several; the candidates are listed.
    """
    devices = input_devices()
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
        found = [device for device in devices if device.name.casefold() == wanted.casefold()]
        found = found or [d for d in devices if wanted.casefold() in d.name.casefold()]
    if len(found) == 1:
        return found[0]
    problem = "is ambiguous" if found else "is no input device"
    candidates = "\n".join(f"  {d.index}: {d.name} ({d.host_api})" for d in found or devices)
    raise InputError(f"device {wanted!r} {problem}; there are:\n{candidates}")


def portaudio() -> Any:  # noqa: ANN401 - the sounddevice module, which ships no types
    """The sounddevice module, which starts PortAudio when it is first imported.

    Raises:
        InputError: PortAudio is missing.
    """
    try:
        import sounddevice as sd  # noqa: PLC0415 - opens PortAudio: only where it is needed
    except OSError as error:
        raise InputError(
            "PortAudio is missing: install it (Debian: apt-get install libportaudio2), "
            "or play a recording with --input FILE"
        ) from error
    return sd


def _refresh(sd: Any) -> None:  # noqa: ANN401 - the sounddevice module
    """Have PortAudio list the devices anew: it looks when it starts, and only then."""
    try:
        sd._terminate()  # noqa: SLF001 - there is no public way
        sd._initialize()  # noqa: SLF001
    except sd.PortAudioError as error:
        raise InputError(f"PortAudio does not start: {error}") from error


@contextmanager
def native_stderr_muted() -> Iterator[None]:
    """Keep what C code writes to stderr off the terminal; Python's own stderr still works.

    ALSA and PortAudio report absent cards and lost devices there, line upon line, on threads of
    their own: it would tear the dashboard, and says nothing that our own errors do not.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with os.fdopen(kept, "w") as still_heard, Path(os.devnull).open("wb") as sink:
        os.dup2(sink.fileno(), 2)
        try:
            with redirect_stderr(still_heard):
                yield
        finally:
            os.dup2(kept, 2)
