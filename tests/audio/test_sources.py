"""Every format that people have, every odd shape, and clear words for what cannot be read."""

import os
import struct
import time
from contextlib import suppress

import numpy as np
import pytest
import soundfile
from fakes import speech

from streamer.audio.devices import find_device, native_stderr_muted
from streamer.audio.level import clips, peak_dbfs, rms_dbfs
from streamer.audio.microphone import MicrophoneSource
from streamer.audio.pcm import to_int16
from streamer.audio.pipe import PipeSource
from streamer.audio.recording import Recording
from streamer.audio.sources import FileSource
from streamer.errors import InputError

RATE = 16_000
FORMATS = [
    ("wav", "PCM_U8", 0.1),
    ("wav", "PCM_16", 0),
    ("wav", "PCM_24", 1e-4),
    ("wav", "PCM_32", 1e-4),
    ("wav", "FLOAT", 1e-4),
    ("wav", "DOUBLE", 1e-4),
    ("wav", "ULAW", 0.02),
    ("wav", "ALAW", 0.02),
    ("wav", "MS_ADPCM", 0.15),
    ("wav", "GSM610", 0.4),
    ("flac", "PCM_16", 0),
    ("flac", "PCM_24", 1e-4),
    ("ogg", "VORBIS", 0.1),
    ("ogg", "OPUS", 0.2),
    ("mp3", "MPEG_LAYER_III", 0.2),
    ("aiff", "PCM_16", 0),
    ("au", "ULAW", 0.02),
    ("caf", "PCM_16", 0),
    ("w64", "PCM_16", 0),
]


def read(path, block_s=0.1):
    """A recording's samples, shape (samples, channels), and what is known of it."""
    with Recording(path) as recording:
        return np.concatenate(list(recording.blocks(block_s))), recording.info


@pytest.mark.parametrize(("suffix", "subtype", "tolerance"), FORMATS)
def test_every_format_is_read(tmp_path, suffix, subtype, tolerance):
    """What comes out is what went in, as far as the format keeps it."""
    path = tmp_path / f"voice.{suffix}"
    rate = 8_000 if subtype == "GSM610" else RATE
    voice = speech(1.0)[:rate]
    soundfile.write(path, voice / 32_768, rate, subtype=subtype)
    got, info = read(path)
    assert info.sample_rate == rate
    assert got.dtype == np.int16
    assert abs(len(got) - len(voice)) <= 0.1 * rate
    error = got[: len(voice), 0].astype(float) - voice[: len(got)]
    loss = np.sqrt(np.mean(error**2)) / np.sqrt(np.mean(voice.astype(float) ** 2))
    assert loss <= tolerance


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000, 192_000])
@pytest.mark.parametrize("channels", [1, 2, 8])
def test_every_rate_and_channel_count_is_read(tmp_path, rate, channels):
    """From a telephone to a studio."""
    path = tmp_path / "voice.wav"
    pcm = np.repeat(speech(0.2)[:, np.newaxis], channels, axis=1)
    soundfile.write(path, pcm, rate)
    got, info = read(path, block_s=0.013)
    assert (info.sample_rate, info.channels) == (rate, channels)
    assert (got == pcm).all()


def test_what_is_no_recording_is_named(tmp_path):
    """A folder, nothing, an empty file, a text, half a header."""
    text = tmp_path / "letter.wav"
    text.write_text("Dear Sir or Madam, this is not sound. " * 10)
    empty = tmp_path / "empty.wav"
    empty.touch()
    header = tmp_path / "header.wav"
    soundfile.write(header, speech(0.1), RATE)
    header.write_bytes(header.read_bytes()[:20])
    headerless = tmp_path / "headerless.raw"
    headerless.write_bytes(speech(0.1).tobytes())
    for path, message in (
        (tmp_path, "is a folder, expected a recording"),
        (tmp_path / "none.wav", "no such file"),
        (empty, "is empty"),
        (text, "cannot be read as a sound file"),
        (header, "cannot be read as a sound file"),
        (headerless, "cannot be read as a sound file"),
    ):
        with pytest.raises(InputError, match=message) as caught:
            Recording(path)
        assert str(path) in str(caught.value)


