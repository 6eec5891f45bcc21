"""``streamer file``: analyse recordings as fast as the machine allows."""

from streamer.cli.logs import stderr_held_back
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
from streamer.cli.parser import CommandParser, Namespace, names, positive_int, user_path
from streamer.errors import ConfigError

NAME = "file"
SUMMARY = "analyse recordings and folders of them, as fast as the machine allows"
EXAMPLE = "streamer file calls/ --csv calls.csv --jobs 2"


def add_arguments(parser: CommandParser) -> None:
    """Add the command's arguments to its parser."""
    add_config(parser)
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a recording, or a folder of them")
    parser.add_argument(
        "--jobs",
        metavar="N",
        type=positive_int,
        help="recordings at once (default: one per core)",
    )
    parser.add_argument(
        "--channels",
        metavar="NAMES",
        type=names,
        help="independent channels, as agent,customer (default for stereo: left,right)",
    )
    parser.add_argument(
        "--mono", action="store_true", help="mix a stereo recording to one channel instead"
    )
    parser.add_argument(
        "--summary",
        metavar="PATH",
        type=user_path,
        help="append a row per recording and channel to this CSV: speaking time, shares, mood",
    )
    add_call_gap(parser)
    add_output(parser)
    add_model(parser)


def execute(args: Namespace) -> int:
    """Analyse the recordings; returns 1 where one could not be read or not all be written."""
    from streamer.audio.devices import native_stderr_muted
    from streamer.audio.inputs import recording_path
    from streamer.bulk.local import analyse
    from streamer.cli.preflight import check_before_loading

    config = load_config(args).config
    csv = csv_path(config)
    if is_stdout(csv) and args.json:
        raise ConfigError(BOTH)
    audio = audio_folder(args)  # before the model, which takes a while
    check_before_loading(config, None if is_stdout(csv) else csv)
    warn_of_licence(config)
    model = model_loader(config)()
    # What decoders complain of on stderr, our own errors say.
    with stderr_held_back(), native_stderr_muted():
        return analyse(
            [recording_path(path) for path in args.paths],
            model,
            config,
            split=not args.mono,
            csv=None if is_stdout(csv) else csv,
            rows_on_stdout=is_stdout(csv),
            summary=args.summary,
            audio=audio,
            jobs=args.jobs,
            json=args.json,
        )
