"""Distributes recordings over worker processes, or analyses them in this one."""

import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from itertools import islice
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import TypeAlias

from streamer.bulk.analyse_recording import Analysed, Analysis, OnRead, analyse, begin
from streamer.bulk.plan import Task
from streamer.errors import StreamerError

CHUNK = 8
"""Maximum number of recordings that a process gets at once ..."""
MAX_CHUNK_BYTES = 4_000_000
"""... and most bytes of them."""
CHUNKS = 4
"""Least chunks for each process, so that all end at about the same time."""
AHEAD = 2
"""Chunks that a process has at a time."""

TICK_S = 0.5
"""Seconds between two calls of ``tick`` while all processes are busy."""

READ_S = 0.5
"""Seconds between two reports of a process on how much it has read."""

STOP_S = 2.0
"""Seconds that a process may take to stop."""

Read: TypeAlias = tuple[str, float, float]
_Message: TypeAlias = Analysed | Read | StreamerError | None


def here(analysis: Analysis, tasks: Iterator[Task], on_read: OnRead) -> Generator[Analysed]:
    """Analyse recordings one after the other, in this process.

    Raises:
        ModelError: The model cannot be loaded.
    """
    yield from analyse(analysis, tasks, analysis.load(), on_read)


def elsewhere(  # noqa: PLR0913 - two of them are callbacks
    analysis: Analysis,
    tasks: Iterator[Task],
    on_read: OnRead,
    *,
    total: int,
    count: int,
    tick: Callable[[], None],
) -> Generator[Analysed]:
    """Analyse recordings in several processes.

    If a process dies (a fault of a decoder, too little memory), only the recording that it was
    reading fails; the others that it had are tried again, one at a time.

    Args:
        analysis: How to analyse them.
        tasks: The recordings.
        on_read: Called while they are read.
        total: How many recordings there are.
        count: How many processes.
        tick: Called now and then.

    Yields:
        The result of each recording, in the order in which they are finished.

    Raises:
        StreamerError: A process cannot start.
    """
    pool = _Pool(analysis, total, count)
    try:
        yield from pool.run(tasks, on_read, tick)
    finally:
        pool.stop()


class _Worker:
    """A process and its recordings."""

    def __init__(self, analysis: Analysis) -> None:
        context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
        self.connection, far_end = context.Pipe()
        self.process: BaseProcess = context.Process(
            target=_work, args=(far_end, analysis), daemon=True
        )
        self.process.start()
        far_end.close()
        self.ready = False
        self.given: deque[Task] = deque()
        self.chunks: deque[int] = deque()  # what is left of each

    def give(self, chunk: list[Task]) -> None:
        self.given += chunk
        self.chunks.append(len(chunk))
        with suppress(OSError):  # dead: found out where it is heard
            self.connection.send(chunk)

    def took(self, task: Task) -> None:
        self.given.remove(task)
        self.chunks[0] -= 1
        if not self.chunks[0]:
            self.chunks.popleft()


class _Pool:
    def __init__(self, analysis: Analysis, total: int, count: int) -> None:
        self._analysis = analysis
        self._chunk = max(1, min(CHUNK, total // (count * CHUNKS)))
        self._workers = [_Worker(analysis) for _ in range(count)]
        self._suspects: deque[Task] = deque()

    def run(
        self, tasks: Iterator[Task], on_read: OnRead, tick: Callable[[], None]
    ) -> Iterator[Analysed]:
        while self._feed(tasks):
            by_connection = {worker.connection: worker for worker in self._workers}
            for connection in wait(list(by_connection), TICK_S):
                worker = by_connection[connection]  # type: ignore[index]  # as it was given
                try:
                    message: _Message = worker.connection.recv()
                except (EOFError, OSError):
                    yield from self._replace(worker)
                    continue
                match message:
                    case Analysed():
                        worker.took(message.task)
                        yield message
                    case StreamerError():
                        raise message
                    case None:
                        worker.ready = True
                    case (identity, size, seconds):
                        on_read(identity, size, seconds)
            tick()

    def stop(self) -> None:
        for worker in self._workers:
            worker.connection.close()
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(STOP_S)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()

    def _feed(self, tasks: Iterator[Task]) -> bool:
        """Give recordings to the processes; False where nothing is left."""
        for worker in sorted(self._workers * AHEAD, key=lambda one: len(one.given)):
            if self._suspects:
                if not worker.given:
                    worker.give([self._suspects.popleft()])
            elif len(worker.chunks) < AHEAD and (chunk := _chunk(tasks, self._chunk)):
                worker.give(chunk)
        return bool(self._suspects) or any(worker.given for worker in self._workers)

    def _replace(self, worker: _Worker) -> Iterator[Analysed]:
        """Replace a dead process; the recording that it was reading is not tried again."""
        worker.process.join()
        worker.connection.close()
        if not worker.ready:
            raise StreamerError(
                f"a process for the analysis ended before it began ({_exit(worker.process)})"
            )
        self._workers.remove(worker)
        self._workers.append(_Worker(self._analysis))
        if len(worker.given) == 1:
            made = begin(self._analysis, worker.given[0])
            made.error = (
                f"{made.session.source}: cannot be read: the process that read it ended "
                f"({_exit(worker.process)})"
            )
            yield made
        else:
            self._suspects += worker.given


def _chunk(tasks: Iterator[Task], count: int) -> list[Task]:
    chunk: list[Task] = []
    size = 0
    for task in islice(tasks, count):
        chunk.append(task)
        size += task.found.size
        if size >= MAX_CHUNK_BYTES:
            break
    return chunk


def _exit(process: BaseProcess) -> str:
    code = process.exitcode or 0
    return f"signal {-code}" if code < 0 else f"exit code {code}"


# --- in the other process -----------------------------------------------------------------------


def _work(connection: "Connection[_Message, list[Task]]", analysis: Analysis) -> None:
    """Analyse recordings until no more come."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the main process, which stops us
    with suppress(EOFError, OSError):  # the main process has gone
        try:
            model = analysis.load()
        except StreamerError as error:
            connection.send(error)
            return
        connection.send(None)
        read_at = time.monotonic()
        unsaid = [0.0, 0.0]

        def on_read(identity: str, size: float, seconds: float) -> None:
            nonlocal read_at
            unsaid[0] += size
            unsaid[1] += seconds
            if time.monotonic() - read_at >= READ_S:
                connection.send((identity, unsaid[0], unsaid[1]))
                read_at, unsaid[:] = time.monotonic(), (0.0, 0.0)

        while True:
            for made in analyse(analysis, connection.recv(), model, on_read):
                connection.send(made)
                unsaid[:] = 0.0, 0.0
