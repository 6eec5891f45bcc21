"""Checks whether this machine is ready: device, model, live path, alerts, log."""

import os
import shutil
import socket
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from streamer.analysis.alerts import check_rules
from streamer.audio import ffmpeg
from streamer.audio.devices import find_device
from streamer.audio.level import rms_dbfs
from streamer.audio.microphone import MicrophoneSource
from streamer.audio.sources import FileSource
from streamer.config import AlertRule, Config
from streamer.config.schema import MONO
from streamer.errors import DeliveryError, InputError, OutputError, StreamerError
from streamer.events import PartialResult, ThreadFailed, UtteranceStarted
from streamer.model.protocol import Model
from streamer.pipeline.live import Pipeline
from streamer.segmentation.vad import fallback_reason
from streamer.sinks.notify.delivery import receivers
from streamer.sinks.notify.exchange import proxy_of, through_proxy
from streamer.text import quantity
from streamer.types import SAMPLE_RATE, Pcm, Utterance

LISTEN_S = 1.0
SEGMENT_S = 3.0
RUNS = 20
PLAY_S = 12.0
"""Seconds of the bundled recording that are played through the pipeline."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of checking one part.

    Attributes:
        part: Its name.
        text: What was measured, or what is wrong and what to do.
        problem: The error, where something is wrong.
    """

    part: str
    text: str
    problem: StreamerError | None = None


def check(config: Config, load: Callable[[], Model], recording: Path) -> Iterator[Finding]:
    """Check device, voice activity, recordings, model, live path, alerts and log.

    Args:
        config: The configuration.
        load: Loads the model.
        recording: Speech to measure with, played at real-time pace.
    """
    load = cache(load)
    return examine(
        {
            "device": lambda: _device(config),
            "voice activity": lambda: _voice_activity(config),
            "recordings": _recordings,
            "model": lambda: _model(load),
            "live path": lambda: _live_path(config, load, recording),
            "alerts": lambda: check_alerts(config, load),
            "log": lambda: _log(config),
        }
    )


def examine(parts: Mapping[str, Callable[[], str]]) -> Iterator[Finding]:
    """Run the check of each part; one that fails stops no other."""
    for part, run in parts.items():
        try:
            yield Finding(part, run())
        except StreamerError as error:
            yield Finding(part, str(error), error)


def _device(config: Config) -> str:
    device = find_device(config.audio.device)
    microphone = MicrophoneSource(device.index, channels=1, block_s=config.audio.block_ms / 1000)
    try:
        info = microphone.open()
        pieces: list[Pcm] = []
        while sum(len(piece) for piece in pieces) < LISTEN_S * info.sample_rate:
            block = microphone.read()
            if block is not None:
                pieces.append(block.pcm)
    finally:
        microphone.close()
    level = rms_dbfs(np.concatenate(pieces))
    device_text = f"{info.name}, {info.sample_rate} Hz, {quantity(info.channels, 'channel')}"
    if level == -np.inf:
        raise InputError(
            f"{device_text}: delivers digital silence: unmute it, raise its input level, allow "
            "the terminal to use the microphone, or choose another with --device"
        )
    return f"{device_text}, {level:.0f} dBFS now"


def _voice_activity(config: Config) -> str:
    """Which engine detects speech; a problem where it is not the one asked for."""
    if (reason := fallback_reason(config.vad)) is not None:
        raise StreamerError(reason)
    if config.vad.engine == "webrtc":
        return "webrtcvad alone, as vad.engine says"
    return f"Silero {version('silero-vad')} behind webrtcvad"


def _recordings() -> str:
    """What can be read; that ffmpeg is missing is no problem for who has no such recordings."""
    if ffmpeg.program() is not None:
        return "all that ffmpeg reads, m4a, mp4, webm, wma, amr and URLs included"
    return (
        "WAV, FLAC, MP3, Ogg and others; m4a, mp4, webm, wma, amr and URLs need ffmpeg: "
        f"{ffmpeg.INSTALL}"
    )


def _model(load: Callable[[], Model]) -> str:
    started = time.perf_counter()
    model = load()
    loaded_s = time.perf_counter() - started
    model.warm_up()
    noise = np.random.default_rng(0).integers(-3000, 3000, round(SEGMENT_S * SAMPLE_RATE), np.int16)
    costs_ms = []
    for _ in range(RUNS):
        started = time.perf_counter()
        model.classify(noise)
        costs_ms.append((time.perf_counter() - started) * 1000)
    return (
        f"{model.name}, {len(model.labels)} emotions, loaded in {loaded_s:.1f} s, "
        f"{SEGMENT_S:.0f} s of speech classified in {statistics.median(costs_ms):.0f} ms"
    )


