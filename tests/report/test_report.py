"""The report: figures, words, the page, and the page in a real browser."""

import csv
import json
import os
import re
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import soundfile
from browser import Browser, program
from commands import streamer
from hypothesis import given
from hypothesis import strategies as st

from streamer.errors import InputError, OutputError
from streamer.logs.sessions import LoggedMark, LoggedSession, LoggedUtterance
from streamer.model.catalog import entry, installed
from streamer.report.figures import Figures, channels
from streamer.report.make import make
from streamer.report.page import _embedded, page
from streamer.report.words import words
from streamer.sinks.audio_files import file_name
from streamer.sinks.summary import summary_columns
from streamer.types import EMOTIONS

HOSTILE = "</script><script>window.hit=1</script><img src=x onerror=window.hit=1>&\u2028${x}"
COLUMNS = (
    "session", "utterance", "channel", "started_at", "start_s", "end_s", "emotion", "confidence",
    *EMOTIONS, "mood", "uncertain", "alert", "label", "note", "level_dbfs", "end_reason",
    "source", "model",
)  # fmt: skip


def utterance(start_s: float = 0.0, mood: float | None = 0.0, **changes: object) -> LoggedUtterance:
    """One of two seconds, neutral and certain where nothing else is said."""
    plain = LoggedUtterance(
        number=1,
        channel="mono",
        start_s=start_s,
        end_s=start_s + 2,
        emotion=None if mood is None else "neutral",
        confidence=None if mood is None else 0.6,
        probabilities={},
        mood=mood,
        uncertain=mood is None,
        label=None,
        alert="",
        note="",
        level_dbfs=None,
        end_reason="",
    )
    return replace(plain, **changes)


def session(*utterances: LoggedUtterance, **changes: object) -> LoggedSession:
    """They as a session."""
    plain = LoggedSession("s-1", Path("calls.csv"), "call.wav", "default", None, utterances)
    return replace(plain, **changes)


def said(*utterances: LoggedUtterance) -> str:
    """A session in words."""
    one = session(*utterances)
    return " ".join(words(one, Figures.of(one.utterances), channels(one)))


def row(number: int, **cells: object) -> dict[str, object]:
    """A row of a log: every fourth is uncertain, the emotions take turns."""
    emotion = EMOTIONS[number % 8]
    return {
        "session": "s-1", "utterance": number, "channel": "mono",
        "start_s": 3 * number, "end_s": 3 * number + 2, "emotion": emotion, "confidence": 0.65,
        **dict.fromkeys(EMOTIONS, 0.05), emotion: 0.65,
        "mood": -0.5, "uncertain": str(number % 4 == 3).lower(), "level_dbfs": -23.4,
        "end_reason": "silence", "source": "calls/one.wav", "model": "default",
    } | cells  # fmt: skip


