"""Opus in streamer's own protocol: a recording is heard as its samples are, damage is bounded."""

import re
import sys
from collections.abc import Iterator

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from opus_packets import opus_packets
from serving import Serving, cut, lines, send
from voices import VOICES

from streamer.server.protocols.base import CallAudio, CallStart, ProtocolError
from streamer.server.protocols.native import END, Header, NativeCodec
from streamer.server.protocols.opus import MAX_DAMAGED, OpusDecoder
from streamer.types import SAMPLE_RATE

SECONDS = 12
NEAR_S = 0.15  # coded at 24 kbit/s, edges were found up to 0.1 s from where they are
NOISE = np.random.default_rng(5).normal(0, 2000, (4800, 1)).astype(np.int16)
PACKETS = opus_packets(NOISE, 48_000)  # six, and what is left in the encoder


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """One server for all."""
    serving = Serving(tmp_path_factory.mktemp("serving"))
    yield serving
    serving.close()


def conversation(rate: int, channels: int) -> np.ndarray:
    """The recording of several voices at a rate; a second channel has it later."""
    pcm, _ = soundfile.read(VOICES, dtype="int16", frames=SECONDS * SAMPLE_RATE)
    pcm = soxr.resample(pcm, SAMPLE_RATE, rate)
    later = np.roll(pcm, 3 * rate) // 2
    return np.stack([pcm, later][:channels], axis=1)


def spans(serving: Serving, call: str) -> list[tuple[str, float, float]]:
    """Channel, start and end of each utterance of a call."""
    found = [(r["channel"], float(r["start_s"]), float(r["end_s"])) for r in serving.rows(call)]
    return sorted(found)


@pytest.mark.parametrize(("rate", "channels"), [(48_000, 1), (16_000, 2), (8_000, 1)])
def test_a_recording_is_heard_as_its_samples_are(serving, rate, channels):
    """The same utterances, with starts and ends within 150 ms."""
    pcm, names = conversation(rate, channels), ("agent", "customer")[:channels]
    plain, packed = f"plain-{rate}", f"opus-{rate}"
    with serving.connect() as socket:
        send(socket, Header(rate, names, call=plain), pcm.tobytes())
        socket.send(END)
        lines(socket)
    with serving.connect() as socket:
        socket.send(Header(rate, names, "opus", packed).to_json())
        for packet in opus_packets(pcm, rate):
            socket.send(packet)
        socket.send(END)
        assert {line["event"] for line in lines(socket)} >= {"rolling", "utterance", "summary"}
    expected, got = spans(serving, plain), spans(serving, packed)
    assert [name for name, *_ in got] == [name for name, *_ in expected]
    assert len(got) >= 3
    assert np.allclose([s[1:] for s in got], [s[1:] for s in expected], rtol=0, atol=NEAR_S)


def test_what_no_packet_is_closes_the_connection_after_a_while(serving):
    """What was damaged is counted, and other calls go on."""
    before = serving.figure("streamer_lost_audio_seconds_total")
    with serving.connect() as socket:
        socket.send(Header(48_000, encoding="opus").to_json())
        for _ in range(MAX_DAMAGED + 1):
            socket.send(b"\xff\xff\xff")
        code, reason = cut(socket)
    assert code == 1008
    assert reason.startswith("audio: got 51 packets in succession that are lost or damaged")
    serving.wait(lambda: serving.figure("streamer_lost_audio_seconds_total") == before + 1.0)


def test_lost_and_damaged_packets_are_silence_of_their_length():
    """So that what follows keeps its place; each is counted."""
    decoder = OpusDecoder(48_000, 1)
    whole = [decoder.decode(packet) for packet in PACKETS[:3]]
    assert all(pcm.any() for pcm in whole[1:])
    lost, damaged = decoder.decode(b""), decoder.decode(b"\xff\xff\xff")
    assert [pcm.shape for pcm in (*whole, lost, damaged)] == [(960, 1)] * 5
    assert not lost.any()
    assert not damaged.any()
    assert decoder.lost_samples == 1920
    assert decoder.decode(PACKETS[3]).any()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(PACKETS) | st.binary(max_size=200), max_size=60))
def test_whatever_comes_in_place_of_packets(packets):
    """It is sound of a sensible length, or silence that is counted, or refused with a reason."""
    codec = NativeCodec()
    start = codec.decode(Header(16_000, ("a", "b"), "opus").to_json())
    assert start == [CallStart("", 48_000, ("a", "b"), {})]
    silent, reason = 0, "packets in succession"
    for packet in packets:
        try:
            (item,) = codec.decode(packet)
        except ProtocolError as error:
            reason = str(error)
            break
        assert isinstance(item, CallAudio)
        assert item.pcm.dtype == np.int16
        assert item.pcm.shape[1] == 2
        assert 0 < len(item.pcm) <= 5760  # 120 ms
        silent += not item.pcm.any()
    assert "packets in succession" in reason
    assert codec.lost_s <= silent * 0.12 + 1e-9


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (Header(44_100, encoding="opus"), "rate: got 44100, expected one of 8000, 12000,"),
        (Header(48_000, tuple("abc"), "opus"), "channels: got 3, expected 1 or 2 with Opus"),
    ],
)
def test_a_header_that_opus_has_not(header, reason):
    """Refused at once."""
    with pytest.raises(ProtocolError, match=re.escape(reason)):
        NativeCodec().decode(header.to_json())


def test_without_pyav_opus_is_refused(monkeypatch):
    """The reason says what is missing; other encodings go on."""
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ProtocolError, match=r"PyAV \(pip install av\) is missing; expected s16le"):
        NativeCodec().decode(Header(48_000, encoding="opus").to_json())
    assert NativeCodec().decode(Header(48_000).to_json())
