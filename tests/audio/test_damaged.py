"""What a file claims, holds and gives: what is there is read, and what is amiss is said."""

import io
import os
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fakes import FakeModel, silence, speech

from streamer.audio.headers import SplicedFile, find_data
from streamer.audio.recording import Recording
from streamer.config import Config
from streamer.errors import InputError
from streamer.pipeline import offline

RATE = 16_000
VOICE = speech(3.0)
SAID = np.concatenate((silence(1.0), speech(1.0), silence(1.0)))


def read(path):
    """Samples, warnings, and the error at the end."""
    got, error = [], ""
    with Recording(path) as recording:
        try:
            got.extend(recording.blocks(0.5))
        except InputError as failure:
            error = str(failure)
        return np.concatenate(got), recording.drain_warnings(), error


def chunk(name, body, length=None, order="<"):
    """A RIFF chunk, whatever length it claims."""
    return name + struct.pack(f"{order}I", len(body) if length is None else length) + body


def wav(  # noqa: PLR0913 - a header has many fields
    pcm, claimed, *, riff=None, magic=b"RIFF", before=b"", after=b""
):
    """A WAV file that claims a number of bytes of samples."""
    order = ">" if magic == b"RIFX" else "<"
    form = struct.pack(f"{order}HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16)
    body = before + chunk(b"fmt ", form, order=order)
    body += chunk(b"data", pcm.astype(f"{order}i2").tobytes(), claimed, order) + after
    return (
        magic + struct.pack(f"{order}I", len(body) + 4 if riff is None else riff) + b"WAVE" + body
    )


UNFINISHED = {
    "nothing claimed": wav(VOICE, 0, riff=0),
    "a header alone claimed": wav(VOICE, 0, riff=36),
    "one second claimed": wav(VOICE, 2 * RATE),
    "big-endian": wav(VOICE, 0, riff=0, magic=b"RIFX"),
    "RF64": wav(
        VOICE, 2**32 - 1, riff=2**32 - 1, magic=b"RF64",
        before=chunk(b"ds64", struct.pack("<QQQI", 0, 0, 0, 0)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", UNFINISHED)
def test_an_unfinished_wav_file_is_read_to_its_end(tmp_path, name):
    """The recorder died before it wrote the length, or wrote what it knew then."""
    path = tmp_path / "call.wav"
    path.write_bytes(UNFINISHED[name])
    got, (warning,), error = read(path)
    assert (got[:, 0] == VOICE).all()
    assert not error
    assert warning.startswith(f"{path}: its header says ")
    assert "it holds 3.0 s (an unfinished recording?): all of it is read" in warning


@pytest.mark.parametrize(("suffix", "fields"), [("aiff", ((4, ">I"),)), ("w64", ()), ("caf", ())])
def test_other_unfinished_files_are_read_to_their_end(tmp_path, suffix, fields):
    """AIFF, Wave64 and CAF with no length where the samples begin."""
    path = tmp_path / f"call.{suffix}"
    soundfile.write(path, VOICE, RATE, subtype="PCM_16")
    data = bytearray(path.read_bytes())
    for at, form in fields:
        struct.pack_into(form, data, at, 0)
    if suffix == "aiff":
        struct.pack_into(">I", data, data.index(b"COMM") + 10, 0)
        struct.pack_into(">I", data, data.index(b"SSND") + 4, 8)
    elif suffix == "w64":
        struct.pack_into("<Q", data, data.index(b"data\xf3") + 16, 24)
    else:
        struct.pack_into(">q", data, data.index(b"data") + 4, 4)
    path.write_bytes(data)
    got, warnings, error = read(path)
    assert (got[: len(VOICE), 0] == VOICE).all()
    assert not error
    assert "all of it is read" in " ".join(warnings)


def test_a_stream_of_unknown_length_is_nothing_to_speak_of(tmp_path):
    """Whoever wrote it to a pipe could not know."""
    path = tmp_path / "call.wav"
    for claimed in (2**32 - 1, 2**31 - 36):
        path.write_bytes(wav(VOICE, claimed, riff=2**32 - 1))
        got, warnings, error = read(path)
        assert (got[:, 0] == VOICE).all()
        assert not warnings
        assert not error


def test_what_follows_the_samples_is_not_heard(tmp_path):
    """Chunks behind them, in a file that is whole or has no samples at all."""
    path = tmp_path / "call.wav"
    for pcm in (VOICE, VOICE[:0]):
        path.write_bytes(
            wav(pcm, None, after=chunk(b"LIST", b"INFO" * 2000) + chunk(b"odd1", b"x" * 100))
        )
        with Recording(path) as recording:
            assert sum(map(len, recording.blocks(1.0))) == len(pcm)
            warnings = "".join(recording.drain_warnings())
            assert ("holds no samples" in warnings) == (not len(pcm))


@pytest.mark.parametrize("between", [b"", chunk(b"LIST", b"INFOxy")], ids=["none", "list"])
@pytest.mark.parametrize("magic", [b"RIFF", b"RF64"])
def test_all_chunks_of_samples_are_read(tmp_path, magic, between):
    """As of recorders that begin one at a pause; a chunk that is cut is an error behind it."""
    path = tmp_path / "call.wav"
    first, second = VOICE[:20_001], VOICE[20_001:]
    after = between + chunk(b"data", second.tobytes())
    ds64 = chunk(b"ds64", struct.pack("<QQQI", 0, len(first) * 2, 0, 0))
    claimed, before = (2**32 - 1, ds64) if magic == b"RF64" else (None, b"")
    whole = wav(first, claimed, magic=magic, before=before, after=after + chunk(b"LIST", b"INFO"))
    path.write_bytes(whole)
    got, warnings, error = read(path)
    assert (got[:, 0] == VOICE).all()
    assert not warnings
    assert not error
    path.write_bytes(wav(first, claimed, magic=magic, before=before, after=after)[:-8000])
    got, _, error = read(path)
    assert (got[:, 0] == VOICE[:-4000]).all()
    assert "breaks off at 2.8 s: 3.0 s long" in error


def test_a_wav_file_of_more_than_4_gb_is_read_to_its_end(tmp_path):
    """Its length does not fit: what is written there is the rest. The file is sparse."""
    path = tmp_path / "long.wav"
    head = wav(VOICE[:0], 1000)
    with path.open("wb") as file:
        file.write(head)
        file.truncate(5 * 2**30)
    found = find_data(path)
    assert found is not None
    assert found.head is not None
    with (
        SplicedFile(path, found.head, found.spans) as spliced,
        soundfile.SoundFile(spliced) as file,
    ):
        assert file.format == "RF64"
        assert file.frames == (5 * 2**30 - len(head)) // 2
        assert file.seek(file.frames - 5) == file.frames - 5
        assert len(file.read(10)) == 5


def cut(path, part=0.7):
    """Take the end of a file away."""
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])


@pytest.mark.parametrize(
    "head",
    [
        b"riff" + bytes(20) + b"wave" + bytes(12) + b"fmt " + bytes(20),  # Wave64: of no length
        b"caff" + bytes(4) + b"desc" + struct.pack(">q", -12),  # ends where it begins
        b"caff" + bytes(4) + b"desc" + struct.pack(">q", -(10**6)),  # ends before the file begins
        b"RIFF" + bytes(4) + b"WAVE",  # a hundred million empty ones follow
    ],
    ids=["no length", "no end", "before the beginning", "millions"],
)
def test_chunks_that_lead_nowhere_are_followed_to_no_samples(tmp_path, head):
    """Each once was followed for ever, or nearly so."""
    path = tmp_path / "call.wav"
    path.write_bytes(head)
    os.truncate(path, 10**9)  # of zeros, which take no room
    assert find_data(path) is None


@pytest.mark.parametrize(
    "suffix", ["wav", "aiff", "au", "w64", "caf", "flac", "mp3", "ogg", "opus"]
)
def test_a_recording_that_was_cut_says_so(tmp_path, suffix):
    """Whatever its format: what it has, then an error."""
    path = tmp_path / f"call.{suffix}"
    options = {"format": "OGG", "subtype": "OPUS"} if suffix == "opus" else {}
    soundfile.write(path, np.tile(VOICE, 4), RATE, **options)
    cut(path)
    got, warnings, error = read(path)
    assert len(got) > 0.4 * 12 * RATE
    assert not warnings
    assert error.startswith(f"{path}: breaks off at ")


def test_all_that_was_decoded_before_a_fault_is_delivered(tmp_path):
    """Not only whole blocks: libsndfile does not say how much it read before its error."""
    path = tmp_path / "call.flac"
    voice = np.tile(VOICE, 4)
    soundfile.write(path, voice, RATE)
    cut(path)
    by_size = {}
    for seconds in (0.01, 1.0, 20.0):
        with Recording(path) as recording:
            blocks = []
            with pytest.raises(
                InputError, match=r"breaks off at \d+\.\d s: flac decoder lost sync"
            ):
                blocks.extend(recording.blocks(seconds))
            by_size[seconds] = sum(map(len, blocks))
    assert len(set(by_size.values())) == 1


def test_a_flac_file_from_a_pipe_is_read_to_its_end(tmp_path):
    """Its header does not know its length."""
    path = tmp_path / "call.flac"
    soundfile.write(path, VOICE, RATE)
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0  # STREAMINFO: the number of samples, 36 bits
    data[22:26] = bytes(4)
    path.write_bytes(data)
    got, warnings, error = read(path)
    assert (got[:, 0] == VOICE).all()
    assert (warnings, error) == ([], "")
    cut(path)
    _, _, error = read(path)
    assert "breaks off" in error


@pytest.mark.parametrize("damage", ["cut", "nan"])
def test_what_was_heard_of_the_last_utterance_is_kept(tmp_path, damage):
    """Then comes the error."""
    path = tmp_path / "call.wav"
    pcm = np.concatenate((SAID, speech(2.0))) / 32_768
    if damage == "nan":
        pcm = np.concatenate((pcm, np.full(2 * RATE, np.nan)))
    soundfile.write(path, pcm, RATE, subtype="FLOAT")
    if damage == "cut":
        cut(path, 0.9)
    rows = []
    with pytest.raises(InputError, match="breaks off at"):
        rows.extend(offline.utterances(path, FakeModel(), Config()))
    assert [round(row.start_s) for row in rows] == [1, 3]


@pytest.mark.parametrize("gain", [32_768, 10, 31.6, 2**23])
def test_float_samples_of_another_scale_are_made_to_fit(tmp_path, gain):
    """Values of integers, or beyond full scale: the same voice, and a word about it."""
    path = tmp_path / "call.wav"
    soundfile.write(path, VOICE / 32_768 * gain, RATE, subtype="DOUBLE")
    got, (warning,), error = read(path)
    assert not error
    assert "expected full scale 1.0: " in warning
    got, voice = got[:, 0].astype(float), VOICE.astype(float)
    assert np.corrcoef(got, voice)[0, 1] > 0.9999
    if gain in {32_768, 2**23}:
        assert np.abs(got - voice).max() <= 1


def test_a_few_samples_beyond_full_scale_are_clipped(tmp_path):
    """One wild sample makes nothing quieter; an encoder's overshoot is no fault."""
    path = tmp_path / "call.wav"
    pcm = VOICE / 32_768
    pcm[5] = 30_000
    pcm[6] = 1.2
    soundfile.write(path, pcm, RATE, subtype="FLOAT")
    got, warnings, _ = read(path)
    assert not warnings
    assert (np.delete(got[:, 0], [5, 6]) == np.delete(VOICE, [5, 6])).all()
    assert got[5, 0] == got[6, 0] == 32_767


def test_a_sample_that_is_no_number_costs_that_sample(tmp_path):
    """It is counted."""
    path = tmp_path / "call.wav"
    pcm = (VOICE / 32_768).astype(np.float32)
    pcm[RATE : RATE + 3] = [np.nan, np.inf, -np.inf]
    soundfile.write(path, pcm, RATE, subtype="FLOAT")
    got, (warning,), error = read(path)
    assert not error
    assert warning == f"{path}: NaN or infinite samples, taken for silence: 3"
    expected = VOICE.copy()
    expected[RATE : RATE + 3] = 0
    assert (got[:, 0] == expected).all()


@pytest.mark.parametrize("kind", ["pipe", "device", "home"])
def test_what_is_no_file_is_named(tmp_path, monkeypatch, kind):
    """A FIFO is not empty; ~ is a home."""
    if kind == "home":
        monkeypatch.setenv("HOME", str(tmp_path))
        soundfile.write(tmp_path / "call.wav", VOICE, RATE)
        with Recording(Path("~/call.wav")) as recording:
            assert recording.info.sample_rate == RATE
        return
    if kind == "pipe":
        path = tmp_path / "fifo"
        os.mkfifo(path)
        expected = "is a pipe, expected a recording; 'streamer run --input .*fifo' listens to it"
    else:
        path, expected = Path("/dev/null"), "is a device or a socket"
    with pytest.raises(InputError, match=expected):
        Recording(path)


needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")


@pytest.fixture
def encoded(tmp_path):
    """Encodes the voice with ffmpeg."""

    def encode(name, *options: str):
        source = tmp_path / "source.wav"
        soundfile.write(source, VOICE, RATE)
        path = tmp_path / name
        command = ["ffmpeg", "-v", "error", "-y", "-i", source, *options, path]
        subprocess.run(command, check=True, capture_output=True)
        return path

    return encode


@needs_ffmpeg
@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.m4a", "aac"),
        ("a.mp4", "aac"),
        ("a.3gp", "aac"),
        ("a.webm", "libopus"),
        ("a.mka", "flac"),
        ("a.wma", "wmav2"),
        ("a.aac", "aac"),
        ("a.wav", "libmp3lame"),
    ],
)
def test_what_ffmpeg_reads_is_read(encoded, name, codec):
    """Where ffmpeg is there."""
    got, warnings, error = read(encoded(name, "-c:a", codec))
    assert (warnings, error) == ([], "")
    with Recording(encoded(name, "-c:a", codec)) as recording:
        assert recording.duration_s == pytest.approx(3.0, abs=0.3)
        assert len(got) == pytest.approx(3.0 * recording.info.sample_rate, rel=0.05)
    assert np.abs(got.astype(float)).max() > 1000