def _live_path(config: Config, load: Callable[[], Model], recording: Path) -> str:
    """Play speech through the pipeline and say how late its predictions are."""
    block_s = config.audio.block_ms / 1000
    # The recording has one channel, whatever the device has.
    pipeline = Pipeline(FileSource(recording, block_s=block_s), load, config.one_stream())
    pipeline.start()
    onsets: dict[int, int] = {}
    partials: defaultdict[int, list[PartialResult]] = defaultdict(list)
    rows: list[Utterance] = []
    while (event := pipeline.events.get()) is not None:
        match event:
            case ThreadFailed():
                raise event.error
            case UtteranceStarted():
                onsets[event.number] = event.start
            case PartialResult():
                partials[event.number].append(event)
            case Utterance():
                rows.append(event)
                if event.end_s > PLAY_S:
                    pipeline.stop()
    pipeline.join()
    first_ms = [
        (events[0].end - onsets[number]) / SAMPLE_RATE * 1000 + events[0].latency_ms
        for number, events in partials.items()
    ]
    ends = [[event.end / SAMPLE_RATE for event in events] for events in partials.values()]
    rate = sum(len(e) - 1 for e in ends) / max(1e-9, sum(e[-1] - e[0] for e in ends))
    hangover = config.segmenter.hangover_ms
    late_ms = [row.latency_ms - hangover for row in rows if row.latency_ms is not None]
    if not late_ms or not first_ms:
        raise StreamerError("no utterance was found in the bundled recording")
    return (
        f"end of speech to row {hangover} ms hangover + {_spread(late_ms)}; "
        f"onset to first partial result {_spread(first_ms)}; {rate:.1f} partial results a second"
    )


def _spread(values_ms: list[float]) -> str:
    return f"{statistics.median(values_ms):.0f} ms (at most {max(values_ms):.0f})"


def check_alerts(config: Config, load: Callable[[], Model]) -> str:
    """Check the rules, the command and the webhook's host; sends nothing.

    Returns:
        How many rules there are, and who is notified.

    Raises:
        ConfigError: A rule waits for an emotion that the model does not know.
        DeliveryError: The command cannot be run, or the host cannot be reached.
    """
    alerts = config.alerts
    if alerts.rules:
        model = load()
        check_rules(alerts.rules, model.labels, model.name)
    told = [receiver.name for receiver in receivers(alerts)]
    if alerts.webhook_url is not None:
        through = _reach(alerts.webhook_url, alerts.timeout_s)
        told[0] += through
    if alerts.command and shutil.which(alerts.command[0]) is None:
        raise DeliveryError(
            f"alerts.command: got {alerts.command[0]!r}, expected a program that can be run"
        )
    rules = "; ".join(_watched(rule, config.audio.streams) for rule in alerts.rules) or "no rules"
    return f"{rules}; sent to {', '.join(told)}" if told else f"{rules}; sent to nobody"


def _reach(url: str, timeout_s: float) -> str:
    """Connect to a webhook's host, or to the proxy on the way there; returns which proxy."""
    parts = urlsplit(url)
    host, port = str(parts.hostname), parts.port or {"http": 80, "https": 443}[parts.scheme]
    through = ""
    try:
        if (proxy := proxy_of(url)) is not None:
            host, port = proxy
            through = through_proxy(url)
        socket.create_connection((host, port), timeout_s).close()
    except (OSError, ValueError) as error:
        got = f"{parts.scheme}://{parts.netloc}{through}"
        raise DeliveryError(
            f"alerts.webhook_url: got {got}, expected a host that can be reached: {error}"
        ) from error
    return through


def _watched(rule: AlertRule, streams: Sequence[str]) -> str:
    names = [name for name in streams if rule.watches(name, streams)]
    whom = "the only channel" if names == [MONO] else " and ".join(names) or "nobody"
    return f"{rule.name!r} watches {whom}"


def _log(config: Config) -> str:
    if config.output.csv is None:
        return "no CSV is written"
    if config.output.csv == "-":
        return "rows go to standard output"
    path = Path(os.path.expanduser(config.output.csv)).absolute()  # noqa: PTH111 - never raises
    if path.is_dir():
        raise OutputError(f"{path}: is a folder, expected a CSV file or a new name")
    target = path if path.exists() else path.parent
    if not os.access(target, os.W_OK):
        raise OutputError(f"{path}: cannot be written")
    return f"{path} can be written"
