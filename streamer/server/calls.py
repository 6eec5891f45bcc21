"""A call has its channels, voices, mood, rules and rows, from its start to its end."""

import asyncio
import threading
import time
from secrets import token_hex

from streamer.config import Config
from streamer.errors import InputError
from streamer.events import Counters, Event, SourceOpened, UtteranceStarted
from streamer.model.protocol import SegmentClassifier
from streamer.model.speaker.adaptation import SpeakerAdaptation
from streamer.pipeline.event_queue import EventQueue
from streamer.pipeline.frontend import AnalysedAudio, Frontend
from streamer.pipeline.recorder import RecordedStream
from streamer.pipeline.worker import ClassifiedChannel
from streamer.segmentation.channel import Channel
from streamer.segmentation.segmenter import SegmenterEvent
from streamer.server.engine import Engine
from streamer.server.protocols.base import CallStart
from streamer.types import (
    SAMPLE_RATE,
    EndReason,
    Excerpt,
    Pcm,
    PossibleEnd,
    Segment,
    SourceInfo,
    SpeechStart,
    Utterance,
)


class AsyncEvents(EventQueue):
    """An event queue that a coroutine takes from."""

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._some = asyncio.Event()

    def put(self, event: Event) -> None:
        """Add an event. On any thread; never waits."""
        super().put(event)
        self._wake()

    def close(self) -> None:
        """Say that nothing more comes. On any thread."""
        super().close()
        self._wake()

    async def next(self) -> Event | None:
        """The next event; None at the end."""
        while True:
            self._some.clear()
            if self.qsize():
                return self.get(timeout=0)
            if self._closed:
                return None
            await self._some.wait()

    def _wake(self) -> None:
        if not self._loop.is_closed():  # the server ended without waiting for the last rows
            self._loop.call_soon_threadsafe(self._some.set)


class Call:
    """A call that is analysed. One thread at a time calls `push` and `end`.

    Args:
        start: The peer's description of it.
        engine: Classifies and records.

    Raises:
        InputError: None of its channels is to be analysed, or the model is not loaded.

    Attributes:
        id: Its id by the peer, or one made here.
        events: Its events; they end when all of its rows were written.
        channels: Its channels that are analysed.
        position: How many of its samples have come, at `SAMPLE_RATE`.
    """

    def __init__(self, start: CallStart, engine: Engine) -> None:
        if engine.model is None:
            raise InputError("the model is not loaded yet")
        config = _config_for(start.channels, engine.config)
        self.events = AsyncEvents()
        self.position = 0
        self._queue = engine.queue
        self._config = config
        self.channels = config.audio.streams
        self._recorded = RecordedStream(engine.recorder, self.events, config)
        self.id = start.call or f"call-{token_hex(8)}"
        info = SourceInfo(self.id, start.sample_rate, len(start.channels), live=True)
        self._frontend = Frontend(info, config)
        self._channels = [Channel(name, config) for name in config.audio.streams]
        self._clock = (0, time.monotonic())  # a position, and when it came
        self._gap = self._clock  # the same where the last gap began
        self._classified = [
            ClassifiedChannel(name, self, self._captured_at, self._new_adaptation)
            for name in config.audio.streams
        ]
        self._lock = threading.Lock()
        self._owed = 0  # utterances that wait for the worker
        self._ended = False
        self._recorded.put(engine.model)
        self._recorded.put(SourceOpened(info, time.time()))

    @property
    def recorded(self) -> RecordedStream:
        """Its session and its summary."""
        return self._recorded

    def push(self, pcm: Pcm) -> None:
        """Analyse the next samples, shape (samples, channels). On a segmenter thread."""
        self._analyse(self._frontend.convert(pcm))

    def skip(self, seconds: float) -> None:
        """Pass over audio that is missing; open utterances end before. On a segmenter thread."""
        self._analyse(self._frontend.flush())
        samples = round(seconds * SAMPLE_RATE)
        self._gap = self._clock
        self.position += samples
        self._clock = (self.position, time.monotonic())
        for index, channel in enumerate(self._channels):
            self._report(index, channel.skip(samples))

    def end(self, reason: EndReason) -> None:
        """End it: an utterance that is open is classified as it is. On a segmenter thread."""
        self._analyse(self._frontend.flush())
        for index, channel in enumerate(self._channels):
            self._report(index, channel.close(reason))
        with self._lock:
            self._ended = True
            done = self._owed == 0
        if done:
            self.close()

    # --- results, on the worker -----------------------------------------------------------------

    def put(self, event: Event) -> None:
        """Take a result; never waits."""
        self._recorded.put(event)
        if isinstance(event, Utterance):
            with self._lock:
                self._owed -= 1
                done = self._ended and self._owed == 0
            if done:
                self.close()

    def keep(self, channel: str, segment: Segment) -> None:
        """Keep no sound."""

    def close(self) -> None:
        """Say that no more results come."""
        unclassified = sum(channel.unclassified for channel in self._classified)
        self._recorded.put(Counters(unclassified=unclassified))
        self._recorded.close()

    # --- segmenter thread -----------------------------------------------------------------------

    def _analyse(self, audio: AnalysedAudio) -> None:
        self.position += len(audio.pcm)
        self._clock = (self.position, time.monotonic())
        for index, channel in enumerate(self._channels):
            self._report(index, channel.push(audio.pcm[:, index], audio.crosstalk[:, index]))

    def _report(self, index: int, found: list[SegmenterEvent]) -> None:
        for item in found:
            match item:
                case SpeechStart():
                    name = self._channels[index].name
                    self._recorded.put(UtteranceStarted(name, item.utterance, item.start))
                case Segment():
                    with self._lock:
                        self._owed += 1
                    self._queue.put(self._classified[index], item)
                case Excerpt() | PossibleEnd():
                    self._queue.put(self._classified[index], item)

    def _captured_at(self, position: int) -> float:
        gap = self._gap
        newest, at = gap if position <= gap[0] else self._clock  # the seconds of a gap never passed
        return at - (newest - position) / SAMPLE_RATE

    def _new_adaptation(self, classifier: SegmentClassifier) -> SpeakerAdaptation | None:
        return classifier.new_adaptation() if self._config.baseline.enabled else None


def _config_for(channels: tuple[str, ...], config: Config) -> Config:
    """The configuration of a call with these channels; of them, ``audio.analyse`` are analysed."""
    wanted = config.audio.analyse
    analysed = tuple(name for name in channels if wanted is None or name in wanted)
    if not analysed:
        raise InputError(
            f"channels: got {', '.join(channels)}, but only {', '.join(wanted or ())} is analysed"
        )
    made = config.with_channels(channels)
    if analysed == channels:
        return made
    audio = made.audio.model_copy(update={"analyse": analysed})
    return made.model_copy(update={"audio": audio})
