"""Reads logged utterances that somebody has labelled, with their saved audio."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from streamer.errors import InputError
from streamer.logs.reader import read_log
from streamer.logs.sessions import LoggedSession, LoggedUtterance
from streamer.sinks.audio_files import file_name
from streamer.types import NO_SPEECH

MIN_LABELLED = 20
"""Least labelled utterances: with fewer, chance decides."""

MIN_EACH = 4
"""Least utterances of each of two emotions, so that some can be left out in turn."""

SHOWN = 3
"""How many wrong lines and files an error names."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """An utterance that somebody listened to.

    Attributes:
        path: Its recording.
        label: The label of a listener.
        heard: The emotion of the model; None where it was not classified.
        speaker: Who speaks; empty where nobody wrote that down.
        session: The id of its session.
    """

    path: Path
    label: str
    heard: str | None
    speaker: str
    session: str


def read_labelled(logs: Sequence[Path], audio: Path, labels: Sequence[str]) -> list[Labelled]:
    """Read the labelled utterances of some logs, without those labelled as no speech.

    Args:
        logs: CSVs of `streamer run` or `streamer file`, with ``label`` filled in for some rows.
        audio: Folder of the saved utterances.
        labels: The emotions that the model knows.

    Raises:
        InputError: A line cannot be read, a label is unknown to the model or contradicts another,
            a recording is missing, or there is too little to learn from.
    """
    found: dict[str, Labelled] = {}
    for log in logs:
        sessions, skipped = read_log(log)
        if skipped:  # one of them may be a label that was misspelt
            raise InputError("\n".join(f"{line}: correct or delete it" for line in skipped[:SHOWN]))
        for session in sessions:
            for utterance in session.utterances:
                one = _labelled(log, session, utterance, audio, labels)
                if one is None:
                    continue
                if found.setdefault(one.path.name, one).label != one.label:
                    raise InputError(f"{_where(log, session, utterance)}: is labelled twice")
    labelled = list(found.values())
    _check_enough(labelled)
    if missing := [one.path for one in labelled if not one.path.is_file()]:
        raise InputError(
            f"{audio}: lacks {len(missing)} of {len(labelled)} labelled utterances, as "
            f"{', '.join(path.name for path in missing[:SHOWN])}: name the folder that "
            "--save-audio had, or empty their labels"
        )
    return labelled


def _labelled(
    log: Path,
    session: LoggedSession,
    utterance: LoggedUtterance,
    audio: Path,
    labels: Sequence[str],
) -> Labelled | None:
    label = utterance.label
    if label is None or label == NO_SPEECH:
        return None
    if label not in labels:
        raise InputError(
            f"{_where(log, session, utterance)}: label: got {label!r}, the model knows: "
            f"{', '.join(labels)}"
        )
    name = file_name(session.id, utterance.channel, utterance.number)
    return Labelled(audio / name, label, utterance.emotion, utterance.speaker, session.id)


def _check_enough(labelled: Sequence[Labelled]) -> None:
    counts = Counter(one.label for one in labelled)
    often = sum(count >= MIN_EACH for count in counts.values())
    if len(labelled) < MIN_LABELLED or often < 2:  # noqa: PLR2004 - one against another
        got = ", ".join(f"{label} {count}" for label, count in counts.most_common()) or "none"
        raise InputError(
            f"got {len(labelled)} labelled utterances ({got}), expected at least {MIN_LABELLED}, "
            f"and at least {MIN_EACH} each of two emotions: fill in the column 'label'"
        )
    if not any(one.label == one.heard for one in labelled):
        raise InputError(
            f"got {len(labelled)} labels, none of which says what the model had heard: "
            "label utterances that it heard right as well, or it only learns to say something else"
        )


def _where(log: Path, session: LoggedSession, utterance: LoggedUtterance) -> str:
    return f"{log}: session {session.id}, channel {utterance.channel}, utterance {utterance.number}"
