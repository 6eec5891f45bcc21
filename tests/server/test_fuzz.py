"""Whatever a peer sends, on any protocol: it is understood, or refused with a reason."""

import json
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from opus_packets import opus_packets

from streamer.server.protocols import asterisk, audiohook, audiosocket, hume, telnyx, twilio, vonage
from streamer.server.protocols.base import (
    CallAudio,
    CallGap,
    CallStart,
    Codec,
    Ending,
    ProtocolError,
    Reply,
)
from streamer.server.protocols.freeswitch import Address, FreeSwitchCodec
from streamer.server.protocols.native import END, Header, NativeCodec

IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:@+-]{0,127}", fullmatch=True)
TEXTS = st.text(max_size=20)
METADATA = st.dictionaries(TEXTS, TEXTS, max_size=5)
AUDIO = st.binary(max_size=64).map(lambda data: data * 2)


def json_values(floats):
    """Whatever JSON can hold, with these numbers."""
    return st.recursive(
        st.none() | st.booleans() | floats | st.integers() | TEXTS,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
        max_leaves=12,
    )


JSON = json_values(st.floats())
COMPARABLE = json_values(st.floats(allow_nan=False))
KEYS = st.sampled_from(
    [
        "event",
        "start",
        "media",
        "track",
        "payload",
        "timestamp",
        "tracks",
        "rate",
        "channels",
        "type",
        "version",
        "seq",
        "serverseq",
        "position",
        "parameters",
        "id",
        "audio",
        "content-type",
    ]
)
WORDS = st.sampled_from(
    ["start", "media", "inbound", "8000", "open", "ping", "PT1S", "MEDIA_START"]
)
JUNK = st.one_of(
    st.text(max_size=60),
    st.binary(max_size=60),
    JSON.map(json.dumps),
    st.dictionaries(KEYS, JSON | WORDS, max_size=6).map(json.dumps),
)

NATIVE = st.sampled_from([Header(8000).to_json(), Header(8000, ("a", "b")).to_json(), END]) | AUDIO
PACKETS = opus_packets(np.zeros((960, 1), np.int16), 48_000)
OPUS = st.sampled_from([Header(48_000, encoding="opus").to_json(), *PACKETS, b"", END])
TRACKS = st.sampled_from([("inbound",), ("outbound",), ("inbound", "outbound")])
SIDES = st.sampled_from(["inbound", "outbound"])
TIMES = st.integers(0, 100_000)
TWILIO = st.one_of(
    st.builds(twilio.Start, stream=IDS, call=IDS, tracks=TRACKS, parameters=METADATA),
    st.builds(twilio.Media, track=SIDES, timestamp=TIMES, payload=st.binary(max_size=400)),
    st.just(twilio.Stop()),
    st.builds(twilio.Other, st.sampled_from(twilio.IGNORED)),
)
ABOUT = st.dictionaries(st.sampled_from(telnyx.NAMED), st.text(min_size=1, max_size=20))
TELNYX = st.one_of(
    st.builds(
        telnyx.Start, stream=IDS, call=IDS, encoding=st.sampled_from(["PCMU", "PCMA"]), about=ABOUT
    ),
    st.builds(telnyx.Media, track=SIDES, timestamp=TIMES, payload=st.binary(max_size=400)),
    st.just(telnyx.Stop()),
    st.builds(telnyx.Other, st.sampled_from(telnyx.IGNORED)),
)
OFFER = audiohook.Media("PCMU", ("external", "internal")).to_object()
OPEN = {"organizationId": "o", "conversationId": "c", "participant": {}, "media": [OFFER]}
AUDIOHOOK = st.builds(
    audiohook.ClientMessage,
    type=st.sampled_from(audiohook.TYPES),
    session=IDS,
    seq=st.integers(0, 10),
    serverseq=st.integers(0, 3),
    position=st.integers(0, 10**9).map(lambda ms: ms / 1000),
    parameters=st.just(OPEN) | st.dictionaries(TEXTS, COMPARABLE, max_size=3),
)
FRAMES = st.builds(
    audiosocket.Frame,
    st.sampled_from([0, 1, 3, 0x10, 0x12, 0xFF]) | st.integers(0, 255),
    st.binary(min_size=16, max_size=16) | AUDIO,
)
EVENTS = st.builds(
    asterisk.ControlEvent,
    st.sampled_from(["MEDIA_START", "DTMF_END", "MEDIA_XON"]),
    st.just({"format": "ulaw", "connection_id": "c"})
    | st.dictionaries(st.from_regex(r"[a-z_]{1,9}", fullmatch=True), IDS, max_size=4),
)
CONNECTED = st.builds(
    vonage.Connected, st.sampled_from(vonage.RATES), st.dictionaries(IDS, TEXTS, max_size=3)
)
UPDATES = st.builds(hume.SessionUpdate, st.integers(250, 10_000))
CODECS: dict[str, tuple[Callable[[], Codec], SearchStrategy[str | bytes]]] = {
    "native": (NativeCodec, NATIVE),
    "opus": (NativeCodec, OPUS),
    "twilio": (twilio.TwilioCodec, TWILIO.map(twilio.serialize)),
    "telnyx": (telnyx.TelnyxCodec, TELNYX.map(telnyx.serialize)),
    "audiohook": (audiohook.AudioHookCodec, AUDIO | AUDIOHOOK.map(lambda m: m.to_json())),
    "audiosocket": (audiosocket.AudioSocketCodec, FRAMES.map(audiosocket.Frame.to_bytes)),
    "asterisk": (asterisk.AsteriskCodec, AUDIO | EVENTS.map(asterisk.ControlEvent.to_text)),
    "freeswitch": (lambda: FreeSwitchCodec(Address()), AUDIO | JSON.map(json.dumps)),
    "vonage": (vonage.VonageCodec, AUDIO | CONNECTED.map(vonage.Connected.to_json)),
    "hume": (hume.HumeCodec, AUDIO | UPDATES.map(lambda u: json.dumps(u.to_object()))),
}


