"""Reads a microphone: opens it, notices when it is lost, and finds it again."""

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamer.audio.devices import (
    Device,
    Identity,
    choose,
    hold_portaudio,
    input_devices,
    portaudio,
    release_portaudio,
)
from streamer.audio.drift import uptime
from streamer.audio.loss import LossEstimator
from streamer.audio.sources import MIN_SILENT_BLOCKS, MIN_SILENT_S, POLL_S, empty_block
from streamer.errors import DeviceLostError, InputError
from streamer.text import one_line
from streamer.types import SAMPLE_RATE, Block, Pcm, SourceInfo

START_TIMEOUT_S = 4.0
"""Seconds that a device may take to deliver its first block."""

SILENT_WARNING_S = 5.0
"""Seconds of nothing but zeros after which the user is asked whether the microphone is muted."""

MAX_WAITING_S = 30.0
"""Seconds of sound that may wait for the capture thread; more is lost, and counted."""

CLOSE_TIMEOUT_S = 2.0
"""Seconds to wait until a stream is closed: that may never return where the device is gone."""


class MicrophoneSource:
    """Reads an input device, at 16 kHz where it supports that, else at its own rate.

    After a loss, `open` looks for the same device again (`Identity`), never for another one.
    """

    def __init__(self, device: str | int | None, *, channels: int, block_s: float) -> None:
        self._wanted = device
        self._channels = channels
        self._block_s = block_s
        self._info: SourceInfo | None = None  # of the last time it was open
        self._stream: Any = None
        self._blocks: queue.SimpleQueue[Block] = queue.SimpleQueue()
        self._polls = 0  # how often in a row nothing had come
        self._heard = False  # since it was opened
        self._losses = LossEstimator()  # used only on PortAudio's thread
        self._after_loss = False
        self._identity: Identity | None = None
        self._closing: threading.Thread | None = None
        self._dropped = 0  # samples that nobody fetched in time; used only on PortAudio's thread
        self._zeros: NDArray[np.int64] = np.zeros(0, np.int64)  # in a row, by channel

    def open(self) -> SourceInfo:
        """Open the device; after a loss, the same one."""
        if self._closing is not None and self._closing.is_alive():
            raise InputError("its driver has not let go of it yet")
        devices = input_devices()
        if self._identity is None:
            found = choose(devices, self._wanted)
            identity = Identity.of(found, devices)
        else:
            identity = self._identity
            found = identity.find(devices)
        sd = portaudio()
        port = found.prepare()
        channels, rate = _best_format(sd, found, port, self._channels)
        self._blocks = queue.SimpleQueue()
        self._polls, self._heard = 0, False
        self._after_loss = self._info is not None
        self._info = SourceInfo(one_line(found.name), rate, channels, live=True)
        self._identity = identity
        self._zeros = np.zeros(channels, np.int64)
        hold_portaudio()
        try:
            self._stream = sd.InputStream(
                device=port,
                samplerate=rate,
                channels=channels,
                dtype="int16",
                blocksize=round(self._block_s * rate),
                callback=self._on_block,
            )
            self._stream.start()
        except sd.PortAudioError as error:
            if self._stream is None:  # else `close` releases it together with the stream
                release_portaudio()
            self.close()
            raise InputError(
                f"{found.name}: cannot be opened ({error.args[0]}); is another program using it? "
                "'streamer devices' lists the others"
            ) from error
        return self._info

    def read(self) -> Block | None:
        """The next block. Raises DeviceLostError when the device has gone silent for too long."""
        assert self._info is not None, "read before open"  # noqa: S101 - for the type checker
        try:
            block = self._blocks.get(timeout=POLL_S)
        except queue.Empty:
            # Counts polls instead of measuring time: a process that was stopped lost no device.
            self._polls += 1
            limit = max(MIN_SILENT_S, MIN_SILENT_BLOCKS * self._block_s)
            stalled_s = self._polls * POLL_S
            if not self._stream.active:
                raise DeviceLostError("its stream broke off") from None
            if stalled_s > (limit if self._heard else START_TIMEOUT_S):
                raise DeviceLostError(f"nothing from it for {stalled_s:.1f} s") from None
            return empty_block(self._info.channels)
        self._polls, self._heard = 0, True
        return replace(block, warnings=self._muted(block.pcm, self._info))

    def close(self) -> None:
        """Close the stream; where that hangs, leave it to a thread of its own."""
        stream, self._stream = self._stream, None
        if stream is not None:
            self._closing = threading.Thread(
                target=_close_quietly,
                args=(stream.abort, stream.close, release_portaudio),
                name="closing a microphone",
                daemon=True,
            )
            self._closing.start()
            self._closing.join(CLOSE_TIMEOUT_S)

    def _muted(self, pcm: Pcm, info: SourceInfo) -> tuple[str, ...]:
        """Warnings for channels that have delivered nothing but zeros for a while."""
        limit = SILENT_WARNING_S * info.sample_rate
        before = self._zeros
        self._zeros = np.where(pcm.any(axis=0), 0, before + len(pcm))
        dead = np.flatnonzero((self._zeros >= limit) & (before < limit)) + 1
        if not len(dead):
            return ()
        which = f"channel {', '.join(map(str, dead))}: "
        if len(dead) == len(before):
            which = "" if len(before) == 1 else f"all {len(before)} channels: "
        text = f"{info.name}: {which}digital silence for {SILENT_WARNING_S:g} s: is it muted?"
        return (text,)

    def _on_block(self, pcm: Pcm, samples: int, _times: object, status: Any) -> None:  # noqa: ANN401
        """On PortAudio's thread: hand over a copy and return at once."""
        now, up = time.monotonic(), uptime()
        rate = self._info.sample_rate if self._info else SAMPLE_RATE
        missing = self._losses.missing(samples, rate, up)
        overrun = bool(status.input_overflow)
        if self._blocks.qsize() * self._block_s > MAX_WAITING_S:  # the capture thread is behind
            self._dropped += samples
            return
        dropped, self._dropped = self._dropped, 0
        if self._after_loss:
            lost = self._losses.after_loss(missing)
        else:
            lost = self._losses.lost(missing, samples, rate, overrun=overrun)
        block = Block(pcm.copy(), now, lost=lost + dropped, overrun=overrun or dropped > 0)
        self._blocks.put(block)
        self._after_loss = False


def _best_format(sd: Any, device: Device, port: int, channels: int) -> tuple[int, int]:  # noqa: ANN401
    """Channels and rate to open a device with: as wanted where it can, else its own."""
    for count in (channels, device.channels):
        for rate in (SAMPLE_RATE, device.sample_rate):
            try:
                sd.check_input_settings(device=port, channels=count, dtype="int16", samplerate=rate)
            except sd.PortAudioError:
                continue
            return count, rate
    return device.channels, device.sample_rate  # opening it will say what is wrong


def _close_quietly(*steps: Callable[[], None]) -> None:
    for step in steps:
        try:
            step()
        except Exception:  # noqa: BLE001, S112 - the device is gone: nothing is left to be saved
            continue
