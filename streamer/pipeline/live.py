"""The live pipeline starts and connects its threads; the segmenter thread runs here.

source -> capture thread -> ring -> segmenter thread -> inference queue -> worker -> results

Every wait has a timeout or is ended by a close; every thread watches one stop event; a thread that
fails says so with its last event.
"""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from streamer.analysis.calls import CallBoundaries
from streamer.audio.ring import Chunk, RingBuffer
from streamer.audio.sources import MIN_SILENT_BLOCKS, MIN_SILENT_S, POLL_S, Source
from streamer.config import Config
from streamer.events import (
    CallStarted,
    Counters,
    Event,
    LevelMeasured,
    ModelLoaded,
    StateChanged,
    ThreadFailed,
    UtteranceStarted,
    Warned,
)
from streamer.model.protocol import Model, SegmentClassifier
from streamer.model.speaker.adaptation import SpeakerAdaptation
from streamer.pipeline.capture import Capture
from streamer.pipeline.classification import enrolled
from streamer.pipeline.event_queue import EventQueue
from streamer.pipeline.inference_queue import InferenceQueue, VoiceReset
from streamer.pipeline.metered_channel import MeteredChannel
from streamer.pipeline.worker import ClassifiedChannel, InferenceWorker, Results
from streamer.segmentation.channel import Channel
from streamer.segmentation.segmenter import SegmenterEvent
from streamer.segmentation.vad import fallback_reason
from streamer.types import (
    SAMPLE_RATE,
    EndReason,
    Excerpt,
    PossibleEnd,
    Segment,
    SpeechStart,
    State,
)

CAPTURE_TIMEOUT_S = 5.0
"""Seconds that a stop waits for the capture thread, which may hang in a driver."""

STOP_TIMEOUT_S = 10.0
"""Seconds that a stop waits for utterances that are still to be classified."""

SETTLE_S = 10.0
"""Seconds that the segmenter has for what it holds when that time is up."""

HURRIED_S = 1.0
"""The same where nobody wants to wait."""


@dataclass(frozen=True, slots=True)
class _Unrecorded:
    """Passes results to the main thread without recording them."""

    events: EventQueue

    def put(self, event: Event) -> None:
        self.events.put(event)

    def keep(self, channel: str, segment: Segment) -> None:
        pass

    def close(self) -> None:
        self.events.close()


