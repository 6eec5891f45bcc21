"""Recordings in a bucket behind a connection that breaks: all rows, none twice."""

import csv
import io

import numpy as np
import pytest
import soundfile
from batches import analyse
from breaking_proxy import BreakingProxy
from fakes import FakeModel, silence, speech

from streamer.bulk import remote
from streamer.errors import InputError
from streamer.types import SAMPLE_RATE

fsspec = pytest.importorskip("fsspec")

SAID = np.concatenate((silence(0.2), speech(0.6), silence(0.8)))
COUNT = 24
BREAKS = 6
"""One answer in a number of them breaks off in its middle."""


@pytest.fixture(scope="module")
def bucket():
    """A bucket with recordings, a broken one and a text, behind a proxy."""
    pytest.importorskip("s3fs")
    moto = pytest.importorskip("moto.server")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    proxy = BreakingProxy(port, BREAKS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setitem(fsspec.config.conf, "s3", {"endpoint_url": f"http://127.0.0.1:{port}"})
        system = fsspec.filesystem("s3")
        system.mkdir("calls")
        encoded = encode(SAID)
        for number in range(COUNT):
            system.pipe(f"calls/{number % 4}/{number:03}.flac", encoded)
        system.pipe("calls/torn.wav", b"RIFF")
        system.pipe("calls/list.txt", b"none")
        fsspec.config.conf["s3"]["endpoint_url"] = proxy.url
        system.clear_instance_cache()
        yield proxy
    proxy.close()
    server.stop()


def encode(pcm):
    """As FLAC."""
    data = io.BytesIO()
    soundfile.write(data, pcm, SAMPLE_RATE, format="FLAC")
    return data.getvalue()


def rows(path):
    """The rows of a CSV."""
    with path.open(newline="", encoding="utf-8") as text:
        return list(csv.DictReader(text))


def test_a_bucket_behind_a_bad_connection(bucket, tmp_path, capsys, monkeypatch):
    """All recordings, each once; what is none is named; the second time, nothing is read."""
    monkeypatch.setattr(remote, "BACK_OFF_S", 0.01)
    out = tmp_path / "rows.csv"
    assert analyse(["s3://calls"], FakeModel, csv=out) == 1
    error = capsys.readouterr().err
    assert "s3://calls/torn.wav: cannot be read as a sound file" in error
    assert "file:" not in error  # ffmpeg's own name for it
    assert "s3://calls: left out, as no recordings: 1 .txt" in error
    sources = [row["source"] for row in rows(out)]
    assert sorted(sources) == sorted(f"s3://calls/{n % 4}/{n:03}.flac" for n in range(COUNT))
    assert bucket.broken >= COUNT // BREAKS
    before = bucket.requests
    assert analyse(["s3://calls"], FakeModel, csv=out) == 1
    assert len(rows(out)) == COUNT
    assert bucket.requests - before < COUNT


def test_one_object_and_none(bucket, tmp_path, capsys):
    """A URL of a recording is tried as it is; one of nothing is an error."""
    del bucket
    out = tmp_path / "rows.csv"
    assert analyse(["s3://calls/1/001.flac"], FakeModel, csv=out) == 0
    assert len(rows(out)) == 1
    with pytest.raises(Exception, match=r"s3://calls/none.flac: no such file or folder"):
        analyse(["s3://calls/none.flac"], FakeModel, csv=None)
    capsys.readouterr()


def test_https_and_what_hides_secrets(tmp_path):
    """A web server without listings; passwords and signatures are never shown."""
    soundfile.write(tmp_path / "a.wav", SAID, SAMPLE_RATE)
    assert remote.shown("https://me:secret@host/a.wav?sig=secret") == "https://host/a.wav?…"
    assert remote.is_remote("s3://bucket/x")
    assert not remote.is_remote("C:/x")
    assert not remote.is_remote("a/b.wav")


def test_a_kind_of_url_that_nobody_knows(tmp_path):
    """Says so."""
    with pytest.raises(Exception, match=r"nowhere://x/y.wav: .*[Pp]rotocol"):
        analyse(["nowhere://x/y.wav"], FakeModel, csv=tmp_path / "rows.csv")


@pytest.mark.parametrize("location", ["ftp://127.0.0.1:1/x.wav", "nosuch://a/x.wav"])
def test_a_server_that_does_not_answer_is_named(location):
    """Also where its kind is connected to before anything is asked for."""
    with pytest.raises(InputError, match=f"{location}: cannot be read"):
        next(remote.find(location))
