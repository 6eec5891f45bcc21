"""Telephone systems and the running server: scripted peers, byte for byte as each protocol has it.

The peers of Twilio (signatures) and Hume are their own Python libraries, in files of their own.
"""

import base64
import json
import socket
import struct
import time
from collections.abc import Iterator
from uuid import UUID, uuid4

import numpy as np
import pytest
from serving import WAIT_S, Serving, cut, lines, voices
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection

from streamer.server.protocols import telnyx
from streamer.server.protocols.audiohook import ClientMessage, Media
from streamer.server.protocols.audiosocket import DTMF, ERROR, HANG_UP, ID, Frame, FrameReader
from streamer.server.signatures import Signature, digest_of, signature_base

HOOK_KEY, HOOK_SECRET = "key-of-the-tests", b"0123456789abcdef0123456789abcdef"
ORGANIZATION = "d7934305-0972-4844-938e-9060eef73d05"
TARGET = "/v1/audiohook"


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """One server for all."""
    folder = tmp_path_factory.mktemp("serving")
    (folder / "secrets").write_text(f"{HOOK_KEY} MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n")
    serving = Serving(folder, "--audiohook-secrets-file", "secrets", "--audiosocket", "127.0.0.1:0")
    yield serving
    serving.close()


def spoken(rate: int = 8000, seconds: float = 8) -> np.ndarray:
    """What is said, 16 bits, shape (samples,)."""
    pcm = np.frombuffer(voices(seconds), "<i2")
    return pcm if rate == 16_000 else pcm[::2]


def mulaw(pcm: np.ndarray) -> bytes:
    """G.711 as ITU-T has it, by the sizes of its segments."""
    size = np.minimum(np.abs(pcm.astype(np.int32)), 32_635) + 132
    exponent = np.floor(np.log2(size)).astype(np.int32) - 7
    code = (exponent << 4) | ((size >> (exponent + 3)) & 15)
    return (~(code | np.where(pcm < 0, 0x80, 0)) & 0xFF).astype(np.uint8).tobytes()


def pieces(data: bytes, size: int) -> list[bytes]:
    """Data in pieces."""
    return [data[at : at + size] for at in range(0, len(data), size)]


def channels(serving: Serving, call: str) -> set[str]:
    """Whose utterances of a call are in the CSV; two at least."""
    rows = serving.rows(call)
    assert len(rows) >= 2
    return {row["channel"] for row in rows}


# --- Telnyx -----------------------------------------------------------------------------------


