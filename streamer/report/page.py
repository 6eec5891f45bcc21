"""Builds the page: figures and rows as JSON in a self-contained template.

Text of a log is never markup: it is JSON, which the page's script reads and sets as text. The
page's policy allows no other script, and nothing from the network.
"""

import base64
import hashlib
import html
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import resources
from operator import itemgetter
from pathlib import Path
from string import Template
from typing import TypeAlias
from urllib.parse import quote

from streamer.analysis.calls import CallFigures
from streamer.dashboard.glyphs import COLOURS, LETTERS
from streamer.dashboard.glyphs import UNCERTAIN as UNCERTAIN_LETTER
from streamer.dashboard.glyphs import UNCLASSIFIED as UNCLASSIFIED_LETTER
from streamer.logs.calls import logged_figures
from streamer.logs.sessions import UNCLASSIFIED, LoggedMark, LoggedSession, LoggedUtterance
from streamer.model.catalog import licences_of, not_commercial
from streamer.report.archive import MAX_DETAILED, archived
from streamer.report.figures import Figures, channels, mood
from streamer.report.words import duration, words
from streamer.sinks.audio_files import file_name
from streamer.sinks.row import MARK as MARKED
from streamer.text import quantity
from streamer.types import EMOTIONS, NO_SPEECH, UNCERTAIN

Json: TypeAlias = Mapping[str, object]

MARK = "streamer report"
"""The page's generator: a file that says so is a report and may be replaced."""

VERDICTS = (*EMOTIONS, UNCERTAIN, UNCLASSIFIED, NO_SPEECH, MARKED)
"""What a row may count as; rows hold the index in this list. The last one is of marks."""

MAX_LEFT_OUT = 200
"""Files and lines left out that are listed one by one."""

ASSETS = resources.files("streamer.report") / "assets"

SCRIPTS = ("elements", "overview", "archive", "session", "timeline", "utterances", "show")
"""The page's own scripts, which become one in this order: it stays a file that needs no other."""


@dataclass(frozen=True, slots=True)
class Audio:
    """Saved utterances, named as `file_name` says.

    Attributes:
        folder: Its address as the page finds it: relative to the page, percent-encoded.
        names: The files in it.
    """

    folder: str
    names: frozenset[str]

    def of(self, session: LoggedSession, utterance: LoggedUtterance) -> str:
        """The address of an utterance's recording; empty where there is none."""
        name = file_name(session.id, utterance.channel, utterance.number)
        return f"{self.folder}/{quote(name)}" if name in self.names else ""


def page(
    sessions: Iterable[LoggedSession],
    left_out: Sequence[str],
    silent: Sequence[Path] = (),
    *,
    audio: Audio | None = None,
) -> str:
    """Build the page of these sessions, that with the lowest mood of a channel first.

    Args:
        sessions: One is shown at once; several have an overview before them; of more than
            `MAX_DETAILED`, there is an overview alone, and only one of them is in memory at a time.
        left_out: What could not be read, a file or a line each; the page says so. Looked at when
            the last session was taken.
        silent: Logs in which nothing was said. Looked at when the last session was taken.
        audio: Saved utterances that can be played.
    """
    contents = _Contents(audio)
    for session in sessions:
        contents.add(session)
    names = sorted(contents.models)
    title = contents.title()
    data = {
        "title": title,
        "verdicts": [_legend(verdict) for verdict in VERDICTS],
        "overview": contents.overview(),
        "archive": contents.is_archive,
        "sessions": contents.sessions(),
        "models": [
            {"name": name, "licences": ", ".join(licences)}
            for name, licences in licences_of(names).items()
        ],
        "not_commercial": not_commercial(names),
        "left_out": left_out[:MAX_LEFT_OUT],
        "left_out_count": len(left_out),
        "silent": [str(path) for path in silent[:MAX_LEFT_OUT]],
        "silent_count": len(silent),
    }
    style = _asset("report.css")
    script = "".join(_asset(f"page/{name}.js") for name in SCRIPTS)
    charts = "" if contents.is_archive else _asset("echarts.min.js")  # an archive has no charts
    return Template(_asset("report.html")).substitute(
        title=html.escape(f"{title} · {MARK}"),
        generator=MARK,
        policy=_policy(scripts=(charts, script)),
        style=style,
        charts=charts,
        script=script,
        data=_embedded(data),
    )


