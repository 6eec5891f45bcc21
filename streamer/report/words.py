"""Sums up a session in a few sentences."""

from collections.abc import Mapping

from streamer.logs.sessions import UNCLASSIFIED, LoggedSession
from streamer.report.figures import Figures
from streamer.text import quantity
from streamer.types import UNCERTAIN

TONES = ((0.1, "balanced"), (0.3, "slightly {}"), (0.6, "{}"), (2.0, "strongly {}"))
"""Words for a mood, by an upper bound of its absolute value."""

OF_NOTE = 0.1
"""Least share of the speaking time at which an emotion is named."""

NAMED = 3
"""Maximum number of emotions and alerts that are named."""

LOW = 0.25
"""How far below the mean the lowest mood must be to be mentioned."""


def words(session: LoggedSession, whole: Figures, channels: Mapping[str, Figures]) -> list[str]:
    """Describe the session, a sentence per channel, then alerts and caveats."""
    span = max(u.end_s for u in session.utterances)
    utterances = quantity(whole.utterances, "utterance")
    said = [f"{duration(whole.speech_s)} of speech in {utterances}, within {duration(span)}."]
    for name, figures in channels.items():
        if figures.utterances:
            said.append(_channel(name.capitalize() if len(channels) > 1 else "Heard", figures))
    said += [_alerts(session)] if any(u.alert for u in session.utterances) else []
    if caveats := _caveats(whole):
        said.append(caveats)
    return said


def duration(seconds: float) -> str:
    """A length of time as people say it."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def clock(seconds: float) -> str:
    """A time from the start of the stream as h:mm:ss."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def percent(share: float) -> str:
    """A share of 1 in percent."""
    return f"{100 * share:.0f} %"


def tone(mood: float) -> str:
    """A mood as a word."""
    name = next(name for below, name in TONES if abs(mood) < below)
    return name.format("negative" if mood < 0 else "positive")


def signed(mood: float) -> str:
    """A mood as a number, with a true minus sign."""
    return f"{mood:+.2f}".replace("-", "−")  # noqa: RUF001 - the sign that people read


def _channel(name: str, figures: Figures) -> str:
    shares = {
        verdict: figures.share(verdict)
        for verdict in sorted(figures.shares, key=lambda v: -figures.shares[v])
        if verdict not in (UNCERTAIN, UNCLASSIFIED)
    }
    named = [f"{v} ({percent(s)})" for v, s in [*shares.items()][:NAMED] if s >= OF_NOTE]
    heard = f"above all {', '.join(named)}" if named else "no emotion stands out"
    if figures.mood is None:
        return f"{name}: nothing was classified."
    said = f"{name}: {heard}. The mood is {tone(figures.mood)} ({signed(figures.mood)})"
    trend = figures.trend
    if trend is not None and trend.clear:
        moves = "rises" if trend.end > trend.start else "falls"
        said += f" and {moves} from {signed(trend.start)} to {signed(trend.end)}"
    elif trend is not None:
        said += " and shows no clear trend"
    at, lowest = min(figures.curve, key=lambda point: point[1])
    if lowest < figures.mood - LOW:
        said += f"; it is lowest around {clock(at)} ({signed(lowest)})"
    return said + "."


def _alerts(session: LoggedSession) -> str:
    alerts = [(name, u) for u in session.utterances for name in u.alerts]
    named = [f"{name} ({u.channel}, {clock(u.start_s)})" for name, u in alerts[:NAMED]]
    more = f" and {len(alerts) - NAMED} more" if len(alerts) > NAMED else ""
    return f"{quantity(len(alerts), 'alert')}: {', '.join(named)}{more}."


def _caveats(whole: Figures) -> str:
    said = []
    if whole.share(UNCERTAIN):
        said.append(f"{percent(whole.share(UNCERTAIN))} of the speech is uncertain")
    if whole.share(UNCLASSIFIED):
        said.append(f"{percent(whole.share(UNCLASSIFIED))} was not classified")
    if whole.no_speech:
        said.append(f"{quantity(whole.no_speech, 'sound')} turned out to be no speech, not counted")
    sentence = "; ".join(said)
    return f"{sentence[0].upper()}{sentence[1:]}." if said else ""
