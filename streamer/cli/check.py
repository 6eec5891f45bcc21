"""``streamer check``: say whether this machine is ready, and what to do where it is not."""

import platform
from collections.abc import Iterable
from typing import TYPE_CHECKING

from streamer.cli.options import add_config, add_model, load_config, model_loader, warn_of_licence
from streamer.cli.parser import CommandParser, Namespace

if TYPE_CHECKING:
    from streamer.diagnostics.check import Finding

NAME = "check"
SUMMARY = "check whether this machine is ready"
EXAMPLE = "streamer check"


def add_arguments(parser: CommandParser) -> None:
    """Add the command's arguments to its parser."""
    add_config(parser)
    parser.add_argument(
        "--device",
        metavar="INDEX|NAME",
        help="input device to be checked (default: the configured one)",
    )
    parser.add_argument(
        "--alert", metavar="NAME", help="only send a test alert of this rule, and print the answers"
    )
    add_model(parser)


def execute(args: Namespace) -> int:
    """Print a line for each part; returns the exit code of the first problem."""
    from streamer.audio.demo import DEMO
    from streamer.audio.devices import native_stderr_muted
    from streamer.diagnostics.alert_test import send_test_alert
    from streamer.diagnostics.check import check

    config = load_config(args).config
    if args.alert is not None:
        findings = send_test_alert(config, args.alert)
        if not findings:
            print("sent to nobody: neither alerts.webhook_url nor alerts.command is set")
        return _print(findings)
    print(f"streamer on Python {platform.python_version()}, {platform.platform()}")
    warn_of_licence(config)
    with native_stderr_muted():
        return _print(check(config, model_loader(config), DEMO))


def _print(findings: "Iterable[Finding]") -> int:
    exit_code = 0
    for finding in findings:
        word = "ok" if finding.problem is None else "problem"
        print(f"{word:<8}{finding.part}: {finding.text}", flush=True)
        if finding.problem is not None:
            exit_code = exit_code or finding.problem.exit_code
    return exit_code
