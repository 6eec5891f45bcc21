"""Is this machine ready? One line per part, and for each thing amiss what to do about it."""

import os
import platform
import shutil
import socket
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from streamer.analysis.alerts import check_rules
from streamer.audio.devices import find_device
from streamer.audio.level import rms_dbfs
from streamer.audio.microphone import MicrophoneSource
from streamer.audio.sources import FileSource
from streamer.config import Config
from streamer.errors import ConfigError, DeliveryError, OutputError, StreamerError
from streamer.pipeline.live import Model, Pipeline
from streamer.sinks.notify.delivery import Receiver, message, receivers
from streamer.sinks.row import Session, Value
from streamer.types import (
    EMOTIONS,
    SAMPLE_RATE,
    Alert,
    Pcm,
    RollingPrediction,
    ThreadFailed,
    Utterance,
    UtteranceStarted,
)

LISTEN_S = 1.0
SEGMENT_S = 3.0
RUNS = 20
PLAY_S = 12.0
"""How much of the bundled recording is played through the pipeline."""


def check(config: Config, load: Callable[[], Model], recording: Path) -> int:
    """Check the device, the model, the live path and the log; print a line for each.

    Args:
        config: What would be used.
        load: Loads the model.
        recording: Speech to measure with, played at real-time pace.

    Returns:
        The exit code: 0 where all is well, else that of the first thing amiss.
    """
    load = cache(load)
    print(f"streamer on Python {platform.python_version()}, {platform.platform()}")
    parts: dict[str, Callable[[], str]] = {
        "device": lambda: _device(config),
        "model": lambda: _model(load),
        "live path": lambda: _live_path(config, load, recording),
        "alerts": lambda: _alerts(config, load),
        "log": lambda: _log(config),
    }
    return _report(parts)


def check_alert(config: Config, name: str) -> int:
    """Send a test alert of a rule to everybody who is told, once; print what becomes of it.

    Args:
        config: The rules, and whom to tell.
        name: Of the rule.

    Returns:
        The exit code: 0 where everybody took it, or nobody is to be told.

    Raises:
        ConfigError: There is no such rule.
    """
    names = [rule.name for rule in config.alerts.rules]
    if name not in names:
        allowed = ", ".join(names) or "nothing: alerts.rules is empty"
        raise ConfigError(f"--alert: got {name!r}, allowed: {allowed}")
    found = receivers(config.alerts)
    if not found:
        print("nobody is told: neither alerts.webhook_url nor alerts.command is set")
        return 0
    alert = Alert(name, config.audio.streams[0], 1, 0, EMOTIONS[0], 1.0, 0.0, "this is a test")
    session = Session.begin(source="streamer check", model="none", labels=EMOTIONS)
    sent = message(alert, session, test=True)
    return _report({one.name: partial(_deliver, one, sent) for one in found})


def _deliver(receiver: Receiver, sent: Mapping[str, Value]) -> str:
    started = time.perf_counter()
    answer = receiver.deliver(sent)
    return f"{answer}, {(time.perf_counter() - started) * 1000:.0f} ms"


def _report(parts: Mapping[str, Callable[[], str]]) -> int:
    """Print a line per part; returns the exit code of the first thing amiss."""
    exit_code = 0
    for name, part in parts.items():
        try:
            print(f"ok    {name}: {part()}", flush=True)
        except StreamerError as error:
            print(f"AMISS {name}: {error}", flush=True)
            exit_code = exit_code or error.exit_code
    return exit_code


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
    # No fault: some noise suppressors deliver nothing else between words.
    heard = "digital silence (is it muted?)" if level == -np.inf else f"{level:.0f} dBFS"
    return f"{info.name}, {info.sample_rate} Hz, {info.channels} channels, {heard} now"


