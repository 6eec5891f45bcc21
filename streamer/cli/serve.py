"""``streamer serve``: analyse the calls that a telephone system sends."""

import logging
import sys
from argparse import ArgumentTypeError
from typing import TYPE_CHECKING

from streamer.cli.listening import (
    add_access,
    add_listen,
    add_redis_password,
    check_installed,
    listener,
    redis_password,
    tls_files,
    url,
)
from streamer.cli.options import (
    add_config,
    add_model,
    csv_path,
    is_stdout,
    load_config,
    model_process_loader,
    warn_of_licence,
)
from streamer.cli.parser import CommandParser, Namespace, positive_float, positive_int
from streamer.cli.telephony import access_of, add_systems, audiosocket
from streamer.errors import ConfigError, OutputError

if TYPE_CHECKING:
    from streamer.server.background_jobs import BackgroundJobs

logger = logging.getLogger(__name__)

NAME = "serve"
SUMMARY = "analyse calls that a telephone system sends over a network"
EXAMPLE = "streamer serve --listen 127.0.0.1:8765 --csv calls.csv"


DAY_S = 86_400.0

LIVE_S = 3_600.0
"""Least seconds for which events stay in Redis, because wallboards are made from them."""


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
    outside = parser.add_argument_group("other systems")
    outside.add_argument(
        "--publish",
        metavar="URL",
        help="write all events to Redis Streams, for other systems and streamer wallboard: "
        "redis://HOST:PORT",
    )
    add_redis_password(outside)
    outside.add_argument(
        "--on-call-start",
        metavar="PROGRAM|URL",
        help="run a program, or send a POST, when a call begins, so that people can be told that "
        "they are analysed",
    )
    outside.add_argument(
        "--hide-callers",
        action="store_true",
        help="do not show on the wallboard and in events who calls, as the telephone system says",
    )
    outside.add_argument(
        "--keep",
        metavar="DAYS",
        type=days,
        help="remove rows and published events after this many days; 0 writes no rows at all "
        "(default: keep them)",
    )
    _add_limits(parser)


def _add_limits(parser: CommandParser) -> None:
    """What a call, and all of them, may take."""
    limits = parser.add_argument_group("limits")
    limits.add_argument(
        "--max-calls",
        metavar="N",
        type=positive_int,
        default=200,
        help="how many calls are accepted at once (default: 200)",
    )
    limits.add_argument(
        "--idle",
        metavar="S",
        type=positive_float,
        default=30.0,
        help="end a call after this many seconds without audio (default: 30)",
    )
    limits.add_argument(
        "--ahead",
        metavar="S",
        type=positive_float,
        default=5.0,
        help="how many seconds a call may be ahead of real time; faster audio waits (default: 5)",
    )
    limits.add_argument(
        "--drain",
        metavar="S",
        type=positive_float,
        default=30.0,
        help="how many seconds calls may continue after SIGTERM (default: 30)",
    )


def days(text: str) -> float:
    """A number of days, 0 for none.

    Raises:
        ArgumentTypeError: It is neither 0 nor a number above 0.
    """
    if text == "0":
        return 0.0
    try:
        return positive_float(text)
    except ArgumentTypeError as error:
        raise ArgumentTypeError(f"{error}, or 0") from None


def execute(args: Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C."""
    check_installed()
    import asyncio

    from streamer.cli.preflight import check_before_loading
    from streamer.server.app import serve
    from streamer.server.connection import Limits
    from streamer.server.engine import Engine
    from streamer.server.sockets import SPARE_CONNECTIONS, allow_descriptors
    from streamer.sinks.nonblocking_writer import NonBlockingWriter

    tls = tls_files(args)
    access = access_of(args)
    allow_descriptors(args.max_calls + SPARE_CONNECTIONS)
    config = load_config(args, calls_name_channels=True).config
    csv = None if args.keep == 0 else csv_path(config)
    if is_stdout(csv):
        raise ConfigError("--csv -: got standard output, expected a file; events are on /events")
    check_before_loading(config, csv)
    warn_of_licence(config)
    jobs = _background_jobs(args)
    bound = listener(args)
    page, calls = (url(bound, f"{scheme}{'s' if tls else ''}") for scheme in ("http", "ws"))
    urls = [page]
    tcp = audiosocket(args)
    if tcp is not None:
        urls.append(url(tcp, "audiosocket"))
    engine = Engine(model_process_loader(config), config, csv)
    out = NonBlockingWriter(sys.stdout)  # whoever waited for a line may be gone when the next comes
    left = asyncio.run(
        serve(
            engine,
            bound,
            access=access,
            jobs=jobs,
            limits=Limits(calls=args.max_calls, idle_s=args.idle, ahead_s=args.ahead),
            drain_s=args.drain,
            shows_callers=not args.hide_callers,
            tls=tls,
            audiosocket=tcp,
            listening=lambda: out.write("".join(f"listening on {each}\n" for each in urls)),
            ready=lambda: out.write(f"ready: calls to {calls}/v1/stream, wallboard on {page}/\n"),
        )
    )
    for line in left:
        logger.error("%s", line)
    if engine.failure is not None:
        raise engine.failure
    if left:
        raise OutputError("not all rows and alerts could be written")
    return 0


def _background_jobs(args: Namespace) -> "BackgroundJobs":
    """Publisher, call notice and retention, as the arguments say."""
    from streamer.server.background_jobs import BackgroundJobs
    from streamer.server.call_notice import CallNotice
    from streamer.server.redis.publisher import RedisPublisher
    from streamer.server.redis.streams import connect, shown

    keep_s = None if args.keep is None else args.keep * DAY_S
    publisher = None
    if args.publish is not None:
        redis = connect(args.publish, redis_password(args))
        publisher = RedisPublisher(
            redis, shown(args.publish), None if keep_s is None else max(keep_s, LIVE_S)
        )
    notice = CallNotice(args.on_call_start) if args.on_call_start is not None else None
    return BackgroundJobs(publisher, notice, keep_s or None)
