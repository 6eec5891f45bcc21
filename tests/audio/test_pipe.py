"""What may come through a pipe: raw PCM, or a container that is never taken for it."""

import io
import os
import shutil
import threading

import numpy as np
import pytest
import soundfile
from fakes import speech

from streamer.audio.inputs import open_pipe, recording_path
from streamer.audio.pipe import PipeSource
from streamer.audio.signatures import container_of
from streamer.errors import InputError

RATE = 16_000
VOICE = speech(2.0)
KINDS = [
    ("WAV", "PCM_16", "LITTLE"),
    ("WAV", "PCM_16", "BIG"),
    ("WAV", "PCM_U8", None),
    ("WAV", "PCM_24", None),
    ("WAV", "PCM_32", None),
    ("WAV", "FLOAT", None),
    ("WAV", "DOUBLE", None),
    ("WAV", "ULAW", None),
    ("WAV", "ALAW", None),
    ("WAVEX", "PCM_16", None),
    ("RF64", "PCM_16", None),
]


def encoded(form, subtype, endian=None, pcm=VOICE, rate=RATE):
    """A file's bytes."""
    file = io.BytesIO()
    soundfile.write(file, pcm / 32_768, rate, format=form, subtype=subtype, endian=endian)
    return file.getvalue()


def heard(data, *, piece=777, channels=1):
    """What a pipe delivers that says so: its info, samples and warnings."""
    reader, writer = os.pipe()

    def write():
        with os.fdopen(writer, "wb", buffering=0) as sink:
            for at in range(0, len(data), piece):
                sink.write(data[at : at + piece])

    thread = threading.Thread(target=write)
    with os.fdopen(reader, "rb") as pipe:
        source = PipeSource(pipe, sample_rate=RATE, channels=channels, block_s=0.1)
        thread.start()
        try:
            while (info := source.open()) is None:
                pass
            blocks = []
            while (block := source.read()) is not None:
                blocks.append(block)
        finally:
            source.close()
            while os.read(pipe.fileno(), 65_536):
                pass
            thread.join(10)
    pcm = np.concatenate([block.pcm for block in blocks])
    return info, pcm, [text for block in blocks for text in block.warnings]