def _model(load: Callable[[], Model]) -> str:
    started = time.perf_counter()
    model = load()
    loaded_s = time.perf_counter() - started
    model.warm_up()
    noise = np.random.default_rng(0).integers(-3000, 3000, round(SEGMENT_S * SAMPLE_RATE), np.int16)
    costs_ms = []
    for _ in range(RUNS):
        started = time.perf_counter()
        model.judge(noise)
        costs_ms.append((time.perf_counter() - started) * 1000)
    return (
        f"{model.name}, {len(model.labels)} emotions, loaded in {loaded_s:.1f} s, "
        f"{SEGMENT_S:.0f} s of speech judged in {statistics.median(costs_ms):.0f} ms"
    )


def _live_path(config: Config, load: Callable[[], Model], recording: Path) -> str:
    """Play speech through the pipeline and say how late its predictions are."""
    block_s = config.audio.block_ms / 1000
    # The recording has one channel, whatever the device has.
    pipeline = Pipeline(FileSource(recording, block_s=block_s), load, config.one_stream())
    pipeline.start()
    onsets: dict[int, int] = {}
    rolling: defaultdict[int, list[RollingPrediction]] = defaultdict(list)
    rows: list[Utterance] = []
    while (event := pipeline.events.get()) is not None:
        match event:
            case ThreadFailed():
                raise event.error
            case UtteranceStarted():
                onsets[event.number] = event.start
            case RollingPrediction():
                rolling[event.number].append(event)
            case Utterance():
                rows.append(event)
                if event.end_s > PLAY_S:
                    pipeline.stop()
    pipeline.join()
    first_ms = [
        (events[0].end - onsets[number]) / SAMPLE_RATE * 1000 + events[0].latency_ms
        for number, events in rolling.items()
    ]
    ends = [[event.end / SAMPLE_RATE for event in events] for events in rolling.values()]
    rate = sum(len(e) - 1 for e in ends) / max(1e-9, sum(e[-1] - e[0] for e in ends))
    hangover = config.segmenter.hangover_ms
    late_ms = [row.latency_ms - hangover for row in rows if row.latency_ms is not None]
    if not late_ms or not first_ms:
        raise StreamerError("no utterance was found in the bundled recording")
    return (
        f"end of speech to row {hangover} ms hangover + {_spread(late_ms)}; "
        f"onset to first prediction {_spread(first_ms)}; {rate:.1f} rolling predictions a second"
    )


def _spread(values_ms: list[float]) -> str:
    return f"{statistics.median(values_ms):.0f} ms (at most {max(values_ms):.0f})"


def _alerts(config: Config, load: Callable[[], Model]) -> str:
    """Whether the rules can come true, who is told, and whether the webhook's host can be reached.

    Nothing is sent.
    """
    alerts = config.alerts
    if alerts.rules:
        model = load()
        check_rules(alerts.rules, model.labels, model.name)
    told = [receiver.name for receiver in receivers(alerts)]
    if alerts.webhook_url is not None:
        parts = urlsplit(alerts.webhook_url)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        try:
            socket.create_connection((parts.hostname, port), alerts.timeout_s).close()
        except OSError as error:
            got = f"{parts.scheme}://{parts.netloc}"
            raise DeliveryError(
                f"alerts.webhook_url: got {got}, expected a host that can be reached: {error}"
            ) from error
    if alerts.command and shutil.which(alerts.command[0]) is None:
        raise DeliveryError(
            f"alerts.command: got {alerts.command[0]!r}, expected a program that can be run"
        )
    rules = f"{len(alerts.rules)} rule{'' if len(alerts.rules) == 1 else 's'}"
    return f"{rules}, told to {', '.join(told)}" if told else f"{rules}, nobody else is told"


def _log(config: Config) -> str:
    if config.output.csv is None:
        return "no CSV is written"
    path = Path(config.output.csv).absolute()
    if path.is_dir():
        raise OutputError(f"{path}: is a folder, expected a CSV file or a new name")
    target = path if path.exists() else path.parent
    if not os.access(target, os.W_OK):
        raise OutputError(f"{path}: cannot be written")
    return f"{path} can be written"
