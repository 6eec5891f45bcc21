"""Analyses one recording: its utterances, moods, alerts and summary.

Alerts are in the rows and are not sent to anybody, because they are about the past.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import tee
from pathlib import Path
from typing import TypeAlias

from streamer.analysis.alerts import AlertEngine
from streamer.audio.recording import Recording
from streamer.bulk import remote
from streamer.bulk.ledger import Status, session_id
from streamer.bulk.plan import Task
from streamer.config import Config
from streamer.errors import StreamerError
from streamer.events import Alert, MoodChanged
from streamer.model.protocol import Model
from streamer.pipeline import offline
from streamer.sinks.audio_files import AudioFolder, file_name
from streamer.sinks.row import Session
from streamer.sinks.summary import Summary
from streamer.types import Segment, Utterance

logger = logging.getLogger(__name__)

STEREO = ("left", "right")
"""The names of the channels of a stereo recording, unless others are given."""

Outcome: TypeAlias = Utterance | MoodChanged | Alert
OnRead: TypeAlias = Callable[[str, float, float], None]
"""Called with a recording's identity, and how many more bytes and seconds of it were read."""


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Identifies a model that is not loaded.

    Attributes:
        name: As rows have it.
        labels: The emotions that it knows.
        digest: SHA-256 of its weights; empty where they were never on disk.
    """

    name: str
    labels: tuple[str, ...]
    digest: str = ""

    @property
    def key(self) -> str:
        """Name and digest, by which it differs from others."""
        return f"{self.name} {self.digest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """How recordings are analysed; it can be sent to other processes.

    Attributes:
        load: Loads the model.
        model: Its identity.
        config: For the channels (without names, those of a stereo recording are `STEREO`), the
            voice-activity detector, the segmenter, the mood and the alerts.
        split: Take the two channels of a stereo recording for two streams, named or not.
        audio: The folder in which the audio of utterances is saved; None for none.
        again: The number of the ``--again``; 0 for none.
    """

    load: Callable[[], Model]
    model: ModelIdentity
    config: Config
    split: bool = True
    audio: AudioFolder | None = None
    again: int = 0


@dataclass(slots=True)
class Analysed:
    """The result of a recording.

    Attributes:
        task: The recording.
        session: The session of its rows.
        summary: Its summary; None where nothing of it could be read.
        events: Its utterances, each followed by its mood and alerts.
        seconds: How many seconds of it were read.
        warnings: Faults of the recording, a line each.
        error: Why not all of it could be read; empty where it could.
        audio_saved: Utterances whose audio was saved.
        audio_lost: Utterances whose audio could not be saved.
    """

    task: Task
    session: Session
    summary: Summary | None = None
    events: list[Outcome] = field(default_factory=list)
    seconds: float = 0.0
    warnings: list[str] = field(default_factory=list)
    error: str = ""
    audio_saved: int = 0
    audio_lost: int = 0

    @property
    def status(self) -> Status:
        """What became of it."""
        if not self.error:
            return Status.DONE
        return Status.BROKEN if self.events else Status.FAILED

    @property
    def reason(self) -> str:
        """Why not all of it could be read, without its name."""
        return self.error.removeprefix(f"{self.session.source}: ")


def begin(analysis: Analysis, task: Task) -> Analysed:
    """Make the empty result of a recording."""
    model = analysis.model
    session = Session(
        id=session_id(task.identity, analysis.again),
        source=task.found.source,
        model=model.name,
        labels=model.labels,
        epoch=None,
    )
    return Analysed(task, session)


def analyse(
    analysis: Analysis,
    tasks: Iterable[Task],
    model: Model,
    on_read: OnRead = lambda _identity, _bytes, _seconds: None,
    copies: Iterable[AbstractContextManager[Path]] | None = None,
) -> Iterator[Analysed]:
    """Analyse recordings; an error is part of the result of its recording.

    Args:
        analysis: How to analyse them.
        tasks: Which recordings.
        model: What `Analysis.load` returned.
        on_read: Called while they are read.
        copies: Local copies of the recordings, in their order; None to read them where they are.
    """
    tasks, same = tee(tasks)
    with remote.Ahead() as ahead:
        copies = copies or ahead.copies(task.found.location for task in same)
        for task, copy in zip(tasks, copies, strict=True):
            yield _analyse(analysis, task, copy, model, on_read)


def _analyse(
    analysis: Analysis,
    task: Task,
    copy: AbstractContextManager[Path],
    model: Model,
    on_read: OnRead,
) -> Analysed:
    made = begin(analysis, task)
    folder = analysis.audio
    saved, lost = (folder.saved, folder.lost) if folder else (0, 0)

    def keep(channel: str, segment: Segment) -> None:
        if folder is not None:
            folder.save(file_name(made.session.id, channel, segment.utterance), segment.pcm)
            made.warnings += folder.drain_warnings()

    copied = ""
    try:
        with copy as path:
            copied = str(path)
            _analyse_file(analysis, made, path, model, on_read, keep)
    except StreamerError as error:
        made.error = str(error)
        if copied:  # the name of a temporary file is of no use
            made.error = made.error.replace(copied, made.session.source)
    except Exception as error:  # one recording must not end all
        logger.exception("%s", made.session.source)
        made.error = f"{made.session.source}: a fault in the program, please report it: {error!r}"
    if folder is not None:
        made.audio_saved, made.audio_lost = folder.saved - saved, folder.lost - lost
    return made


def _analyse_file(  # noqa: PLR0913, PLR0917 - as many things meet here
    analysis: Analysis,
    made: Analysed,
    path: Path,
    model: Model,
    on_read: OnRead,
    keep: Callable[[str, Segment], None],
) -> None:
    with Recording(path, made.session.source) as recording:
        config = _configured(analysis, recording)
        duration_s = recording.duration_s  # None or 0 where it does not say
        bytes_per_second = made.task.found.size / duration_s if duration_s else 0.0

        def read(seconds: float) -> None:
            made.seconds += seconds
            on_read(made.task.identity, seconds * bytes_per_second, seconds)

        engine = AlertEngine(config)
        made.summary = Summary(config.audio.streams)
        for utterance in offline.utterances_in(
            recording, model, config, progress=read, keep=keep, warn=made.warnings.append
        ):
            events = engine.add(utterance)
            made.events += events
            for event in events:
                made.summary.add(event)


def _configured(analysis: Analysis, recording: Recording) -> Config:
    """The configuration for a recording: the two channels of a stereo one may be streams."""
    config = analysis.config
    stereo = recording.info.channels == len(STEREO)
    if analysis.split and not config.audio.channels and stereo:
        return config.with_channels(STEREO)
    return config
