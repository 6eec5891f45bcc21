"""Notifies a program or an address that a call is analysed, so that its speakers can be told."""

import shlex
import time
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

PARALLEL: Final = 4
"""Notices that are sent at once: one that takes long holds up a quarter of the others at most."""

RETRY_S: Final = 60.0
"""Seconds for which a notice is tried again: later ones would be too late."""


class CallNotice:
    """Sends a notice of each call that begins, on threads of its own.

    Args:
        target: A program with its arguments, or an address (``https://…``) that is sent a POST.

    Raises:
        ConfigError: It is neither.
    """

    def __init__(self, target: str) -> None:
        self._deliveries = [
            Delivery(_receiver(target), retry_s=RETRY_S, back_off_s=BACK_OFF_S)
            for _ in range(PARALLEL)
        ]

    def begun(self, call: str, start: CallStart) -> None:
        """Queue the notice of a call; return at once."""
        told: dict[str, Value] = {
            "event": "call_begun",
            "id": call,
            "call": call,
            "channels": ",".join(start.channels),
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        idle = min(self._deliveries, key=lambda each: each.waiting)
        idle.put(told | _flat(start.metadata))

    def drain_warnings(self) -> list[str]:
        """What was given up since the last call, a line each."""
        return [line for each in self._deliveries for line in each.drain_warnings()]

    def stop(self, timeout_s: float) -> list[str]:
        """Wait for what is not delivered yet; returns what was given up."""
        for each in self._deliveries:
            each.close()
        ends_at = time.monotonic() + timeout_s
        for each in self._deliveries:
            each.join(ends_at - time.monotonic())
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
