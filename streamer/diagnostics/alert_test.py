"""Sends one test alert of a rule to all receivers of its alerts."""

import time
from collections.abc import Mapping, Sequence
from functools import partial

from streamer.config import AlertRule, Config
from streamer.diagnostics.check import Finding, examine
from streamer.errors import ConfigError
from streamer.events import Alert
from streamer.sinks.notify.delivery import Receiver, message, receivers
from streamer.sinks.row import Session, Value
from streamer.types import EMOTIONS

LOW_MOOD_EMOTION = "sad"
"""The emotion in the test alert of a rule that waits for a low mood."""

MOOD = -0.5
"""The mood in the test alert of a rule that waits for an emotion."""


def send_test_alert(config: Config, name: str) -> list[Finding]:
    """Send a test alert of a rule once to the webhook and the command, where they are configured.

    Args:
        config: The rules, and whom to notify.
        name: The name of the rule.

    Returns:
        The answer of each receiver; empty without receivers.

    Raises:
        ConfigError: There is no such rule.
    """
    rules = {rule.name: rule for rule in config.alerts.rules}
    if name not in rules:
        allowed = ", ".join(rules) or "nothing: alerts.rules is empty"
        raise ConfigError(f"--alert: got {name!r}, allowed: {allowed}")
    alert = example(rules[name], config.audio.streams)
    session = Session.begin(source="streamer check", model="none", labels=EMOTIONS)
    sent = message(alert, session, test=True)
    return list(
        examine({one.name: partial(_deliver, one, sent) for one in receivers(config.alerts)})
    )


def example(rule: AlertRule, streams: Sequence[str]) -> Alert:
    """An alert as the rule would raise it: on a channel that it watches, with its own emotion."""
    watched = [name for name in streams if rule.watches(name, streams)] or streams
    emotion = rule.emotions[0] if rule.emotions else LOW_MOOD_EMOTION
    mood = rule.mood_below if rule.mood_below is not None else MOOD
    return Alert(rule.name, watched[0], 1, 0, emotion, 1.0, mood, "this is a test")


def _deliver(receiver: Receiver, sent: Mapping[str, Value]) -> str:
    started = time.perf_counter()
    answer = receiver.deliver(sent)
    return f"{answer}, {(time.perf_counter() - started) * 1000:.0f} ms"