class _Contents:
    """What the page says of sessions, and of all together."""

    def __init__(self, audio: Audio | None) -> None:
        self.models: set[str] = set()
        self._audio = audio
        self._detailed: list[tuple[LoggedSession, Figures]] = []
        self._archived: list[tuple[float, Json]] = []
        self._count = 0
        self._speech_s = 0.0
        self._falling = 0
        self._first: datetime | None = None
        self._last: datetime | None = None

    @property
    def is_archive(self) -> bool:
        """Whether there are too many to show every utterance."""
        return self._count > MAX_DETAILED

    def add(self, session: LoggedSession) -> None:
        """Take a session."""
        figures = Figures.of(session.utterances, brief=True)
        self.models.add(session.model)
        self._count += 1
        self._speech_s += figures.speech_s
        trend = figures.trend
        self._falling += trend is not None and trend.clear and trend.end < trend.start
        if session.began is not None:
            self._first = min(self._first or session.began, session.began)
            self._last = max(self._last or session.began, session.began)
        self._detailed.append((session, figures))
        if self.is_archive:
            self._archived += [_archived(*pair) for pair in self._detailed]
            self._detailed.clear()

    def sessions(self) -> list[Json]:
        """All of them, that with the lowest mood of a channel first."""
        if self.is_archive:
            return [one for _, one in sorted(self._archived, key=itemgetter(0))]
        ordered = sorted((session for session, _ in self._detailed), key=_by_mood)
        return [
            _session(session, Figures.of(session.utterances), self._audio) for session in ordered
        ]

    def title(self) -> str:
        """What was listened to; of several sessions, how many there are, and of which days."""
        if not self._count:
            return "No utterances"
        if self._count == 1:
            return _title(self._detailed[0][0])
        days = [] if self._first is None or self._last is None else [self._first, self._last]
        told = dict.fromkeys(f"{day:%d %b %Y}" for day in days)
        return ", ".join([quantity(self._count, "session"), *[" to ".join(told)][: len(told)]])

    def overview(self) -> str:
        """All of them in a sentence."""
        if not self._count:
            return "Nothing was said: there is no utterance to report."
        speech = duration(self._speech_s)
        said = f"{quantity(self._count, 'session')}, {speech} of speech."
        falling = f"; in {self._falling} of them the mood falls" if self._falling else ""
        return f"{said} The lowest mood comes first{falling}."


def _archived(session: LoggedSession, figures: Figures) -> tuple[float, Json]:
    return _by_mood(session), archived(session, figures, _title(session), VERDICTS)


def _by_channel(session: LoggedSession) -> dict[str, list[LoggedUtterance]]:
    own: dict[str, list[LoggedUtterance]] = {}
    for utterance in session.utterances:
        own.setdefault(utterance.channel, []).append(utterance)
    return own


def _lowest(moods: Iterable[float | None]) -> float:
    return min((mood for mood in moods if mood is not None), default=math.inf)


@cache
def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


def _policy(scripts: Sequence[str]) -> str:
    """These scripts and no other; no network; recordings from beside the page."""
    digests = (base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "media-src 'self' file:; base-uri 'none'; form-action 'none'"
    )


