"""What a session comes to: a few lines for people, a row per channel for a table."""

from collections.abc import Iterable, Sequence

from streamer.analysis.mood import Tally
from streamer.sinks.row import Session, Value
from streamer.types import SAMPLE_RATE, UNCERTAIN, Alert, CallStarted, Counters, Event, Utterance


class Summary:
    """Adds up a session's utterances, alerts and losses.

    Args:
        channels: Names of the channels that are analysed, also those in which nobody speaks.
    """

    def __init__(self, channels: Iterable[str]) -> None:
        self._tallies = {name: Tally() for name in channels}
        self._counters = Counters()
        self._calls = 1

    def add(self, event: Event) -> None:
        """Count an event in."""
        match event:
            case Utterance():
                self._tallies[event.channel].add(event)
            case Alert():
                self._tallies[event.channel].alerts += 1
            case CallStarted():
                self._calls = event.number
            case Counters():
                self._counters = event

    def lines(self) -> list[str]:
        """The summary, for people."""
        if len(self._tallies) == 1:
            (tally,) = self._tallies.values()
            lines = [_spoken(tally), *_heard(tally)]
        else:
            lines = [
                f"{name}: {', '.join((_spoken(tally), *_heard(tally)))}"
                for name, tally in self._tallies.items()
            ]
        if self._calls > 1:
            lines.append(f"{self._calls} calls")
        lost = self._counters
        if lost.gaps or lost.overruns or lost.unjudged:
            lines.append(
                f"lost: {lost.lost_samples / SAMPLE_RATE:.2f} s in {lost.gaps} gaps, "
                f"{lost.overruns} overruns, {lost.unjudged} utterances not judged"
            )
        return lines

    def rows(self, session: Session) -> list[dict[str, Value]]:
        """A row per channel, with `summary_columns`."""
        return [_row(name, tally, session) for name, tally in self._tallies.items()]


def summary_columns(labels: Sequence[str]) -> list[str]:
    """The names of the columns for a model that knows these labels."""
    return [
        *("session", "source", "channel", "utterances", "speech_s"),
        *labels,
        *(UNCERTAIN, "mood", "alerts", "model"),
    ]


def _row(name: str, tally: Tally, session: Session) -> dict[str, Value]:
    shares = tally.shares()
    return {
        "session": session.id,
        "source": session.source,
        "channel": name,
        "utterances": tally.utterances,
        "speech_s": round(tally.speech_s, 3),
        **{
            label: round(shares.get(label, 0.0), 4) if shares else None
            for label in (*session.labels, UNCERTAIN)
        },
        "mood": None if tally.mood is None else round(tally.mood, 4),
        "alerts": tally.alerts,
        "model": session.model,
    }


def _spoken(tally: Tally) -> str:
    plural = "" if tally.utterances == 1 else "s"
    return f"{tally.utterances} utterance{plural}, {tally.speech_s:.1f} s of speech"


def _heard(tally: Tally) -> list[str]:
    lines = []
    if shares := tally.shares():
        parts = (f"{name} {share:.0%}" for name, share in shares.items())
        lines.append("of the speaking time: " + ", ".join(parts))
    if tally.mood is not None:
        lines.append(f"mean mood {tally.mood:+.2f}")
    if tally.no_speech:
        lines.append(f"not counted: {tally.no_speech} without speech")
    if tally.alerts:
        plural = "" if tally.alerts == 1 else "s"
        lines.append(f"{tally.alerts} alert{plural}")
    return lines