def log(path: Path, rows: list[dict[str, object]]) -> Path:
    """Rows as a CSV; returns its path."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def data(text: str):
    """What a page was given to draw."""
    (found,) = re.findall(
        r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL
    )
    return json.loads(found)


# --- figures ------------------------------------------------------------------------------------


def test_shares_are_of_the_speaking_time():
    """The uncertain and the unclassified have theirs; what was no speech has none."""
    figures = Figures.of(
        [
            utterance(0, 0.5, emotion="happy", end_s=6.0),
            utterance(6, -0.5, emotion="angry", uncertain=True),
            utterance(8, 0.0, emotion="sad", label="angry"),
            utterance(10, None),
            utterance(12, None, emotion="no_speech"),
            utterance(14, 0.9, label="no_speech"),
        ]
    )
    assert dict(figures.shares) == {"happy": 6, "uncertain": 2, "angry": 2, "unclassified": 2}
    assert figures.share("happy") == 0.5
    assert (figures.utterances, figures.no_speech, figures.speech_s) == (4, 2, 12)
    assert figures.mood == pytest.approx((6 * 0.5 - 2 * 0.5) / 10)


def test_alerts_are_counted_not_rows():
    """Two at once are two, in words and on the page."""
    two = utterance(4, -0.5, alert="anger; low mood")
    assert "3 alerts: anger (mono, 0:00:04), low mood (mono, 0:00:04), anger (mono, 0:00:08)." in (
        said(two, utterance(8, -0.5, alert="anger"))
    )
    (got,) = data(page([session(two, utterance(8, -0.5, alert="anger"))], []))["sessions"]
    assert got["rows"]["alert"] == {"0": ["anger", "low mood"], "1": ["anger"]}


def test_a_title_says_what_and_when():
    """Of one session, and of several; the file's name alone where nobody knows when."""
    day = datetime(2026, 11, 28, 9, 30, tzinfo=UTC)
    one = session(utterance(0, 0.0), began=day)
    assert data(page([one], []))["title"] == "call.wav, Sat 28 Nov 2026, 09:30"
    assert "<title>call.wav, Sat 28 Nov 2026, 09:30 · streamer report</title>" in page([one], [])
    later = replace(one, began=day + timedelta(days=3))
    assert data(page([one, later], []))["title"] == "2 sessions, 28 Nov 2026 to 01 Dec 2026"
    assert data(page([one, one], []))["title"] == "2 sessions, 28 Nov 2026"
    assert data(page([replace(one, began=None)] * 2, []))["title"] == "2 sessions"


def test_the_lowest_mood_of_a_channel_comes_first():
    """The average over people who talk to each other is nobody's mood."""
    calm = session(utterance(0, -0.1), id="calm")
    angry = session(utterance(0, -0.9), utterance(4, 0.9, channel="agent"), id="angry")
    assert [s["id"] for s in data(page([calm, angry], []))["sessions"]] == ["angry", "calm"]


def test_the_page_names_the_licences_of_the_model():
    """Of models that are installed; others are unknown here."""
    name = entry(installed()["open"]).name
    got = data(page([session(utterance(0, 0.0), model=name)], []))
    (model,) = got["models"]
    assert model["name"] == name
    assert "CC BY 4.0" in model["licences"]
    assert data(page([session(utterance(0, 0.0), model="theirs-1")], []))["models"] == []


def test_nothing_classified_has_no_mood():
    """And nothing said has no share."""
    figures = Figures.of([utterance(0, None, emotion="no_speech")])
    assert (figures.mood, figures.trend, figures.curve) == (None, None, ())
    assert figures.share("happy") == 0.0


@given(
    start=st.floats(-0.9, 0.9),
    end=st.floats(-0.9, 0.9),
    count=st.integers(8, 30),
)
def test_a_straight_mood_is_its_own_trend(start, end, count):
    """Whatever the lengths of the utterances."""
    moods = np.linspace(start, end, count)
    trend = Figures.of(
        [utterance(10.0 * i, float(m), end_s=10.0 * i + 1 + i % 3) for i, m in enumerate(moods)]
    ).trend
    assert (trend.start, trend.end) == pytest.approx((start, end), abs=1e-6)
    assert trend.clear == (abs(end - start) >= 0.1) or abs(abs(end - start) - 0.1) < 1e-6


def test_chance_is_no_trend():
    """Of a hundred sessions without one, few seem to have one."""
    rng = np.random.default_rng(5)
    found = [
        Figures.of([utterance(3.0 * i, m) for i, m in enumerate(rng.uniform(-1, 1, 60))]).trend
        for _ in range(100)
    ]
    assert sum(trend.clear for trend in found) <= 12


def test_the_curve_follows_the_mood():
    """Smoothed: near the level before a change and the level after it, and within all moods."""
    curve = Figures.of([utterance(4.0 * i, 0.8 if i < 50 else -0.6) for i in range(100)]).curve
    times, moods = np.transpose(curve)
    assert moods[times < 100] == pytest.approx(0.8, abs=0.02)
    assert moods[times > 300] == pytest.approx(-0.6, abs=0.02)
    assert (np.diff(moods) <= 1e-9).all()


