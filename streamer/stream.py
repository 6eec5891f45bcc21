"""`listen` gives a Python program live events: of a microphone, a recording, or PCM it feeds."""

import asyncio
import queue
from collections import deque
from collections.abc import Sequence
from os import PathLike, fspath
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamer.analysis.alerts import AlertEngine, check_rules
from streamer.audio.fed import FedSource
from streamer.audio.microphone import MicrophoneSource
from streamer.audio.pcm import to_int16
from streamer.audio.sources import FileSource, Source
from streamer.config import Config
from streamer.events import Event, ModelLoaded, ThreadFailed
from streamer.pipeline.live import Pipeline
from streamer.types import Pcm, Utterance

if TYPE_CHECKING:
    from streamer.model.classifier import Classifier

POLL_S = 0.1
"""Seconds between two checks for Ctrl-C while waiting for an event."""

Fed: TypeAlias = bytes | bytearray | memoryview | NDArray[Any]
"""Raw signed 16-bit little-endian PCM, channels interleaved; or an int16 or float array."""


def listen(  # noqa: PLR0913 - one of three sources, and what to do with it
    recording: str | PathLike[str] | None = None,
    *,
    device: str | int | None = None,
    sample_rate: int | None = None,
    channels: Sequence[str] = (),
    model: str | PathLike[str] | None = None,
    config: Config | None = None,
) -> "Stream":
    """Listen live: to a microphone, to a recording at its own pace, or to PCM that is fed.

    >>> with listen(device="USB") as stream:  # doctest: +SKIP
    ...     for event in stream:
    ...         print(event)

    Args:
        recording: The path of a recording to play; None for a microphone.
        device: The microphone: its index, or an unambiguous part of its name; None for the default.
        sample_rate: Of PCM that is fed with `Stream.feed`, in Hz; None for a microphone.
        channels: Names of independent channels; without any, all channels are mixed to one.
        model: A bundle in models/ (``default``, ``open``), or the path of one; None for the one
            that ``config`` names.
        config: For everything else; None for the defaults. No file or environment is read.

    Returns:
        The stream, a context manager; it listens from ``with`` on.

    Raises:
        ConfigError: An enrolled speaker or a rule of ``config`` does not fit the channels.
        InputError: ``sample_rate`` is not a possible rate.
        ValueError: More than one of ``recording``, ``device`` and ``sample_rate`` was given.
    """
    if sum(given is not None for given in (recording, device, sample_rate)) > 1:
        raise ValueError("got several of recording, device and sample_rate, expected one at most")
    settings = _settings(config or Config(), channels, model)
    block_s = settings.audio.block_ms / 1000
    count = len(settings.audio.channels) or 1
    source: Source
    if sample_rate is not None:
        source = FedSource(sample_rate=sample_rate, channels=count, block_s=block_s)
    elif recording is not None:
        source = FileSource(Path(recording), block_s=block_s)
    else:
        wanted = settings.audio.device if device is None else device
        source = MicrophoneSource(wanted, channels=count, block_s=block_s)
    return Stream(source, settings)


