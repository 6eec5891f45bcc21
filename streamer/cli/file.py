"""``streamer file``: analyse recordings as fast as the machine allows."""

from argparse import ArgumentTypeError
from pathlib import Path
from typing import TYPE_CHECKING

from streamer.cli.archive import add_archive, part, source, tables
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
from streamer.cli.parser import CommandParser, Namespace, positive_int, user_path
from streamer.cli.program_log import stderr_held_back
from streamer.errors import ConfigError

if TYPE_CHECKING:
    from streamer.bulk.analyse_recording import Analysis
    from streamer.bulk.local import Request
    from streamer.config import Config
    from streamer.sinks.audio_files import AudioFolder

NAME = "file"
SUMMARY = "analyse recordings and folders of them, as fast as the machine allows"
EXAMPLE = "streamer file calls/ --csv calls.csv --jobs 2"


def add_arguments(parser: CommandParser) -> None:
    """Add the command's arguments to its parser."""
    add_config(parser)
    parser.add_argument(
        "paths", nargs="+", metavar="PATH", help="a recording, a folder of them, or a URL"
    )
    parser.add_argument(
        "--jobs",
        metavar="N",
        type=positive_int,
        help="processes (default: one per core, and one alone where there is little to do)",
    )
    add_archive(parser)
    parser.add_argument(
        "--summary",
        metavar="PATH",
        type=user_path,
        help="append a row per recording and channel to this CSV: speaking time, shares, mood",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=user_path,
        help="write tables into this folder instead of a CSV: utterances-… and calls-…, in parts",
    )
    parser.add_argument(
        "--export",
        metavar="FORMAT=DIR",
        action="append",
        default=[],
        type=export_to,
        help="also write the CSV in another format, as 'streamer export' does; may be repeated",
    )
    add_call_gap(parser)
    add_output(parser)
    add_model(parser)


def export_to(text: str) -> tuple[str, Path]:
    """Parse a format and a folder such as srt=subtitles/.

    Raises:
        ArgumentTypeError: It is something else.
    """
    from streamer.cli.export import FORMATS

    name, _, folder = text.partition("=")
    if name in FORMATS and folder:
        return name, Path(folder)
    raise ArgumentTypeError(
        f"got {text!r}, expected a format and a folder such as srt=subtitles/; formats: "
        f"{', '.join(FORMATS)}"
    )


def execute(args: Namespace) -> int:
    """Analyse the recordings; returns 1 where one could not be read or not all be written."""
    from streamer.audio.devices import native_stderr_muted
    from streamer.cli.preflight import check_before_loading

    config = load_config(args).config
    csv = csv_path(config)
    if is_stdout(csv) and args.json:
        raise ConfigError(BOTH)
    audio = audio_folder(args)  # before the model, which takes a while
    request = _request(args, config, audio)
    check_before_loading(config, None if request.tables else request.csv)
    warn_of_licence(config)
    # Our own errors say what decoders write to stderr.
    with stderr_held_back(), native_stderr_muted():
        code = analyse(request, json=args.json, rows=is_stdout(csv))
    return max(code, _export(args, request))


def _request(args: Namespace, config: "Config", audio: "AudioFolder | None") -> "Request":
    """Make the request for a batch from the arguments.

    Raises:
        ConfigError: Options exclude each other.
        InputError: A path is not valid.
        ModelError: There is no such model.
    """
    from streamer.bulk.local import Request

    if args.out and (args.csv or args.no_csv or args.summary):
        raise ConfigError("--out: writes tables of its own; leave out --csv, --no-csv, --summary")
    if args.export and not args.out and (not config.output.csv or is_stdout(csv_path(config))):
        raise ConfigError("--export: is made of the CSV; leave out --no-csv and --csv -")
    shard = part(args.shard)
    made = tables(args.out, args.format, shard) if args.out else ()
    csv = csv_path(config)
    csv, summary = [table.work for table in made] or (None if is_stdout(csv) else csv, args.summary)
    return Request(
        paths=[source(path) for path in args.paths],
        analysis=analysis(config, split=not args.mono, audio=audio),
        csv=csv,
        summary=summary,
        excel=config.output.excel and not made,
        tables=made,
        shard=shard,
        jobs=args.jobs,
        again=args.again,
        retry_failed=args.retry_failed,
    )


def analysis(config: "Config", *, split: bool, audio: "AudioFolder | None" = None) -> "Analysis":
    """Choose how recordings are analysed.

    Raises:
        ModelError: There is no such model.
    """
    from streamer.bulk.analyse_recording import Analysis, ModelIdentity
    from streamer.model import catalog

    model = catalog.entry(catalog.find_bundle(config.model.name))
    return Analysis(
        load=model_loader(config),
        model=ModelIdentity(model.name, model.labels, model.digest),
        config=config,
        split=split,
        audio=audio,
    )


def _export(args: Namespace, request: "Request") -> int:
    """Write the CSV in other formats; returns 1 where it could not be read."""
    from streamer.export.export import export

    unread = 0
    for name, folder in args.export:
        if request.csv is not None:
            exported = export([request.csv], name, folder, replace=True)
            unread += exported.unread
    return 1 if unread else 0


def analyse(request: "Request", *, json: bool = False, rows: bool = False) -> int:
    """Analyse recordings, show what happens, and return the exit code.

    Args:
        request: Recordings, analysis and output.
        json: Write a line of JSON per utterance to stdout instead of a line per recording.
        rows: Write the rows of the CSV to stdout instead.
    """
    from streamer.bulk import local
    from streamer.cli.batch import Display, say_all, stdout_lines
    from streamer.errors import OutputError

    nowhere = request.csv is None and request.summary is None
    lines = stdout_lines(json=json, rows=rows, excel=request.excel)
    with Display(lines, needed=nowhere) as display:
        result = local.run(request, display.show)
        display.sum_up(request, result)
    audio = request.analysis.audio
    if audio is not None:
        say_all(audio.summary())
    lost = result.lost_rows or (audio is not None and audio.lost)
    return OutputError.exit_code if result.failures or lost else 0
