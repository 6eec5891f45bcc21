"""``streamer run``: analyse a microphone, a recording or a pipe while it is heard."""

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TextIO

from streamer.cli.options import (
    BOTH,
    add_call_gap,
    add_config,
    add_model,
    add_output,
    audio_folder,
    csv_path,
    is_stdout,
    load_config,
    model_loader,
    warn_of_licence,
)
from streamer.cli.parser import CommandParser, Namespace, channels, positive_float, positive_int
from streamer.cli.program_log import stderr_held_back
from streamer.errors import ConfigError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from streamer.audio.sources import Source
    from streamer.config import Config
    from streamer.dashboard.dashboard import Dashboard
    from streamer.session import LiveSession
    from streamer.sinks.lines import LineSink

NAME = "run"
SUMMARY = "listen to a microphone, a recording or a pipe"
EXAMPLE = "streamer run --device USB --csv calls.csv"

LAST_LINES_S = 1.0
"""Seconds that the end waits for a slow reader of the last lines."""


def add_arguments(parser: CommandParser) -> None:
    """Add the command's arguments to its parser."""
    add_config(parser)
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--device",
        metavar="INDEX|NAME",
        help="input device, as 'streamer devices' lists them (default: the system's)",
    )
    source.add_argument(
        "--input",
        metavar="FILE|URL|-",
        help="play a recording or a stream, or read WAV or raw s16le PCM from a pipe",
    )
    source.add_argument(
        "--demo",
        action="store_true",
        help="play the bundled recording; no CSV is written unless --csv names one",
    )
    parser.add_argument(
        "--rate",
        metavar="HZ",
        type=positive_int,
        help="sample rate of the pipe (default: 16000)",
    )
    parser.add_argument(
        "--channels",
        metavar="NAMES|N",
        type=channels,
        help="independent channels, such as agent,customer; or how many the pipe has, mixed to one",
    )
    parser.add_argument(
        "--duration",
        metavar="S",
        type=positive_float,
        help="stop after this many seconds, by the clock for a microphone, else of sound (default: "
        "go on until q or Ctrl-C)",
    )
    parser.add_argument(
        "--speaker",
        metavar="NAME",
        dest="speakers",
        action="append",
        help="an enrolled voice to expect; with channels, CHANNEL=NAME each",
    )
    parser.add_argument(
        "--no-dashboard", action="store_true", help="print plain lines, also on a terminal"
    )
    parser.add_argument(
        "--ascii", action="store_true", help="draw the dashboard with ASCII characters alone"
    )
    parser.add_argument(
        "--wallboard",
        metavar="HOST:PORT",
        nargs="?",
        const="127.0.0.1:8766",
        help="show the calls on a page, too, for this machine alone (default: 127.0.0.1:8766)",
    )
    add_call_gap(parser)
    add_output(parser)
    add_model(parser)


def execute(args: Namespace) -> int:
    """Listen until the input ends, the time is up or the user stops it."""
    from contextlib import ExitStack

    from rich.console import Console

    from streamer.audio.devices import native_stderr_muted
    from streamer.cli.preflight import check_before_loading
    from streamer.dashboard.screen import usable
    from streamer.pipeline.live import Pipeline
    from streamer.session import LiveSession
    from streamer.sinks.audio_files import AudioSink

    config = load_config(args).config
    csv = None if args.demo and args.csv is None else csv_path(config)
    rows_on_stdout = is_stdout(csv)
    if rows_on_stdout and args.json:
        raise ConfigError(BOTH)
    csv = None if rows_on_stdout else csv
    console = Console()
    folder = audio_folder(args)
    recording = folder is not None
    quiet = args.json or args.no_dashboard or rows_on_stdout
    on_terminal = not quiet and usable(console)
    with ExitStack() as stack:
        stack.enter_context(native_stderr_muted())
        check_before_loading(config, csv)
        warn_of_licence(config)
        source = _source(args, config)
        pipeline = Pipeline(source, model_loader(config), config)
        dashboard = _dashboard(console, config, csv, recording=recording) if on_terminal else None
        lines = None if on_terminal else _lines(args, config, rows=rows_on_stdout)
        session = LiveSession(
            pipeline,
            config,
            csv=csv,
            audio=AudioSink(folder) if folder is not None else None,
            dashboard=dashboard,
            lines=lines,
            duration=args.duration,
            stays=True,
        )
        if args.wallboard is not None:
            url = stack.enter_context(_wallboard(args.wallboard, config, session))
            print(f"wallboard on {url}", file=sys.stderr, flush=True)
        for_people = sys.stderr if args.json or rows_on_stdout else sys.stdout
        stack.callback(_print_summary, session, for_people)
        if dashboard is not None:
            stack.enter_context(stderr_held_back())
            stack.enter_context(dashboard)
        session.run()
    return 0


