"""Reads the options of commands that serve a network: address, tokens, TLS."""

import argparse
import socket
import ssl
from importlib.util import find_spec
from typing import TYPE_CHECKING

from streamer.cli.options import read_text
from streamer.cli.parser import CommandParser, Namespace, user_path
from streamer.errors import ConfigError

if TYPE_CHECKING:
    from streamer.server.access import Token

NEEDED = ("starlette", "uvicorn", "websockets", "prometheus_client", "redis")


def add_listen(parser: CommandParser, default: str) -> None:
    """Add the address."""
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        default=default,
        help=f"address to listen on (default: {default}); port 0 takes a free one",
    )


def add_access(parser: CommandParser) -> argparse._ArgumentGroup:
    """Add tokens and TLS; returns their group."""
    access = parser.add_argument_group("access")
    access.add_argument(
        "--token-file",
        metavar="FILE",
        type=user_path,
        help="tokens, one a line, of which each request must have one; a line may begin with "
        "what its token allows: media, view, acknowledge, delete (default: everything)",
    )
    access.add_argument(
        "--tls-cert", metavar="FILE", type=user_path, help="certificate, with its chain"
    )
    access.add_argument("--tls-key", metavar="FILE", type=user_path, help="its private key")
    access.add_argument(
        "--behind-proxy",
        action="store_true",
        help="a trusted proxy in front of the server does TLS",
    )
    return access


def add_redis_password(parser: CommandParser | argparse._ArgumentGroup) -> None:
    """Add the file of Redis's password."""
    parser.add_argument(
        "--redis-password-file",
        metavar="FILE",
        type=user_path,
        help="file with the password of Redis, which would be visible in the address",
    )


def redis_password(args: Namespace) -> str | None:
    """Read the password of Redis, if a file of it was named.

    Raises:
        ConfigError: It cannot be read.
    """
    path = args.redis_password_file
    return read_text(path).strip() if path is not None else None


def check_installed() -> None:
    """Check that the packages that a server needs are installed.

    Raises:
        ConfigError: Some are not.
    """
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        packages = " ".join(name.replace("_", "-") for name in missing)
        raise ConfigError(f"this needs packages that are not installed: pip install {packages}")


def tokens(args: Namespace) -> "tuple[Token, ...]":
    """Read the tokens from the file that was named.

    Raises:
        ConfigError: They cannot be used.
    """
    from streamer.server.access import read_tokens

    path = args.token_file
    return read_tokens(read_text(path), str(path)) if path is not None else ()


def listener(args: Namespace) -> socket.socket:
    """Bind the address.

    Raises:
        ConfigError: It cannot be bound; or other machines reach it, and a token or TLS is missing.
    """
    from streamer.server.access import LOOPBACK

    host, port = split_address("--listen", args.listen)
    if host not in LOOPBACK:
        _check_open(args)
    return bind("--listen", host, port)


def loopback_listener(option: str, address: str) -> socket.socket:
    """Bind an address that only this machine reaches.

    Raises:
        ConfigError: Other machines reach it, or it cannot be bound.
    """
    from streamer.server.access import LOOPBACK

    host, port = split_address(option, address)
    if host not in LOOPBACK:
        raise ConfigError(f"{option} {address}: others reach that: expected 127.0.0.1:PORT")
    return bind(option, host, port)


def url(bound: socket.socket, scheme: str) -> str:
    """The address for people."""
    host, port = bound.getsockname()[:2]
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def tls_files(args: Namespace) -> tuple[str, str] | None:
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


def split_address(option: str, text: str) -> tuple[str, int]:
    """Split an address into host and port.

    Raises:
        ConfigError: It is something else; the message names the option.
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:  # noqa: PLR2004 - the highest port
        raise ConfigError(f"{option}: got {text!r}, expected HOST:PORT, as 127.0.0.1:8765")
    return host.strip("[]"), int(port)


def _check_open(args: Namespace) -> None:
    """Check that an address that other machines reach has tokens and TLS."""
    if args.token_file is None:
        raise ConfigError(f"--listen {args.listen}: others reach that: it needs --token-file")
    if args.tls_cert is None and not args.behind_proxy:
        raise ConfigError(
            f"--listen {args.listen}: others reach that: it needs --tls-cert and --tls-key, or "
            "--behind-proxy where a proxy speaks TLS"
        )


def bind(option: str, host: str, port: int) -> socket.socket:
    """Bind a listening socket.

    Raises:
        ConfigError: It cannot be bound; the message names the option.
    """
    from streamer.server.sockets import listen_on

    try:
        return listen_on(host, port)
    except OSError as error:
        raise ConfigError(f"{option} {host}:{port}: cannot be used: {error.strerror}") from error
