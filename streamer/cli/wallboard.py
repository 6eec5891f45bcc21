"""``streamer wallboard``: show the calls of several servers on one page."""

import logging

from streamer.cli.listening import (
    add_access,
    add_listen,
    add_redis_password,
    check_installed,
    listener,
    redis_password,
    tls_files,
    tokens,
    url,
)
from streamer.cli.parser import CommandParser, Namespace, positive_float
from streamer.errors import OutputError
from streamer.text import quantity

logger = logging.getLogger(__name__)

NAME = "wallboard"
SUMMARY = "show the calls of several servers on one page"
EXAMPLE = "streamer wallboard --from redis://127.0.0.1:6379"


def add_arguments(parser: CommandParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument(
        "--from",
        metavar="URL",
        dest="source",
        required=True,
        help="where servers write with --publish: redis://HOST:PORT, or rediss:// with TLS",
    )
    add_redis_password(parser)
    parser.add_argument(
        "--lost-after",
        metavar="S",
        type=positive_float,
        default=10.0,
        help="seconds of silence after which a server and its calls count as lost "
        "(default: 10; servers give a sign of life every 2)",
    )
    add_listen(parser, "127.0.0.1:8766")
    add_access(parser)


def execute(args: Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C."""
    check_installed()
    import asyncio

    from streamer.server.access import Access
    from streamer.server.redis.streams import connect, shown
    from streamer.server.redis.wallboard import RedisWallboard, serve_wallboard

    tls = tls_files(args)
    access = Access(tokens(args))
    redis = connect(args.source, redis_password(args))
    bound = listener(args)
    address = url(bound, "https" if tls else "http")
    left = asyncio.run(
        serve_wallboard(
            RedisWallboard(redis, shown(args.source), access, args.lost_after),
            bound,
            tls=tls,
            listening=lambda: print(f"listening on {address}", flush=True),
        )
    )
    if left:
        verb = "is" if left == 1 else "are"
        raise OutputError(f"{quantity(left, 'acknowledgement')} {verb} not in {shown(args.source)}")
    return 0
