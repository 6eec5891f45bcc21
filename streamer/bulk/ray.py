"""Analyses recordings on a Ray cluster.

`Recordings` is a class for ``Dataset.map_batches``, and for Spark's ``mapInPandas`` and Daft.
`Cluster` is what ``streamer bulk`` gives the recordings to: processes, placement, back-pressure and
repetition are Ray's; what is done stands in the ledger of the tables, as for ``streamer file``.
"""

import importlib
import os
import pickle
import tempfile
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from streamer.bulk.analyse_recording import Analysed, Analysis, analyse, begin
from streamer.bulk.parts import schema
from streamer.bulk.plan import ListedRecording, Task
from streamer.errors import ConfigError, StreamerError
from streamer.export.tables import pyarrow
from streamer.sinks.row import columns, row
from streamer.sinks.summary import summary_columns
from streamer.text import one_line
from streamer.types import Utterance

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK = 8
"""Recordings that an actor is given at once, at most: what is lost with it, and done again ..."""
MAX_BLOCK_BYTES = 4_000_000
"""... and fewer where these have more bytes together."""
BLOCKS = 4
"""Minimum number of blocks for each CPU, so that the actors end at about the same time."""

WINDOW = 20_000
WINDOW_PER_CPU = 1000
"""Recordings that Ray knows of at a time: memory stays flat, and actors begin anew seldom."""

ATTEMPTS = 2
"""How often a block is tried whose process or node ends."""

MAX_ERRORED_BLOCKS = 100
"""Blocks of a window that may fail so before the run does; theirs are tried one by one."""

HEAD = {"node:__internal_head__": 0.001}
"""Where the dataset is run from: if that node is lost, so is the cluster."""

INSTALL = "python -m pip install 'ray[data]>=2.40'"


class Recordings:
    """Analyses batches of recordings, with one model for all that it is called with.

    Takes a mapping from columns to arrays, or a pandas table. ``path`` is a path or URL; ``bytes``,
    where it is there, is what the file holds, and then nothing is read from the path. Returns a row
    per recording, in their order, as a pyarrow table or a pandas one: ``path``, ``session``,
    ``status`` (`Status`), ``error``, ``seconds``, and the lists ``utterances`` and ``calls`` with
    the columns of the CSV and of its summary.

    Args:
        analysis: How; it is pickled.

    Raises:
        ModelError: The model cannot be loaded.
    """

    def __init__(self, analysis: Analysis) -> None:
        self._analysis = analysis
        self._model = analysis.load()

    def __reduce__(self) -> tuple[type[Self], tuple[Analysis]]:
        return type(self), (self._analysis,)  # the model is loaded where it is used

    def __call__(self, batch: Any) -> Any:  # noqa: ANN401 - a table of either kind
        """Analyse a batch."""
        rows = [_row(made) for made in self._analysed(batch)]
        table = pyarrow().Table.from_pylist(rows, schema=result_schema(self._analysis))
        return table.to_pandas() if hasattr(batch, "iloc") else table

    def _analysed(self, batch: Any) -> Iterator[Analysed]:  # noqa: ANN401 - a table of either kind
        paths = [str(path) for path in batch["path"]]
        contents = batch["bytes"] if "bytes" in batch else [None] * len(paths)
        for path, content in zip(paths, contents, strict=True):
            found = _found(path, content)
            task = Task(found, found.identity(self._analysis.model.key))
            copies = None if content is None else [_copied(content, Path(path).suffix)]
            yield from analyse(self._analysis, [task], self._model, copies=copies)


def result_schema(analysis: Analysis) -> "pa.Schema":
    """The columns of what `Recordings` returns, and their types, for engines that ask before."""
    arrow, labels = pyarrow(), analysis.model.labels
    return arrow.schema([
        *((name, arrow.string()) for name in ("path", "session", "status", "error")),
        ("seconds", arrow.float64()),
        ("utterances", arrow.list_(arrow.struct(list(schema(columns(labels)))))),
        ("calls", arrow.list_(arrow.struct(list(schema(summary_columns(labels)))))),
    ])  # fmt: skip


class _Planned(Recordings):
    """Takes tasks of a plan, and returns all that came of them, to whoever keeps the ledger."""

    def __call__(self, batch: Any) -> Any:  # noqa: ANN401 - as above
        tasks = [pickle.loads(task) for task in batch["task"]]  # noqa: S301 - our own
        return {"made": list(map(pickle.dumps, analyse(self._analysis, tasks, self._model)))}


