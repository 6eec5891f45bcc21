"""Enrolled voices are kept in files: the observations of a speaker, made by one model.

A file holds no audio, only what the model computed from some utterances, so only that model can use
it.
"""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal, Protocol, Self

import numpy as np
import platformdirs
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from streamer.errors import ConfigError, InputError, ModelError, NoSpeechError
from streamer.model.speaker.adaptation import Observation
from streamer.model.speaker.clustering import MEMORY
from streamer.types import SAMPLE_RATE, Pcm

NAME = r"\w[\w .-]*"

MIN_S = 3.0
"""Least seconds of speech: less of it describes the words rather than the voice."""

PIECE_SAMPLES = round(1.8 * SAMPLE_RATE)
"""About the length of the pieces in which a second voice is looked for."""

MAX_PIECES = 24
"""Pieces that are compared at most, from everywhere in the recording."""

Numbers = tuple[Annotated[float, Field(allow_inf_nan=False)], ...]


class EnrollingModel(Protocol):
    """A model that learns voices."""

    @property
    def name(self) -> str:
        """Name and version."""

    @property
    def digest(self) -> str:
        """SHA-256 of its weights."""

    def hear(self, pcm: Pcm, /) -> Observation | None:
        """Observe an utterance, shape (samples,); None where it learns no voices."""

    def second_voice(self, heard: Sequence[Observation], /) -> NDArray[np.bool_]:
        """Which pieces are of a second voice, if there surely is one; shape (pieces,)."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Spoken(_Part):
    """An utterance; the attributes are those of `Observation`."""

    neutral: float = Field(ge=0, le=1)
    adapted: Numbers
    mark: Numbers


class Enrolment(_Part):
    """A voice that is known from the start.

    Attributes:
        format: Of this file.
        speaker: Who it is.
        model: Name of the model that heard it.
        weights: SHA-256 of that model's weights.
        seconds: How much speech it is known from.
        utterances: The observations.
    """

    format: Literal[2] = 2
    speaker: str
    model: str
    weights: str
    seconds: float = Field(gt=0)
    utterances: tuple[Spoken, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _check_lengths(self) -> Self:
        lengths = {(len(u.adapted), len(u.mark)) for u in self.utterances}
        if len(lengths) > 1:
            raise ValueError(f"got utterances of different lengths {sorted(lengths)}")
        return self

    @property
    def observations(self) -> tuple[Observation, ...]:
        """The utterances, as an adaptation takes them."""
        return tuple(
            Observation(each.neutral, np.array(each.adapted), np.array(each.mark))
            for each in self.utterances
        )


def enrol(
    speaker: str, speech: Sequence[Pcm], model: EnrollingModel, *, one_voice: bool = False
) -> Enrolment:
    """Learn a voice from its speech.

    Args:
        speaker: Who speaks.
        speech: Utterances of nobody else at 16 kHz, shape (samples,) each.
        model: Learns it.
        one_voice: Do not check that it is one voice.

    Raises:
        InputError: There seem to be several voices.
        ModelError: The model learns no voices.
        NoSpeechError: There is less speech than `MIN_S`.
    """
    seconds = sum(map(len, speech)) / SAMPLE_RATE
    if seconds < MIN_S:
        got = f"{seconds:.1f} s of speech" if speech else "no speech"
        raise NoSpeechError(f"got {got}, expected at least {MIN_S:g} s")
    found = [model.hear(piece) for piece in speech[-MEMORY:]]
    heard = [each for each in found if each is not None]
    spoken = [
        Spoken(neutral=each.neutral, adapted=tuple(each.adapted), mark=tuple(each.mark))
        for each in heard
    ]
    if not spoken:
        raise ModelError(f"model {model.name} learns no voices, so none can be enrolled")
    if not one_voice:
        _check_one_voice(speech, model)
    return Enrolment(
        speaker=speaker,
        model=model.name,
        weights=model.digest,
        seconds=seconds,
        utterances=tuple(spoken),
    )


def _check_one_voice(speech: Sequence[Pcm], model: EnrollingModel) -> None:
    """Check that no second voice is surely there.

    Raises:
        InputError: There is one.
    """
    pieces = [
        piece
        for utterance in speech
        for piece in np.array_split(utterance, max(1, round(len(utterance) / PIECE_SAMPLES)))
    ]
    places = np.linspace(0, len(pieces) - 1, min(len(pieces), MAX_PIECES)).round().astype(int)
    found = [model.hear(pieces[place]) for place in places]
    others = model.second_voice([each for each in found if each is not None])
    if others.any():
        raise InputError(
            f"there seem to be several voices: {others.mean():.0%} of the speech differs from the "
            "rest; give a recording of one voice, or say --one-voice"
        )


def folder() -> Path:
    """Where enrolled voices are kept.

    Raises:
        ConfigError: The user has no home, as that of a service may have none.
    """
    try:
        return platformdirs.user_data_path("streamer") / "speakers"
    except RuntimeError as error:
        raise ConfigError(
            "this user has no home folder, expected one in HOME or XDG_DATA_HOME"
        ) from error


def check_name(speaker: str) -> None:
    """Check that a name can be the name of a file.

    Raises:
        ConfigError: It cannot.
    """
    if not re.fullmatch(NAME, speaker):
        raise ConfigError(
            f"got speaker {speaker!r}, expected letters, digits, spaces, '.', '_' or '-'"
        )


def save(enrolment: Enrolment) -> Path:
    """Write a voice to its file, which is replaced if there is one; returns its path.

    Raises:
        ConfigError: The speaker's name cannot be that of a file.
        OSError: It cannot be written.
    """
    path = _path(enrolment.speaker)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    unfinished = path.with_suffix(".tmp")
    unfinished.unlink(missing_ok=True)
    with open(unfinished, "x", encoding="utf-8", opener=_private) as file:
        file.write(enrolment.model_dump_json() + "\n")
    unfinished.replace(path)
    return path


def _private(path: str, flags: int) -> int:
    """Open a file that its owner alone may read: a voice is biometric data."""
    return os.open(path, flags, 0o600)


def enrolled() -> list[str]:
    """Who is enrolled, in alphabetical order.

    Raises:
        InputError: The folder may not be read.
    """
    with _folder_readable():
        return sorted(file.stem for file in folder().glob("*.json"))


def delete(speaker: str) -> Path:
    """Delete a voice; returns the path of the file that is gone.

    Raises:
        ConfigError: Nobody of that name is enrolled; the message lists who is.
    """
    path = _enrolled_path(speaker)
    with _folder_readable():
        path.unlink()
    return path


def load(speaker: str) -> Enrolment:
    """Read a voice.

    Raises:
        ConfigError: Nobody of that name was enrolled; the message lists who was.
        InputError: The file is damaged.
    """
    path = _enrolled_path(speaker)
    try:
        return Enrolment.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise InputError(f"{path}: is no enrolled voice: {error}") from error


def _enrolled_path(speaker: str) -> Path:
    path = _path(speaker)
    with _folder_readable():
        if path.is_file():
            return path
    known = ", ".join(enrolled()) or "nobody"
    raise ConfigError(f"speaker {speaker!r} is not enrolled in {folder()}; it has: {known}")


@contextmanager
def _folder_readable() -> Iterator[None]:
    try:
        yield
    except OSError as error:  # as where HOME is another user's
        raise InputError(f"{folder()}: cannot be used: {error.strerror}") from error


def _path(speaker: str) -> Path:
    check_name(speaker)
    return folder() / f"{speaker}.json"