def _dashboard(
    console: "Console", config: "Config", csv: Path | None, *, recording: bool
) -> "Dashboard":
    """The dashboard of a session."""
    from streamer.dashboard.dashboard import Dashboard

    return Dashboard(
        console,
        config.dashboard,
        config.audio.streams,
        bell=config.alerts.bell,
        recording=recording,
        not_analysed=[n for n in config.audio.channels if n not in config.audio.streams],
        csv="" if csv is None else str(csv),
    )


def _lines(args: Namespace, config: "Config", *, rows: bool) -> "LineSink":
    """Choose what is written to standard output: rows of the CSV, JSON or plain lines."""
    from streamer.sinks.csv_lines import CsvLines
    from streamer.sinks.lines import JsonLines, PlainLines

    if rows:
        return CsvLines(excel=config.output.excel)
    return JsonLines() if args.json else PlainLines()


@contextmanager
def _wallboard(address: str, config: "Config", session: "LiveSession") -> "Iterator[str]":
    """Show a session on a page while the context lasts; give the address of the page.

    Raises:
        ConfigError: The address cannot be used, or other machines reach it.
    """
    from streamer.cli.listening import check_installed, loopback_listener

    check_installed()
    from streamer.server.access import Access
    from streamer.server.wallboard.background import BackgroundWallboard
    from streamer.server.wallboard.events import SessionEvents

    wallboard = BackgroundWallboard(loopback_listener("--wallboard", address), Access())
    wallboard.start()
    session.observers.append(SessionEvents(wallboard.take, config.audio.streams))
    try:
        yield wallboard.url
    finally:
        wallboard.stop()


def _print_summary(session: "LiveSession", file: TextIO) -> None:
    from streamer.sinks.nonblocking_writer import NonBlockingWriter

    for where, lines in ((file, session.summary()), (sys.stderr, session.unwritten)):
        writer = NonBlockingWriter(where)  # the terminal may be gone, or nobody may read the pipe
        writer.write("".join(f"{line}\n" for line in lines))
        writer.finish(LAST_LINES_S)


def _source(args: Namespace, config: "Config") -> "Source":
    """What `run` listens to.

    Raises:
        InputError: There is no such recording or device, or it has too few channels.
    """
    from streamer.audio.demo import DEMO
    from streamer.audio.devices import find_device
    from streamer.audio.microphone import MicrophoneSource
    from streamer.audio.pipe import PipeSource
    from streamer.audio.sources import FileSource
    from streamer.text import one_line
    from streamer.types import SAMPLE_RATE

    block_s = config.audio.block_ms / 1000
    count = args.channels if isinstance(args.channels, int) else len(config.audio.channels) or 1
    if (pipe := _pipe(args.input)) is not None:
        name = "standard input" if args.input == "-" else one_line(args.input)
        rate = args.rate or SAMPLE_RATE
        return PipeSource(pipe, sample_rate=rate, channels=count, block_s=block_s, name=name)
    if args.rate is not None or isinstance(args.channels, int):
        raise ConfigError(
            "--rate and --channels with a number describe raw PCM: they need --input -"
        )
    if args.demo:
        return FileSource(DEMO, block_s=block_s, name="the bundled recording (demo)")
    if args.input is not None:
        return _recording(args.input, config, block_s)
    try:
        find_device(config.audio.device)
    except InputError as error:
        if config.audio.device is not None:
            raise
        raise InputError(f"{error}\n  or see it at work with: streamer run --demo") from None
    return MicrophoneSource(config.audio.device, channels=count, block_s=block_s)


def _pipe(text: str | None) -> "BinaryIO | None":
    """Standard input or a named pipe, where ``--input`` means one."""
    from streamer.audio.inputs import open_pipe, recording_path
    from streamer.audio.url import is_url

    if text == "-":
        if sys.stdin.isatty():
            raise InputError(
                "standard input is a terminal, expected a pipe of WAV or raw s16le PCM"
            )
        return sys.stdin.buffer
    return None if text is None or is_url(text) else open_pipe(recording_path(text))


def _recording(text: str, config: "Config", block_s: float) -> "Source":
    """A recording or a URL, played at real-time pace."""
    from streamer.audio.inputs import recording_path
    from streamer.audio.sources import FileSource
    from streamer.audio.url import UrlSource, is_url
    from streamer.cli.preflight import check_recording, check_url

    if is_url(text):
        source = UrlSource(text, block_s=block_s)
        check_url(source, config)
        return source
    path = recording_path(text)
    check_recording(path, config)
    return FileSource(path, block_s=block_s)