def _embedded(data: Json) -> str:
    """JSON that may stand in a script element: nothing in it can end the element."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for letter in "<>&\u2028\u2029":  # in JSON they occur only within strings
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def _by_mood(session: LoggedSession) -> float:
    """The lowest mood of the channels: a mean of two people would hide it."""
    return _lowest(mood(own) for own in _by_channel(session).values())


def _legend(verdict: str) -> Json:
    """How a verdict is shown: its word, its letter, its colour (the page's own grey for none)."""
    others = {
        UNCERTAIN: UNCERTAIN_LETTER,
        UNCLASSIFIED: UNCLASSIFIED_LETTER,
        NO_SPEECH: "·",
        MARKED: "▲",
    }
    style = COLOURS.get(verdict)
    return {
        "name": verdict.replace("_", " "),
        "letter": LETTERS.get(verdict) or others[verdict],
        "colour": style.color.name if style is not None and style.color is not None else None,
    }


def _title(session: LoggedSession) -> str:
    """What was listened to, and when."""
    title = session.source or session.id
    title = title if session.call is None else f"{title}, call {session.call}"
    return title if session.began is None else f"{title}, {_moment(session.began)}"


def _session(session: LoggedSession, whole: Figures, audio: Audio | None) -> Json:
    by_channel = channels(session)
    call = logged_figures(session)
    return {
        "id": session.id,
        "title": _title(session),
        "model": session.model,
        "file": str(session.path),
        "began": _moment(session.began),
        "clock_s": _since_midnight(session.began),
        "span_s": round(max(one.end_s for one in _moments(session)), 2),
        "words": words(session, whole, by_channel),
        **_figures(whole),
        "silence_s": round(call.silence_s, 2),
        "overlap_s": round(call.overlap_s, 2),
        "length_s": round(call.length_s, 2),
        "channels": [
            {
                "name": name,
                **_figures(figures),
                "curve": _curve(figures),
                "call": _call(call, name),
            }
            for name, figures in by_channel.items()
        ],
        "rows": _rows(session, [*by_channel], audio),
    }


def _call(call: CallFigures, channel: str) -> Json:
    own = call.channels[channel]
    share = call.talk_share(channel)
    values = (own.longest_s, own.first_alert_s, own.mood_start, own.mood_end, share)
    longest, first_alert, mood_start, mood_end, share = (
        None if value is None else round(value, 3) for value in values
    )
    return {
        "talk_s": round(own.talk_s, 2),
        "talk_share": share,
        "interruptions": own.interruptions,
        "longest_s": longest,
        "first_alert_s": first_alert,
        "mood_start": mood_start,
        "mood_end": mood_end,
    }


def _moment(began: datetime | None) -> str:
    return "" if began is None else began.strftime("%a %d %b %Y, %H:%M")


def _since_midnight(began: datetime | None) -> float | None:
    if began is None:
        return None
    midnight = began.replace(hour=0, minute=0, second=0, microsecond=0)
    return round((began - midnight).total_seconds(), 1)


def _figures(figures: Figures) -> Json:
    trend = figures.trend
    return {
        "utterances": figures.utterances,
        "no_speech": figures.no_speech,
        "speech_s": round(figures.speech_s, 3),
        "shares": [round(figures.share(verdict), 4) for verdict in VERDICTS],
        "mood": None if figures.mood is None else round(figures.mood, 3),
        "trend": None if trend is None else [round(trend.start, 3), round(trend.end, 3)],
        "clear": trend is not None and trend.clear,
    }


def _curve(figures: Figures) -> list[list[float]]:
    return [[round(at, 1), round(mood, 3)] for at, mood in figures.curve]


def _moments(session: LoggedSession) -> list[LoggedUtterance | LoggedMark]:
    """Utterances and marks, by time."""
    moments: list[LoggedUtterance | LoggedMark] = [*session.utterances, *session.marks]
    return sorted(moments, key=lambda one: one.start_s)


def _rows(session: LoggedSession, names: Sequence[str], audio: Audio | None) -> Json:
    """Utterances and marks, column by column; what few rows have by the row's place."""
    rows = _moments(session)

    def each(cell: Callable[[LoggedUtterance], object]) -> list[object]:
        """Return a column of the utterances, empty for marks."""
        return [None if isinstance(one, LoggedMark) else cell(one) for one in rows]

    def sparse(values: Sequence[object]) -> Json:
        return {str(place): value for place, value in enumerate(values) if value}

    marked = VERDICTS.index(MARKED)
    return {
        "number": each(lambda u: u.number),
        "channel": each(lambda u: names.index(u.channel)),
        "start": [round(one.start_s, 2) for one in rows],
        "end": [round(one.end_s, 2) for one in rows],
        "verdict": [
            marked if isinstance(one, LoggedMark) else VERDICTS.index(one.verdict) for one in rows
        ],
        "heard": each(lambda u: VERDICTS.index(u.emotion or UNCLASSIFIED)),
        "percent": each(lambda u: None if u.confidence is None else round(100 * u.confidence)),
        "mood": each(lambda u: None if u.mood is None else round(u.mood, 2)),
        "profile": each(
            lambda u: (
                [round(100 * u.probabilities.get(emotion, 0)) for emotion in EMOTIONS]
                if u.probabilities
                else None
            )
        ),
        "level": each(
            lambda u: (
                None if u.level_dbfs is None or math.isinf(u.level_dbfs) else round(u.level_dbfs)
            )
        ),
        "ending": each(lambda u: u.end_reason.replace("_", " ")),
        "corrected": sparse(each(lambda u: "yes" if u.label is not None else "")),
        "alert": sparse(each(lambda u: list(u.alerts))),
        "note": sparse([one.note for one in rows]),
        "audio": sparse(each(lambda u: audio.of(session, u))) if audio else {},
    }
