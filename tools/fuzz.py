"""Fuzzes the readers of outside input by coverage: python tools/fuzz.py TARGET --seconds 300.

Each target passes bytes to a function that reads input from outside, and allows only the errors
that are documented there; any other error, a hang, or too much memory is a find. The tests call the
same targets with hypothesis and with earlier finds (tests/data/finds). Needs the extra `fuzz`.
"""

import argparse
import io
import json
import os
import socket
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TypeAlias
from unittest import mock

import numpy as np

Target: TypeAlias = Callable[[bytes, Path], None]
"""Takes the bytes and an empty folder to work in."""

ROOT = Path(__file__).parents[1]
FINDS = ROOT / "tests" / "data" / "finds"
MEMORY_MB = 2048
MAX_S = 60  # under instrumentation, on a machine that has other work
MAX_BYTES = 4096


def config(data: bytes, folder: Path) -> None:
    """A configuration file, and the same text as the value of a variable."""
    from streamer.config import load
    from streamer.errors import ConfigError

    path = folder / "config.yaml"
    path.write_bytes(data)
    with suppress(ConfigError):
        load(file=path, environ={}).settings()
    text = data.decode(errors="replace")
    for variable in ("STREAMER_ALERTS_RULES", "STREAMER_AUDIO_CHANNELS", "STREAMER_VAD_FRAME_MS"):
        with suppress(ConfigError):
            load(environ={variable: text}).settings()


def log(data: bytes, folder: Path) -> None:
    """A CSV that is read for a report, then one that rows are to be appended to."""
    from streamer.errors import InputError, OutputError
    from streamer.logs.reader import NEEDED, read_log
    from streamer.sinks.csv_log import CsvLog
    from streamer.sinks.row import columns
    from streamer.types import EMOTIONS

    names = ",".join(columns(EMOTIONS)).encode()
    for header in (b"", ",".join(NEEDED).encode() + b"\n", names + b"\n", names):
        path = folder / "rows.csv"
        path.write_bytes(header + data)
        with suppress(InputError):
            sessions, skipped = read_log(path)
            assert all(session.utterances for session in sessions)
            assert all(str(one) for one in skipped)
        with suppress(OutputError), CsvLog(path, columns(EMOTIONS)):
            assert path.read_bytes().endswith(b"\n")


def recording(data: bytes, folder: Path) -> None:
    """A recording of any name, classified as `streamer file` does."""
    from streamer.config import Config
    from streamer.errors import StreamerError
    from streamer.pipeline import offline

    for suffix in ("wav", "raw", "mp3"):
        path = folder / f"call.{suffix}"
        path.write_bytes(data)
        with suppress(StreamerError):
            for _ in offline.utterances(path, _Deaf(), Config()):
                pass


def pipe(data: bytes, folder: Path) -> None:
    """Raw PCM on a pipe, in pieces of any size, at any rate and channel count."""
    from streamer.audio.pipe import PipeSource
    from streamer.config import Config
    from streamer.errors import InputError
    from streamer.pipeline.frontend import Frontend
    from streamer.segmentation.channel import Channel

    del folder
    head, body = np.frombuffer(data[:8].ljust(8, b"\1"), np.uint32), data[8:]
    reader, writer = os.pipe()
    with (
        os.fdopen(reader, "rb") as source_end,
        os.fdopen(writer, "wb", buffering=0) as sink,
        suppress(InputError),
        ExitStack() as stack,
    ):
        source = PipeSource(
            source_end, sample_rate=int(head[0]), channels=int(head[1]), block_s=0.02
        )
        stack.callback(source.close)
        channel, frontend = Channel("mono", Config()), None
        for start in range(0, len(body), 1 + int(head[0]) % 999):
            sink.write(body[start : start + 1 + int(head[0]) % 999])
            if frontend is None and (info := source.open()) is not None:
                frontend = Frontend(info, Config())
            if frontend is not None and (block := source.read()) is not None:
                audio = frontend.convert(block.pcm)
                channel.push(audio.pcm[:, 0], audio.crosstalk[:, 0])
        sink.close()
        while source.open() is None:
            pass
        while source.read() is not None:
            pass


