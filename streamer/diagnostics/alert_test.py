"""Sends one test alert of a rule to everybody whom its alerts notify."""

import time
from collections.abc import Mapping
from functools import partial

from streamer.config import Config
from streamer.diagnostics.check import Finding, examine
from streamer.errors import ConfigError
from streamer.sinks.notify.delivery import Receiver, message, receivers
from streamer.sinks.row import Session, Value
from streamer.types import EMOTIONS, Alert


def send_test_alert(config: Config, name: str) -> list[Finding]:
    """Send a test alert of a rule once to the webhook and the command, where they are configured.

    Args:
        config: The rules, and whom to notify.
        name: Of the rule.

    Returns:
        How each receiver answered; nothing where nobody is to be notified.

    Raises:
        ConfigError: There is no such rule.
    """
    names = [rule.name for rule in config.alerts.rules]
    if name not in names:
        allowed = ", ".join(names) or "nothing: alerts.rules is empty"
        raise ConfigError(f"--alert: got {name!r}, allowed: {allowed}")
    alert = Alert(name, config.audio.streams[0], 1, 0, EMOTIONS[0], 1.0, 0.0, "this is a test")
    session = Session.begin(source="streamer check", model="none", labels=EMOTIONS)
    sent = message(alert, session, test=True)
    return list(
        examine({one.name: partial(_deliver, one, sent) for one in receivers(config.alerts)})
    )


def _deliver(receiver: Receiver, sent: Mapping[str, Value]) -> str:
    started = time.perf_counter()
    answer = receiver.deliver(sent)
    return f"{answer}, {(time.perf_counter() - started) * 1000:.0f} ms"