# --- words --------------------------------------------------------------------------------------


def test_a_falling_mood_is_said():
    """With its numbers, and where it was lowest."""
    moods = np.linspace(0.6, -0.8, 40)
    text = said(*(utterance(5.0 * i, float(m), emotion="angry") for i, m in enumerate(moods)))
    assert "above all angry (100 %)" in text
    assert "The mood is balanced (−0.10) and falls from +0.60 to −0.80" in text  # noqa: RUF001
    assert "it is lowest around 0:03:15" in text


def test_what_is_to_be_kept_in_mind_is_said():
    """Doubts, gaps, alerts, and each channel by its name."""
    text = said(
        utterance(0, 0.2, channel="agent"),
        utterance(2, -0.2, channel="customer", uncertain=True, alert="anger"),
        utterance(4, None, channel="customer"),
        utterance(6, None, emotion="no_speech", channel="line"),
    )
    assert "6 s of speech in 3 utterances, within 8 s." in text
    assert "Agent: above all neutral (100 %)." in text
    assert "Customer: no emotion stands out." in text
    assert "Line" not in text
    assert "1 alert: anger (customer, 0:00:02)." in text
    assert "33 % of the speech is uncertain; 33 % was not classified; 1 sound" in text


# --- the page -----------------------------------------------------------------------------------


def test_the_page_holds_what_the_log_says():
    """Each row in its place, and the lowest session first."""
    good = session(utterance(0, 0.5), id="good")
    bad = session(
        utterance(0, -0.5, uncertain=True, level_dbfs=float("-inf")),
        utterance(3, -0.7, emotion="sad", label="angry", alert="anger", note="rude"),
        id="bad",
    )
    unclassified = session(utterance(0, None), id="unclassified")
    got = data(page([good, unclassified, bad], ["a.csv, line 3: torn"]))
    assert [s["id"] for s in got["sessions"]] == ["bad", "good", "unclassified"]
    rows = got["sessions"][0]["rows"]
    names = [verdict["name"] for verdict in got["verdicts"]]
    assert [names[place] for place in rows["verdict"]] == ["uncertain", "angry"]
    assert [names[place] for place in rows["heard"]] == ["neutral", "sad"]
    assert (rows["start"], rows["mood"], rows["level"]) == ([0, 3], [-0.5, -0.7], [None, None])
    assert (rows["alert"], rows["note"]) == ({"1": ["anger"]}, {"1": "rude"})
    assert [*rows["corrected"]] == ["1"]
    assert got["left_out"] == ["a.csv, line 3: torn"]


def test_a_mark_is_on_the_page_and_counts_nowhere():
    """It has its place among the rows and its note; figures and words are as without it."""
    marks = (LoggedMark(2.5, "shouts"), LoggedMark(9.0, ""))
    two = (utterance(0, 0.5), utterance(3, -0.7, number=2))
    (got,) = data(page([session(*two, marks=marks)], []))["sessions"]
    (plain,) = data(page([session(*two)], []))["sessions"]
    rows = got["rows"]
    assert rows["number"] == [1, None, 2, None]
    assert rows["start"] == [0, 2.5, 3, 9]
    assert (rows["mood"], rows["channel"]) == ([0.5, None, -0.7, None], [0, None, 0, None])
    assert rows["note"] == {"1": "shouts"}
    assert got["span_s"] == 9
    for same in ("words", "utterances", "speech_s", "shares", "mood", "trend"):
        assert got[same] == plain[same]


def test_the_page_is_whole_in_itself():
    """It names nothing to be loaded, and every emotion has a letter of its own."""
    text = page([session(utterance())], [])
    head = text[: text.index("<style>")]
    assert "default-src 'none'" in head
    assert not re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=", head)
    letters = [verdict["letter"] for verdict in data(text)["verdicts"]]
    assert len(set(letters)) == len(letters)


