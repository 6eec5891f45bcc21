"""Runs a program for each alert. It blocks, so only a delivery thread calls it."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress

from streamer.config.loader import ALERT_PREFIX, ENV_PREFIX, SECRETS
from streamer.errors import DeliveryError
from streamer.sinks.row import Value

MAX_STDERR_BYTES = 500
"""Of what a program that fails says on stderr."""


class Command:
    """Runs a program, without a shell, with the message in its environment.

    Its variables are ``STREAMER_ALERT_RULE``, ``STREAMER_ALERT_CHANNEL`` and so on, one for each
    key of the message. It is given no input, and its output goes nowhere.

    Args:
        argv: Program and arguments.
        timeout_s: After which it is killed, with what it has started.
    """

    def __init__(self, argv: Sequence[str], *, timeout_s: float) -> None:
        self._argv = list(argv)
        self._timeout_s = timeout_s

    @property
    def name(self) -> str:
        """For people: the program without its arguments."""
        return f"command {self._argv[0]}"

    def deliver(self, message: Mapping[str, Value]) -> str:
        """Run it once; never worth a second attempt, which might do half the work again.

        Raises:
            DeliveryError: It cannot be started, takes too long or ends with another code than 0.
        """
        with tempfile.TemporaryFile() as errors:
            try:
                process = subprocess.Popen(  # noqa: S603 - the user's own program, without a shell
                    self._argv,
                    env=_environment(message),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    start_new_session=True,
                )
            except (OSError, ValueError) as error:
                raise DeliveryError(f"cannot be run: {error}", worth_retrying=False) from None
            try:
                code = process.wait(self._timeout_s)
            except subprocess.TimeoutExpired:
                _kill(process)
                text = f"killed after {self._timeout_s:g} s"
                raise DeliveryError(text, worth_retrying=False) from None
            if code != 0:
                errors.seek(0)
                said = " ".join(errors.read(MAX_STDERR_BYTES).decode(errors="replace").split())
                raise DeliveryError(f"exit code {code} {said}".rstrip(), worth_retrying=False)
        return "exit code 0"


def _environment(message: Mapping[str, Value]) -> dict[str, str]:
    """Ours without secrets, and the message."""
    secrets = {f"{ENV_PREFIX}{key.replace('.', '_')}".upper() for key in SECRETS}
    ours = {key: value for key, value in os.environ.items() if key not in secrets}
    told = {
        f"{ALERT_PREFIX}{key}".upper(): _text(value).replace("\0", "")
        for key, value in message.items()
    }
    return ours | told


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill a program and what it has started."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


def _text(value: Value) -> str:
    """A value as the CSV has it: empty for None, ``true`` and ``false``."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