@needs_ffmpeg
def test_the_content_counts_not_the_name(encoded, tmp_path):
    """MPEG-4 named MP3; a video; a video without sound."""
    path = tmp_path / "call.mp3"
    encoded("a.m4a", "-c:a", "aac").rename(path)
    assert len(read(path)[0]) == pytest.approx(3 * RATE, rel=0.05)
    picture = ("-f", "lavfi", "-i", "color=size=16x16:rate=5:duration=6")
    film = encoded("film.mkv", *picture, "-c:a", "flac", "-c:v", "mpeg4")
    got, warnings, error = read(film)
    assert (len(got), warnings, error) == (3 * RATE, [], "")
    silent = encoded("silent.mp4", *picture, "-an", "-c:v", "mpeg4", "-map", "1:v")
    with pytest.raises(InputError, match=r"silent.mp4: .*there is no sound in it"):
        Recording(silent)


@needs_ffmpeg
def test_of_several_tracks_the_first_is_read(encoded):
    """And it is said that there are more: a microphone, perhaps, beside what the computer plays."""
    path = encoded("two.mka", "-map", "0:a", "-map", "0:a", "-c:a", "flac")
    got, warnings, error = read(path)
    assert (len(got), error) == (3 * RATE, "")
    assert warnings == [f"{path}: has 2 audio tracks: only the first is read"]