@given(text=st.text())
def test_text_in_the_data_arrives_as_it_was(text):
    """And nothing in it can end the element that it stands in."""
    embedded = _embedded({"text": text, text: [text]})
    assert not set("<>&\u2028\u2029") & set(embedded)
    assert json.loads(embedded) == {"text": text, text: [text]}


def test_text_from_a_log_is_never_markup():
    """Wherever it comes from."""
    one = session(
        utterance(channel=HOSTILE, note=HOSTILE, alert=HOSTILE, end_reason=HOSTILE),
        id=HOSTILE,
        source=HOSTILE,
        model=HOSTILE,
        path=Path(HOSTILE),
    )
    made = page([one], [HOSTILE])
    assert made.count("<") == page([session(utterance())], []).count("<")
    (got,) = data(made)["sessions"]
    assert (got["id"], got["channels"][0]["name"]) == (HOSTILE, HOSTILE)


# --- files --------------------------------------------------------------------------------------


def test_a_folder_of_logs_becomes_one_page(tmp_path):
    """What is no log is named, on the page, too; but for what --summary wrote beside them."""
    folder = tmp_path / "logs" / "monday"
    folder.mkdir(parents=True)
    log(folder / "a.csv", [row(1), row(2), row(3, session="s-2")])
    log(folder / "b.CSV", [row(1, session="s-3"), row(2, mood="high", session="s-3")])
    (folder / "prices.csv").write_text("name,price\nbread,2\n")
    (folder / "notes.txt").write_text("not for us")
    for name, separator in (("summary.csv", ","), ("excel.csv", ";")):
        header = separator.join(summary_columns(["angry"]))
        (folder / name).write_text(header + "\n", encoding="utf-8-sig")
    out = tmp_path / "out.html"
    made = make([tmp_path / "logs", folder / "a.csv"], out)
    assert made.unread == 1
    errors = "\n".join(made.left_out)
    assert "prices.csv: is no log that can be read: it lacks the columns session" in errors
    assert "summary.csv" not in errors
    assert "excel.csv" not in errors
    assert "skipped " in errors
    assert "line 3: mood: got 'high'" in errors
    got = data(out.read_text(encoding="utf-8"))
    assert sorted(s["id"] for s in got["sessions"]) == ["s-1", "s-2", "s-3"]
    assert got["left_out_count"] == 2
    assert "prices.csv" in got["left_out"][0]
    assert stat.S_IMODE(out.stat().st_mode) == 0o600  # personal data
    out.chmod(0o644)
    make([tmp_path / "logs"], out)
    assert stat.S_IMODE(out.stat().st_mode) == 0o644


def test_logs_and_the_log_they_were_joined_to_count_once(tmp_path):
    """Whichever is read first; the halves of a session that was divided are both counted."""
    first = log(tmp_path / "a.csv", [row(1), row(2), row(1, session="s-2")])
    second = log(tmp_path / "b.csv", [row(3), row(4), row(1, session="s-3", start_s=3.5)])
    joined = tmp_path / "joined.csv"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    out = tmp_path / "out.html"
    for order, repeating in (
        ([first, second, joined], [f"skipped {joined}: 3 sessions"]),
        ([joined, second, first], [f"skipped {second}: 2 sessions", f"skipped {first}: 2 sess"]),
        ([first, joined], [f"skipped {joined}: 2 sessions"]),
    ):
        made = make(order, out)
        sessions = data(out.read_text(encoding="utf-8"))["sessions"]
        counted = sorted((s["id"], number) for s in sessions for number in s["rows"]["number"])
        assert counted == [("s-1", n) for n in (1, 2, 3, 4)] + [("s-2", 1), ("s-3", 1)]
        assert made.unread == 0
        for line, begin in zip(made.left_out, repeating, strict=True):
            assert line.startswith(begin)


def test_what_cannot_be_reported_is_an_error(tmp_path):
    """With nothing written."""
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "a.csv").write_text("")
    out = tmp_path / "out.html"
    with pytest.raises(InputError, match=r"a\.csv: is empty"):
        make([empty], out)
    with pytest.raises(InputError, match="none: no such file or folder"):
        make([tmp_path / "none"], out)
    (empty / "a.csv").unlink()
    with pytest.raises(InputError, match="empty: no CSV files in this folder"):
        make([empty], out)
    assert not out.exists()


