"""Computes the figures of a call from a log."""

from streamer.analysis.calls import CallFigures, Spoken, call_figures
from streamer.logs.sessions import LoggedSession
from streamer.types import NO_SPEECH


def logged_figures(session: LoggedSession) -> CallFigures:
    """The figures of a call; channels on which nobody speaks are in no log."""
    spoken = [one for one in session.utterances if one.emotion != NO_SPEECH]
    return call_figures(
        (Spoken(u.channel, u.start_s, u.end_s, u.mood, u.confidence or 0.0) for u in spoken),
        ((u.channel, u.end_s) for u in session.utterances if u.alert),
        dict.fromkeys(u.channel for u in session.utterances),
    )
