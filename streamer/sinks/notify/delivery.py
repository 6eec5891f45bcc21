"""Delivers alerts: each receiver has a queue and a thread of its own.

An alert that a receiver does not take is sent again, with growing pauses, until its time is up. The
main thread reports each alert that was not delivered.
"""

import queue
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from streamer.config import AlertsConfig
from streamer.errors import DeliveryError
from streamer.events import Alert, Event
from streamer.sinks.base import BaseSink
from streamer.sinks.notify.command import Command
from streamer.sinks.notify.webhook import Webhook
from streamer.sinks.row import Session, Value, alert_cells, wall_clock
from streamer.types import SAMPLE_RATE

MAX_WAITING = 100
"""How many alerts may wait for a receiver; later ones are not delivered, which is reported."""

BACK_OFF_S = (1.0, 60.0)
"""Seconds until the second attempt, and the longest pause between two attempts."""

LAST_BACK_OFF_S = 1.0
"""The longest pause between two attempts while the program waits to end, in seconds."""


class Receiver(Protocol):
    """The protocol of receivers of alerts: `Webhook`, `Command`."""

    @property
    def name(self) -> str:
        """Name for people, without secrets."""

    def deliver(self, message: Mapping[str, Value]) -> str:
        """Deliver a message once; return the result in words, for people.

        Raises:
            DeliveryError: It did not arrive.
        """


class Delivery:
    """Hands messages to one receiver, in order, on a thread of its own.

    Args:
        receiver: Gets them.
        retry_s: How long a message is tried again.
        back_off_s: Pause before the second attempt, and the longest pause.
    """

    def __init__(
        self, receiver: Receiver, *, retry_s: float, back_off_s: tuple[float, float]
    ) -> None:
        self._receiver = receiver
        self._retry_s = retry_s
        self._back_off_s = back_off_s
        self._queue: queue.Queue[Mapping[str, Value] | None] = queue.Queue()
        self._lock = threading.Lock()
        self._pending: list[Mapping[str, Value]] = []
        self._warnings: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._abandoned = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"{receiver.name}", daemon=True)
        self._thread.start()

    def put(self, message: Mapping[str, Value]) -> None:
        """Take a message. On the main thread; returns at once."""
        with self._lock:
            full = len(self._pending) >= MAX_WAITING
            if not full:
                self._pending.append(message)
        if full:
            self._warn(message, f"{MAX_WAITING} wait already")
        else:
            self._queue.put(message)

    @property
    def waiting(self) -> int:
        """How many messages are not delivered yet."""
        with self._lock:
            return len(self._pending)

    def drain_warnings(self) -> list[str]:
        """What was given up since the last call, a line each."""
        return [self._warnings.get_nowait() for _ in range(self._warnings.qsize())]

    def close(self) -> None:
        """Mark the end, so that retries stop. Returns at once."""
        self._closing.set()
        self._queue.put(None)

    def join(self, timeout_s: float) -> None:
        """Wait until all is delivered; what is not in time is given up."""
        self._thread.join(max(0.0, timeout_s))
        self._abandoned.set()
        with self._lock:
            left, self._pending = self._pending, []
        for message in left:
            self._warn(message, "the program ended before it was")

    # --- delivery thread ------------------------------------------------------------------------

    def _work(self) -> None:
        while (message := self._queue.get()) is not None and not self._abandoned.is_set():
            failure = self._try(message)
            with self._lock:
                if message not in self._pending:  # given up meanwhile, and reported
                    return
                self._pending.remove(message)
            if failure is not None:
                self._warn(message, failure)

    def _try(self, message: Mapping[str, Value]) -> str | None:
        """Deliver a message, repeatedly where that may help; return why it failed, None if not."""
        pause, longest = self._back_off_s
        give_up_at = time.monotonic() + self._retry_s
        while True:
            asked: float | None = None
            try:
                self._receiver.deliver(message)
            except DeliveryError as error:
                asked = error.retry_after_s
                wait_s = pause if asked is None else asked
                if not error.worth_retrying or time.monotonic() + wait_s > give_up_at:
                    told = f", asks to wait {asked:.0f} s" if asked else ""
                    return f"{error}{told if error.worth_retrying else ''}"
            except Exception as error:  # noqa: BLE001 - reported, and no reason to stop the thread
                return repr(error)
            else:
                return None
            if self._gives_up_while_waiting(wait_s, shortened=asked is None):
                return "the program ended before it was"
            pause = min(2 * pause, longest)

    def _gives_up_while_waiting(self, wait_s: float, *, shortened: bool) -> bool:
        """Wait before the next attempt; shorter once the program waits to end, if that may be."""
        begin = time.monotonic()
        if not self._closing.wait(wait_s):
            return False
        left = max(0.0, begin + wait_s - time.monotonic())
        return self._abandoned.wait(min(left, LAST_BACK_OFF_S) if shortened else left)

    def _warn(self, message: Mapping[str, Value], why: str) -> None:
        subject = f"alert {message['rule']!r}" if "rule" in message else f"{message['event']}"
        call = message.get("call")
        of = f" of call {call}" if isinstance(call, str) else ""
        what = f"{subject}{of} not delivered to {self._receiver.name}"
        self._warnings.put(f"{what}: {why}")