@st.composite
def damaged(draw: st.DrawFn, messages: SearchStrategy[str | bytes]) -> str | bytes:
    """A message that was fine, with a piece cut out."""
    message = draw(messages)
    begin = draw(st.integers(0, len(message)))
    return message[:begin] + message[draw(st.integers(begin, len(message))) :]


@pytest.mark.parametrize("name", CODECS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_whatever_comes_is_understood_or_refused_with_a_reason(name, data):
    """No other error; one start, before any audio; audio of the shape that the start says."""
    make, fine = CODECS[name]
    codec = make()
    channels = None
    sent = codec.greet()
    for message in data.draw(st.lists(fine | fine | damaged(fine) | JUNK, max_size=8)):
        try:
            items = codec.decode(message)
        except ProtocolError as error:
            reason = str(error)
            sent += codec.close(Ending.REFUSED, reason, [])
            break
        for item in items:
            match item:
                case CallStart():
                    assert channels is None
                    channels = len(item.channels)
                    assert item.sample_rate > 0
                case CallAudio():
                    assert item.pcm.dtype == np.int16
                    assert item.pcm.shape[1] == channels
                case CallGap():
                    assert channels is not None
                    assert 0 <= item.seconds <= 86_400
                case Reply():
                    sent.append(item.message)
    else:
        ending = data.draw(st.sampled_from([Ending.CALL, Ending.SERVER]))
        sent += codec.close(ending, "the server ends", [])
        reason = "the server ends"
    assert reason
    assert all(isinstance(each, str | bytes) for each in sent)


@pytest.mark.parametrize("protocol", [twilio, telnyx])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_messages_with_tracks_are_read_as_they_were_written(protocol, data):
    """Every kind of them."""
    message = data.draw(TWILIO if protocol is twilio else TELNYX)
    assert protocol.parse(protocol.serialize(message)) == message


@settings(max_examples=25, deadline=None)
@given(AUDIOHOOK, EVENTS, CONNECTED, UPDATES, FRAMES)
def test_other_messages_are_read_as_they_were_written(hook, event, connected, update, frame):
    """Of every protocol."""
    assert audiohook.ClientMessage.from_json(hook.to_json()) == hook
    assert asterisk.ControlEvent.from_text(event.to_text()) == event
    assert asterisk.ControlEvent.from_text(event.to_json()) == event
    assert vonage.Connected.from_json(connected.to_json()) == connected
    assert hume.SessionUpdate.from_object(update.to_object()) == update
    assert audiosocket.FrameReader().read(frame.to_bytes()) == [frame]


@settings(max_examples=25, deadline=None)
@given(st.lists(FRAMES, max_size=5), st.lists(st.integers(0, 400), max_size=6))
def test_frames_are_found_wherever_the_stream_is_cut(frames, cuts):
    """TCP cuts anywhere."""
    whole = b"".join(map(audiosocket.Frame.to_bytes, frames))
    reader = audiosocket.FrameReader()
    edges = sorted([0, *(min(cut, len(whole)) for cut in cuts), len(whole)])
    pieces = [whole[a:b] for a, b in pairwise(edges)]
    assert [frame for piece in pieces for frame in reader.read(piece)] == frames