def bundle(data: bytes, folder: Path) -> None:
    """A model's manifest, then its weights, with digests that fit."""
    import hashlib

    from streamer.errors import ModelError
    from streamer.model.bundle import CARD, MANIFEST, WEIGHTS, load

    real = ROOT / "models" / "default"
    card = (real / CARD).read_bytes()
    digests = {
        WEIGHTS: hashlib.sha256(data).hexdigest(), CARD: hashlib.sha256(card).hexdigest(),
    }  # fmt: skip
    (folder / CARD).write_bytes(card)
    weights = folder / WEIGHTS
    weights.unlink(missing_ok=True)
    weights.write_bytes(data)
    whole = json.loads((real / MANIFEST).read_bytes())
    for manifest in (data, json.dumps(whole | {"files": digests}).encode()):
        (folder / MANIFEST).write_bytes(manifest)
        with suppress(ModelError):
            load(folder)
    weights.unlink()
    weights.symlink_to(real / WEIGHTS)
    (folder / MANIFEST).write_bytes(_patched(whole, data))
    with suppress(ModelError):
        load(folder)


def webhook(data: bytes, folder: Path) -> None:
    """An address that alerts are sent to, and what would be sent there; nobody answers."""
    from streamer.config import load
    from streamer.errors import ConfigError, DeliveryError
    from streamer.sinks.notify.webhook import Webhook

    del folder
    text = data.decode(errors="replace")
    for url in (text, f"http://{text}", f"https://example.org/{text}"):
        try:
            loaded = load(environ={"STREAMER_ALERTS_WEBHOOK_URL": url})
        except ConfigError:
            continue
        address = loaded.config.alerts.webhook_url
        assert address is not None
        hook = Webhook(address, secret=text or None, timeout_s=0.1)
        assert hook.name.startswith("webhook http")
        if address.startswith("https"):  # the same but for certificates, which take long to load
            continue
        with mock.patch("socket.getaddrinfo", _nobody), suppress(DeliveryError):
            hook.deliver({"event": "alert", "id": text})


def call(data: bytes, folder: Path) -> None:
    """What telephone systems send: the first byte says which, that of each message its kind."""
    from streamer.server.endpoints import ENDPOINTS, Asked
    from streamer.server.protocols.audiosocket import AudioSocketCodec
    from streamer.server.protocols.base import CallAudio, CallStart, Ending, ProtocolError

    del folder
    which, *messages = data[:1] or b"\0", *data[1:].split(b"\n\n")
    asked = Asked("", "", {}, {})
    makes = [lambda each=each: each.codec(asked) for each in ENDPOINTS.values()]
    codec = [*makes, AudioSocketCodec][which[0] % (len(makes) + 1)]()
    channels = 0
    reason = "the server ends"
    codec.greet()
    try:
        for message in messages:
            text = message[1:].decode(errors="replace")
            for item in codec.decode(message[1:] if message[:1] == b"b" else text):
                if isinstance(item, CallStart):
                    assert not channels, "a second start"
                    channels = len(item.channels)
                if isinstance(item, CallAudio):
                    assert item.pcm.shape[1] == channels, "audio of another shape"
    except ProtocolError as error:
        reason = str(error)
    for ending in Ending:
        codec.close(ending, reason, [])


TARGETS: dict[str, Target] = {
    target.__name__: target for target in (config, log, recording, pipe, bundle, webhook, call)
}


class _Deaf:
    """Classifies nothing."""

    def classify(self, pcm: object, adaptation: object = None, *, learn: bool = False) -> None:
        """Hear nothing."""

    def new_adaptation(self, enrolment: object = None) -> None:
        """Learn nothing."""


