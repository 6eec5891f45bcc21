"""The examples run, and the AsyncAPI file says what really goes over the line."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import jsonschema
import pytest
import soundfile
import yaml
from browser import Browser, program
from serving import ROOT, WAIT_S, Serving, lines, send, voices
from voices import VOICES

from streamer.server.protocols.base import CallEnd, CallStart, ProtocolError
from streamer.server.protocols.native import END, Header, NativeCodec
from streamer.types import SAMPLE_RATE

API = yaml.safe_load((ROOT / "docs" / "serve.asyncapi.yaml").read_text())
EXAMPLES = ROOT / "examples" / "serve"


@pytest.fixture(scope="module")
def pages() -> Iterator[str]:
    """The folder with the examples on a web server; its origin."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_args: object) -> None:
            """Log nothing."""

    handler = partial(Quiet, directory=str(EXAMPLES))
    with ThreadingHTTPServer(("localhost", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory, pages: str) -> Iterator[Serving]:
    """One server for all."""
    serving = Serving(tmp_path_factory.mktemp("serving"), "--allow-origin", pages)
    yield serving
    serving.close()


def validator(message: str) -> jsonschema.Draft202012Validator:
    """Checks a message of the AsyncAPI file."""
    schema = {**API["components"]["messages"][message]["payload"], "components": API["components"]}
    return jsonschema.Draft202012Validator(schema)


def test_references_lead_somewhere():
    """Each of them, and each schema is one."""

    def references(node: object) -> Iterator[str]:
        if isinstance(node, dict):
            yield from (value for key, value in node.items() if key == "$ref")
        for inner in node.values() if isinstance(node, dict) else node:
            if isinstance(inner, dict | list):
                yield from references(inner)

    for reference in references(API):
        found = API
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
    for name in API["components"]["messages"]:
        jsonschema.Draft202012Validator.check_schema(validator(name).schema)


def test_what_the_file_says_may_be_sent_is_understood():
    """Its examples are taken by the codec, and by its own schema."""
    headers = API["components"]["messages"]["header"]["examples"]
    for header in headers:
        codec = NativeCodec()
        (start,) = codec.decode(json.dumps(header["payload"]))
        assert isinstance(start, CallStart)
        validator("header").validate(header["payload"])
        (end,) = API["components"]["messages"]["end"]["examples"]
        assert codec.decode(json.dumps(end["payload"])) == [CallEnd()]


@pytest.mark.parametrize(
    "header", [{}, {"rate": 1}, {"rate": 8000, "colour": 1}, {"rate": 8000, "call": "=1"}]
)
def test_what_the_file_forbids_is_refused(header):
    """By both alike."""
    assert not validator("header").is_valid(header)
    with pytest.raises(ProtocolError):
        NativeCodec().decode(json.dumps(header))


def test_what_the_server_sends_is_in_the_file(serving):
    """Every message, every field of it, and every kind of message is sent."""
    with serving.connect() as socket:
        send(socket, Header(SAMPLE_RATE, ("customer",), call="c-1"), voices(8))
        socket.send(END)
        got = lines(socket)
    for line in got:
        validator(str(line["event"])).validate(line)
    sent = API["operations"]["receiveEvents"]["messages"]
    named = {reference["$ref"].rpartition("/")[2] for reference in sent}
    assert named - {"alert"} <= {line["event"] for line in got} <= named


@pytest.mark.parametrize("example", ["call.py", "call_opus.py"])
def test_a_program_sends_a_recording(serving, tmp_path, example):
    """The examples of clients print what is heard."""
    path = tmp_path / f"{example}.wav"
    pcm, rate = soundfile.read(VOICES, frames=5 * SAMPLE_RATE)
    soundfile.write(path, pcm, rate)
    url = f"ws://127.0.0.1:{serving.port}/v1/stream"
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / example), str(path), url],
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("utterance customer ")
    assert {row["channel"] for row in serving.rows(example)} == {"customer"}


@pytest.mark.skipif(program() is None, reason="no chromium here")
def test_a_page_sends_the_microphone(serving, pages, tmp_path):
    """What is said into it is shown in the page; the browser plays a recording instead."""
    path = tmp_path / "microphone.wav"
    soundfile.write(path, soundfile.read(VOICES, frames=6 * SAMPLE_RATE)[0], SAMPLE_RATE)
    flags = (
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={path}",
        "--autoplay-policy=no-user-gesture-required",
    )
    with Browser(tmp_path / "profile", *flags) as browser:
        browser.show(f"{pages}/microphone.html?server=ws://localhost:{serving.port}")
        browser.ask("document.getElementById('start').click()")
        shown = "document.getElementById('heard').textContent"
        serving.wait(lambda: browser.ask(shown))
        assert re.match(r"[0-9.]+ s: [a-z]+ [0-9.]+\n", browser.ask(shown))
