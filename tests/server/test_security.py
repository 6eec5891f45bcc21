"""Who may do what with a real server: roles, TLS, deletion, retention, notices, no secret said."""

import asyncio
import json
import os
import ssl
import subprocess
import time
from datetime import UTC, datetime
from socket import create_connection

import httpx
import pytest
from processes import needed
from serving import Serving, lines, send, voices
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from streamer.errors import ConfigError
from streamer.server.access import Role, Token, read_tokens
from streamer.server.call_notice import CallNotice
from streamer.server.protocols.base import CallStart
from streamer.server.protocols.native import END, Header
from streamer.server.retention import Retention
from streamer.sinks import csv_removal
from streamer.sinks.csv_removal import remove_rows
from streamer.types import SAMPLE_RATE

MEDIA, VIEW, ACKNOWLEDGE, DELETE = (
    f"{what}-token-0123456789" for what in ("media", "view", "acknowledge", "delete")
)
TOKENS = f"""\
# who may do what
media {MEDIA}
view {VIEW}
acknowledge {ACKNOWLEDGE}
delete,view {DELETE}
"""


def bearer(token):
    """The header that shows a token."""
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One server for the module, with tokens and a program that is told of calls."""
    folder = tmp_path_factory.mktemp("secure")
    (folder / "tokens").write_text(TOKENS)
    told = f"sh -c 'echo $STREAMER_ALERT_CALL $STREAMER_ALERT_CHANNELS >> {folder}/told'"
    serving = Serving(folder, "--token-file", "tokens", "--on-call-start", told, "--log-json", "-v")
    serving.folder = folder
    yield serving
    serving.close()


def say(server, call, seconds=8.0):
    """A call from its beginning to its end."""
    with server.connect(**bearer(MEDIA)) as socket:
        send(socket, Header(SAMPLE_RATE, ("customer",), call=call), voices(seconds))
        socket.send(END)
        return lines(socket)


def test_each_token_allows_what_it_is_for(server):
    """Media, viewing and deleting, each with its own."""
    for token in (VIEW, ACKNOWLEDGE, DELETE, "wrong-token-0123456789"):
        with pytest.raises(InvalidStatus), server.connect(**bearer(token)):
            pass
    for token, status in ((MEDIA, 403), (VIEW, 200), (ACKNOWLEDGE, 200), (DELETE, 200)):
        assert server.http.get("/metrics", headers=bearer(token)).status_code == status
    for token, status in ((MEDIA, 403), (VIEW, 403), (ACKNOWLEDGE, 404)):
        asked = {"call": "none", "alert": "none"}
        answer = server.http.post("/wallboard/acknowledge", json=asked, headers=bearer(token))
        assert answer.status_code == status
    for token, status in ((MEDIA, 403), (ACKNOWLEDGE, 403), (DELETE, 404)):
        assert server.http.delete("/v1/calls/none", headers=bearer(token)).status_code == status


def test_a_call_is_deleted_by_its_id(server):
    """Its rows go, those of others stay; one in progress is refused; what follows is written."""
    say(server, "gone")
    say(server, "stays")
    assert server.rows("gone")
    kept = server.rows("stays")
    with server.connect(**bearer(MEDIA)) as socket:
        socket.send(Header(SAMPLE_RATE, call="busy").to_json())
        server.wait(lambda: board(server, "busy").status_code == 200)
        assert delete(server, "busy").status_code == 409
    answer = delete(server, "gone")
    assert answer.json()["rows"] >= 2
    assert server.rows("gone") == []
    assert server.rows("stays") == kept
    assert board(server, "gone").status_code == 404
    for call in ("gone", "never-was"):
        answer = delete(server, call)
        assert answer.status_code == 404
        assert answer.json() == {"error": "nothing is kept of this call", "rows": 0, "entries": 0}
    say(server, "later")
    assert server.rows("later")


def board(server, call):
    """A call as the wallboard has it."""
    return server.http.get(f"/wallboard/calls/{call}", headers=bearer(VIEW))


def delete(server, call):
    """Delete a call."""
    return server.http.delete(f"/v1/calls/{call}", headers=bearer(DELETE))


def test_somebody_is_told_that_a_call_begins(server):
    """A program, with the call and its channels."""
    say(server, "told-of", 1.0)
    told = server.folder / "told"
    server.wait(lambda: told.exists() and "told-of customer\n" in told.read_text())


def test_logs_name_the_call_and_no_secret(server):
    """A JSON object a line; no token is in any of them."""
    say(server, "logged", 1.0)
    server.wait(lambda: '"call": "logged"' in (server.folder / "stderr").read_text())
    text = (server.folder / "stderr").read_text()
    records = [json.loads(line) for line in text.splitlines()]
    assert {"time", "level", "logger", "message"} <= set(records[0])
    assert any(r.get("call") == "logged" and "begins" in r["message"] for r in records)
    for secret in (MEDIA, VIEW, ACKNOWLEDGE, DELETE):
        assert secret not in text


def test_a_token_is_in_no_text():
    """However it is printed."""
    assert MEDIA not in repr(Token(MEDIA))
    assert read_tokens(f"view {VIEW}", "t")[0].roles == {Role.VIEW}
    assert read_tokens(VIEW, "t")[0].roles == set(Role)
    for wrong in ("see 0123456789abcdef", "view short", "view a 0123456789abcdef", "# none"):
        with pytest.raises(ConfigError) as error:
            read_tokens(wrong, "t")
        assert "0123456789abcdef" not in str(error.value)


def test_tls_with_a_certificate_of_ones_own(tmp_path):
    """The page and a call, over TLS alone."""
    subject = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    subprocess.run(
        [
            *(needed("openssl"), "req", "-x509", "-newkey", "ec"),
            *("-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"),
            *("-keyout", "key.pem", "-out", "cert.pem", *subject),
        ],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    trusted = ssl.create_default_context(cafile=tmp_path / "cert.pem")
    files = ("--tls-cert", "cert.pem", "--tls-key", "key.pem")
    serving = Serving(tmp_path, *files, trusted=trusted)
    try:
        assert "Calls" in serving.http.get("/").text
        url = f"wss://127.0.0.1:{serving.port}/v1/stream"
        with connect(url, ssl=trusted, proxy=None) as socket:
            send(socket, Header(SAMPLE_RATE), voices(6))
            socket.send(END)
            assert any(line["event"] == "utterance" for line in lines(socket))
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"http://127.0.0.1:{serving.port}/", trust_env=False)
        silent = [create_connection(("127.0.0.1", serving.port)) for _ in range(400)]
        assert serving.http.get("/readyz").status_code == 200  # the oldest of them went
        for each in silent:
            each.close()
    finally:
        serving.close()


ROWS = """\
session,utterance,started_at,source
s,1,2026-01-01T00:00:00+00:00,old
s,2,2026-01-09T00:00:00+00:00,"new, with a comma"
s,3,,without
"""


def test_rows_that_are_too_old_are_removed(tmp_path, monkeypatch):
    """Others stay as they are, to the byte, also where the power fails then: it is synced."""
    synced = []
    monkeypatch.setattr(csv_removal.os, "fsync", lambda file: synced.append(os.fstat(file).st_ino))
    path = tmp_path / "calls.csv"
    path.write_text(ROWS)
    path.chmod(0o640)
    now = datetime(2026, 1, 10, tzinfo=UTC).timestamp()
    keeping = Retention(path, None, 5 * 86_400, clock=lambda: now)

    assert asyncio.run(keeping.prune()) == 1
    assert path.read_text() == ROWS.replace("s,1,2026-01-01T00:00:00+00:00,old\n", "")
    assert path.stat().st_mode & 0o777 == 0o640
    before = path.stat().st_ino
    assert synced == [before]
    assert asyncio.run(keeping.prune()) == 0
    assert path.stat().st_ino == before
    assert [each.name for each in tmp_path.iterdir()] == ["calls.csv"]


def test_nothing_is_removed_from_what_is_not_there(tmp_path):
    """Nor is it an error."""
    assert remove_rows(tmp_path / "none.csv", lambda _row: True) == 0


@pytest.mark.parametrize("target", ["", "'"])
def test_a_notice_that_cannot_be_given_is_a_usage_error(target):
    """Before anything is loaded."""
    with pytest.raises(ConfigError, match="--on-call-start"):
        CallNotice(target)


def test_a_notice_that_fails_is_said():
    """With what failed, not as an alert."""
    notice = CallNotice("false")
    notice.begun("c-1", CallStart("c-1", 8000, ("customer",), {"number": "+49"}))
    (line,) = notice.stop(10)
    assert line.startswith("call_begun of call c-1 not delivered to command false")


def test_a_notice_that_hangs_holds_up_no_other(tmp_path):
    """That of the next call is given meanwhile."""
    told = tmp_path / "told"
    notice = CallNotice(
        f"""sh -c 'test "$STREAMER_ALERT_CALL" = slow && exec sleep 20; touch "{told}"'"""
    )
    for call in ("slow", "quick"):
        notice.begun(call, CallStart(call, 8000, ("customer",)))
    deadline = time.monotonic() + 15
    while not told.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert told.exists()
    assert any("call slow" in line for line in notice.stop(0))