class NotificationSink(BaseSink):
    """Hands alerts to all receivers.

    Args:
        config: Where to send alerts.
    """

    def __init__(self, config: AlertsConfig) -> None:
        super().__init__()
        self._exit_wait_s = config.exit_wait_s
        self._all = [
            Delivery(receiver, retry_s=config.retry_s, back_off_s=BACK_OFF_S)
            for receiver in receivers(config)
        ]

    def write(self, event: Event, session: Session) -> None:
        """Queue an alert for all receivers; returns at once."""
        if isinstance(event, Alert):
            for delivery in self._all:
                delivery.put(message(event, session))

    @property
    def waiting(self) -> int:
        """How many messages are not delivered yet."""
        return sum(delivery.waiting for delivery in self._all)

    def drain_warnings(self) -> list[str]:
        """What was given up since the last call, a line each."""
        return [line for delivery in self._all for line in delivery.drain_warnings()]

    def close(self) -> None:
        """Mark the end, so that retries stop. Returns at once."""
        for delivery in self._all:
            delivery.close()

    def join(self, timeout_s: float | None = None) -> list[str]:
        """Wait for what is not delivered yet; returns what was given up.

        Args:
            timeout_s: How long; None for as long as the configuration says.
        """
        self.close()
        ends_at = time.monotonic() + (self._exit_wait_s if timeout_s is None else timeout_s)
        for delivery in self._all:
            delivery.join(ends_at - time.monotonic())
        return self.drain_warnings()


def receivers(config: AlertsConfig) -> Sequence[Receiver]:
    """The receivers that the configuration names."""
    found: list[Receiver] = []
    if config.webhook_url is not None:
        secret = config.webhook_secret
        found.append(
            Webhook(
                config.webhook_url,
                secret=secret.get_secret_value() if secret is not None else None,
                timeout_s=config.timeout_s,
            )
        )
    if config.command:
        found.append(Command(config.command, timeout_s=config.timeout_s))
    return found


def message(alert: Alert, session: Session, *, test: bool = False) -> dict[str, Value]:
    """The message to a receiver. ``id`` is the same in every attempt.

    Args:
        alert: What was raised.
        session: In which session.
        test: Whether it is only a test.
    """
    seconds = alert.position / SAMPLE_RATE
    return {
        "event": "alert",
        "id": f"{session.id}/{alert.channel}/{alert.utterance}/{alert.rule}",
        "test": test,
        **alert_cells(alert),
        "at": wall_clock(session, seconds),
        "session": session.id,
        "source": session.source,
        "model": session.model,
    }
