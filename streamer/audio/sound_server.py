"""Lists the sources of PulseAudio or PipeWire, which PortAudio shows as a single device."""

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any

TIMEOUT_S = 2.0
"""Seconds to wait for a sound server."""

_SPECIFICATION = re.compile(r"(?P<channels>\d+)ch (?P<rate>\d+)Hz")

SELECTING_VARIABLES = ("PULSE_SOURCE", "PIPEWIRE_NODE")
"""Variables by which the sound server's client libraries are told which source to record."""


@dataclass(frozen=True, slots=True)
class SoundSource:
    """Something that a sound server can record.

    Attributes:
        name: As the server calls it.
        description: As a person would.
        channels: How many channels it has.
        sample_rate: In Hz.
        default: True for the one that is recorded unless another one is chosen.
    """

    name: str
    description: str
    channels: int
    sample_rate: int
    default: bool


def sources() -> list[SoundSource]:
    """What the sound server can record: microphones first, then the monitors of outputs.

    Empty where there is no sound server, or its ``pactl`` is missing.
    """
    pactl = shutil.which("pactl")
    if pactl is None:
        return []
    try:
        found = _ask(pactl, "list", "sources")
        default = _ask(pactl, "info").get("default_source_name", "")
        listed = [
            SoundSource(
                name=entry["name"],
                description=entry["description"] or entry["name"],
                channels=int(match["channels"]),
                sample_rate=int(match["rate"]),
                default=entry["name"] == default,
            )
            for entry in found
            if (match := _SPECIFICATION.search(entry["sample_specification"])) is not None
        ]
    except (OSError, subprocess.SubprocessError, ValueError, LookupError, TypeError):
        return []  # no server, or a pactl of another kind: PortAudio's own list has to do
    return sorted(listed, key=lambda source: source.name.endswith(".monitor"))


def select(source: SoundSource) -> None:
    """Have streams that are opened from now on record a source."""
    for variable in SELECTING_VARIABLES:
        os.environ[variable] = source.name


def _ask(pactl: str, *words: str) -> Any:  # noqa: ANN401 - JSON
    result = subprocess.run(  # noqa: S603 - the sound server's own program, without a shell
        [pactl, "--format=json", *words],
        env=os.environ | {"LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=TIMEOUT_S,
        check=True,
    )
    return json.loads(result.stdout)
