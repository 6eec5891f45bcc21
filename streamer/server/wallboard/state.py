"""What the wallboard knows of calls and servers. Immutable: the same object has not changed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Status: TypeAlias = Literal["live", "ended", "lost"]
"""Of a call: in progress; ended; its server was lost while it was in progress."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What was heard in a piece of speech.

    Attributes:
        emotion: The likeliest, certain or not; empty without a prediction.
        confidence: How likely, from 0 to 1.
        uncertain: Whether that is too little to name it.
        mood: From -1 to 1; None where there is none.
    """

    emotion: str
    confidence: float
    uncertain: bool
    mood: float | None


@dataclass(frozen=True, slots=True)
class Channel:
    """One side of a call. Times in seconds from the call's start.

    Attributes:
        name: As the peer calls it.
        speaking_from: Where the open utterance begins; None while nobody speaks.
        heard: In the open utterance so far, or else in the last one; None before the first.
        partial: Whether ``heard`` is of an utterance that is still open.
        mood: The running mood; None before the first utterance.
        trend: How far it is above what was heard for longer; below 0 it gets worse.
        speech_s: Speaking time.
        utterances: How many.
        number: Of the last utterance that has ended; what comes of it later is too late.
        until: Where the last speech ended.
    """

    name: str
    speaking_from: float | None = None
    heard: Heard | None = None
    partial: bool = False
    mood: float | None = None
    trend: float = 0.0
    speech_s: float = 0.0
    utterances: int = 0
    number: int = 0
    until: float = 0.0


@dataclass(frozen=True, slots=True)
class BoardAlert:
    """An alert of a call, and who has taken notice of it.

    Attributes:
        id: Unique within the call.
        by: Who acknowledged it; None while nobody has. May be empty: somebody without a name.
    """

    id: str
    rule: str
    reason: str
    channel: str
    at_s: float
    at: float
    by: str | None = None
    acknowledged_at: float | None = None


@dataclass(frozen=True, slots=True)
class Spoken:
    """An utterance on the timeline of a call. Times in seconds from the call's start."""

    channel: str
    number: int
    start_s: float
    end_s: float
    heard: Heard
    alert: str


@dataclass(frozen=True, slots=True)
class BoardCall:
    """A call on the wallboard.

    Attributes:
        id: The call's.
        server: Which server has it.
        began: Seconds since 1970.
        channels: Its sides, in their order.
        moods: The last running moods of each channel, the oldest first.
        alerts: The oldest first.
        overlap_s: How long both sides spoke at once.
        status: How it stands.
        ended: When that came about, in seconds since 1970; None while it is in progress.
        utterances: The last ones of all channels, the oldest first.
    """

    id: str
    server: str
    began: float
    channels: tuple[Channel, ...] = ()
    moods: tuple[tuple[float, ...], ...] = ()
    alerts: tuple[BoardAlert, ...] = ()
    overlap_s: float = 0.0
    status: Status = "live"
    ended: float | None = None
    utterances: tuple[Spoken, ...] = ()

    @property
    def unseen(self) -> bool:
        """Whether an alert waits for somebody."""
        return any(alert.by is None for alert in self.alerts)


@dataclass(frozen=True, slots=True)
class BoardServer:
    """A server that feeds the wallboard; ``seen`` is the wallboard's own time of its last sign."""

    name: str
    seen: float
    status: Literal["up", "ended", "lost"] = "up"


@dataclass(frozen=True, slots=True)
class BoardState:
    """All that the wallboard shows."""

    calls: Mapping[str, BoardCall] = field(default_factory=dict)
    servers: Mapping[str, BoardServer] = field(default_factory=dict)