def telnyx_call(serving: Serving, call: str, order: list[int], said: bytes) -> None:
    """A call of both tracks, 20 ms each; the customer's arrive in this order."""
    start = telnyx.Start("S-1", call, "PCMU", {"from": "+15550100", "to": "+15550199"})
    with serving.connect("/v1/telnyx") as peer:
        peer.send(json.dumps({"event": "connected", "version": "1.0.0"}))
        peer.send(telnyx.serialize(start))
        for place, number in enumerate(order):
            at = number * 160
            peer.send(telnyx.serialize(telnyx.Media("inbound", at // 8, said[at : at + 160])))
            peer.send(telnyx.serialize(telnyx.Media("outbound", place * 20, b"\xff" * 160)))
        peer.send(telnyx.serialize(telnyx.Stop()))
        assert lines(peer) == []


def test_telnyx_frames_that_overtake_each_other_change_nothing(serving):
    """The same rows as in order."""
    said = mulaw(spoken())
    frames = list(range(len(said) // 160))
    telnyx_call(serving, "v3:ordered", frames, said)
    for at in range(0, len(frames) - 4, 4):
        frames[at : at + 4] = [frames[at + 2], frames[at], frames[at + 3], frames[at + 1]]
    telnyx_call(serving, "v3:mixed", frames, said)
    assert channels(serving, "v3:mixed") == {"customer"}
    ordered, mixed = (
        [(row["start_s"], row["end_s"]) for row in serving.rows(call)]
        for call in ("v3:ordered", "v3:mixed")
    )
    assert ordered == mixed
    before = serving.figure("streamer_late_audio_seconds_total")
    telnyx_call(serving, "v3:late", [*range(20), 2, 3, *range(20, 40)], said)
    late = serving.figure("streamer_late_audio_seconds_total") - before
    assert late == pytest.approx(0.04)


# --- Genesys ----------------------------------------------------------------------------------


class Hook:
    """A session of AudioHook, that counts as Genesys does."""

    def __init__(self, peer: ClientConnection, session: str) -> None:
        self.peer = peer
        self.session = session
        self.seq = self.serverseq = 0
        self.position = 0.0

    def send(self, kind: str, **parameters: object) -> None:
        """A message."""
        self.seq += 1
        message = ClientMessage(
            kind, self.session, self.seq, self.serverseq, self.position, parameters
        )
        self.peer.send(message.to_json())

    def receive(self, kind: str) -> tuple[dict[str, object], list[dict[str, object]]]:
        """The next message of a kind, and the entities that came before it."""
        entities = []
        while True:
            message = json.loads(self.peer.recv(WAIT_S))
            assert message["seq"] == self.serverseq + 1
            assert message["clientseq"] <= self.seq
            assert (message["version"], message["id"]) == ("2", self.session)
            self.serverseq = message["seq"]
            if message["type"] == kind:
                return message["parameters"], entities
            assert message["type"] == "event"
            entities += message["parameters"]["entities"]

    def open(self, conversation: str, *media: Media) -> dict[str, object]:
        """Offer forms of audio."""
        self.send(
            "open",
            organizationId=ORGANIZATION,
            conversationId=conversation,
            participant={"id": str(uuid4()), "ani": "+15550100", "aniName": "", "dnis": ""},
            media=[each.to_object() for each in media],
            language="en-US",
        )
        return self.receive("opened")[0]


def signed(session: str, port: int, **changed: str) -> dict[str, str]:
    """The headers of a request of Genesys."""
    headers = {
        "host": f"127.0.0.1:{port}",
        "audiohook-organization-id": ORGANIZATION,
        "audiohook-session-id": session,
        "audiohook-correlation-id": str(uuid4()),
        "x-api-key": HOOK_KEY,
    }
    components = ("@request-target", "@authority", *list(headers)[1:])
    covered = " ".join(f'"{name}"' for name in components)
    created = changed.get("created", str(int(time.time())))
    nonce = changed.get("nonce", uuid4().hex)
    text = f'({covered});keyid="{HOOK_KEY}";nonce="{nonce}";alg="hmac-sha256";created={created}'
    base = signature_base(Signature(components, {}, text, b""), TARGET, headers)
    digest = digest_of(changed.get("secret", HOOK_SECRET.decode()).encode(), base)
    del headers["host"]  # which the client writes
    return {
        **headers,
        "signature-input": f"sig1={text}",
        "signature": f"sig1=:{base64.b64encode(digest).decode()}:",
    }


def test_a_session_of_genesys(serving):
    """Opened in the form with both sides, pings, a pause, events back, closed."""
    session = str(uuid4())
    with serving.connect(TARGET, **signed(session, serving.port)) as peer:
        hook = Hook(peer, session)
        both = Media("PCMU", ("external", "internal"))
        opened = hook.open(
            "conversation-1", Media("PCMU", ("external",)), Media("L16", both.channels), both
        )
        assert opened == {"startPaused": False, "media": [both.to_object()]}
        hook.send("ping")
        hook.receive("pong")
        said = spoken()
        quiet = np.zeros_like(said)
        for side in pieces(mulaw(np.stack([said, quiet], axis=1).ravel()), 3200):
            peer.send(side)
            hook.position += len(side) / 2 / 8000
        hook.send("paused")
        hook.send("ping", rtt="PT0.012S")
        _, entities = hook.receive("pong")
        hook.send("resumed", start=f"PT{hook.position}S", discarded="PT30S")
        peer.send(mulaw(np.stack([said, quiet], axis=1).ravel())[: 8000 * 2 * 4])
        hook.position += 4
        hook.send("close", reason="end")
        closed, more = hook.receive("closed")
        assert closed == {}
    found = [entity["data"] for entity in entities + more if entity["type"] == "utterance"]
    rows = serving.rows("conversation-1")
    assert channels(serving, "conversation-1") == {"customer"}
    assert [row["start_s"] for row in rows] == [str(data["start_s"]) for data in found]
    assert float(rows[-1]["start_s"]) > 38
    assert all(int(row["latency_ms"]) < 20_000 for row in rows)  # what was discarded is no delay


def test_genesys_tries_the_connection(serving):
    """It is opened without audio and closed, and is no call."""
    session = str(uuid4())
    before = serving.figure("streamer_calls_begun_total")
    with serving.connect(TARGET, **signed(session, serving.port)) as peer:
        hook = Hook(peer, session)
        opened = hook.open("00000000-0000-0000-0000-000000000000", Media("PCMU", ("external",)))
        assert opened["media"] == []
        hook.send("close", reason="end")
        hook.receive("closed")
    assert serving.figure("streamer_calls_begun_total") == before


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"secret": "another-secret-another-secret-an"}, "the signature is wrong"),
        ({"created": "1600000000"}, "created: expected within the last 10 s"),
        ({"nonce": "short"}, "nonce: expected at least 22 letters"),
    ],
)
def test_requests_that_genesys_did_not_sign_are_refused(serving, changed, reason):
    """Wrong, old, or without a number that is used once."""
    with pytest.raises(InvalidStatus) as error:
        serving.connect(TARGET, **signed(str(uuid4()), serving.port, **changed))
    assert error.value.response.status_code == 403
    assert reason in error.value.response.body.decode()


def test_a_request_of_genesys_is_good_once(serving):
    """Whoever has read it cannot send it again."""
    headers = signed(str(uuid4()), serving.port)
    with serving.connect(TARGET, **headers):
        pass
    with pytest.raises(InvalidStatus) as error:
        serving.connect(TARGET, **headers)
    assert "come before" in error.value.response.body.decode()


def test_a_message_out_of_sequence_disconnects(serving):
    """With a reason, in the protocol's own words."""
    session = str(uuid4())
    with serving.connect(TARGET, **signed(session, serving.port)) as peer:
        hook = Hook(peer, session)
        hook.seq = 6
        hook.send("ping")
        parameters, _ = hook.receive("disconnect")
        assert parameters == {"reason": "error", "info": "seq: got 7, expected 1"}
        peer.close()


# --- Asterisk ---------------------------------------------------------------------------------


def audiosocket(serving: Serving) -> socket.socket:
    """A connection as Asterisk makes it."""
    return socket.create_connection(("127.0.0.1", serving.audiosocket), WAIT_S)


@pytest.mark.parametrize(("kind", "rate"), [(0x10, 8000), (0x12, 16_000)])
def test_asterisk_sends_a_call_over_tcp(serving, kind, rate):
    """Its id, audio of any rate, a key, the end."""
    call = uuid4()
    with audiosocket(serving) as peer:
        peer.sendall(Frame(ID, call.bytes).to_bytes())
        for number, piece in enumerate(pieces(spoken(rate).tobytes(), rate // 25)):
            frame = Frame(kind, piece).to_bytes()
            assert frame[:3] == struct.pack(">BH", kind, len(piece))
            peer.sendall(frame)
            if number == 10:
                peer.sendall(Frame(DTMF, b"5").to_bytes())
        peer.sendall(Frame(HANG_UP).to_bytes())
        assert peer.recv(100) == b""
    assert channels(serving, str(call)) == {"customer"}


def test_a_frame_that_is_none_hangs_up(serving):
    """An error, then the end; the same for audio before the id."""
    for sent in (Frame(ID, UUID(int=1).bytes).to_bytes() + Frame(0x77).to_bytes(), b"GET / HTTP/1"):
        with audiosocket(serving) as peer:
            peer.sendall(sent)
            peer.shutdown(socket.SHUT_WR)
            got = b""
            while more := peer.recv(100):
                got += more
        frames = FrameReader().read(got)
        assert [frame.kind for frame in frames] in ([ERROR, HANG_UP], [])


@pytest.mark.parametrize("as_json", [False, True])
def test_asterisk_sends_a_call_over_websocket(serving, as_json):
    """MEDIA_START in either form, then audio; the connection ends with the call."""
    call = f"1790617675.{int(as_json)}"
    values = {"connection_id": "c1", "channel": "WebSocket/c1/0x7f", "channel_id": call}
    values |= {"format": "ulaw", "optimal_frame_size": "160", "ptime": "20"}
    words = " ".join(["MEDIA_START", *(f"{key}:{value}" for key, value in values.items())])
    with serving.connect("/v1/asterisk", subprotocols=["media"]) as peer:
        assert peer.subprotocol == "media"
        peer.send(json.dumps({"event": "MEDIA_START", **values}) if as_json else words)
        for piece in pieces(mulaw(spoken()), 160):
            peer.send(piece)
        peer.send(
            json.dumps({"event": "DTMF_END", "digit": "1"}) if as_json else "DTMF_END digit:1"
        )
    serving.wait(lambda: len(serving.rows(call)) >= 2)
    assert channels(serving, call) == {"customer"}


# --- FreeSWITCH and Vonage --------------------------------------------------------------------


def test_freeswitch_sends_both_sides(serving):
    """Metadata, then stereo; utterances come back as JSON that it makes events of."""
    said = spoken(16_000)
    address = "/v1/freeswitch?rate=16000&channels=customer,agent&call=fs-1"
    with serving.connect(address, subprotocols=["audio.drachtio.org"]) as peer:
        assert peer.subprotocol == "audio.drachtio.org"
        peer.send(json.dumps({"from": "1000", "to": "2000"}))
        sides = np.stack([said, np.zeros_like(said)], axis=1)
        for piece in pieces(sides.tobytes() + bytes(4 * 16_000), 1280):
            peer.send(piece)
        got = [json.loads(peer.recv(WAIT_S)) for _ in range(2)]  # the silence ends the second
    assert {message["type"] for message in got} == {"json"}
    assert got[0]["data"]["event"] == "utterance"
    serving.wait(lambda: len(serving.rows("fs-1")) >= 2)
    assert channels(serving, "fs-1") == {"customer"}


def test_freeswitch_needs_no_metadata(serving):
    """The first message is audio then."""
    with serving.connect("/v1/freeswitch?call=fs-2") as peer:
        peer.send(spoken().tobytes())
    serving.wait(lambda: len(serving.rows("fs-2")) >= 2)
    assert channels(serving, "fs-2") == {"customer"}


def test_vonage_sends_a_call(serving):
    """The form of the audio, then audio, and a key in between."""
    with serving.connect("/v1/vonage") as peer:
        form = {"event": "websocket:connected", "content-type": "audio/l16;rate=16000"}
        peer.send(json.dumps({**form, "uuid": "vonage-1", "queue": "sales"}))
        for number, piece in enumerate(pieces(spoken(16_000).tobytes(), 640)):
            peer.send(piece)
            if number == 5:
                peer.send(json.dumps({"event": "websocket:dtmf", "digit": "5", "duration": 260}))
    serving.wait(lambda: len(serving.rows("vonage-1")) >= 2)
    assert channels(serving, "vonage-1") == {"customer"}


@pytest.mark.parametrize(
    ("path", "message", "reason"),
    [
        ("/v1/twilio", '{"event": "start"}', "start: got None, expected an object"),
        ("/v1/telnyx", '{"event": "media"}', "media: got None, expected an object"),
        ("/v1/asterisk", "MEDIA_START format:gsm", "format: got 'gsm', expected ulaw"),
        ("/v1/freeswitch", b"\0", "audio: got 1 bytes, expected whole samples"),
        ("/v1/vonage", "{}", "expected the event websocket:connected first"),
        ("/v1/telnyx", "\0" * 10, "expected a JSON object"),
    ],
)
def test_a_message_that_is_not_allowed_closes_that_connection_alone(serving, path, message, reason):
    """With the reason; a call of another connection goes on."""
    with serving.connect("/v1/freeswitch") as other, serving.connect(path) as peer:
        peer.send(message)
        code, said = cut(peer)
        assert code == 1008
        assert reason in said
        other.send(spoken().tobytes())
        assert json.loads(other.recv(WAIT_S))["data"]["event"] == "utterance"


@pytest.mark.parametrize("address", ["/v1/freeswitch?rate=1", "/v1/telnyx?tracks=both"])
def test_an_address_that_is_not_allowed_is_refused(serving, address):
    """Before a connection is there."""
    with pytest.raises(InvalidStatus) as error:
        serving.connect(address)
    assert error.value.response.status_code == 400
    assert "expected" in error.value.response.body.decode()