def test_a_day_without_calls_is_no_error(tmp_path):
    """The page says that nothing was said, also beside others; a wrong file is an error still."""
    silent = log(tmp_path / "silent.csv", [])
    result = streamer("report", "silent.csv", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (0, b"report.html\n"), result.stderr
    assert result.stderr == b"streamer: silent.csv: holds no utterance\n"
    got = data((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert (got["title"], got["sessions"]) == ("No utterances", [])
    assert got["silent"] == ["silent.csv"]
    out = tmp_path / "report.html"
    made = make([silent, log(tmp_path / "a.csv", [row(1)])], out)
    assert (made.unread, made.silent) == (0, (silent,))
    got = data(out.read_text(encoding="utf-8"))
    assert ([s["id"] for s in got["sessions"]], got["silent"]) == (["s-1"], [str(silent)])
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
    assert streamer("report", "silent.csv", "bad.csv", cwd=tmp_path).returncode == 1
    with pytest.raises(InputError, match="there is no session 's-9'"):
        make([silent], out, session="s-9")


def test_nothing_but_a_report_is_replaced(tmp_path):
    """Least of all the log itself."""
    path = log(tmp_path / "a.csv", [row(1)])
    before = path.read_bytes()
    for out, message in (
        (path, "exists and is no report"),
        (tmp_path, "is a folder"),
        (Path(os.devnull), "exists and is no report"),
        (tmp_path / "none" / "out.html", "cannot be written: No such file"),
    ):
        with pytest.raises(OutputError, match=message):
            make([path], out)
    assert path.read_bytes() == before
    assert make([path], tmp_path / "out.html").unread == 0
    assert make([path], tmp_path / "out.html").unread == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.csv", "out.html"]


def test_saved_utterances_are_found_from_the_page(tmp_path):
    """By an address relative to it; others have none."""
    path = log(tmp_path / "a.csv", [row(1, session="s #1"), row(2, session="s #1")])
    (tmp_path / "saved calls").mkdir()
    (tmp_path / "saved calls" / file_name("s #1", "mono", 2)).touch()
    (tmp_path / "pages").mkdir()
    make([path], tmp_path / "pages" / "out.html", audio=tmp_path / "saved calls")
    (got,) = data((tmp_path / "pages" / "out.html").read_text(encoding="utf-8"))["sessions"]
    assert got["rows"]["audio"] == {"1": "../saved%20calls/s%2520%25231-mono-2.flac"}
    with pytest.raises(InputError, match="none: cannot be read"):
        make([path], tmp_path / "out.html", audio=tmp_path / "none")


def test_the_command_writes_a_page(tmp_path):
    """And says where, or in one line why not."""
    log(tmp_path / "a.csv", [row(1)])
    result = streamer("report", "a.csv", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (0, b"report.html\n"), result.stderr
    assert b"<!doctype html>" in (tmp_path / "report.html").read_bytes()[:20]
    result = streamer("report", "none.csv", cwd=tmp_path)
    assert result.returncode == 3
    assert result.stderr == b"streamer: none.csv: no such file or folder\n"
    result = streamer("report", "a.csv", "-o", "a.csv", cwd=tmp_path)
    assert result.returncode == 1


# --- in a browser -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A real one, headless."""
    if program() is None:
        pytest.skip("no chromium here: the page is not looked at")
    with Browser(tmp_path_factory.mktemp("profile")) as one:
        yield one
        assert one.complaints == []


DRAWN = """(() => {
    const chart = echarts.getInstanceByDom(document.querySelector(".chart"));
    return chart.getOption().series.map((one) => [one.name, one.data.length]);
})()"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_utterance_is_drawn(browser, tmp_path, dark):
    """In its channel's lane and its mood, on the screen's colours; alerts and notes as flags."""
    rows = [row(n, channel="ab"[n % 2]) for n in range(40)]
    rows[8] |= {"alert": "anger"}
    rows[10] |= {"note": "rude"}
    rows[12] |= {"emotion": "no_speech", "confidence": "", "mood": ""}
    out = tmp_path / "out.html"
    make([log(tmp_path / "a.csv", rows)], out)
    browser.show(out, dark=dark)
    drawn = browser.ask(DRAWN)
    assert [one for one in drawn if one[0] not in ("smoothed", "trend")] == [
        ["utterances", 20], ["mood", 19], ["uncertain mood", 0], ["flags", 2],
        ["utterances", 20], ["mood", 10], ["uncertain mood", 10], ["flags", 0],
    ]  # fmt: skip
    near = "new Promise((done) => setTimeout(done, 200))"
    browser.ask(f"scrollTo(0, document.documentElement.scrollHeight); {near}")
    assert browser.ask("document.querySelectorAll('.rows tbody tr').length") == 40
    assert browser.ask("document.querySelectorAll('.events li').length") == 2
    paper = browser.ask("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(22, 24, 27)" if dark else "rgb(251, 251, 249)")
    assert browser.paper().startswith(b"%PDF")
    assert browser.ask("document.documentElement.className") == ""  # as it was before


def test_what_the_page_claims(browser, tmp_path):
    """Shares on a scale to 100 %, figures by channel, each alert, the licence, a legend."""
    rows = [
        row(n, channel="ab"[n % 2], mood=(0.5, -0.5)[n % 2], uncertain="false") for n in range(40)
    ]
    rows[8] |= {"alert": "anger; low mood"}
    rows[9] |= {"alert": "anger"}
    rows = [one | {"model": entry(installed()["open"]).name} for one in rows]
    out = tmp_path / "out.html"
    make([log(tmp_path / "a.csv", rows)], out)
    browser.show(out)
    texts = "[...document.querySelectorAll('{}')].map((one) => one.innerText)"
    widths = "[...document.querySelectorAll('.share .bar i')].map((one) => one.style.width)"
    assert browser.ask(widths) == ["25%"] * 8
    assert browser.ask(texts.format(".share.axis > span"))[1].split() == ["0", "50", "100", "%"]
    glances = browser.ask(texts.format(".glance"))
    assert [text.split()[1] for text in glances] == ["a", "b"]
    assert "+0.50" in glances[0]
    assert "alerts\n2" in glances[0]
    assert "−0.50" in glances[1]  # noqa: RUF001 - the sign that people read
    assert "alerts\n1" in glances[1]
    assert len(browser.ask(texts.format(".events li"))) == 3
    assert "mood, smoothed" in browser.ask(texts.format(".legend"))[0]
    assert "under these licences: MIT, " in browser.ask(texts.format("footer"))[0]
    markers = (
        "[...document.querySelectorAll('.rows .phone')].map((one) => getComputedStyle(one).display)"
    )
    assert browser.ask(markers) == ["none", "none"]
    (phones,) = browser.ask(
        "[...document.styleSheets].flatMap((sheet) => [...sheet.cssRules])"
        ".filter((rule) => rule.media && rule.conditionText.includes('760px'))"
        ".map((rule) => [...rule.cssRules].map((one) => one.cssText).join(' '))"
    )
    assert ".phone { display: inline; }" in phones


def test_marks_are_drawn_listed_and_found(browser, tmp_path):
    """In every channel's lane, in the events, in the table; not among the utterances' number."""
    rows = [row(n, channel="ab"[n % 2]) for n in range(10)]
    empty = dict.fromkeys(("utterance", "channel", "emotion", "confidence", "mood", *EMOTIONS), "")
    mark = row(0, **empty, start_s=10.5, end_s=10.5, end_reason="mark", uncertain="")
    out = tmp_path / "out.html"
    make([log(tmp_path / "a.csv", [*rows, mark | {"note": "shouts"}, mark])], out)
    browser.show(out)
    assert [one for one in browser.ask(DRAWN) if one[0] == "flags"] == [["flags", 2]] * 2
    lines = (
        "[...document.querySelectorAll('{}')].map((one) => one.innerText.split(/\\s+/).join(' '))"
    )
    assert browser.ask(lines.format(".events li")) == ["0:00:10 mark shouts", "0:00:10 mark"]
    assert browser.ask("document.querySelector('output').textContent") == "10 utterances"
    found = browser.ask(lines.format(".rows tbody tr"))
    assert len(found) == 12
    assert found[4].startswith("0:00:10.5 ▲mark")
    assert "shouts" in found[4]
    assert browser.ask("view.timeline.tip(4).textContent") == "▲mark0:00:10.5shouts"
    browser.ask("view.timeline.look(4); view.timeline.reveal(5)")
    assert browser.ask("document.querySelector('.here').innerText").strip().startswith("0:00:10.5")


def test_hostile_text_does_nothing(browser, tmp_path):
    """A name with a script in it is a name."""
    cells = dict.fromkeys(("channel", "source", "model", "session", "note", "alert"), HOSTILE)
    out = tmp_path / "out.html"
    make([log(tmp_path / "a.csv", [row(1, **cells), row(2, **cells | {"channel": "b"})])], out)
    browser.show(out)
    heading = browser.ask("document.querySelector('h1').textContent")
    assert heading == HOSTILE.replace("\u2028", r"\u2028")  # shown, and not obeyed
    browser.ask("view.timeline.look(0)")
    assert "window.hit" in browser.ask("document.querySelector('.tip').textContent")
    assert browser.ask("typeof window.hit") == "undefined"
    assert browser.ask("document.querySelectorAll('img').length") == 0


def test_a_long_session_scrolls_filters_and_prints(browser, tmp_path):
    """Columns for the crowd, rows made when they come near, and no endless print."""
    out = tmp_path / "out.html"
    make([log(tmp_path / "a.csv", [row(n) for n in range(3000)])], out)
    assert out.stat().st_size < 2_000_000
    browser.show(out)
    drawn = dict(browser.ask(DRAWN))
    assert 20 < drawn["shares"] < 200
    count = "document.querySelectorAll('.rows tbody tr').length"
    settled = "new Promise((done) => setTimeout(done, 200))"
    assert browser.ask(count) < 400
    browser.ask(f"scrollTo(0, document.documentElement.scrollHeight); {settled}")
    assert browser.ask("document.querySelector('.rows tbody:last-child tr:last-child').innerText")
    assert browser.ask(count) < 400
    browser.ask("view.timeline.look(2000)")
    assert dict(browser.ask(DRAWN))["utterances"] == 3000
    browser.ask(
        "(() => { const field = document.querySelector('input'); field.value = 'angry uncertain';"
        "field.dispatchEvent(new Event('input')); })()"
    )
    assert browser.ask("document.querySelector('output').textContent").startswith("0 of 3000")
    browser.ask("view.timeline.reveal(2999)")
    assert browser.ask("document.querySelector('.here td').textContent") == "2999"
    browser.ask("void dispatchEvent(new Event('beforeprint'))")
    printed = "[...document.querySelectorAll('tbody:not(.beyond)')].map((b) => b.rows.length)"
    assert sum(browser.ask(printed)) == 500
    browser.ask("void dispatchEvent(new Event('afterprint'))")


def test_a_day_without_calls_is_said(browser, tmp_path):
    """In a sentence, without a table that is empty."""
    out = tmp_path / "out.html"
    make([log(tmp_path / "silent.csv", [])], out)
    browser.show(out)
    text = browser.ask("document.body.innerText")
    assert "Nothing was said: there is no utterance to report." in text
    assert f"Without an utterance: {tmp_path / 'silent.csv'}." in text
    assert browser.ask("document.querySelectorAll('table').length") == 0


def test_the_overview_leads_to_each_session(browser, tmp_path):
    """Lowest mood first, or in another order; and back."""
    rows = [row(n, session=f"s-{n % 5}", source=f"{n % 5}.wav", mood=n % 5 / 5) for n in range(50)]
    out = tmp_path / "out.html"
    make([log(tmp_path / "a.csv", rows)], out)
    browser.show(out)
    names = "[...document.querySelectorAll('.overview tbody a')].map((a) => a.textContent)"
    assert browser.ask(names) == [f"{n}.wav" for n in range(5)]
    settled = "new Promise((done) => setTimeout(done, 100))"
    browser.ask(f"document.querySelectorAll('.overview a')[3].click(); {settled}")
    assert browser.ask("document.querySelector('h1').textContent") == "3.wav"
    browser.ask(f"history.back(); {settled}")
    assert browser.ask(names) == [f"{n}.wav" for n in range(5)]


def test_an_archive_is_searched_and_compared(browser, tmp_path):
    """Thousands of sessions: rows are made when they come near; words and figures narrow them."""
    rows = [
        row(n, session=f"rec-{n // 2:04}", source=f"{'anna' if n % 10 < 2 else 'ben'}/{n // 2}.wav",
            mood=(n // 2 % 100) / 100 - 0.5, alert="anger" if n % 100 == 0 else "")
        for n in range(2000)
    ]  # fmt: skip
    out = tmp_path / "out.html"
    make([log(tmp_path / "a.csv", rows)], out)
    assert out.stat().st_size < 700_000  # without the charts, which it has none of
    browser.show(out)
    made = "document.querySelectorAll('.overview tbody .name').length"
    settled = "new Promise((done) => setTimeout(done, 100))"
    browser.ask(settled)
    assert 25 <= browser.ask(made) < 300
    assert browser.ask("document.querySelector('output').textContent") == "1000 sessions"
    for text, count in (
        ("anna", 200),
        ("mood<-0.4", 100),
        ("alerts>0", 20),
        ("anna alerts>=1 length>1s", 20),
        ("rec-0007", 1),
        ("length>1h", 0),
        ("moods<-0.4", "0 of 1000 sessions; compares nothing: moods<-0.4"),
        ("anna alerts>some", "0 of 1000 sessions; compares nothing: alerts>some"),
    ):
        browser.ask(
            "(() => { const field = document.querySelector('input');"
            f"field.value = {json.dumps(text)}; field.dispatchEvent(new Event('input')); }})()"
        )
        found = browser.ask("document.querySelector('output').textContent")
        assert found == (count if isinstance(count, str) else f"{count} of 1000 sessions")
    field = "document.querySelector('input[type=search]')"
    browser.ask(f"{field}.value = ''")
    shown = f"(() => {{ {field}.value = {field}.placeholder; return {field}; }})()"
    assert browser.ask(f"{shown}.scrollWidth <= {field}.clientWidth")
    one = tmp_path / "one.html"
    make([tmp_path / "a.csv"], one, session="rec-0007")
    assert [s["id"] for s in data(one.read_text(encoding="utf-8"))["sessions"]] == ["rec-0007"]
    with pytest.raises(InputError, match="no session 'rec-x'"):
        make([tmp_path / "a.csv"], one, session="rec-x")


def test_a_saved_utterance_is_played(browser, tmp_path):
    """From beside the page, without a network."""
    soundfile.write(tmp_path / file_name("s-1", "mono", 1), np.zeros(16_000), 16_000)
    out = tmp_path / "out.html"
    make([log(tmp_path / "a.csv", [row(1), row(2)])], out, audio=tmp_path)
    browser.show(out)
    play = "document.querySelectorAll('[aria-label^=play]')"
    assert browser.ask(f"{play}.length") == 1
    heard = browser.ask(
        f"new Promise((done) => {{ {play}[0].click();"
        "sound.audio.addEventListener('loadeddata', () => done(sound.audio.duration));"
        "sound.audio.addEventListener('error', () => done(sound.audio.error.message)); })"
    )
    assert heard == pytest.approx(1.0, abs=0.01)
