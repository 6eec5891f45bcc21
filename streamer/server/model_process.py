"""Runs the model in a process of its own, so that the server and torch share no interpreter.

torch lets go of the interpreter's lock with every operation. Where other threads want it, too,
each operation waits for it again, up to 5 ms: an inference of 300 operations takes ten times as
long. Voices and streams stay in the process; here are handles of them.
"""

import atexit
import itertools
import multiprocessing
import signal
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from streamer.errors import StreamerError
from streamer.model.protocol import Model, StreamingClassifier
from streamer.model.speaker.adaptation import Scores, SpeakerAdaptation
from streamer.model.speaker.enrolment import Enrolment
from streamer.types import Excerpt, Pcm, Prediction

STOP_S: Final = 2.0
"""How long the process may take to end by itself."""

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


class ModelProcess:
    """A model that classifies in another process. Used by one thread at a time.

    Args:
        load: Loads the model, there; it is pickled.

    Raises:
        Exception: Whatever ``load`` raises, as every method raises what the model does.
        StreamerError: The process ended; every method raises this, too.
    """

    def __init__(self, load: Callable[[], Model]) -> None:
        context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
        self._connection, far_end = context.Pipe()
        self._process = context.Process(target=_serve, args=(far_end, load), name="model")
        self._process.start()
        far_end.close()
        self._released: deque[int] = deque()  # handles that nobody has any more
        atexit.register(self.close)  # or this process would wait for that one for ever
        self.name, self.labels = self._receive()

    def warm_up(self) -> None:
        """As the model does."""
        self.ask(_warm_up)

    def classify(
        self, pcm: Pcm, adaptation: SpeakerAdaptation | None = None, *, learn: bool = False
    ) -> Prediction:
        """As the model does; the adaptation is one of `new_adaptation`."""
        known = _remote(adaptation)
        prediction, utterances = self.ask(
            _classify, pcm, None if known is None else known.handle, learn
        )
        if known is not None:
            known.learned = utterances
        return prediction

    def embed_ahead(self, pcm: Pcm) -> None:
        """As the model does."""
        self.ask(_embed_ahead, pcm)

    def open_stream(self) -> StreamingClassifier:
        """As the model does."""
        stream = _RemoteStream(self, self.ask(_open_stream))
        weakref.finalize(stream, self._released.append, stream.handle)
        return stream

    def new_adaptation(self, enrolment: Enrolment | None = None) -> SpeakerAdaptation | None:
        """As the model does."""
        handle, utterances = self.ask(_new_adaptation, enrolment)
        if handle is None:
            return None
        adaptation = _RemoteAdaptation(self, handle, utterances)
        weakref.finalize(adaptation, self._released.append, handle)
        return adaptation

    def ask(
        self,
        function: Callable[Concatenate["_Held", Arguments], Answer],
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Answer:
        """What a function of this module returns there."""
        released = [self._released.popleft() for _ in range(len(self._released))]
        try:
            self._connection.send((released, function, args, kwargs))
        except OSError as error:
            raise self._ended() from error
        answer: Answer = self._receive()
        return answer

    def close(self) -> None:
        """End the process; nothing happens where it has ended."""
        atexit.unregister(self.close)
        self._connection.close()
        self._process.join(STOP_S)
        self._process.kill()
        self._process.join()

    def _receive(self) -> Any:  # noqa: ANN401 - whatever was asked for
        try:
            answer = self._connection.recv()
        except (EOFError, OSError) as error:
            raise self._ended() from error
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _ended(self) -> StreamerError:
        self._process.join(STOP_S)
        return StreamerError(f"the model's process ended (exit code {self._process.exitcode})")


class _RemoteStream:
    """The streaming classifier of a channel, there."""

    def __init__(self, process: ModelProcess, handle: int) -> None:
        self._process = process
        self.handle = handle

    def classify(self, excerpt: Excerpt, adaptation: SpeakerAdaptation | None = None) -> Prediction:
        """As the model's does."""
        known = _remote(adaptation)
        return self._process.ask(
            _classify_excerpt, self.handle, excerpt, None if known is None else known.handle
        )


class _RemoteAdaptation(SpeakerAdaptation):
    """What is known of a voice, there."""

    def __init__(self, process: ModelProcess, handle: int, utterances: int) -> None:
        self._process = process
        self.handle = handle
        self.learned = utterances

    @property
    def utterances(self) -> int:
        """As the model's has it, after the last utterance."""
        return self.learned

    def reset(self) -> None:
        """Forget the voices."""
        self.learned = self._process.ask(_reset, self.handle)

    def adapt(self, embedding: object, unadapted: object) -> Scores:
        """Only the process of the model has embeddings."""
        raise NotImplementedError

    def observe(self, embedding: object, neutral: float) -> None:
        """Only the process of the model has embeddings."""
        raise NotImplementedError


def _remote(adaptation: SpeakerAdaptation | None) -> _RemoteAdaptation | None:
    assert adaptation is None or isinstance(adaptation, _RemoteAdaptation), "of this model"  # noqa: S101 - for mypy
    return adaptation


# --- in the other process -----------------------------------------------------------------------


@dataclass(slots=True)
class _Held:
    """The model, and what was made of it, by handle."""

    model: Model
    streams: dict[int, StreamingClassifier] = field(default_factory=dict)
    adaptations: dict[int, SpeakerAdaptation] = field(default_factory=dict)
    handles: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def adaptation(self, handle: int | None) -> SpeakerAdaptation | None:
        return None if handle is None else self.adaptations[handle]

    def release(self, handle: int) -> None:
        self.streams.pop(handle, None)
        self.adaptations.pop(handle, None)


def _serve(connection: "Connection[Any, Any]", load: Callable[[], Model]) -> None:
    """Answer until nobody asks any more."""
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to all processes at once: the other
        signal.signal(number, signal.SIG_IGN)  # one still has something to be classified
    with suppress(EOFError, OSError):
        try:
            model = load()
        except Exception as error:  # noqa: BLE001 - raised in the other process
            connection.send(error)
            return
        held = _Held(model)
        connection.send((model.name, model.labels))
        while True:
            released, function, args, kwargs = connection.recv()
            for handle in released:
                held.release(handle)
            try:
                answer = function(held, *args, **kwargs)
            except Exception as error:  # noqa: BLE001 - raised in the other process
                answer = error
            connection.send(answer)


def _warm_up(held: _Held) -> None:
    held.model.warm_up()


def _embed_ahead(held: _Held, pcm: Pcm) -> None:
    held.model.embed_ahead(pcm)


def _open_stream(held: _Held) -> int:
    handle = next(held.handles)
    held.streams[handle] = held.model.open_stream()
    return handle


def _new_adaptation(held: _Held, enrolment: Enrolment | None) -> tuple[int | None, int]:
    adaptation = held.model.new_adaptation(enrolment)
    if adaptation is None:
        return None, 0
    handle = next(held.handles)
    held.adaptations[handle] = adaptation
    return handle, adaptation.utterances


def _classify(
    held: _Held,
    pcm: Pcm,
    handle: int | None,
    learn: bool,  # noqa: FBT001 - as it is sent
) -> tuple[Prediction, int]:
    adaptation = held.adaptation(handle)
    prediction = held.model.classify(pcm, adaptation, learn=learn)
    return prediction, adaptation.utterances if adaptation is not None else 0


def _classify_excerpt(held: _Held, stream: int, excerpt: Excerpt, handle: int | None) -> Prediction:
    return held.streams[stream].classify(excerpt, held.adaptation(handle))


def _reset(held: _Held, handle: int) -> int:
    held.adaptations[handle].reset()
    return held.adaptations[handle].utterances
