"""The summary of a session: a few lines for people, a row per channel for a table."""

from collections.abc import Iterable, Sequence

from streamer.analysis.calls import CallFigures, Spoken, call_figures, joined
from streamer.analysis.mood import ChannelStats, counted
from streamer.events import Alert, CallStarted, Counters, Event
from streamer.sinks.row import Session, Value
from streamer.text import quantity
from streamer.types import SAMPLE_RATE, UNCERTAIN, Utterance

FIGURES = (
    "talk_share", "silence_s", "overlap_s", "interruptions", "longest_monologue_s",
    "first_alert_s", "mood_start", "mood_end",
)  # fmt: skip
"""Columns of the call figures, which `streamer.analysis.calls` defines."""


class Summary:
    """Adds up a session's utterances, alerts and losses.

    Args:
        channels: Names of the channels that are analysed, also those in which nobody speaks.
    """

    def __init__(self, channels: Iterable[str]) -> None:
        self._stats = {name: ChannelStats() for name in channels}
        self._counters = Counters()
        self._calls = 1
        self._spoken: dict[int, list[Spoken]] = {}  # by call
        self._alerts: dict[int, list[tuple[str, float]]] = {}

    def add(self, event: Event) -> None:
        """Count an event in."""
        match event:
            case Utterance():
                self._stats[event.channel].add(event)
                self._add_spoken(event)
            case Alert():
                self._stats[event.channel].alerts += 1
                at_s = event.position / SAMPLE_RATE
                self._alerts.setdefault(event.call, []).append((event.channel, at_s))
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
                f"lost: {lost.lost_samples / SAMPLE_RATE:.2f} s in {quantity(lost.gaps, 'gap')}, "
                f"{quantity(lost.overruns, 'overrun')}, "
                f"{quantity(lost.unclassified, 'utterance')} not classified"
            )
        return lines

    def rows(self, session: Session) -> list[dict[str, Value]]:
        """A row per channel, with `summary_columns`."""
        figures = self.figures()
        return [
            _row(name, stats, session) | figure_cells(figures, name)
            for name, stats in self._stats.items()
        ]

    def figures(self) -> CallFigures:
        """The figures of all calls together."""
        channels = tuple(self._stats)
        calls = self._spoken or {1: []}
        return joined(
            [call_figures(said, self._alerts.get(n, ()), channels) for n, said in calls.items()]
        )

    def _add_spoken(self, event: Utterance) -> None:
        heard = counted(event)
        if heard is None and event.prediction is not None:
            return  # no speech
        spoken = Spoken(
            event.channel,
            event.start_s,
            event.end_s,
            None if heard is None else heard.mood,
            0.0 if heard is None else heard.confidence,
        )
        self._spoken.setdefault(event.call, []).append(spoken)


def summary_columns(labels: Sequence[str]) -> list[str]:
    """The names of the columns for a model that knows these labels."""
    return [
        *("session", "source", "channel", "utterances", "speech_s"),
        *labels,
        *(UNCERTAIN, "mood", "alerts", "model"),
        *FIGURES,
    ]


def figure_cells(figures: CallFigures, channel: str) -> dict[str, Value]:
    """The call figures of a channel as cells, by column."""
    own = figures.channels[channel]
    return {
        "talk_share": _rounded(figures.talk_share(channel)),
        "silence_s": _rounded(figures.silence_s),
        "overlap_s": _rounded(figures.overlap_s),
        "interruptions": own.interruptions,
        "longest_monologue_s": _rounded(own.longest_s),
        "first_alert_s": _rounded(own.first_alert_s),
        "mood_start": _rounded(own.mood_start),
        "mood_end": _rounded(own.mood_end),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 4)


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
    return f"{quantity(stats.utterances, 'utterance')}, {stats.speech_s:.1f} s of speech"


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
        lines.append(quantity(stats.alerts, "alert"))
    return lines