def test_a_recording_without_samples_is_read_as_nothing(tmp_path):
    """Its header is in order, after all; that it is all there is, is said."""
    path = tmp_path / "nothing.wav"
    soundfile.write(path, np.zeros(0, np.int16), RATE)
    with Recording(path) as recording:
        assert list(recording.blocks(0.1)) == []
        assert recording.drain_warnings() == [f"{path}: holds no samples, nothing but a header"]


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_a_recording_that_breaks_off_gives_what_it_has(tmp_path, suffix):
    """Half a file gives its half; an error, if there is one, comes after it."""
    path = tmp_path / f"half.{suffix}"
    voice = np.tile(speech(4.0), 5)
    soundfile.write(path, voice, RATE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    got = 0
    with suppress(InputError), Recording(path) as recording:
        for block in recording.blocks(0.1):
            got += len(block)
    assert got > 0.4 * len(voice)


def test_a_header_that_promises_gigabytes_costs_none(tmp_path):
    """The data chunk says 4 GB; there are 0.1 s."""
    path = tmp_path / "boast.wav"
    soundfile.write(path, speech(0.1), RATE)
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", 0xFFFF_FFF0)
    path.write_bytes(data)
    got, _ = read(path)
    assert len(got) == 1600


def test_float_beyond_full_scale_is_clipped():
    """Not wrapped around."""
    got = to_int16(np.array([1.5, -1.5, 0.5], np.float32), "x")
    assert got.tolist() == [32767, -32768, 16384]


def test_a_paced_recording_takes_its_time(tmp_path):
    """Blocks are due when their last sample would have been heard, and none is skipped."""
    path = tmp_path / "voice.wav"
    voice = speech(0.3)
    soundfile.write(path, voice, RATE)
    source = FileSource(path, block_s=0.05)
    started = time.monotonic()
    info = source.open()
    assert not info.live
    blocks = []
    while (block := source.read()) is not None:
        assert time.monotonic() >= block.time
        blocks.append(block)
    source.close()
    due = [block.time - started for block in blocks]
    assert np.diff(due) == pytest.approx([0.05] * (len(due) - 1))
    assert (np.concatenate([block.pcm for block in blocks])[:, 0] == voice).all()


def test_a_pipe_may_cut_samples_anywhere():
    """Odd reads are put together; a rest of half a sample is dropped at the end."""
    read_end, write_end = os.pipe()
    voice = np.stack([speech(0.1), speech(0.1, seed=5)], axis=1)
    data = voice.tobytes() + b"\x01"
    with os.fdopen(read_end, "rb") as pipe, os.fdopen(write_end, "wb", buffering=0) as sink:
        source = PipeSource(pipe, sample_rate=RATE, channels=2, block_s=0.02)
        assert source.open() is None  # nothing has come yet
        got = []
        for start in range(0, len(data), 333):
            sink.write(data[start : start + 333])
            if not start:
                assert source.open() is not None
            block = source.read()
            assert block is not None
            got.append(block.pcm)
        nothing = source.read()
        assert nothing is not None
        assert len(nothing.pcm) == 0
        sink.close()
        assert source.read() is None
    assert (np.concatenate(got) == voice).all()


def test_levels():
    """Full scale is 0 dBFS, silence is minus infinity."""
    square = np.array([32767, -32768] * 100, np.int16)
    assert rms_dbfs(square) == pytest.approx(0, abs=0.001)
    assert peak_dbfs(square) == 0
    assert clips(square)
    half = (np.sin(np.arange(16_000) / 7) * 16_384).astype(np.int16)
    assert rms_dbfs(half) == pytest.approx(-9.03, abs=0.05)
    assert peak_dbfs(half) == pytest.approx(-6.02, abs=0.05)
    assert not clips(half)
    assert rms_dbfs(np.zeros(10, np.int16)) == peak_dbfs(np.zeros(0, np.int16)) == -np.inf


class TestDevices:
    """The devices of a machine with a virtual microphone."""

    @pytest.fixture(autouse=True)
    def _on(self, microphone, monkeypatch):
        for name, value in microphone.env.items():
            monkeypatch.setenv(name, value)
        with native_stderr_muted():
            yield

    def test_a_device_is_found_by_index_and_by_part_of_its_name(self):
        """And the default one without either."""
        default = find_device(None)
        assert default.default
        assert find_device(default.index) == find_device(str(default.index)) == default
        assert find_device(default.name[:5].upper()).name.startswith(default.name[:5])

    def test_an_unknown_or_ambiguous_device_lists_the_candidates(self):
        """So that one can be chosen."""
        with pytest.raises(InputError, match=r"(?s)'nobody' is no input device.*\d: \w+"):
            find_device("nobody")
        with pytest.raises(InputError, match=r"(?s)device 77 is no input device.*\d: \w+"):
            find_device(77)
        with pytest.raises(InputError, match=r"(?s)'l' is ambiguous.*\d: .*\n.*\d: "):
            find_device("l")

    def test_a_microphone_delivers_blocks_at_16_khz(self):
        """At once and in order."""
        source = MicrophoneSource(None, channels=1, block_s=0.02)
        info = source.open()
        assert (info.sample_rate, info.channels, info.live) == (RATE, 1, True)
        samples = 0
        while samples < 0.5 * RATE:
            block = source.read()
            assert block is not None
            samples += len(block.pcm)
        source.close()
