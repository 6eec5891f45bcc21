"""Writes subtitles of one channel, SRT or WebVTT, for players and video editors.

Utterances that are no speech are left out.
"""

from collections.abc import Sequence
from html import escape

from streamer.logs.sessions import LoggedUtterance
from streamer.text import one_line
from streamer.types import NO_SPEECH, UNCERTAIN


def srt(utterances: Sequence[LoggedUtterance]) -> str:
    """The utterances of one channel as SubRip subtitles."""
    cues = [
        f"{number}\n{_times(utterance, ',')}\n{caption(utterance)}\n"
        for number, utterance in enumerate(_shown(utterances), start=1)
    ]
    return "\n".join(cues)


def webvtt(utterances: Sequence[LoggedUtterance]) -> str:
    """The utterances of one channel as WebVTT subtitles."""
    cues = [
        f"{_times(utterance, '.')}\n{escape(caption(utterance), quote=False)}\n"
        for utterance in _shown(utterances)
    ]
    return "\n".join(["WEBVTT\n", *cues])


def caption(utterance: LoggedUtterance) -> str:
    """The caption in one line: ``angry 87 %``, then an alert and a note.

    After an uncertain one comes the likeliest emotion; a label that somebody wrote stands alone.
    """
    text = utterance.verdict
    if utterance.label is None and utterance.confidence is not None:
        likeliest = f" ({utterance.emotion}" if text == UNCERTAIN else ""
        text += f"{likeliest} {utterance.confidence:.0%}".replace("%", " %")
        text += ")" if likeliest else ""
    alert = f"alert: {utterance.alert}" if utterance.alert else ""
    return one_line(" · ".join(part for part in (text, alert, utterance.note) if part))


def _shown(utterances: Sequence[LoggedUtterance]) -> list[LoggedUtterance]:
    return [utterance for utterance in utterances if utterance.verdict != NO_SPEECH]


def _times(utterance: LoggedUtterance, point: str) -> str:
    begin = round(1000 * utterance.start_s)
    end = max(round(1000 * utterance.end_s), begin + 1)  # a cue without a length is refused
    return f"{_clock(begin, point)} --> {_clock(end, point)}"


def _clock(ms: int, point: str) -> str:
    hours, minutes, seconds = ms // 3_600_000, ms // 60_000 % 60, ms // 1000 % 60
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{ms % 1000:03}"
