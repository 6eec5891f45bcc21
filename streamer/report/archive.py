"""Describes each session of an archive that is too large to show every utterance."""

from collections import Counter
from collections.abc import Sequence

from streamer.logs.calls import logged_figures
from streamer.logs.sessions import LoggedSession
from streamer.report.figures import Figures, mood

MAX_DETAILED = 300
"""Maximum number of sessions whose utterances are on the page; more get an overview alone."""


def archived(
    session: LoggedSession, whole: Figures, title: str, verdicts: Sequence[str]
) -> dict[str, object]:
    """A session in the overview of an archive.

    Args:
        session: The session.
        whole: Its figures.
        title: What it is called.
        verdicts: What a row may count as; shares are in this order.
    """
    call = logged_figures(session)
    alerts = Counter(u.channel for u in session.utterances if u.alert)
    speakers = {u.speaker for u in session.utterances if u.speaker}
    channels = [
        {
            "name": name,
            "mood": _rounded(mood(u for u in session.utterances if u.channel == name)),
            "mood_end": _rounded(own.mood_end),
            "alerts": alerts[name],
            "talk_share": _rounded(call.talk_share(name)),
        }
        for name, own in call.channels.items()
    ]
    return {
        "id": session.id,
        "title": title,
        "file": str(session.path),
        "model": session.model,
        "began": "" if session.began is None else session.began.strftime("%Y-%m-%d %H:%M"),
        "length_s": round(call.length_s, 1),
        "silence_s": round(call.silence_s, 1),
        "speech_s": round(whole.speech_s, 1),
        "utterances": whole.utterances,
        "mood": _rounded(whole.mood),
        "clear": whole.trend is not None and whole.trend.clear,
        "trend": whole.trend and [_rounded(whole.trend.start), _rounded(whole.trend.end)],
        "shares": [round(whole.share(verdict), 3) for verdict in verdicts],
        "alerts": alerts.total(),
        "first_alert_s": _rounded(
            min(
                (c.first_alert_s for c in call.channels.values() if c.first_alert_s is not None),
                default=None,
            )
        ),
        "channels": channels,
        "speakers": sorted(speakers),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
