"""The state of the wallboard: calls and servers, immutable."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Status: TypeAlias = Literal["live", "ended", "lost"]
"""The status of a call: in progress; ended; lost with its server while it was in progress."""


@dataclass(frozen=True, slots=True)
class Heard:
    """The prediction for a piece of speech.

    Attributes:
        emotion: The likeliest, certain or not; empty without a prediction.
        confidence: Its probability, from 0 to 1.
        uncertain: Whether that is too low to rely on.
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
        name: Its name.
        speaking_from: Where the open utterance begins; None while nobody speaks.
        heard: The prediction for the open utterance so far, or the last one; None at first.
        partial: Whether ``heard`` is a partial result.
        mood: The running mood; None before the first utterance.
        trend: This mood less that of a longer time; below 0, the mood gets worse.
        speech_s: Speaking time, in seconds.
        utterances: How many have ended.
        number: Number of the last one that has ended; later events of it are ignored.
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
class WallboardAlert:
    """An alert of a call, and who has acknowledged it.

    Attributes:
        id: Unique within the call.
        by: Who acknowledged it, perhaps without a name (empty); None while nobody has.
    """

    id: str
    rule: str
    reason: str
    channel: str
    at_s: float
    at: float
    by: str | None = None


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
class WallboardCall:
    """A call on the wallboard.

    Attributes:
        id: Its id.
        server: The name of its server.
        caller: Who calls, as the telephone system says; empty where that is not known.
        began: When it began, in seconds since 1970.
        channels: Its sides, in their order.
        moods: The last running moods of each channel, the oldest first.
        alerts: Its alerts, the oldest first.
        overlap_s: How long both sides spoke at once.
        status: Its status.
        ended: When it ended or was lost, in seconds since 1970; None while it is in progress.
        utterances: The last ones of all channels, the oldest first.
        connections: The connections that send it: one, or one for each side. Later events of
            others, which a peer has given up, change nothing.
    """

    id: str
    server: str
    began: float
    caller: str = ""
    channels: tuple[Channel, ...] = ()
    moods: tuple[tuple[float, ...], ...] = ()
    alerts: tuple[WallboardAlert, ...] = ()
    overlap_s: float = 0.0
    status: Status = "live"
    ended: float | None = None
    utterances: tuple[Spoken, ...] = ()
    connections: tuple[str, ...] = ()

    @property
    def unseen(self) -> bool:
        """Whether an alert is not acknowledged."""
        return any(alert.by is None for alert in self.alerts)


@dataclass(frozen=True, slots=True)
class WallboardServer:
    """A server of calls; ``seen`` is when its last event came, by the clock of the wallboard."""

    name: str
    seen: float
    status: Literal["up", "ended", "lost"] = "up"


@dataclass(frozen=True, slots=True)
class WallboardState:
    """Everything that the wallboard shows."""

    calls: Mapping[str, WallboardCall] = field(default_factory=dict)
    servers: Mapping[str, WallboardServer] = field(default_factory=dict)
