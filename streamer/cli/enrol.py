"""``streamer enrol``: learn a voice from a few seconds of ordinary speech."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from streamer.cli.options import add_config, add_model, load_config, model_loader
from streamer.cli.parser import CommandParser, Namespace, positive_float
from streamer.errors import ConfigError, InputError
from streamer.text import quantity

if TYPE_CHECKING:
    from streamer.config import Config
    from streamer.types import Pcm

NAME = "enrol"
SUMMARY = "learn a voice from a few seconds of ordinary speech"
EXAMPLE = "streamer enrol anna"

MAX_S = 600.0
"""Longest recording in seconds: speaker adaptation would not keep more of it."""


def add_arguments(parser: CommandParser) -> None:
    """Add the command's arguments to its parser."""
    add_config(parser)
    parser.add_argument(
        "name", metavar="NAME", nargs="?", help="name of the speaker, for 'run --speaker NAME'"
    )
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--list", action="store_true", help="list who is enrolled, and end")
    instead.add_argument("--delete", action="store_true", help="delete the voice NAME, and end")
    instead.add_argument(
        "--replace", action="store_true", help="replace a voice of that name without asking"
    )
    parser.add_argument(
        "--one-voice",
        action="store_true",
        help="enrol the voice even if there seem to be several",
    )
    parser.add_argument(
        "--device", metavar="INDEX|NAME", help="input device (default: the configured one)"
    )
    parser.add_argument("--input", metavar="FILE", help="a recording of this voice alone")
    parser.add_argument(
        "--duration",
        metavar="S",
        type=positive_float,
        default=20.0,
        help="how many seconds to record (default: 20)",
    )
    add_model(parser)


def execute(args: Namespace) -> int:
    """Record or read the voice, and keep what the model learns of it."""
    from streamer.model.speaker import enrolment
    from streamer.pipeline import offline

    if args.list:
        for name in enrolment.enrolled():
            print(name)
        return 0
    if args.name is None:
        raise ConfigError("NAME is missing: whose voice is it?")
    if args.delete:
        print(f"deleted {enrolment.delete(args.name)}")
        return 0
    config = load_config(args).config
    enrolment.check_name(args.name)
    if args.name in enrolment.enrolled() and not args.replace:
        _ask_to_replace(args.name)
    pcm = _recorded(args.duration, config) if args.input is None else read(Path(args.input))
    speech = list(offline.speech_in(pcm, config))
    known = enrolment.enrol(args.name, speech, model_loader(config)(), one_voice=args.one_voice)
    path = enrolment.save(known)
    utterances = quantity(len(known.utterances), "utterance")
    print(f"{known.speaker}: {utterances}, {known.seconds:.1f} s, in {path}")
    return 0


def _ask_to_replace(name: str) -> None:
    """Ask whether an enrolled voice is to be replaced.

    Raises:
        ConfigError: The answer is no, or there is no terminal to ask on.
    """
    if not sys.stdin.isatty():
        raise ConfigError(f"{name!r} is enrolled already: --replace replaces the voice")
    if input(f"{name} is enrolled already. Replace the voice? [y/N] ").strip().lower() != "y":
        raise ConfigError(f"{name!r} stays as it was")


def read(path: Path) -> "Pcm":
    """Read a recording of one voice as one stream, shape (samples,).

    Raises:
        InputError: It cannot be read, or is longer than `MAX_S`.
    """
    from streamer.pipeline import offline

    pcm = offline.whole(path, MAX_S)
    if pcm is None:
        raise InputError(f"{path}: is longer than {MAX_S:g} s, expected a voice in less")
    return pcm


def _recorded(seconds: float, config: "Config") -> "Pcm":
    from streamer.audio.devices import find_device, native_stderr_muted
    from streamer.audio.microphone import MicrophoneSource
    from streamer.audio.record import record

    with native_stderr_muted():
        find_device(config.audio.device)
        print(f"speak for {seconds:g} s, as you usually do", file=sys.stderr)
        block_s = config.audio.block_ms / 1000
        source = MicrophoneSource(config.audio.device, channels=1, block_s=block_s)
        return record(source, seconds)
