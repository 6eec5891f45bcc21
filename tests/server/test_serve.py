"""A real server as a process, and real WebSocket clients."""

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import soundfile
from commands import streamer
from serving import WAIT_S, Serving, cut, lines, send, voices
from voices import VOICES
from websockets.exceptions import InvalidStatus

from streamer.server.protocols import twilio
from streamer.server.protocols.native import END, Header
from streamer.types import SAMPLE_RATE

TOKEN = "a-token-of-these-tests"  # noqa: S105 - it opens nothing but a test


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Callable[..., Serving]]:
    """Start servers with a scripted model; ended with the test."""
    started: list[Serving] = []

    def start(*args: str) -> Serving:
        started.append(Serving(tmp_path, *args))
        return started[-1]

    yield start
    for each in started:
        each.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """One server without options for all tests that leave it as it was."""
    serving = Serving(tmp_path_factory.mktemp("shared"))
    yield serving
    serving.close()


def test_who_may_not_use_the_model_is_told(shared):
    """A call centre is a company."""
    assert "is not for commercial use" in shared.csv.with_name("stderr").read_text()


def test_it_says_when_it_takes_calls(shared):
    """In a line of plain text, behind that which says where it listens."""
    at = f"127.0.0.1:{shared.port}"
    expected = f"ready: calls to ws://{at}/v1/stream, wallboard on http://{at}/\n"
    assert shared.process.stdout.readline() == expected


def test_a_call_is_rows_and_events(shared):
    """Each utterance one row, the same as the event; then a summary; figures count it."""
    before = shared.figure("streamer_rows_total")
    with shared.connect() as socket:
        send(socket, Header(SAMPLE_RATE, ("customer",), call="c-1"), voices(8))
        socket.send(END)
        got = lines(socket)
    heard = [line for line in got if line["event"] == "utterance"]
    rows = shared.rows("c-1")
    assert len(heard) == len(rows) >= 2
    assert [(r["source"], r["channel"], r["emotion"]) for r in rows] == [
        ("c-1", "customer", line["emotion"]) for line in heard
    ]
    assert [line["event"] for line in got][-1] == "summary"
    assert shared.figure("streamer_rows_total") - before == len(rows)
    shared.wait(lambda: shared.figure("streamer_calls") == 0)


def test_a_stop_loses_no_row(server):
    """SIGTERM in the middle of an utterance: its row is written, the peer is told."""
    serving = server("--drain", "0.1")
    with serving.connect() as socket:
        send(socket, Header(SAMPLE_RATE), voices(3))
        serving.wait(lambda: '"event": "rolling"' in str(socket.recv(WAIT_S)))
        serving.process.send_signal(signal.SIGTERM)
        assert cut(socket) == (1012, "the server ends")
    assert serving.process.wait(WAIT_S) == 0
    assert serving.rows()[-1]["end_reason"] == "stopped"


@pytest.mark.parametrize(
    ("messages", "code", "reason"),
    [
        (["{}"], 1008, "rate: got None, expected a whole number"),
        ([b"\0\0"], 1008, "got binary data, expected a header as text first"),
        (
            ['{"rate": 48000, "encoding": "mp3"}'],
            1008,
            "encoding: got 'mp3', expected s16le, f32le, mulaw, alaw, opus",
        ),
        ([Header(8000).to_json(), b"\0"], 1008, "audio: got 1 bytes, expected whole samples"),
        ([Header(8000).to_json(), b"\0" * 300_000], 1009, ""),
    ],
)
def test_what_is_not_allowed_ends_that_connection_alone(shared, messages, code, reason):
    """With a reason; another call goes on."""
    with shared.connect() as other, shared.connect() as socket:
        send(other, Header(SAMPLE_RATE), voices(1))
        for message in messages:
            socket.send(message)
        closed = cut(socket)
        assert closed[0] == code
        assert reason in closed[1]
        send_on = voices(8)[len(voices(1)) :]
        for at in range(0, len(send_on), 3200):
            other.send(send_on[at : at + 3200])
        other.send(END)
        assert any(line["event"] == "utterance" for line in lines(other))


def test_an_idle_peer_is_cut(server):
    """Whether or not its call has begun."""
    serving = server("--idle", "0.5")
    with serving.connect() as socket:
        assert cut(socket) == (1008, "got no audio for 0.5 s, expected some")


def test_more_calls_than_allowed_are_refused(server):
    """And those in progress stay."""
    serving = server("--max-calls", "1")
    with serving.connect():
        with pytest.raises(InvalidStatus) as error, serving.connect():
            pass
        assert error.value.response.status_code == 503


def test_only_a_token_gets_in(server, tmp_path):
    """To calls, figures and events; health is anybody's."""
    (tmp_path / "tokens").write_text(f"# ours\n{TOKEN}\n")
    serving = server("--token-file", "tokens")
    for wrong in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}):
        with pytest.raises(InvalidStatus) as error, serving.connect(**wrong):
            pass
        assert error.value.response.status_code == 403
        for path in ("/metrics", "/events"):
            assert serving.http.get(path, headers=wrong).status_code == 403
    right = {"Authorization": f"Bearer {TOKEN}"}
    assert serving.http.get("/metrics", headers=right).status_code == 200
    assert serving.http.get("/healthz").text == "ok"
    with serving.connect(**right) as socket:
        socket.send(Header(8000).to_json())


def test_a_page_of_elsewhere_gets_nothing(shared):
    """Neither by its origin nor by a name of its own for this machine."""
    with (
        pytest.raises(InvalidStatus),
        shared.connect(Origin="http://elsewhere.example"),
    ):
        pass
    assert shared.http.get("/metrics", headers={"Host": "elsewhere.example"}).status_code == 403