class Pipeline:
    """Listens to a source until it ends or is stopped, and reports in `events`.

    Args:
        source: What to listen to.
        load: Loads the model; called on the worker, so that the screen is there meanwhile.
        config: For everything on the way.

    Attributes:
        events: What happens, for the main thread. After the last one comes None.

    Raises:
        ConfigError: A speaker was not enrolled, or is assigned to an unknown channel.
        InputError: The file of an enrolled speaker cannot be read.
    """

    def __init__(self, source: Source, load: Callable[[], Model], config: Config) -> None:
        # what is amiss there is said now, not when the model is loaded
        self._enrolled = enrolled(config)
        self.events = EventQueue()
        self._results: Results = _Unrecorded(self.events)
        self._config = config
        self._channels = [MeteredChannel(Channel(name, config)) for name in config.audio.streams]
        self._ring = RingBuffer(round(config.audio.ring_s * SAMPLE_RATE), len(self._channels))
        self._queue: InferenceQueue[ClassifiedChannel] = InferenceQueue()
        self._classified: dict[str, ClassifiedChannel] = {}  # by name; made by `start`
        self._worker = InferenceWorker(load, self._queue, loaded=self._loaded, ready=self._ready)
        self._stop = threading.Event()
        self._capture = Capture(source, self._ring, config, self._put, self._stop)
        self._paused = threading.Event()
        self._voice_reset = threading.Event()  # asked for; done by the segmenter, as the next
        self._call_wanted = threading.Event()
        self._calls = CallBoundaries(config.calls.gap_s)  # the segmenter thread's
        self._gaps = 0  # the segmenter thread's, as the next
        self._lost_samples = 0
        self._counters = Counters()  # as last reported
        self._threads = [
            threading.Thread(target=self._guarded, args=(run, ends), name=name, daemon=True)
            for name, run, ends in (
                ("capture", self._capture.run, self._ring.close),
                ("segmenter", self._segment, self._queue.close),
                ("worker", self._worker.run, self._end_results),
            )
        ]

    def start(self, results: Results | None = None) -> None:
        """Start the threads and return.

        Args:
            results: What takes the results; None to have all of them in `events` as they come.
        """
        if results is not None:
            self._results = results
        self._classified = {
            channel.name: ClassifiedChannel(
                channel.name,
                self._results,
                self._capture.captured_at,
                partial(self._new_adaptation, channel.name),
            )
            for channel in self._channels
        }
        self._results.put(StateChanged(State.WARMING_UP))
        for thread in self._threads:
            thread.start()

    def end_after(self, seconds: float) -> None:
        """End a source that can wait after so much of its sound. To be called before `start`."""
        self._capture.limit = round(seconds * SAMPLE_RATE)

    @property
    def ended_after(self) -> bool:
        """Whether it ended because of `end_after`."""
        return self._capture.at_limit

    @property
    def running(self) -> bool:
        """False once nothing more is classified."""
        return self._threads[-1].is_alive()

    def stop(self) -> None:
        """End the open utterance, classify what waits, then end. Returns at once."""
        self._stop.set()

    def join(
        self,
        timeout_s: float = STOP_TIMEOUT_S,
        *,
        hurried: Callable[[], bool] = lambda: False,
    ) -> None:
        """Wait for the threads to end; one that hangs is left behind.

        Utterances that are not classified by then get a row without a prediction, so that no row
        is lost even if the worker hangs.

        Args:
            timeout_s: How long to wait.
            hurried: Called often; True ends the wait at once.
        """
        capture, segmenter, worker = self._threads
        begin = time.monotonic()
        for thread, limit_s in ((worker, timeout_s), (capture, min(timeout_s, CAPTURE_TIMEOUT_S))):
            while thread.is_alive() and not hurried() and time.monotonic() < begin + limit_s:
                thread.join(POLL_S)
        self._stop.set()
        self._settle(segmenter, hurried)
        for task in self._queue.abandon():
            task.channel.hand_out_unclassified(task)
        self._count()
        self._results.close()

    def _settle(self, segmenter: threading.Thread, hurried: Callable[[], bool]) -> None:
        """Wait until what was heard is cut into utterances; count as lost what is not by then.

        The segmenter waits for nobody now, but a busy machine may need long for the whole ring.
        """
        begin = time.monotonic()
        while segmenter.is_alive():
            if time.monotonic() > begin + (HURRIED_S if hurried() else SETTLE_S):
                left = self._ring.position - self._channels[0].position
                if left > 0:
                    self._gaps += 1
                    self._lost_samples += left
                return
            segmenter.join(POLL_S)

    def pause(self, *, paused: bool) -> None:
        """Pause or continue; the device stays open, and its sound is dropped meanwhile."""
        if paused:
            self._paused.set()
        else:
            self._paused.clear()

    def forget(self) -> None:
        """Forget every voice: somebody else speaks from now on. Returns at once.

        What was said before teaches nothing about the new voice, even if it is still queued.
        """
        self._voice_reset.set()

    def start_call(self) -> None:
        """Begin another call, once the source is open. Returns at once; open utterances end."""
        self._call_wanted.set()

    def _guarded(self, run: Callable[[], None], ends: Callable[[], None]) -> None:
        """Run a thread; however it ends, tell the main thread and the next thread."""
        try:
            run()
        except BaseException as error:  # noqa: BLE001 - no thread dies quietly
            self._stop.set()
            self._results.put(ThreadFailed(threading.current_thread().name, error))
        finally:
            ends()

    def _put(self, event: Event) -> None:
        """Take an event for whatever takes the results since `start`. On any thread."""
        self._results.put(event)

    def _end_results(self) -> None:
        """On the worker, whatever ended it; it is the last thread to count."""
        self._count()
        self._results.close()

    # --- segmenter thread -----------------------------------------------------------------------

    def _segment(self) -> None:
        """Cut what the ring holds into utterances, and notice when nothing comes any more.

        A silent device is noticed here, since the capture thread may hang in its driver.
        """
        limit = max(MIN_SILENT_S, MIN_SILENT_BLOCKS * self._config.audio.block_ms / 1000)
        if (reason := fallback_reason(self._config.vad)) is not None:
            self._results.put(Warned(reason))
        heard = lost = paused = False
        polls = 0  # in a row that found nothing; no clock: this process may have been stopped
        while not self._ring.ended:
            chunk = self._ring.read(POLL_S)
            if self._capture.opened.is_set() and self._paused.is_set() != paused:
                paused = not paused
                self._close(EndReason.STOPPED)
                self._results.put(StateChanged(_state(paused=paused)))
            self._answer_requests()
            if chunk is not None:
                heard, polls = True, 0
                back = (
                    bool(self._capture.loss) and chunk.lost > 0
                )  # else it is what filters still held
                if back and not lost:
                    lost = True
                    self._lose(self._capture.loss)
                self._take(chunk, paused=paused)
                if lost and (back or not self._capture.loss):
                    lost = False
                    self._capture.loss = ""
                    self._results.put(StateChanged(_state(paused=paused)))
            elif self._stop.is_set():
                break
            elif heard and self._capture.live and not lost:
                polls += 1
                silent = polls * POLL_S
                if self._capture.loss or silent > limit:
                    lost = True
                    self._lose(self._capture.loss or f"nothing from the device for {silent:.1f} s")
            self._count()
        self._results.put(StateChanged(State.STOPPING))
        stopped = self._stop.is_set() or self._capture.at_limit
        self._close(EndReason.STOPPED if stopped else EndReason.END_OF_INPUT)
        self._count()

    def _answer_requests(self) -> None:
        """Forget voices and begin a call, where somebody asked for it."""
        if self._voice_reset.is_set():
            self._voice_reset.clear()
            self._reset_voices()
        if self._call_wanted.is_set() and self._capture.opened.is_set():
            self._call_wanted.clear()
            self._close(EndReason.CALL_ENDED)
            self._begin_call(self._calls.begin(self._channels[0].position))

    def _reset_voices(self) -> None:
        for channel in self._classified.values():
            self._queue.put(channel, VoiceReset(self._calls.number))

    def _begin_call(self, call: CallStarted) -> None:
        """Let it begin behind what is queued."""
        self._reset_voices()
        self._queue.put(self._classified[self._channels[0].name], call)

    def _take(self, chunk: Chunk, *, paused: bool) -> None:
        if chunk.lost:
            self._gaps += 1
            self._lost_samples += chunk.lost
        for index, channel in enumerate(self._channels):
            if chunk.lost:
                self._report(channel, channel.skip(chunk.lost))
            if paused:
                self._report(channel, channel.skip(len(chunk.pcm)))
            else:
                crosstalk = chunk.crosstalk[:, index]
                self._report(channel, channel.push(chunk.pcm[:, index], crosstalk))

    def _lose(self, reason: str) -> None:
        self._close(EndReason.DEVICE_LOST)
        self._results.put(StateChanged(State.LOST, reason))

    def _close(self, reason: EndReason) -> None:
        for channel in self._channels:
            self._report(channel, channel.close(reason))

    def _report(
        self, channel: MeteredChannel, found: Iterable[SegmenterEvent | LevelMeasured]
    ) -> None:
        for item in found:
            match item:
                case LevelMeasured():
                    self._results.put(item)
                case SpeechStart():
                    if (call := self._calls.started(channel.name, item.start)) is not None:
                        self._begin_call(call)
                    self._results.put(UtteranceStarted(channel.name, item.utterance, item.start))
                case Excerpt() | PossibleEnd() | Segment():
                    while not self._capture.live and not self._queue.wait_for_room(POLL_S):
                        if self._stop.is_set():  # the worker may be gone
                            break
                    self._queue.put(self._classified[channel.name], item)
                    if isinstance(item, Segment):
                        self._calls.ended(channel.name, item.end)

    def _count(self) -> None:
        """Report the counters where they changed."""
        counters = Counters(
            overruns=self._capture.overruns + self._ring.overruns,
            gaps=self._gaps,
            lost_samples=self._lost_samples,
            dropped_partials=self._queue.dropped_partials,
            unclassified=sum(each.unclassified for each in self._classified.values()),
            queue=len(self._queue),
            behind_s=self._capture.behind_s,
        )
        if counters != self._counters:
            self._counters = counters
            self._results.put(counters)

    # --- worker ---------------------------------------------------------------------------------

    def _loaded(self, model: Model) -> None:
        self._results.put(ModelLoaded(model.name, model.labels))

    def _ready(self, model: Model) -> None:
        for channel in self._classified.values():
            channel.open(model)
        self._capture.ready.set()

    def _new_adaptation(self, name: str, classifier: SegmentClassifier) -> SpeakerAdaptation | None:
        if not self._config.baseline.enabled:
            return None
        return classifier.new_adaptation(self._enrolled.get(name))


def _state(*, paused: bool) -> State:
    return State.PAUSED if paused else State.LISTENING