def test_what_calls_itself_mp3_is_not_said_to_be_missing(tmp_path):
    """As libsndfile says of it."""
    path = tmp_path / "call.mp3"
    path.write_bytes(b"ID3")
    with pytest.raises(InputError, match=r"call.mp3: cannot be read .*there is no MP3 in it"):
        Recording(path)


@needs_ffmpeg
def test_what_ffmpeg_reads_and_was_cut_says_so(encoded):
    """Whether or not its index is gone."""
    for name, options in (("a.webm", ()), ("fast.m4a", ("-movflags", "faststart"))):
        path = encoded(name, *options)
        cut(path)
        got, _, error = read(path)
        assert len(got) > RATE
        assert "breaks off at" in error
    path = encoded("late.m4a")
    cut(path)
    with pytest.raises(InputError, match=r"late.m4a: cannot be read as a sound file .*moov atom"):
        Recording(path)


def test_without_ffmpeg_the_cure_is_named(tmp_path, monkeypatch):
    """By content or by name."""
    monkeypatch.setattr("streamer.audio.ffmpeg.program", lambda: None)
    path = tmp_path / "call.mp3"
    path.write_bytes(b"\0\0\0\x1cftypM4A " + bytes(100))
    with pytest.raises(
        InputError, match=r"call.mp3: is an MPEG-4 file .* needs ffmpeg: install it"
    ):
        Recording(path)
    path = tmp_path / "call.amr"
    path.write_bytes(b"?" * 100)
    with pytest.raises(InputError, match=r"call.amr: is a .amr file of a kind that needs ffmpeg"):
        Recording(path)


def test_a_file_with_another_beginning_can_be_sought(tmp_path):
    """As any file."""
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    for spans, whole in (
        (((4, 10),), b"abcdef456789"),
        (((4, 6), (6, 6), (1, 3), (9, 10)), b"abcdef45129"),
    ):
        with SplicedFile(path, b"abcdef", spans) as file:
            assert file.read() == whole
            for at in range(len(whole)):
                file.seek(at)
                assert file.read(5) == whole[at : at + 5]
            assert file.seek(-2, io.SEEK_END) == len(whole) - 2
            assert file.read(5) == whole[-2:]
