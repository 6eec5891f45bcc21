"""The capture thread reads the source, fills the ring, and reopens a device that was lost."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from streamer.audio.drift import DriftCorrection, uptime
from streamer.audio.ring import RingBuffer
from streamer.audio.sources import POLL_S, Source
from streamer.config import Config
from streamer.errors import DeviceLostError, InputError
from streamer.events import Event, SourceOpened, StateChanged, Warned
from streamer.pipeline.frontend import AnalysedAudio, Frontend
from streamer.text import quantity
from streamer.types import SAMPLE_RATE, Block, SourceInfo, State

REOPEN_S = (0.25, 5.0)
"""Seconds until the first attempt to reopen a lost device, and the longest pause between two."""

MAX_BEHIND_S = 2.0
"""Seconds behind the source from which on this thread reports it."""

CROSSTALK_CURE = "; audio.crosstalk: false takes less of it"


@dataclass(frozen=True, slots=True)
class _Clock:
    """Computes when a stream position was captured, from the newest block."""

    position: int
    time: float

    def time_of(self, position: int) -> float:
        return self.time - (self.position - position) / SAMPLE_RATE


class Capture:
    """Moves what a source delivers into the ring. Its methods run on the capture thread.

    Args:
        source: The source of sound; opened and closed here.
        ring: Written to.
        config: For resampling and crosstalk.
        report: Takes events; never waits.
        stop: Ends it when set.

    Attributes:
        ready: Set by others when listening may begin.
        opened: Set once the source delivers.
        live: False where the source can wait; known when ``opened`` is set.
        loss: Why the device is gone. Set here, cleared by the segmenter thread.
        overruns: How often the device lost samples.
        behind_s: How far this thread is behind the source.
        limit: Of a source that can wait, no more samples than these are taken; None for all. Set
            by others before the start.
        at_limit: Whether that was its end.
    """

    def __init__(
        self,
        source: Source,
        ring: RingBuffer,
        config: Config,
        report: Callable[[Event], None],
        stop: threading.Event,
    ) -> None:
        self.ready = threading.Event()
        self.opened = threading.Event()
        self.live = True
        self.loss = ""
        self.overruns = 0
        self.behind_s = 0
        self.limit: int | None = None
        self.at_limit = False
        self._source = source
        self._ring = ring
        self._config = config
        self._report = report
        self._stop = stop
        self._clock = _Clock(0, time.monotonic())
        self._drift = DriftCorrection(uptime())
        self._reopened = False  # since the last loss, and nothing has come yet
        self._behind_reported = False

    def captured_at(self, position: int) -> float:
        """When the sample before a position was captured, by `time.monotonic`. On any thread."""
        return self._clock.time_of(position)

    def run(self) -> None:
        """Wait until `ready`, then capture until the source ends or `stop` is set."""
        try:  # whoever feeds the source must not wait for ever for a model that cannot be loaded
            while not self.ready.wait(POLL_S):
                if self._stop.is_set():
                    return
            while (opened := self._source.open()) is None:
                if self._stop.is_set():
                    return
            self.live = opened.live
            self._drift = DriftCorrection(uptime())
            self._report(SourceOpened(opened, time.time(), self._drift))
            self._report(StateChanged(State.LISTENING))
            self.opened.set()
            listening: SourceInfo | None = opened
            while listening:
                listening = self._listen(listening)
        finally:
            self._source.close()

    def _listen(self, info: SourceInfo) -> SourceInfo | None:
        """Capture until the source ends (None) or was lost and found again."""
        frontend = Frontend(info, self._config)
        try:
            while not self._stop.is_set():
                block = self._source.read()
                if block is None:
                    break
                self._store(block, frontend)
                if self.at_limit:
                    return None
        except DeviceLostError as error:
            self.loss = f"{info.name}: {error}"
            self._write(frontend.flush())
            self._source.close()
            return self._reopen(info)
        self._write(frontend.flush())
        return None

    def _store(self, block: Block, frontend: Frontend) -> None:
        self.overruns += block.overrun
        for text in block.warnings:
            self._report(Warned(text))
        lost = frontend.samples_out(block.lost)
        if self._reopened and len(block.pcm):
            lost, self._reopened = max(1, lost), False  # by this hole the segmenter knows it
        if lost:
            self._write(frontend.flush())
        audio = frontend.convert(block.pcm)
        for text in frontend.drain_warnings():
            self._report(Warned(text))
        while not self.live and not self._ring.wait_for_room(len(audio.pcm), POLL_S):
            if self._stop.is_set():
                return
        if self.limit is not None and not self.live:
            left = self.limit - self._ring.position
            self.at_limit = len(audio.pcm) >= left
            audio = AnalysedAudio(audio.pcm[:left], audio.crosstalk[:left])
        self._write(audio, lost=lost)
        self._clock = _Clock(self._ring.position, block.time)
        waited = time.monotonic() - block.time
        self._drift.observe(self._ring.position, uptime() - waited)
        if self.live:
            self._watch_over_pace(waited)

    def _watch_over_pace(self, waited_s: float) -> None:
        """Warn once when this thread itself cannot keep up with the source."""
        self.behind_s = int(waited_s)
        if waited_s > MAX_BEHIND_S and not self._behind_reported:
            self._behind_reported = True
            channels = len(self._config.audio.channels) or 1
            self._report(
                Warned(
                    f"listening is {waited_s:.0f} s behind: this machine cannot keep up with "
                    f"{quantity(channels, 'channel')}"
                    f"{CROSSTALK_CURE if self._config.audio.crosstalk and channels > 1 else ''}"
                )
            )

    def _write(self, audio: AnalysedAudio, *, lost: int = 0) -> None:
        self._ring.write(audio.pcm, audio.crosstalk, lost=lost)

    def _reopen(self, info: SourceInfo) -> SourceInfo | None:
        """Try the same device again until it is back (its info) or we are stopped (None)."""
        delay, longest = REOPEN_S
        while not self._stop.wait(delay):
            try:
                opened = self._source.open()
            except InputError as error:
                reason = str(error).partition("\n")[0].removeprefix(f"{info.name}: ")
                self._report(StateChanged(State.LOST, f"{info.name}: {reason}"))
                delay = min(2 * delay, longest)
            else:
                self._reopened = True
                return opened
        return None
