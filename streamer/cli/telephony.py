"""Reads the options of ``streamer serve`` for telephone systems and their authentication."""

import argparse
import socket
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from streamer.cli.listening import bind, split_address, tokens
from streamer.cli.options import read_text
from streamer.cli.parser import CommandParser, Namespace, user_path
from streamer.errors import ConfigError

if TYPE_CHECKING:
    from streamer.server.access import Access


def add_systems(parser: CommandParser, access: argparse._ArgumentGroup) -> None:
    """Add what the systems need to the command and to its group of access."""
    parser.add_argument(
        "--audiosocket",
        metavar="HOST:PORT",
        help="take calls of Asterisk's AudioSocket over TCP here, too (default: none)",
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
        help="the address that Twilio connects to, if that is a proxy: wss://voice.example.com "
        "(default: this server)",
    )
    access.add_argument(
        "--audiohook-secrets-file",
        metavar="FILE",
        type=user_path,
        help="API keys and client secrets (base64) of Genesys AudioHook, which sign its streams",
    )
    access.add_argument(
        "--audiosocket-from",
        metavar="NETWORK",
        action="append",
        default=[],
        help="take AudioSocket calls of these addresses, which have no token: 10.0.0.0/24; may be "
        "repeated",
    )
    access.add_argument(
        "--allow-origin",
        metavar="URL",
        action="append",
        default=[],
        help="answer web pages of this origin, too: https://desk.example.com; may be repeated",
    )


def access_of(args: Namespace) -> "Access":
    """Read who may connect.

    Raises:
        ConfigError: A file or a value cannot be used.
    """
    from streamer.server.access import Access, read_tokens
    from streamer.server.signatures import SignatureVerifier, read_secrets

    twilio, hook = args.twilio_token_file, args.audiohook_secrets_file
    return Access(
        tokens(args),
        read_tokens(read_text(twilio), str(twilio))[0].text if twilio else None,
        SignatureVerifier(read_secrets(read_text(hook), str(hook))) if hook else None,
        tuple(map(_origin, args.allow_origin)),
        tuple(map(_network, args.audiosocket_from)),
        args.public_url,
    )


def audiosocket(args: Namespace) -> socket.socket | None:
    """Bind the address for Asterisk's AudioSocket; None without one.

    Raises:
        ConfigError: It cannot be bound, or other machines reach it and no network is named.
    """
    from streamer.server.access import LOOPBACK

    if args.audiosocket is None:
        return None
    host, port = split_address("--audiosocket", args.audiosocket)
    if host not in LOOPBACK and not args.audiosocket_from:
        raise ConfigError(
            f"--audiosocket {args.audiosocket}: others reach that: it needs --audiosocket-from"
        )
    return bind("--audiosocket", host, port)


def _origin(text: str) -> str:
    """Parse an origin as browsers send it.

    Raises:
        ConfigError: It is something else.
    """
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or f"{parts.scheme}://{parts.netloc}" != text.lower():
        raise ConfigError(f"--allow-origin: got {text!r}, expected as https://desk.example.com")
    return text.lower()


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise ConfigError(f"--audiosocket-from: {error}, expected as 10.0.0.0/24") from error
