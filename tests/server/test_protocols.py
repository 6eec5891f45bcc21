"""The codecs: what is written is read again, and nothing that a peer sends breaks them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from streamer.server.protocols import twilio
from streamer.server.protocols.audio import BYTES
from streamer.server.protocols.base import CallEnd, CallStart, ProtocolError
from streamer.server.protocols.native import ENCODINGS, END, Header, NativeCodec
from streamer.server.protocols.tracks import TrackAligner
from streamer.server.protocols.twilio import Media, Start, Stop, TwilioCodec

IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:@+-]{0,127}", fullmatch=True)
TEXTS = st.text(max_size=20)
METADATA = st.dictionaries(TEXTS, TEXTS, max_size=5)
NAMES = st.from_regex(r"[a-z][a-z ]{0,10}", fullmatch=True).filter(lambda name: name != "any")
HEADERS = st.builds(
    Header,
    rate=st.integers(4000, 192_000),
    channels=st.lists(NAMES, min_size=1, max_size=8, unique=True).map(tuple),
    encoding=st.sampled_from(ENCODINGS),
    call=st.just("") | IDS,
    metadata=METADATA,
)


@given(HEADERS)
def test_a_header_is_read_as_it_was_written(header):
    """Every field of it."""
    assert Header.from_json(header.to_json()) == header


@pytest.mark.parametrize("encoding", ["s16le", "f32le", "mulaw", "alaw"])
def test_a_call_of_our_own_protocol(encoding):
    """Header, audio, end."""
    decoder = NativeCodec()
    header = Header(8000, ("agent", "customer"), encoding, "c-1", {"queue": "sales"})
    assert decoder.decode(header.to_json()) == [
        CallStart("c-1", 8000, ("agent", "customer"), {"queue": "sales"})
    ]
    (audio,) = decoder.decode(bytes(10 * 2 * BYTES[encoding]))
    assert audio.pcm.shape == (10, 2)
    assert decoder.decode(END) == [CallEnd()]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("{", "expected a JSON object"),
        ("[]", "expected a JSON object"),
        ('{"rate": 8e3}', "rate: got 8000.0, expected a whole number"),
        ('{"rate": 12}', "rate: got 12, expected 4000 to 192000 Hz"),
        ('{"rate": "8000"}', "rate: got '8000', expected a whole number"),
        ('{"rate": true}', "rate: got True, expected a whole number"),
        ('{"rate": 8000, "encoding": "mp3"}', "encoding: got 'mp3', expected s16le"),
        ('{"rate": 8000, "channels": ["a", "a"]}', "expected 1 to 8 different names"),
        ('{"rate": 8000, "call": "=1+1"}', "call id: got '=1+1', expected"),
        ('{"rate": 8000, "colour": "red"}', "got ['colour'], expected rate, channels"),
        ('{"rate": 8000, "metadata": {"a": 1}}', "metadata: got {'a': 1}, expected"),
        (b"\0\0", "got binary data, expected a header"),
    ],
)
def test_a_header_that_is_not_allowed(message, reason):
    """The reason names what was got and what was expected."""
    with pytest.raises(ProtocolError) as error:
        NativeCodec().decode(message)
    assert reason in str(error.value)


@pytest.mark.parametrize(
    "text", ['{"end": 1}', '{"end": 1.0}', '{"end": "true"}', '{"end": false}']
)
def test_only_true_ends_a_call(text):
    """What Python takes for equal to it does not."""
    codec = NativeCodec()
    codec.decode('{"rate": 8000}')
    with pytest.raises(ProtocolError) as error:
        codec.decode(text)
    assert str(error.value) == f"got {text!r}, expected binary audio or {END}"
    assert codec.decode(END) == [CallEnd()]


def test_two_tracks_of_twilio_become_two_channels():
    """Side by side by their timestamps, in whatever order they come."""
    decoder = TwilioCodec()
    start = Start("MZ1", "CA1", ("inbound", "outbound"), {})
    (call,) = decoder.decode(twilio.serialize(start))
    assert (call.call, call.sample_rate, call.channels) == ("CA1", 8000, ("customer", "agent"))
    assert decoder.decode(twilio.serialize(Media("outbound", 0, b"\x80" * 480))) == []
    (audio,) = decoder.decode(twilio.serialize(Media("inbound", 0, b"\xff" * 480)))
    assert audio.pcm.tolist() == [[0, 32124]] * 480
    assert decoder.decode(twilio.serialize(Media("inbound", 60, b"\xff" * 80))) == []
    rest, end = decoder.decode(twilio.serialize(Stop()))
    assert rest.pcm.shape == (80, 2)
    assert end == CallEnd()


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(0, 3000), st.integers(0, 300)), max_size=30
    )
)
def test_aligned_tracks_lose_and_double_nothing(pieces):
    """Every sample of a track is once where its timestamp says, or counted as late."""
    aligner = TrackAligner("ab", 1000)
    ready, given_ = [], 0
    for track, at, length in pieces:
        given_ += length
        places = np.arange(at + 1, at + 1 + length, dtype=np.int16)
        ready.append(aligner.add(track, at, places))
    ready.append(aligner.flush())
    whole = np.concatenate(ready)
    at = np.arange(1, 1 + len(whole), dtype=np.int16)
    for channel in whole.T:
        assert ((channel == 0) | (channel == at)).all()
    assert np.count_nonzero(whole) + aligner.late_samples == given_


def test_a_timestamp_far_ahead_is_refused():
    """It would be hours of silence."""
    decoder = TwilioCodec()
    decoder.decode(twilio.serialize(Start("MZ1", "CA1", ("inbound",), {})))
    with pytest.raises(ProtocolError, match="timestamp: got a jump"):
        decoder.decode(twilio.serialize(Media("inbound", 10**9, b"\xff")))


def test_signatures_are_twilios_own():
    """What its library makes, for an address with and without a slash at its end."""
    token, url = "an-auth-token-of-the-tests", "wss://voice.example.com/v1/twilio"
    made = RequestValidator(token).compute_signature(url, {})
    assert made == "7gkaTFuMMcfk3Ezq/rIfEcFzbZ0="  # which another test sends
    assert twilio.signature(token, url) == made
    assert twilio.is_signed(token, url + "/", made)
    assert not twilio.is_signed("other", url, made)
    assert not twilio.is_signed(token, url + "?x", made)
    assert not twilio.is_signed(token, url, "é")
