"""``streamer serve``: analyse the calls that a telephone system sends."""

import logging

from streamer.cli.listening import (
    add_access,
    add_listen,
    check_installed,
    listener,
    tls_files,
    url,
)
from streamer.cli.options import (
    add_config,
    add_model,
    csv_path,
    is_stdout,
    load_config,
    model_loader,
)
from streamer.cli.parser import CommandParser, Namespace, positive_float, positive_int
from streamer.cli.telephony import access_of, add_systems, audiosocket
from streamer.errors import ConfigError, OutputError

logger = logging.getLogger(__name__)

NAME = "serve"
SUMMARY = "take calls over a network, as a telephone system sends them"
EXAMPLE = "streamer serve --listen 127.0.0.1:8765 --csv calls.csv"


def add_arguments(parser: CommandParser) -> None:
    """Add the command's arguments to its parser."""
    add_config(parser)
    add_listen(parser, "127.0.0.1:8765")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--csv",
        metavar="PATH",
        help="append a row per utterance to this file (default: emotions.csv)",
    )
    where.add_argument("--no-csv", action="store_true", help="write no CSV")
    add_model(parser)
    access = add_access(parser)
    add_systems(parser, access)
    limits = parser.add_argument_group("limits")
    limits.add_argument(
        "--max-calls",
        metavar="N",
        type=positive_int,
        default=200,
        help="calls at once (default: 200)",
    )
    limits.add_argument(
        "--idle",
        metavar="S",
        type=positive_float,
        default=30.0,
        help="a call without audio ends after so many seconds (default: 30)",
    )
    limits.add_argument(
        "--ahead",
        metavar="S",
        type=positive_float,
        default=5.0,
        help="a call may be so many seconds ahead of real time; what is sent faster waits "
        "(default: 5)",
    )
    limits.add_argument(
        "--drain",
        metavar="S",
        type=positive_float,
        default=30.0,
        help="on SIGTERM, calls may go on for so many seconds (default: 30)",
    )


def execute(args: Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C."""
    check_installed()
    import asyncio

    from streamer.cli.preflight import check_before_loading
    from streamer.server.app import serve
    from streamer.server.connection import Limits
    from streamer.server.engine import Engine

    tls = tls_files(args)
    bound = listener(args)
    access = access_of(args)
    config = load_config(args).config
    csv = csv_path(config)
    if is_stdout(csv):
        raise ConfigError("--csv -: got standard output, expected a file; events are on /events")
    check_before_loading(config, csv)
    urls = [url(bound, "https" if tls else "http")]
    tcp = audiosocket(args)
    if tcp is not None:
        urls.append(url(tcp, "audiosocket"))
    engine = Engine(model_loader(config), config, csv)
    left = asyncio.run(
        serve(
            engine,
            bound,
            access=access,
            limits=Limits(calls=args.max_calls, idle_s=args.idle, ahead_s=args.ahead),
            drain_s=args.drain,
            tls=tls,
            audiosocket=tcp,
            listening=lambda: print(
                *(f"listening on {each}" for each in urls), sep="\n", flush=True
            ),
        )
    )
    for line in left:
        logger.error("%s", line)
    if engine.failure is not None:
        raise engine.failure
    if left:
        raise OutputError("not all rows and alerts could be written")
    return 0