class _Driver:
    """Runs a dataset within the cluster, which Ray's client cannot; an actor on the head node."""

    def __init__(self, analysis: Analysis, actors: int, most: int | None) -> None:
        self._data: Any = importlib.import_module("ray.data")
        context = self._data.DataContext.get_current()
        context.enable_progress_bars = False
        context.max_errored_blocks = MAX_ERRORED_BLOCKS
        self._analysis = analysis
        self._pool = {"min_size": 1, "initial_size": actors, "max_size": most}
        self._batches: Iterator[Any] = iter(())

    def begin(self, tasks: Sequence[bytes], block: int) -> None:
        """Begin to analyse tasks."""
        # The plan comes from here, as blocks: a task that read it would need a CPU of its own.
        blocks = -(-len(tasks) // block)
        dataset = self._data.from_items(
            [{"task": task} for task in tasks], override_num_blocks=blocks
        ).map_batches(
            _Planned,
            fn_constructor_args=(self._analysis,),
            batch_size=None,  # a block
            compute=self._data.ActorPoolStrategy(**self._pool),
            num_cpus=1,
            ray_remote_args_fn=_repeated,
        )
        self._batches = iter(dataset.iter_batches(batch_size=None, batch_format="pyarrow"))

    def next(self) -> list[bytes] | None:
        """What came of some of them; None at the end. Ray's back-pressure is that nobody asks."""
        batch = next(self._batches, None)
        made: list[bytes] | None = None if batch is None else batch["made"].to_pylist()
        return made


def _repeated() -> dict[str, int]:
    return {"max_restarts": -1, "max_task_retries": ATTEMPTS - 1}


class Cluster:
    """A Ray cluster, as `Request.engine`; a context manager.

    Args:
        address: Of the cluster; None for ``RAY_ADDRESS``, or else one that is made on this machine.
        actors: How many processes load the model; None for one per logical CPU.

    Raises:
        ConfigError: Ray is not installed, or the cluster has fewer logical CPUs than actors.
        StreamerError: There is no cluster at the address.
    """

    def __init__(self, address: str | None = None, actors: int | None = None) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent to anybody
        try:
            self._ray: Any = importlib.import_module("ray")  # an extra
            importlib.import_module("ray.data")
        except ImportError as error:
            raise ConfigError(f"streamer bulk needs Ray: {INSTALL}") from error
        self._connected = not self._ray.is_initialized()
        if self._connected:
            try:
                self._ray.init(address=address, log_to_driver=False, logging_level="error")
            except (ConnectionError, RuntimeError, ValueError) as error:
                where = address or os.environ.get("RAY_ADDRESS") or "this machine"
                raise StreamerError(f"no Ray cluster at {where}: {_last_line(error)}") from error
        self._actors = actors
        self._cpus = int(self._ray.cluster_resources().get("CPU", 0))
        if self._cpus < (actors or 1):
            self.__exit__()
            raise ConfigError(
                f"the cluster has {self._cpus} logical CPUs, expected {actors or 1}, one for each "
                "actor: add nodes, or start them with more (ray start --num-cpus N)"
            )

    def __call__(self, analysis: Analysis, tasks: Iterable[Task]) -> Generator[Analysed]:
        """Analyse recordings.

        Args:
            analysis: How.
            tasks: Which, by paths that every node finds.

        Yields:
            What came of each recording, in the order in which they are finished.

        Raises:
            StreamerError: Ray cannot go on.
        """
        driver = self._ray.remote(num_cpus=0, resources=HEAD)(_Driver).remote(
            analysis, self._actors or self._cpus, self._actors
        )
        tasks = iter(tasks)
        size = WINDOW + WINDOW_PER_CPU * self._cpus
        while left := {task.identity: task for task in islice(tasks, size)}:
            yield from self._run(driver, left, self._block(left.values()))
            if left:  # one of a block ended its process again and again: which?
                yield from self._run(driver, left, 1)
            for task in left.values():
                made = begin(analysis, task)
                made.error = (
                    f"{made.session.source}: cannot be read: the processes that read it ended"
                )
                yield made

    def _block(self, tasks: Collection[Task]) -> int:
        """How many recordings an actor is given at once."""
        mean = sum(task.found.size for task in tasks) // len(tasks)
        at_most = -(-len(tasks) // (BLOCKS * self._cpus))
        return max(1, min(BLOCK, at_most, MAX_BLOCK_BYTES // max(1, mean)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._connected:
            self._ray.shutdown()

    def _run(self, driver: Any, left: dict[str, Task], block: int) -> Generator[Analysed]:  # noqa: ANN401 - Ray's
        """Analyse what is left, and take it out of there."""
        get = self._ray.get
        try:
            get(driver.begin.remote(list(map(pickle.dumps, left.values())), block))
            while (batch := get(driver.next.remote())) is not None:
                for content in batch:
                    made: Analysed = pickle.loads(content)  # noqa: S301 - our own
                    if left.pop(made.task.identity, None) is not None:
                        yield made
        except self._ray.exceptions.RayError as error:
            raise StreamerError(f"Ray cannot go on: {_last_line(error)}") from error


def _last_line(error: Exception) -> str:
    """What went wrong, without the traceback that Ray puts before it."""
    return one_line((str(error).strip() or repr(error)).splitlines()[-1])


def _found(path: str, content: bytes | None) -> ListedRecording:
    """A recording as its size and time of modification make it known; without, by its path."""
    if content is not None:
        return ListedRecording(path, len(content), "")
    try:
        stat = Path(path).stat()
    except OSError:  # a URL, or an error that reading it will tell of
        return ListedRecording(path, 0, "")
    return ListedRecording(path, stat.st_size, str(stat.st_mtime_ns))


def _row(made: Analysed) -> Mapping[str, object]:
    return {
        "path": made.task.found.location,
        "session": made.session.id,
        "status": str(made.status),
        "error": made.error or None,
        "seconds": made.seconds,
        "utterances": [row(e, made.session) for e in made.events if isinstance(e, Utterance)],
        "calls": made.summary.rows(made.session) if made.summary else [],
    }


@contextmanager
def _copied(content: bytes, suffix: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:  # on Windows, an open file cannot be read
        path = Path(folder, f"recording{suffix}")
        path.write_bytes(content)
        yield path
