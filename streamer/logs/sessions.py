"""What a log holds: sessions, their utterances and marks."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from streamer.config.alert_rules import ALERT_SEPARATOR
from streamer.types import NO_SPEECH, UNCERTAIN

UNCLASSIFIED = "unclassified"


@dataclass(frozen=True, slots=True)
class LoggedUtterance:
    """A row of the log.

    Attributes:
        number: Running number in its channel, from 1.
        channel: The channel's name.
        start_s: Where its speech begins, in seconds from the start of the stream.
        end_s: Where its speech ends.
        emotion: The likeliest one, or `NO_SPEECH`; None where it was not classified.
        confidence: Its probability; None where there is none.
        probabilities: By emotion, of those that the model knows.
        mood: From -1 to 1; None where it was not classified.
        uncertain: True where the model says not to rely on it.
        label: The emotion that a listener wrote into the log; None without one.
        alert: The rules by which it raised an alert; empty for none.
        note: The note that somebody wrote; empty for none.
        level_dbfs: RMS level of the speech; None where it is not known.
        end_reason: Why it ended; empty where it is not known.
        speaker: Who speaks, where somebody wrote that down; else empty.
        latency_ms: From the end of the speech to its row; None where it was not played.
    """

    number: int
    channel: str
    start_s: float
    end_s: float
    emotion: str | None
    confidence: float | None
    probabilities: Mapping[str, float]
    mood: float | None
    uncertain: bool
    label: str | None
    alert: str
    note: str
    level_dbfs: float | None
    end_reason: str
    speaker: str = ""
    latency_ms: float | None = None

    @property
    def duration_s(self) -> float:
        """How long it is, in seconds."""
        return self.end_s - self.start_s

    @property
    def alerts(self) -> tuple[str, ...]:
        """The rules by which it raised an alert, each on its own."""
        return tuple(name for name in self.alert.split(ALERT_SEPARATOR) if name)

    @property
    def verdict(self) -> str:
        """What it counts as: a listener's label, else a certain emotion, else why there is none.

        One of `EMOTIONS`, `UNCERTAIN`, `UNCLASSIFIED` or `NO_SPEECH`.
        """
        if self.label is not None:
            return self.label
        if self.emotion is None:
            return UNCLASSIFIED
        return UNCERTAIN if self.uncertain and self.emotion != NO_SPEECH else self.emotion


@dataclass(frozen=True, slots=True)
class LoggedMark:
    """A row of the log that is no utterance: somebody marked a moment.

    Attributes:
        start_s: When, in seconds from the start of the stream.
        note: What they wrote down; may be empty.
    """

    start_s: float
    note: str

    @property
    def end_s(self) -> float:
        """The same moment."""
        return self.start_s


@dataclass(frozen=True, slots=True)
class LoggedSession:
    """A session, as one file holds it.

    Attributes:
        id: When it began, and what distinguishes it from others.
        path: The file that its rows are in.
        source: What was listened to; empty where it is not known.
        model: Which model classified; empty where it is not known.
        began: Time of day of sample 0; None for recordings that were not played.
        utterances: By start; at least one.
        marks: By time.
        call: Running number of the call in the session, from 1; None where it has only one.
    """

    id: str
    path: Path
    source: str
    model: str
    began: datetime | None
    utterances: tuple[LoggedUtterance, ...]
    marks: tuple[LoggedMark, ...] = ()
    call: int | None = None


@dataclass(frozen=True, slots=True)
class Skipped:
    """A line that could not be read.

    Attributes:
        path: The file.
        line: The line in it, from 1.
        why: What was got and what was expected.
    """

    path: Path
    line: int
    why: str

    def __str__(self) -> str:
        return f"{self.path}, line {self.line}: {self.why}"
