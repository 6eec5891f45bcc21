"""Alerts to the outside: to a real server and a real program, late, refused, or not at all."""

import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hooks import PATIENCE_S, SECRET

from streamer.config import AlertsConfig
from streamer.errors import DeliveryError
from streamer.events import Alert
from streamer.sinks.notify.command import Command
from streamer.sinks.notify.delivery import MAX_WAITING, Delivery, NotificationSink, message
from streamer.sinks.notify.exchange import proxy_of
from streamer.sinks.notify.webhook import DELIVERY, SIGNATURE, Webhook, signature
from streamer.sinks.row import Session
from streamer.types import EMOTIONS


def alert(number=1, rule="angry customer"):
    """What a rule raises."""
    return Alert(rule, "customer", number, 160_000, "angry", 0.81, -0.44, "angry twice")


SESSION = Session.begin(source="call.wav", model="fake", labels=EMOTIONS, epoch=1.7e9)


def to(url, *, retry_s=60.0, timeout_s=PATIENCE_S):
    """A delivery to an address, with pauses that a test has time for."""
    webhook = Webhook(url, secret=SECRET, timeout_s=timeout_s)
    return Delivery(webhook, retry_s=retry_s, back_off_s=(0.01, 0.05))


def ended(delivery):
    """What was given up, once there is nothing more to do."""
    delivery.close()
    delivery.join(PATIENCE_S)
    return delivery.drain_warnings()


def test_a_webhook_gets_the_alert_signed(serve):
    """With all that a receiver needs, once."""
    server = serve()
    delivery = to(server.url)
    delivery.put(message(alert(), SESSION))
    server.wait()
    assert ended(delivery) == []
    ((path, headers, body),) = server.requests
    assert path == "/hook?key=private"
    assert headers[SIGNATURE] == signature(body, SECRET)
    assert headers["Content-Type"] == "application/json"
    told = json.loads(body)
    assert headers[DELIVERY] == told["id"]
    sent_at = datetime.fromisoformat(told["sent_at"])  # under the signature: no replay
    assert abs((datetime.now(UTC) - sent_at).total_seconds()) < 10 * PATIENCE_S
    del told["id"], told["at"], told["sent_at"]
    assert told == {
        "event": "alert",
        "test": False,
        "rule": "angry customer",
        "reason": "angry twice",
        "channel": "customer",
        "utterance": 1,
        "at_s": 10.0,
        "emotion": "angry",
        "confidence": 0.81,
        "mood": -0.44,
        "call": 1,
        "on_disk": True,
        "session": SESSION.id,
        "source": "call.wav",
        "model": "fake",
    }


def test_the_signature_is_the_standard_one():
    """HMAC-SHA256, test case 2 of RFC 4231."""
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert signature(b"what do ya want for nothing?", "Jefe") == f"sha256={expected}"


def test_without_a_secret_nothing_is_signed(serve):
    """Rather than with an empty key."""
    server = serve()
    assert Webhook(server.url, secret=None, timeout_s=PATIENCE_S).deliver(message(alert(), SESSION))
    ((_, headers, _),) = server.requests
    assert SIGNATURE not in headers


def test_it_is_delivered_when_the_server_is_back(serve):
    """After any number of failures; in order, each under one id."""
    server = serve(503, 500, 429)
    delivery = to(server.url)
    for number in (1, 2):
        delivery.put(message(alert(number), SESSION))
    server.wait(5)
    assert ended(delivery) == []
    numbers = [json.loads(body)["utterance"] for *_, body in server.requests]
    assert numbers == [1, 1, 1, 1, 2]
    assert len({headers[DELIVERY] for _, headers, _ in server.requests}) == 2


def test_a_server_that_is_not_there_yet_is_tried_again(serve):
    """Refused connections count as failures that may pass."""

    class Later(Webhook):
        def __init__(self) -> None:
            with socket.socket() as unused:
                unused.bind(("127.0.0.1", 0))
                nobody = f"http://127.0.0.1:{unused.getsockname()[1]}/"
            super().__init__(nobody, secret=SECRET, timeout_s=PATIENCE_S)
            self.refused = 0

        def deliver(self, sent):
            try:
                return super().deliver(sent)
            except DeliveryError:
                self.refused += 1
                if self.refused == 5:
                    self._url = server.url
                raise

    server = serve()
    later = Later()
    delivery = Delivery(later, retry_s=60, back_off_s=(0.01, 0.02))
    delivery.put(message(alert(), SESSION))
    server.wait()
    assert ended(delivery) == []
    assert later.refused == 5


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("8", 8),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Tue, 19 Jan 2999 03:14:07 GMT", 3e10),
        ("soon", None),
        ("-3", None),
        (None, None),
    ],
)
def test_what_a_busy_server_asks_for_is_known(serve, told, seconds):
    """Seconds, or a time of day."""
    server = serve((429, {"Retry-After": told} if told else {}))
    with pytest.raises(DeliveryError, match="answered 429") as caught:
        Webhook(server.url, secret=None, timeout_s=PATIENCE_S).deliver(message(alert(), SESSION))
    assert caught.value.worth_retrying
    got = caught.value.retry_after_s
    assert got == (None if seconds is None else pytest.approx(seconds, rel=0.1))


