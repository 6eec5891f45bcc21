"""What a session comes to: a few lines for people, a row per channel for a table."""

from collections.abc import Iterable, Sequence

from streamer.analysis.mood import ChannelStats
from streamer.events import Alert, CallStarted, Counters, Event
from streamer.sinks.row import Session, Value
from streamer.types import SAMPLE_RATE, UNCERTAIN, Utterance


class Summary:
    """Adds up a session's utterances, alerts and losses.

    Args:
        channels: Names of the channels that are analysed, also those in which nobody speaks.
    """

    def __init__(self, channels: Iterable[str]) -> None:
        self._stats = {name: ChannelStats() for name in channels}
        self._counters = Counters()
        self._calls = 1

    def add(self, event: Event) -> None:
        """Count an event in."""
        match event:
            case Utterance():
                self._stats[event.channel].add(event)
            case Alert():
                self._stats[event.channel].alerts += 1
            case CallStarted():
                self._calls = event.number
            case Counters():
                self._counters = event

    def lines(self) -> list[str]:
        """The summary, for people."""
        if len(self._stats) == 1:
            (stats,) = self._stats.values()
            lines = [_spoken(stats), *_heard(stats)]
        else:
            lines = [
                f"{name}: {', '.join((_spoken(stats), *_heard(stats)))}"
                for name, stats in self._stats.items()
            ]
        if self._calls > 1:
            lines.append(f"{self._calls} calls")
        lost = self._counters
        if lost.gaps or lost.overruns or lost.unclassified:
            lines.append(
                f"lost: {lost.lost_samples / SAMPLE_RATE:.2f} s in {lost.gaps} gaps, "
                f"{lost.overruns} overruns, {lost.unclassified} utterances not classified"
            )
        return lines

    def rows(self, session: Session) -> list[dict[str, Value]]:
        """A row per channel, with `summary_columns`."""
        return [_row(name, stats, session) for name, stats in self._stats.items()]


def summary_columns(labels: Sequence[str]) -> list[str]:
    """The names of the columns for a model that knows these labels."""
    return [
        *("session", "source", "channel", "utterances", "speech_s"),
        *labels,
        *(UNCERTAIN, "mood", "alerts", "model"),
    ]


def _row(name: str, stats: ChannelStats, session: Session) -> dict[str, Value]:
    shares = stats.shares()
    return {
        "session": session.id,
        "source": session.source,
        "channel": name,
        "utterances": stats.utterances,
        "speech_s": round(stats.speech_s, 3),
        **{
            label: round(shares.get(label, 0.0), 4) if shares else None
            for label in (*session.labels, UNCERTAIN)
        },
        "mood": None if stats.mood is None else round(stats.mood, 4),
        "alerts": stats.alerts,
        "model": session.model,
    }


def _spoken(stats: ChannelStats) -> str:
    plural = "" if stats.utterances == 1 else "s"
    return f"{stats.utterances} utterance{plural}, {stats.speech_s:.1f} s of speech"


def _heard(stats: ChannelStats) -> list[str]:
    lines = []
    if shares := stats.shares():
        parts = (f"{name} {share:.0%}" for name, share in shares.items())
        lines.append("of the speaking time: " + ", ".join(parts))
    if stats.mood is not None:
        lines.append(f"mean mood {stats.mood:+.2f}")
    if stats.no_speech:
        lines.append(f"not counted: {stats.no_speech} without speech")
    if stats.alerts:
        plural = "" if stats.alerts == 1 else "s"
        lines.append(f"{stats.alerts} alert{plural}")
    return lines
