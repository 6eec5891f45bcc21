"""The engine is shared by all calls: inference queue, worker, recorder and segmenter threads."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from streamer.analysis.alerts import check_rules
from streamer.config import Config
from streamer.events import ModelLoaded, ThreadFailed
from streamer.model.protocol import Model
from streamer.pipeline.inference_queue import InferenceQueue
from streamer.pipeline.recorder import Recorder
from streamer.pipeline.worker import ClassifiedChannel, InferenceWorker
from streamer.sinks.csv_sink import CsvSink
from streamer.sinks.notify.delivery import NotificationSink

SEGMENTERS = 1
"""How many threads segment calls. A second one waits for the GIL: with 15 calls, 95 of 100 events
came within 805 ms instead of 639."""

CLASSIFY_TIMEOUT_S = 10.0
"""Seconds that the end waits for utterances that are still to be classified."""

RECORD_TIMEOUT_S = 5.0
"""Seconds that the end waits for a disk that does not answer."""


class Engine:
    """Classifies and records for any number of calls.

    Args:
        load: Loads the model; called on the worker.
        config: For everything on the way.
        csv: Where rows go; None for nowhere.
    """

    def __init__(self, load: Callable[[], Model], config: Config, csv: Path | None) -> None:
        self.config = config
        self.queue: InferenceQueue[ClassifiedChannel] = InferenceQueue()
        self.model: ModelLoaded | None = None
        """Set once calls can be taken."""
        self.failure: BaseException | None = None
        """Why no call can be taken any more."""
        self.segmenters = ThreadPoolExecutor(SEGMENTERS, "segmenter")
        self.csv = csv
        self._csv = CsvSink(csv, excel=config.output.excel) if csv is not None else None
        self._notifications = NotificationSink(config.alerts)
        self.recorder = Recorder(
            [self._csv] if self._csv else [], [self._notifications], self._failed
        )
        self._worker = InferenceWorker(load, self.queue, loaded=self._check, ready=self._ready)
        self._thread = threading.Thread(target=self._work, name="worker", daemon=True)

    def start(self) -> None:
        """Start the threads and return; the model is loaded meanwhile."""
        self.recorder.start()
        self._thread.start()

    def stop(self) -> list[str]:
        """Classify and write what waits, then end; every call has ended before.

        Returns:
            Rows that are not in the CSV and alerts that were not delivered, in lines for people.
        """
        self.segmenters.shutdown()
        self.queue.close()
        ends_at = time.monotonic() + CLASSIFY_TIMEOUT_S
        self._thread.join(max(0.0, ends_at - time.monotonic()))
        for task in self.queue.abandon():
            task.channel.hand_out_unclassified(task)
        left = self.recorder.stop(RECORD_TIMEOUT_S)
        rows = (
            None
            if left is None
            else [(event, stream.session) for stream, event in left if stream.session is not None]
        )
        unwritten = self._csv.unwritten(rows) if self._csv is not None else []
        return [*unwritten, *self._notifications.join()]

    def drain_warnings(self) -> list[str]:
        """What went wrong since the last call, a line each."""
        return self.recorder.drain_warnings()

    def _work(self) -> None:
        """Run the worker; if it fails, the remaining utterances get rows without a prediction."""
        try:
            self._worker.run()
        except BaseException as error:  # noqa: BLE001 - no thread dies quietly
            self.failure = error

    def _check(self, model: Model) -> None:
        check_rules(self.config.alerts.rules, model.labels, model.name)

    def _ready(self, model: Model) -> None:
        self.model = ModelLoaded(model.name, model.labels)

    def _failed(self, failed: ThreadFailed) -> None:
        self.failure = failed.error