class Busy:
    """A receiver that asks to be left alone, as often as it is told to."""

    name = "busy"

    def __init__(self, *asked: float | None) -> None:
        self._asked = iter(asked)

    def deliver(self, message):
        """Refuse, until there is nothing left to ask for."""
        for seconds in self._asked:
            raise DeliveryError("answered 429", retry_after_s=seconds)
        return f"took {message['id']}"


@pytest.mark.parametrize(
    ("asked", "waited", "trouble"),
    [
        ((8.0, None, None, 0.0), [8.0, 2.0, 4.0, 0.0], []),
        ((None, 8.0, None), [1.0, 8.0, 4.0], []),
        ((400.0,), [], ["not delivered to busy: answered 429, asks to wait 400 s"]),
    ],
)
def test_a_busy_server_is_left_alone_for_as_long_as_it_asks(asked, waited, trouble):
    """Else for ever longer; not at all where that is longer than it is tried."""
    delivery = Delivery(Busy(*asked), retry_s=300, back_off_s=(1.0, 60.0))
    waits = []
    delivery._closing.wait = waits.append  # takes no time
    delivery.put(message(alert(), SESSION))
    delivery._queue.put(None)
    delivery.join(PATIENCE_S)
    assert waits == waited
    assert [line.partition("' ")[2] for line in delivery.drain_warnings()] == trouble


def test_an_answer_that_drips_is_cut_off():
    """The limit bounds the whole exchange, not each byte of it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ended = threading.Event()

        def drip():
            connection, _ = listening.accept()
            with connection, suppress(OSError):
                connection.sendall(b"HTTP/1.1 ")
                while True:
                    connection.sendall(b"2")
                    time.sleep(0.02)
            ended.set()

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        with pytest.raises(DeliveryError, match=r"no answer: no whole answer within 0.2 s"):
            Webhook(url, secret=None, timeout_s=0.2).deliver(message(alert(), SESSION))
        assert ended.wait(PATIENCE_S)  # the connection was cut
        thread.join(PATIENCE_S)


@pytest.mark.parametrize(
    ("proxy", "excepted", "expected"),
    [
        ("http://proxy.example:3128", "", ("proxy.example", 3128)),
        ("http://anna:secret@proxy.example", "", ("proxy.example", 80)),
        ("proxy.example:8080", "", ("proxy.example", 8080)),
        ("http://proxy.example:3128", "hook.example", None),
        ("", "", None),
    ],
)
def test_the_proxy_on_the_way_is_known(monkeypatch, proxy, excepted, expected):
    """From the environment, as for what is sent."""
    monkeypatch.setenv("http_proxy", proxy)
    monkeypatch.setenv("no_proxy", excepted)
    assert proxy_of("http://hook.example/x") == expected
    assert proxy_of("https://hook.example/x") is None


def test_a_proxy_that_is_not_there_is_named(monkeypatch):
    """Or people look for the fault at the host of the webhook."""
    monkeypatch.setenv("http_proxy", "http://me:secret@127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    webhook = Webhook("http://hook.example/x", secret=None, timeout_s=PATIENCE_S)
    with pytest.raises(
        DeliveryError, match=r"^cannot be reached through the proxy 127\.0\.0\.1:1: .*refused"
    ):
        webhook.deliver(message(alert(), SESSION))


@pytest.mark.parametrize("status", [302, 400, 401, 404, 410])
def test_a_refusal_is_final_and_told(serve, status):
    """A redirect would carry the alert to where nobody asked for it."""
    server = serve(status)
    delivery = to(server.url)
    delivery.put(message(alert(), SESSION))
    server.wait()
    (trouble,) = ended(delivery)
    host = server.url.partition("/hook")[0]
    assert trouble.startswith(f"alert 'angry customer' not delivered to webhook {host}: ")
    assert f"answered {status}" in trouble
    assert len(server.requests) == 1


def test_what_is_secret_is_in_no_message(serve):
    """Neither the key nor the path, which may be one."""
    server = serve(403)
    delivery = to(server.url)
    delivery.put(message(alert(), SESSION))
    (trouble,) = ended(delivery)
    assert SECRET not in trouble
    assert "private" not in trouble


def test_it_gives_up_in_the_end_and_goes_on_with_the_next(serve):
    """And says so."""
    server = serve(500, 204)
    delivery = to(server.url, retry_s=0)
    for number in (1, 2):
        delivery.put(message(alert(number, rule=f"rule {number}"), SESSION))
    server.wait(2)
    (trouble,) = ended(delivery)
    assert "'rule 1' not delivered" in trouble
    assert "answered 500" in trouble


def test_a_server_that_hangs_delays_nobody(serve):
    """Neither who raises alerts, nor the other receivers, nor the end beyond its time."""
    released = threading.Event()
    server = serve(released, released)
    hanging = to(server.url)
    for number in range(MAX_WAITING + 5):
        hanging.put(message(alert(number), SESSION))
    server.wait()
    full = hanging.drain_warnings()
    assert len(full) == 5
    assert "100 wait already" in full[0]

    other = serve()
    working = to(other.url)
    working.put(message(alert(), SESSION))
    other.wait()
    assert ended(working) == []

    hanging.close()
    hanging.join(0.05)
    left = hanging.drain_warnings()
    assert len(left) == MAX_WAITING
    assert "the program ended before it was" in left[0]
    released.set()


def test_a_pause_between_attempts_does_not_hold_up_the_end(serve):
    """It is tried once more soon, instead of after a minute."""
    server = serve(500)
    webhook = Webhook(server.url, secret=None, timeout_s=PATIENCE_S)
    delivery = Delivery(webhook, retry_s=600, back_off_s=(60, 60))
    delivery.put(message(alert(), SESSION))
    server.wait()
    assert ended(delivery) == []
    assert len(server.requests) == 2


def test_certificates_are_verified(tmp_path, serve):
    """A server that nobody vouches for gets nothing."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1"]
    try:
        subprocess.run(
            [*command, "-keyout", str(key), "-out", str(certificate)],
            check=True,
            capture_output=True,
        )
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    server = serve()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server._server.socket = context.wrap_socket(server._server.socket, server_side=True)
    webhook = Webhook(server.url.replace("http:", "https:"), secret=SECRET, timeout_s=PATIENCE_S)
    with pytest.raises(DeliveryError, match="CERTIFICATE_VERIFY_FAILED"):
        webhook.deliver(message(alert(), SESSION))
    assert server.requests == []


