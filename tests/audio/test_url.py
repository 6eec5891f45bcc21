"""What is played from the network."""

import functools
import http.server
import shutil
import subprocess
import threading

import numpy as np
import pytest
import soundfile
from fakes import speech

from streamer.audio.url import UrlSource, is_url
from streamer.errors import InputError

VOICE = speech(0.6)


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder without a word."""

    def log_message(self, *_args: object) -> None:
        """Nothing."""


@pytest.fixture
def address(tmp_path):
    """A web server with a recording."""
    soundfile.write(tmp_path / "call.flac", VOICE, 16_000)
    handler = functools.partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def opened(source):
    """Open it, however often that has to be asked."""
    while (info := source.open()) is None:
        pass
    return info


def played(source):
    """All of it."""
    return np.concatenate([block.pcm for block in iter(source.read, None)])


needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")


@needs_ffmpeg
def test_a_url_is_played_to_its_end(address):
    """All of it; a password in it is shown to nobody."""
    source = UrlSource(f"http://me:secret@{address}/call.flac?token=secret", block_s=0.1)
    try:
        info = opened(source)
        assert opened(source) == info  # as where it was opened to see whether it is there
        assert (info.name, info.sample_rate) == (f"http://{address}/call.flac", 16_000)
        pcm = played(source)
    finally:
        source.close()
    assert (pcm[:, 0] == VOICE).all()


@needs_ffmpeg
def test_what_cannot_be_read_from_its_beginning_on_says_what_to_do(address, tmp_path):
    """An MPEG-4 file with its index at the end, on a server that gives no parts of files."""
    subprocess.run(
        [
            "ffmpeg",
            "-loglevel",
            "error",
            "-stream_loop",
            "60",
            "-i",
            tmp_path / "call.flac",
            "-b:a",
            "128k",
            tmp_path / "call.m4a",
        ],
        check=True,
    )
    source = UrlSource(f"http://{address}/call.m4a", block_s=0.1)
    try:
        opened(source)
        with pytest.raises(InputError, match=r"breaks off: .*; download it and listen to the file"):
            played(source)
    finally:
        source.close()


@needs_ffmpeg
def test_what_is_not_there_is_named(address):
    """With what the server says."""
    source = UrlSource(f"http://me:secret@{address}/none.flac", block_s=0.1)
    try:
        with pytest.raises(InputError, match=r"/none.flac: cannot be read: .*404") as caught:
            opened(source)
        assert "secret" not in str(caught.value)
    finally:
        source.close()


def test_without_ffmpeg_the_cure_is_named(monkeypatch):
    """Before anything is connected."""
    monkeypatch.setattr("streamer.audio.ffmpeg.program", lambda: None)
    with pytest.raises(InputError, match=r"rtsp://a.example/x: needs ffmpeg: install it"):
        UrlSource("rtsp://a.example/x", block_s=0.1).open()


@pytest.mark.parametrize("text", ["call.wav", "C:\\call.wav", "file:///x.wav", "https:/x", "-"])
def test_what_is_no_url(text):
    """A file, whatever its name."""
    assert not is_url(text)
