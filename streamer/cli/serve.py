"""``streamer serve``: analyse the calls that a telephone system sends."""

import logging
import socket
import ssl
from importlib.util import find_spec
from urllib.parse import urlsplit

from streamer.cli.options import (
    add_config,
    add_model,
    csv_path,
    is_stdout,
    load_config,
    model_loader,
    read_text,
)
from streamer.cli.parser import CommandParser, Namespace, positive_float, positive_int, user_path
from streamer.errors import ConfigError, OutputError

logger = logging.getLogger(__name__)

NAME = "serve"
SUMMARY = "take calls over a network, as a telephone system sends them"
EXAMPLE = "streamer serve --listen 127.0.0.1:8765 --csv calls.csv"

NEEDED = ("starlette", "uvicorn", "websockets", "prometheus_client")


def add_arguments(parser: CommandParser) -> None:
    """Add the command's arguments to its parser."""
    add_config(parser)
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        default="127.0.0.1:8765",
        help="address to listen on (default: 127.0.0.1:8765); port 0 takes a free one",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--csv",
        metavar="PATH",
        help="append a row per utterance to this file (default: emotions.csv)",
    )
    where.add_argument("--no-csv", action="store_true", help="write no CSV")
    add_model(parser)
    access = parser.add_argument_group("access")
    access.add_argument(
        "--token-file",
        metavar="FILE",
        type=user_path,
        help="tokens, one a line, of which each request has to show one; a line may begin with "
        "what its token allows: media, view, acknowledge, delete (default: everything)",
    )
    access.add_argument(
        "--twilio-token-file",
        metavar="FILE",
        type=user_path,
        help="the auth token of a Twilio account, which signs its streams",
    )
    access.add_argument(
        "--public-url",
        metavar="URL",
        default="",
        help="what Twilio connects to, where that is a proxy: wss://voice.example.com "
        "(default: this server)",
    )
    access.add_argument(
        "--allow-origin",
        metavar="URL",
        action="append",
        default=[],
        help="answer web pages of this origin, too: https://desk.example.com; may be repeated",
    )
    access.add_argument(
        "--tls-cert", metavar="FILE", type=user_path, help="certificate, with its chain"
    )
    access.add_argument("--tls-key", metavar="FILE", type=user_path, help="its private key")
    access.add_argument(
        "--behind-proxy", action="store_true", help="a proxy that is trusted speaks TLS"
    )
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
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise ConfigError(
            f"serve needs {', '.join(missing)}: pip install 'streamer-emotion[serve]'"
        )
    import asyncio

    from streamer.cli.preflight import check_before_loading
    from streamer.server.access import LOOPBACK, Access, read_tokens
    from streamer.server.app import serve
    from streamer.server.connection import Limits
    from streamer.server.engine import Engine

    host, port = _address(args.listen)
    if host not in LOOPBACK:
        _check_open(args)
    tls = _tls(args)
    twilio = args.twilio_token_file
    access = Access(
        read_tokens(read_text(args.token_file), str(args.token_file)) if args.token_file else (),
        read_tokens(read_text(twilio), str(twilio))[0].text if twilio else None,
        tuple(map(_origin, args.allow_origin)),
        args.public_url,
    )
    config = load_config(args).config
    csv = csv_path(config)
    if is_stdout(csv):
        raise ConfigError("--csv -: got standard output, expected a file; events are on /events")
    check_before_loading(config, csv)
    listener = _listener(host, port)
    shown = f"[{host}]" if ":" in host else host
    url = f"{'https' if tls else 'http'}://{shown}:{listener.getsockname()[1]}"
    engine = Engine(model_loader(config), config, csv)
    left = asyncio.run(
        serve(
            engine,
            listener,
            access=access,
            limits=Limits(calls=args.max_calls, idle_s=args.idle, ahead_s=args.ahead),
            drain_s=args.drain,
            tls=tls,
            listening=lambda: print(f"listening on {url}", flush=True),
        )
    )
    for line in left:
        logger.error("%s", line)
    if engine.failure is not None:
        raise engine.failure
    if left:
        raise OutputError("not all rows and alerts could be written")
    return 0


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:  # noqa: PLR2004 - the highest port
        raise ConfigError(f"--listen: got {text!r}, expected HOST:PORT, as 127.0.0.1:8765")
    return host.strip("[]"), int(port)


def _origin(text: str) -> str:
    """An origin as browsers send it.

    Raises:
        ConfigError: It is none.
    """
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or f"{parts.scheme}://{parts.netloc}" != text.lower():
        raise ConfigError(f"--allow-origin: got {text!r}, expected as https://desk.example.com")
    return text.lower()


def _check_open(args: Namespace) -> None:
    """What an address that others reach needs."""
    if args.token_file is None:
        raise ConfigError(f"--listen {args.listen}: others reach that: it needs --token-file")
    if args.tls_cert is None and not args.behind_proxy:
        raise ConfigError(
            f"--listen {args.listen}: others reach that: it needs --tls-cert and --tls-key, or "
            "--behind-proxy where a proxy speaks TLS"
        )


def _tls(args: Namespace) -> tuple[str, str] | None:
    """The files of certificate and key.

    Raises:
        ConfigError: Only one is named, or they cannot be used.
    """
    if args.tls_cert is None and args.tls_key is None:
        return None
    if args.tls_cert is None or args.tls_key is None:
        raise ConfigError("got one of --tls-cert and --tls-key, expected both")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(args.tls_cert, args.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"--tls-cert {args.tls_cert}: cannot be used: {error}") from error
    return str(args.tls_cert), str(args.tls_key)


def _listener(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise ConfigError(f"--listen {host}:{port}: cannot be used: {error.strerror}") from error