class Stream:
    """Events as they happen; made by `listen`.

    A context manager and an iterator, both also asynchronous::

        with listen("call.wav") as stream:
            for event in stream: ...

        async with listen(sample_rate=8000) as stream:
            async for event in stream: ...

    The events end when the input does, after `finish` or after `stop`; leaving ``with`` stops. They
    are the types of `streamer.events.Event`: `Utterance` for each finished utterance,
    `PartialResult` while somebody speaks, `Alert`, `MoodChanged`, `StateChanged` and others.
    Iterating raises what ended the stream, where that was not the end of its input:

    * `ModelError`: there is no such bundle, or it is damaged;
    * `InputError`: the device or recording cannot be opened, or not read on;
    * `ConfigError`: an alert rule waits for an emotion that the model does not know.
    """

    def __init__(self, source: Source, config: Config) -> None:
        self._feeding = source if isinstance(source, FedSource) else None
        self._config = config
        self._pipeline = Pipeline(source, self._load, config)
        self._alerts = AlertEngine(config)
        self._ready: deque[Event] = deque()  # what followed from the last utterance
        self._started = False
        self._ended = False
        self._awaited: asyncio.Future[Event | None] | None = None

    def feed(self, pcm: Fed) -> None:
        """Hand over the next piece of PCM, of any length.

        Waits while ten seconds are in the queue, so that nothing is lost. In a coroutine, call
        ``await asyncio.to_thread(stream.feed, pcm)``.

        Args:
            pcm: Raw signed 16-bit little-endian PCM, channels interleaved; or an array of int16 or
                float (full scale 1.0), shape (samples,) or (samples, channels).

        Raises:
            InputError: The stream has ended, or a sample is no number.
            RuntimeError: This stream is not one that is fed, or ``with`` was not entered.
            TypeError: The samples are neither int16 nor float.
            ValueError: The shape does not fit the channels.
        """
        self._fed().feed(_pcm(pcm, len(self._config.audio.channels) or 1))

    def finish(self) -> None:
        """Say that no more PCM is fed: the events end when all of it is classified."""
        self._fed().finish()

    def stop(self) -> None:
        """End the open utterance and classify what waits; then the events end."""
        self._pipeline.stop()

    def forget(self) -> None:
        """Forget what was learned of the speakers: somebody else speaks from now on."""
        self._pipeline.forget()

    def __enter__(self) -> Self:
        if self._started:
            raise RuntimeError("a stream listens once: call listen() again")
        self._started = True
        self._pipeline.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._ended = True
        self._pipeline.stop()
        self._pipeline.join()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        event = self._next()
        if event is None:
            raise StopIteration
        return event

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.__exit__, kind, error, tb)
        if self._awaited is not None:  # an iteration that was cancelled
            await asyncio.wait([self._awaited])

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        if self._awaited is None:
            self._awaited = asyncio.ensure_future(asyncio.to_thread(self._next))
        # Shielded: a wait that is cancelled must not lose the event that it waited for.
        event = await asyncio.shield(self._awaited)
        self._awaited = None
        if event is None:
            raise StopAsyncIteration
        return event

    def _next(self) -> Event | None:
        """The next event; None at the end."""
        if not self._started:
            raise RuntimeError("a stream listens from 'with' on: with listen() as stream: ...")
        while not self._ready:
            if self._ended:
                return None
            try:
                event = self._pipeline.events.get(timeout=POLL_S)
            except queue.Empty:
                continue
            self._ended = event is None
            if event is not None:
                self._take(event)
        return self._ready.popleft()

    def _take(self, event: Event) -> None:
        match event:
            case ThreadFailed():
                self._ended = True
                event.error.add_note(f"in the thread {event.thread!r}")
                raise event.error
            case ModelLoaded():
                check_rules(self._config.alerts.rules, event.labels, event.name)
                self._ready.append(event)
            case Utterance():
                self._ready.extend(self._alerts.add(event))
            case _:
                self._ready.append(event)

    def _fed(self) -> FedSource:
        if self._feeding is None:
            raise RuntimeError("only a stream made by listen(sample_rate=...) is fed")
        if not self._started:
            raise RuntimeError("a stream takes PCM from 'with' on: with listen(...) as stream: ...")
        return self._feeding

    def _load(self) -> "Classifier":
        from streamer.model.classifier import Classifier  # noqa: PLC0415 - torch, on the worker

        return Classifier.load(self._config.model.name, threads=self._config.model.threads)


def _settings(config: Config, channels: Sequence[str], model: str | PathLike[str] | None) -> Config:
    """A configuration with these channels and this model, checked anew."""
    changed = config.model_dump()
    if channels:
        changed["audio"] |= {"channels": tuple(channels)}
    if model is not None:
        changed["model"] |= {"name": fspath(model)}
    return Config.model_validate(changed)


def _pcm(given: Fed, channels: int) -> Pcm:
    """PCM as the pipeline takes it: int16, shape (samples, channels)."""
    if isinstance(given, bytes | bytearray | memoryview):
        raw = bytes(given)
        if len(raw) % (2 * channels):
            raise ValueError(
                f"got {len(raw)} bytes, expected whole samples of {2 * channels} bytes"
            )
        return np.frombuffer(raw, "<i2").astype(np.int16).reshape(-1, channels)
    shaped = given[:, np.newaxis] if given.ndim == 1 else given
    if shaped.ndim != 2 or shaped.shape[1] != channels:  # noqa: PLR2004 - samples by channels
        raise ValueError(
            f"got PCM of shape {given.shape}, expected (samples, {channels})"
            + (" or (samples,); channels=(NAME, NAME) takes several" if channels == 1 else "")
        )
    if shaped.dtype == np.int16:
        return shaped.copy()  # the caller may fill the same array again
    if not np.issubdtype(shaped.dtype, np.floating):
        raise TypeError(f"got PCM of type {shaped.dtype}, expected float32 or int16")
    return to_int16(shaped.astype(np.float32), f"PCM of shape {given.shape}")
