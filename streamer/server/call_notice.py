"""Notifies a program or an address that a call is analysed, so that its speakers can be told."""

import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from streamer.errors import ConfigError
from streamer.server.protocols.base import CallStart
from streamer.sinks.notify.command import Command
from streamer.sinks.notify.delivery import BACK_OFF_S, Delivery, Receiver
from streamer.sinks.notify.webhook import Webhook
from streamer.sinks.row import Value

TIMEOUT_S: Final = 10.0
"""Seconds for one attempt."""

RETRY_S: Final = 60.0
"""Seconds for which a notice is tried again: later ones would be too late."""


class CallNotice:
    """Sends a notice of each call that begins, on a thread of its own.

    Args:
        target: A program with its arguments, or an address (``https://…``) that is sent a POST.

    Raises:
        ConfigError: It is neither.
    """

    def __init__(self, target: str) -> None:
        self._delivery = Delivery(_receiver(target), retry_s=RETRY_S, back_off_s=BACK_OFF_S)

    def begun(self, call: str, start: CallStart) -> None:
        """Queue the notice of a call; return at once."""
        told: dict[str, Value] = {
            "event": "call_begun",
            "id": call,
            "call": call,
            "channels": ",".join(start.channels),
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        self._delivery.put(told | _flat(start.metadata))

    def drain_warnings(self) -> list[str]:
        """What was given up since the last call, a line each."""
        return self._delivery.drain_warnings()

    def stop(self, timeout_s: float) -> list[str]:
        """Wait for what is not delivered yet; returns what was given up."""
        self._delivery.close()
        self._delivery.join(timeout_s)
        return self.drain_warnings()


def _receiver(target: str) -> Receiver:
    if target.startswith(("http://", "https://")):
        return Webhook(target, secret=None, timeout_s=TIMEOUT_S)
    try:
        argv = shlex.split(target)
    except ValueError as error:
        raise ConfigError(f"--on-call-start: got {target!r}: {error}") from error
    if not argv:
        raise ConfigError("--on-call-start: got nothing, expected a program or an address")
    return Command(argv, timeout_s=TIMEOUT_S)


def _flat(metadata: Mapping[str, str]) -> dict[str, Value]:
    return {f"metadata_{key}": value for key, value in metadata.items() if key.isidentifier()}