def _nobody(host: str, *_args: object, **_options: object) -> None:
    host.encode("idna")  # as the real one does first
    raise socket.gaierror(socket.EAI_NONAME, "nobody is there")


def _patched(whole: dict[str, object], data: bytes) -> bytes:
    """The manifest with what the bytes say put into it, if they are JSON."""
    try:
        change = json.loads(data)
    except (ValueError, RecursionError):
        return b"{}"
    return json.dumps(whole | (change if isinstance(change, dict) else {"labels": change})).encode()


def _seeds(target: str) -> dict[str, bytes]:
    """Something to begin with: what is right, and what was found before, but for what is slow."""
    real = ROOT / "models" / "default"
    found = [path for path in FINDS.glob(f"{target}-*") if "brackets" not in path.name]
    seeds = {path.name: path.read_bytes() for path in found}
    match target:
        case "config":
            parts = (ROOT / "config.yaml").read_bytes().split(b"\n\n")
            seeds |= {f"section-{index}": part for index, part in enumerate(parts)}
        case "log":
            begins = b"s,1,mono,2026-01-01T00:00:00+00:00,1,2,1,sad,0.5"
            seeds["row"] = begins + b",0.1" * 8 + b"\n"
        case "recording":
            import soundfile

            for kind in ("wav", "flac", "ogg", "mp3", "aiff", "au", "caf", "w64"):
                sound = io.BytesIO()
                soundfile.write(sound, np.zeros(400), 16_000, format=kind)
                seeds[kind] = sound.getvalue()
        case "pipe":
            seeds["mono"] = np.array([16_000, 1], np.uint32).tobytes() + bytes(2000)
            seeds["stereo"] = np.array([48_000, 2], np.uint32).tobytes() + b"\x40" * 3000
        case "bundle":
            seeds["manifest"] = (real / "bundle.json").read_bytes()
            seeds["network"] = b'{"network": {"mels": 80, "width": 384, "blocks": 3}}'
            header = b'{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
            seeds["weights"] = len(header).to_bytes(8, "little") + header + bytes(4)
        case "call":
            from streamer.server.protocols import telnyx, twilio

            start = twilio.serialize(twilio.Start("MZ1", "CA1", ("inbound", "outbound"), {}))
            media = twilio.serialize(twilio.Media("inbound", 0, bytes(160)))
            seeds["native"] = b'\0t{"rate": 8000}\n\nb' + bytes(320)
            seeds["twilio"] = f"\1t{start}\n\nt{media}".encode()
            begun = telnyx.serialize(telnyx.Start("s", "c", "PCMA", {}))
            seeds["telnyx"] = f"\2t{begun}\n\nt{media}".encode()
            seeds["asterisk"] = b"\4tMEDIA_START connection_id:c format:slin16\n\nb" + bytes(320)
            seeds["audiosocket"] = b"\x08b\1\0\x10" + bytes(16) + b"\x10\1\x40" + bytes(320)
        case "webhook":
            seeds["address"] = b"https://example.org:8443/hook?key=1"
    return seeds


def main() -> None:
    """Fuzz one target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--out", type=Path, default=Path(), help="finds are written here")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    import atheris

    target = TARGETS[args.target]
    with atheris.instrument_imports(include=["streamer", "yaml", "json"]):
        target(b"", Path(tempfile.mkdtemp()))  # imports what it needs
    with tempfile.TemporaryDirectory() as scratch:
        work, corpus = Path(scratch) / "work", Path(scratch) / "corpus"
        work.mkdir()
        corpus.mkdir()
        for name, data in _seeds(args.target).items():
            (corpus / name).write_bytes(data)
        options = [
            *(f"-max_total_time={args.seconds}", f"-rss_limit_mb={MEMORY_MB}"),
            *(f"-timeout={MAX_S}", f"-max_len={MAX_BYTES}"),
            f"-artifact_prefix={args.out}/{args.target}-",
        ]
        atheris.Setup([sys.argv[0], *options, str(corpus)], lambda data: target(data, work))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
