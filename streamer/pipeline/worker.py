"""The inference worker is the one thread that classifies, for any number of channels."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Protocol

from streamer.events import CallStarted, Event, PartialResult, VoiceLearned
from streamer.model.protocol import Model, SegmentClassifier, StreamingClassifier
from streamer.model.speaker.adaptation import SpeakerAdaptation
from streamer.pipeline.classification import classify
from streamer.pipeline.inference_queue import InferenceQueue, Task, VoiceReset
from streamer.types import Excerpt, PossibleEnd, Segment, Utterance


class Results(Protocol):
    """The protocol of a receiver of a stream's results, such as `RecordedStream`."""

    def put(self, event: Event) -> None:
        """Take an event; never waits."""

    def keep(self, channel: str, segment: Segment) -> None:
        """Take the sound of the next utterance; never waits."""

    def close(self) -> None:
        """Mark the end: no more results come."""


class ClassifiedChannel:
    """The worker's state of one channel: streaming classifier, adaptation, call.

    Args:
        name: As it is shown and logged.
        results: Gets its results, on the worker.
        captured_at: Returns when the sample before a position was captured, by `time.monotonic`.
        new_adaptation: Creates its speaker adaptation, on the worker; None without adaptation.
    """

    def __init__(
        self,
        name: str,
        results: Results,
        captured_at: Callable[[int], float],
        new_adaptation: Callable[[SegmentClassifier], SpeakerAdaptation | None],
    ) -> None:
        self.name = name
        self.unclassified = 0
        """Utterances whose row has no prediction."""
        self._results = results
        self._captured_at = captured_at
        self._new_adaptation = new_adaptation
        self._call = 1
        self._streaming: StreamingClassifier | None = None
        self._adaptation: SpeakerAdaptation | None = None

    def open(self, classifier: SegmentClassifier) -> None:
        """Begin with an unknown speaker. On the worker."""
        self._streaming = classifier.open_stream()
        self._adaptation = self._new_adaptation(classifier)
        if self._adaptation is not None:
            self._results.put(VoiceLearned(self.name, 0))

    def classify(
        self, classifier: SegmentClassifier, task: "Task[ClassifiedChannel]"
    ) -> Callable[[], None]:
        """Classify a piece. On the worker.

        Returns:
            A function that hands out the result and never waits.
        """
        if self._streaming is None:
            self.open(classifier)
        match task.piece:
            case Segment():
                return self._utterance(task.piece, classifier if task.classify else None)
            case Excerpt():
                return partial(self._results.put, self._partial(task.piece))
            case PossibleEnd():
                classifier.embed_ahead(task.piece.segment.pcm)
                return _nothing
            case CallStarted():
                return partial(self._results.put, task.piece)
            case VoiceReset():
                self._call = task.piece.call
                if self._adaptation is not None:
                    self._adaptation.reset()
                return self._report_voice

    def hand_out_unclassified(self, task: "Task[ClassifiedChannel]") -> None:
        """Finish a task without a prediction, when the worker hangs. On the main thread."""
        match task.piece:
            case Segment():
                self._utterance(task.piece, None)()
            case CallStarted():
                self._results.put(task.piece)
            case VoiceReset():
                self._call = task.piece.call

    def _utterance(
        self, segment: Segment, classifier: SegmentClassifier | None
    ) -> Callable[[], None]:
        """Classify an utterance; without a classifier, it gets its row without a prediction."""
        self.unclassified += classifier is None
        result = classify(classifier, self.name, segment, self._adaptation, call=self._call)
        result = replace(result, latency_ms=self._latency_ms(segment.end))
        return partial(self._hand_out, segment, result)

    def _hand_out(self, segment: Segment, result: Utterance) -> None:
        self._results.keep(self.name, segment)
        self._results.put(result)
        self._report_voice()

    def _report_voice(self) -> None:
        if self._adaptation is not None:
            self._results.put(VoiceLearned(self.name, self._adaptation.utterances))

    def _partial(self, excerpt: Excerpt) -> PartialResult:
        assert self._streaming is not None, "partial result before open"  # noqa: S101 - for mypy
        started = time.perf_counter()
        prediction = self._streaming.classify(excerpt, self._adaptation)
        return PartialResult(
            channel=self.name,
            number=excerpt.utterance,
            end=excerpt.end,
            prediction=prediction,
            latency_ms=self._latency_ms(excerpt.end),
            compute_ms=(time.perf_counter() - started) * 1000,
        )

    def _latency_ms(self, position: int) -> float:
        """Since the sample before ``position`` was captured."""
        return (time.monotonic() - self._captured_at(position)) * 1000


def _nothing() -> None:
    """Hand out nothing."""


class InferenceWorker:
    """Classifies what waits in the queue, on the thread that calls `run`.

    Args:
        load: Loads the model.
        queue: Filled by segmenter threads.
        loaded: Called with the model before it is warmed up.
        ready: Called with the model when it is warmed up.
    """

    def __init__(
        self,
        load: Callable[[], Model],
        queue: InferenceQueue[ClassifiedChannel],
        *,
        loaded: Callable[[Model], None],
        ready: Callable[[Model], None],
    ) -> None:
        self._load = load
        self._queue = queue
        self._loaded = loaded
        self._ready = ready

    def run(self) -> None:
        """Load the model and classify until the queue is closed and empty."""
        model = self._load()
        self._loaded(model)
        model.warm_up()
        self._ready(model)
        while (task := self._queue.get()) is not None:
            self._queue.finish(task, task.channel.classify(model, task))