def test_twilio_sends_a_call(server, tmp_path):
    """Signed as its own library does, two tracks; unsigned, it is refused."""
    (tmp_path / "twilio").write_text("an-auth-token-of-the-tests\n")
    serving = server("--twilio-token-file", "twilio", "--public-url", "wss://voice.example.com")
    with pytest.raises(InvalidStatus), serving.connect("/v1/twilio"):
        pass
    signed = "7gkaTFuMMcfk3Ezq/rIfEcFzbZ0="  # as its library makes it for this address
    pcm, _ = soundfile.read(VOICES, dtype="int16", frames=8 * SAMPLE_RATE)
    path = tmp_path / "call.raw"
    soundfile.write(path, pcm[::2], 8000, format="RAW", subtype="ULAW")
    said = path.read_bytes()
    with serving.connect("/v1/twilio", **{"X-Twilio-Signature": signed}) as socket:
        socket.send(twilio.serialize(twilio.Other("connected")))
        start = twilio.Start("MZ1", "CA1", ("inbound", "outbound"), {})
        socket.send(twilio.serialize(start))
        for at in range(0, len(said), 160):
            piece = said[at : at + 160]
            socket.send(twilio.serialize(twilio.Media("inbound", at // 8, piece)))
            quiet = twilio.Media("outbound", at // 8, b"\xff" * len(piece))
            socket.send(twilio.serialize(quiet))
        socket.send(twilio.serialize(twilio.Stop()))
        assert lines(socket) == []
    rows = serving.rows()
    assert len(rows) >= 2
    assert {(row["source"], row["channel"]) for row in rows} == {("CA1", "customer")}


def test_a_viewer_sees_all_calls(shared):
    """As server-sent events, each with its call."""
    with shared.http.stream("GET", "/events", timeout=WAIT_S) as viewer:
        text = viewer.iter_lines()
        assert next(text) == ": streamer"
        with shared.connect() as socket:
            send(socket, Header(SAMPLE_RATE, call="c-7"), voices(6))
            socket.send(END)
            lines(socket)
        seen = []
        for line in text:
            if line.startswith("data: "):
                seen.append(json.loads(line.removeprefix("data: ")))
                if seen[-1]["event"] == "call_ended":
                    break
    assert {line["call"] for line in seen} == {"c-7"}
    assert seen[0]["event"] == "call_begun"
    assert any(line["event"] == "utterance" for line in seen)


def test_a_peer_that_connects_again_goes_on_under_its_id(shared):
    """The end of its former connection, found out late, does not end the call."""

    def status() -> str:
        return shared.http.get("/wallboard/calls/c-again").json().get("status")

    with shared.connect() as again:
        with shared.connect() as former:
            for socket in (former, again):
                send(socket, Header(SAMPLE_RATE, call="c-again"), voices(3))
                assert "event" in json.loads(socket.recv(WAIT_S))  # it has begun
            former.send(END)
            lines(former)
        shared.wait(lambda: shared.figure("streamer_calls") == 1)
        assert status() == "live"
        assert shared.http.delete("/v1/calls/c-again").status_code == 409
    shared.wait(lambda: status() == "ended")


def begun_event(serving: Serving, call: str) -> dict[str, object]:
    """What viewers see of the beginning of a call whose caller is known."""
    header = Header(SAMPLE_RATE, call=call, metadata={"name": "Eva M.", "number": "+49301"})
    with serving.connect("/events") as viewer:
        with serving.connect() as socket:
            send(socket, header, voices(3))
            socket.send(END)
            lines(socket)
        while True:
            event: dict[str, object] = json.loads(viewer.recv(WAIT_S))
            if (event["event"], event["call"]) == ("call_begun", call):
                return event


def test_viewers_see_who_calls(shared):
    """As the telephone system says; neither rows nor logs have it."""
    assert begun_event(shared, "c-who")["caller"] == "Eva M., +49301"
    for path in (shared.csv, shared.csv.with_name("stderr")):
        assert "Eva" not in path.read_text()
        assert "+49301" not in path.read_text()


def test_who_calls_may_be_hidden(server):
    """From all viewers."""
    assert "caller" not in begun_event(server("--hide-callers"), "c-who")


def test_a_viewer_sees_all_calls_over_a_websocket(shared):
    """The same events; one who goes is forgotten."""
    with shared.connect("/events") as viewer:
        with shared.connect() as socket:
            send(socket, Header(SAMPLE_RATE, call="c-8"), voices(6))
            socket.send(END)
            lines(socket)
        kinds = set()
        while "call_ended" not in kinds:
            event = json.loads(viewer.recv(WAIT_S))
            kinds |= {event["event"]} if event["call"] == "c-8" else set()
        assert {"call_begun", "utterance", "mood"} <= kinds
        assert "rolling" not in kinds
        assert shared.figure("streamer_viewers") == 1
    shared.wait(lambda: shared.figure("streamer_viewers") == 0)


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (["--listen", "0.0.0.0:0"], "it needs --token-file"),
        (["--listen", "0.0.0.0:0", "--token-file", "t"], "--behind-proxy"),
        (["--listen", "nonsense"], "expected HOST:PORT"),
        (["--tls-cert", "x"], "expected both"),
        (["--token-file", "no-file"], "no-file: cannot be read: No such file or directory\n"),
    ],
)
def test_what_would_not_be_safe_is_a_usage_error(args, reason, tmp_path):
    """Exit code 2, before anything is loaded."""
    (tmp_path / "t").write_text(TOKEN)
    done = streamer("serve", *args, cwd=tmp_path)
    assert done.returncode == 2
    assert reason in done.stderr.decode()