def python(code, *, timeout_s=PATIENCE_S):
    """A program, run for an alert."""
    return Command([sys.executable, "-c", code], timeout_s=timeout_s)


def test_a_command_finds_the_alert_in_its_environment(tmp_path, monkeypatch):
    """And no secret, no shell, no input."""
    monkeypatch.setenv("STREAMER_ALERTS_WEBHOOK_SECRET", SECRET)
    code = (
        "import json, os, sys; assert not sys.stdin.read(); print('heard by nobody');"
        "json.dump(dict(os.environ), open(sys.argv[1], 'w'))"
    )
    path = tmp_path / "$HOME; env.json"
    command = Command([sys.executable, "-c", code, str(path)], timeout_s=PATIENCE_S)
    assert command.deliver(message(alert(rule="it's; $angry"), SESSION)) == "exit code 0"
    env = json.loads(path.read_text())
    assert env["STREAMER_ALERT_RULE"] == "it's; $angry"
    assert env["STREAMER_ALERT_CHANNEL"] == "customer"
    assert env["STREAMER_ALERT_TEST"] == "false"  # as in the CSV and in JSON
    assert env["PATH"] == os.environ["PATH"]
    assert SECRET not in env.values()


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (python("import sys; sys.exit('no\\nway')"), "exit code 1 no way"),
        (python("import time; time.sleep(60)", timeout_s=0.3), "killed after 0.3 s"),
        (Command(["/no/such program"], timeout_s=1.0), "cannot be run: .*No such file"),
    ],
)
def test_a_command_that_fails_is_not_run_twice(command, why):
    """It may have done half of its work."""
    with pytest.raises(DeliveryError, match=why) as caught:
        command.deliver(message(alert(), SESSION))
    assert not caught.value.worth_retrying


def test_a_command_is_killed_with_what_it_has_started(tmp_path):
    """Or a hanging script would leave its children behind, one more with each alert."""
    path = tmp_path / "pid"
    code = (
        "import subprocess, sys, time;"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)']);"
        f"open({str(path)!r}, 'w').write(str(child.pid)); time.sleep(300)"
    )
    with pytest.raises(DeliveryError, match="killed"):
        python(code, timeout_s=3.0).deliver(message(alert(), SESSION))
    status = Path(f"/proc/{path.read_text()}/stat")
    deadline = time.monotonic() + PATIENCE_S
    while alive(status):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def alive(status):
    """Whether a process still runs; one that waits to be buried does not."""
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_whoever_is_named_is_told(serve):
    """Both, each on a thread of its own; what one cannot do is told at the end."""
    server = serve()
    config = AlertsConfig.model_validate(
        {
            "webhook_url": server.url,
            "webhook_secret": SECRET,
            "command": [sys.executable, "-c", "raise SystemExit(3)"],
        }
    )
    deliveries = NotificationSink(config)
    deliveries.write(alert(), SESSION)
    server.wait()
    (trouble,) = deliveries.join()
    assert "not delivered to command" in trouble
    ((_, headers, body),) = server.requests
    assert headers[SIGNATURE] == signature(body, SECRET)
    assert SECRET not in repr(config)


def test_nobody_named_nobody_told():
    """And no thread is started."""
    before = threading.active_count()
    deliveries = NotificationSink(AlertsConfig())
    deliveries.write(alert(), SESSION)
    assert threading.active_count() == before
    assert deliveries.join() == []