@pytest.mark.parametrize(("form", "subtype", "endian"), KINDS)
def test_a_wav_stream_is_read_by_its_header(form, subtype, endian):
    """Of any kind, at its own rate and channel count, cut anywhere."""
    stereo = np.stack((VOICE, VOICE // 2), axis=1)
    data = encoded(form, subtype, endian, stereo, 44_100)
    info, pcm, warnings = heard(data)
    assert (info.sample_rate, info.channels) == (44_100, 2)
    expected, _ = soundfile.read(io.BytesIO(data), dtype="float32")
    assert pcm.shape == stereo.shape
    assert np.abs(pcm / 32_768 - expected).max() <= 1.01 / 32_768
    assert warnings == []


@pytest.mark.parametrize("size", [0, 2**32 - 1, 1000])
def test_what_a_stream_claims_about_its_length_is_not_trusted(size):
    """It could not know: all of it is read."""
    data = bytearray(encoded("WAV", "PCM_16"))
    data[40:44] = size.to_bytes(4, "little")
    _, pcm, warnings = heard(bytes(data))
    assert (pcm[:, 0] == VOICE).all()
    assert len(warnings) == (size == 1000)


def test_a_wav_stream_that_breaks_off_says_so():
    """Behind all that came."""
    with pytest.raises(InputError, match=r"standard input: breaks off at 1.0 s: 2.0 s long"):
        heard(encoded("WAV", "PCM_16")[: 44 + 2 * RATE])
    with pytest.raises(InputError, match="ends within the header of a WAV file"):
        heard(encoded("WAV", "PCM_16")[:30])


def test_chunks_behind_the_samples_are_no_samples():
    """A list, as many programs write it."""
    data = encoded("WAV", "PCM_16") + b"LIST\x04\0\0\0INFO" * 50
    _, pcm, warnings = heard(data)
    assert (pcm[:, 0] == VOICE).all()
    assert warnings == []


@pytest.mark.parametrize("between", [b"", b"LIST\x05\0\0\0INFOx\0" * 300])
@pytest.mark.parametrize("piece", [1, 777, 10**6])
def test_all_chunks_of_samples_are_heard(between, piece):
    """Cut anywhere; with an odd number of bytes, and behind the last one something else."""
    pcm = VOICE[:3001]
    data = bytearray(encoded("WAV", "PCM_U8", pcm=pcm))
    more = b"data" + (len(pcm)).to_bytes(4, "little") + bytes(data[44 : 44 + len(pcm)]) + b"\0"
    assert len(data) == 44 + len(pcm) + 1
    behind = b"LIST\x04\0\0\0INFO" + b"odd1\x02\0\0\0xx" * 9
    _, got, warnings = heard(bytes(data) + between + more + behind, piece=piece)
    once, _ = soundfile.read(io.BytesIO(data), dtype="int16")
    assert (got[:, 0] == np.concatenate((once, once))).all()
    assert warnings == []


def test_what_is_compressed_or_of_another_scale_is_refused():
    """With what was got and what is expected."""
    with pytest.raises(InputError, match=r"sound of format 0x0002, 4 bits, expected PCM"):
        heard(encoded("WAV", "MS_ADPCM"))
    file = io.BytesIO()
    soundfile.write(file, VOICE.astype(float), RATE, format="WAV", subtype="FLOAT")
    with pytest.raises(InputError, match=r"float samples of up to .*, expected full scale 1.0"):
        heard(file.getvalue())


CONTAINERS = {
    "FORM": (encoded("AIFF", "PCM_16"), "an AIFF file"),
    "fLaC": (encoded("FLAC", "PCM_16"), "a FLAC file"),
    "OggS": (encoded("OGG", "OPUS"), "an Ogg file"),
    "ID3": (b"ID3\x04\0\0\0\0\0\0" + encoded("MP3", "MPEG_LAYER_III"), "an MP3 file"),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_another_container_is_refused_without_ffmpeg(name, monkeypatch):
    """Never taken for raw PCM."""
    monkeypatch.setattr("streamer.audio.ffmpeg.program", lambda: None)
    data, kind = CONTAINERS[name]
    with pytest.raises(InputError, match=f"got {kind}, expected raw s16le PCM or WAV: save it"):
        heard(data)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
@pytest.mark.parametrize("name", CONTAINERS)
def test_another_container_is_read_by_ffmpeg(name):
    """Where it is installed."""
    info, pcm, _ = heard(CONTAINERS[name][0])
    assert len(pcm) / info.sample_rate == pytest.approx(2.0, abs=0.1)
    assert np.abs(pcm.astype(float)).max() > 1000


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\0\0\0\x20ftypisom", "an MPEG-4 file (m4a, mp4, mov, 3gp)"),
        (b"\x1a\x45\xdf\xa3" + bytes(12), "a Matroska or WebM file"),
        (b"RIFX\0\0\0\0WAVE", "a WAV file"),
        (b"RIFF\0\0\0\0AVI ", "an AVI video"),
        (b"#!AMR\n", "an AMR file"),
        (bytes(16), None),
        (b"ID3", None),
        (b"", None),
    ],
)
def test_containers_are_told_by_their_first_bytes(head, kind):
    """And silence is none."""
    assert container_of(head) == kind


def test_raw_pcm_of_any_length_is_raw_pcm():
    """Also less than a container's first bytes."""
    for count in (0, 1, 7, 8, 1000):
        info, pcm, _ = heard(VOICE[:count].tobytes() + b"x" * bool(count), piece=3) if count else (
            None, np.zeros((0, 1), np.int16), None,
        )  # fmt: skip
        assert (pcm[:, 0] == VOICE[:count]).all()
        assert info is None or info.sample_rate == RATE


def test_a_named_pipe_is_opened_before_anybody_writes(tmp_path):
    """It waits, and is no empty file."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    pipe = open_pipe(path)
    assert pipe is not None
    with pipe:
        source = PipeSource(pipe, sample_rate=RATE, channels=1, block_s=0.1, name="fifo")
        assert source.open() is None
        with path.open("wb", buffering=0) as sink:
            sink.write(VOICE[:1000].tobytes())
            assert source.open() is not None
            block = source.read()
        assert block is not None
        assert (block.pcm[:, 0] == VOICE[:1000]).all()
        assert source.read() is None
    assert open_pipe(tmp_path) is None
    assert open_pipe(tmp_path / "none") is None


def test_a_path_may_begin_with_a_home_and_is_no_url(tmp_path, monkeypatch):
    """A URL is shown as it was typed."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert recording_path("~/call.wav") == tmp_path / "call.wav"
    with pytest.raises(InputError, match=r"https://a.example/x.mp3: is a URL, expected a file"):
        recording_path("https://a.example/x.mp3")
    for text in ("ftp://a.example/x.mp3", "file:///x.wav"):
        with pytest.raises(InputError, match=r"is no file, and no URL of a kind .*: http, https"):
            recording_path(text)
    with pytest.raises(InputError, match=r"~nobody-here/x: nobody has such a home folder"):
        recording_path("~nobody-here/x")
