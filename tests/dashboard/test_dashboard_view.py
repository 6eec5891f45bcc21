"""Frames: what they look like, and that they fit.

Frames are kept as text in tests/dashboard/snapshots. After a wanted change, renew and look at them:
``UPDATE_SNAPSHOTS=1 pytest tests/dashboard/test_dashboard_view.py``, then ``git diff``.
"""

import io
import math
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from streamer.config import DashboardConfig
from streamer.dashboard.controls import press
from streamer.dashboard.glyphs import ASCII, LETTERS, UNICODE, Glyphs
from streamer.dashboard.languages import words
from streamer.dashboard.reducer import advance, reduce
from streamer.dashboard.state import ChannelState, Input, Notice, RowsStuck, Snapshot
from streamer.dashboard.view import render
from streamer.events import (
    Alert,
    Counters,
    LevelMeasured,
    MoodChanged,
    PartialResult,
    StateChanged,
    UtteranceStarted,
    VoiceLearned,
)
from streamer.types import EMOTIONS, SAMPLE_RATE, EndReason, Mark, Prediction, State, Utterance

FOLDER = Path(__file__).parent / "snapshots"
NAME = "USB microphone (Jabra)"


def heard(emotion: str, confidence: float = 0.72, *, mood: float = 0.0) -> Prediction:
    """What is left is shared by the other emotions; below 0.5 it is uncertain."""
    rest = (1 - confidence) / (len(EMOTIONS) - 1)
    shares = tuple(confidence if label == emotion else rest for label in EMOTIONS)
    return Prediction(EMOTIONS, shares, mood, confidence < 0.5)


def minute(*names: str) -> Snapshot:
    """75 seconds in which each channel says one thing every ten seconds, and still speaks."""
    start = Snapshot(NAME, "default", channels=tuple(ChannelState(name) for name in names))
    snapshot = reduce(start, StateChanged(State.LISTENING), 0)
    for tick in range(1, 751):
        now = tick / 10
        for index, name in enumerate(names):
            number, phase = divmod(tick - 30 * index, 100)
            for event in spoken(name, number, phase, tick):
                snapshot = reduce(snapshot, event, now)
        if tick == 500:
            snapshot = reduce(snapshot, Mark(1, snapshot.position), now)
    return reduce(snapshot, Counters(), 75)


def spoken(name: str, number: int, phase: int, tick: int) -> list[Input]:
    """One utterance in ten seconds: six of speech, then its verdict."""
    speech = number >= 0 and phase < 60
    rms = -22 - 6 * math.sin(tick / 3) if speech else -55.0
    at = tick * SAMPLE_RATE // 10
    events: list[Input] = [LevelMeasured(name, at, rms, rms + 9, clipped=False, speech=speech)]
    if number < 0:
        return events
    emotion = EMOTIONS[number % len(EMOTIONS)]
    confidence = 0.36 if number == 3 else 0.6 + 0.05 * number
    verdict = heard(emotion, confidence, mood=0.9 - 0.25 * number)
    start = (tick - phase) * SAMPLE_RATE // 10
    if phase == 0:
        events.append(UtteranceStarted(name, number + 1, at))
    if speech and phase >= 5 and phase % 3 == 0:
        events.append(PartialResult(name, number + 1, at, verdict, 60.0, 9.0))
    if phase == 64:
        end = start + 6 * SAMPLE_RATE
        reason = EndReason.MAX_LENGTH if number == 5 else EndReason.SILENCE
        classified = None if number == 4 else verdict  # the worker fell behind
        latency_ms = 400.0 + 17 * number
        events.append(
            Utterance(number + 1, name, start, end, classified, -22.5, reason, latency_ms, 22.0)
        )
        if classified is not None:
            events.append(MoodChanged(name, number + 1, verdict.mood / 2, -0.04 * number))
        events.append(VoiceLearned(name, number + 1 - (number >= 4)))
    return events


TALKING = minute("mix")
TWO = minute("agent", "customer")
EMPTY = reduce(
    Snapshot("beispiel.wav", "default", channels=(ChannelState("mix"),)),
    StateChanged(State.LISTENING, "no microphone: playing the bundled recording"),
    0,
)
WARMING_UP = Snapshot()
LOST = reduce(
    reduce(TALKING, Counters(2, 1, 19_200, 7, 3, 4), 75),
    StateChanged(State.LOST, "Jabra: trying again in 4 s"),
    77,
)
UNCERTAIN = advance(reduce(TALKING, PartialResult("mix", 8, 0, heard("sad", 0.4), 1, 1), 75), 76)
CLIPPED = reduce(TALKING, LevelMeasured("mix", 75 * SAMPLE_RATE, -3.0, 0.0, True, True), 75)  # noqa: FBT003
NOTICED = reduce(TALKING, Notice("emotions.csv cannot be written: disk full", urgent=True), 75)
ANGRY = Alert(
    "angry customer", "customer", 7, 75 * SAMPLE_RATE, "angry", 0.87, -0.4,
    "angry 62 % over 3 utterances",
)  # fmt: skip
ALERTED = reduce(reduce(TWO, replace(ANGRY, rule="low mood"), 74), ANGRY, 75)
LONG = replace(
    TALKING,
    device="マイク配列 (デジタルマイク向けインテル® スマート・サウンド・テクノロジー)\x1b[31m\n2",
    model="a-model-with-a-name-that-somebody-was-proud-of",
    detail="a sentence that is far too long for a terminal that is sixty columns wide or less",
)
FEW = replace(TALKING, labels=("neutral", "happy", "sad", "angry"))


def pressed(snapshot: Snapshot, *keys: str) -> Snapshot:
    """After these keys, on a screen with five rows."""
    for key in keys:
        snapshot, _ = press(snapshot, key, 5)
    return snapshot


HELP = pressed(TALKING, "?")
CHOSEN = pressed(TWO, *["down"] * 4)
DETAIL = pressed(CHOSEN, "enter")
TYPING = pressed(ALERTED, "m", *"asks for the manager, and is wütend")
MARKED = reduce(TALKING, Mark(2, 70 * SAMPLE_RATE, "asks for the manager, " * 20), 75)
RECORDING = replace(TALKING, recording=True)
GERMAN = UNICODE.called(words(DashboardConfig(language="de")))
CHINESE = UNICODE.called(words(DashboardConfig(language="zh")))

FRAMES = {
    "alerted-60": (ALERTED, 60, 24),
    "alerted-100": (reduce(TALKING, ANGRY, 75), 100, 24),
    "alerted-160": (ALERTED, 160, 50),
    "chosen-60": (CHOSEN, 60, 24),
    "chosen-200": (CHOSEN, 200, 40),
    "clipped": (CLIPPED, 80, 24),
    "detail-60": (DETAIL, 60, 24),
    "detail-80": (pressed(TALKING, "enter"), 80, 24),
    "detail-160": (DETAIL, 160, 30),
    "detail-mark": (pressed(MARKED, "enter"), 100, 30),
    "detail-unclassified": (pressed(TALKING, *["down"] * 4, "enter"), 80, 24),
    "empty": (EMPTY, 80, 24),
    "few": (FEW, 100, 30),
    "help": (HELP, 60, 24),
    "long": (LONG, 60, 24),
    "lost": (LOST, 80, 24),
    "low": (TALKING, 80, 12),
    "marked": (MARKED, 100, 24),
    "noticed": (NOTICED, 100, 24),
    "recording": (RECORDING, 80, 24),
    "talking-60": (TALKING, 60, 24),
    "talking-60-high": (TALKING, 60, 50),
    "talking-80": (TALKING, 80, 24),
    "talking-100": (TALKING, 100, 30),
    "talking-100-high": (TALKING, 100, 50),
    "talking-160": (TALKING, 160, 24),
    "talking-160-high": (TALKING, 160, 50),
    "two-60": (TWO, 60, 24),
    "two-100": (TWO, 100, 30),
    "two-160": (TWO, 160, 50),
    "talking-200": (TALKING, 200, 50),
    "typing-60": (TYPING, 60, 24),
    "typing-100": (TYPING, 100, 24),
    "uncertain": (UNCERTAIN, 80, 24),
    "warming-up": (WARMING_UP, 100, 24),
}
SNAPSHOTS = [
    TALKING, TWO, EMPTY, WARMING_UP, LOST, LONG, HELP, ALERTED, CHOSEN, DETAIL, TYPING,
    pressed(MARKED, "enter"), RECORDING,
]  # fmt: skip


def drawn(
    snapshot: Snapshot,
    width: int,
    height: int,
    *,
    ascii: bool = False,  # noqa: A002
    glyphs: Glyphs = UNICODE,
) -> list[str]:
    """The lines of a frame as a terminal without colour gets them."""
    file = io.StringIO()
    console = Console(file=file, width=width, height=height, color_system=None)
    glyphs = ASCII if ascii else glyphs
    console.print(render(snapshot, width=width, height=height, glyphs=glyphs), end="")
    return file.getvalue().split("\n")


def compare(name: str, lines: list[str]) -> None:
    """Compare a frame with the kept one, or keep it."""
    path = FOLDER / f"{name}.txt"
    text = "".join(f"{line.rstrip()}\n" for line in lines)
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.write_text(text, encoding="utf-8", newline="\n")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", FRAMES)
def test_frame_looks_as_before(name: str):
    """Each situation at a size where it matters."""
    snapshot, width, height = FRAMES[name]
    compare(name, drawn(snapshot, width, height))


@pytest.mark.parametrize("name", ["talking-80", "talking-160", "two-100"])
def test_ascii_frame_looks_as_before(name: str):
    """A terminal without Unicode."""
    snapshot, width, height = FRAMES[name]
    compare(f"{name}-ascii", drawn(snapshot, width, height, ascii=True))


@pytest.mark.parametrize("height", [10, 24, 31, 49])
def test_every_line_fits_every_width(height: int):
    """Exactly as many lines and cells as the terminal has."""
    for width in range(40 + height % 4, 201, 4):  # every width at some height
        lines = drawn(SNAPSHOTS[width % len(SNAPSHOTS)], width, height)
        assert len(lines) == height
        assert {cell_len(line) for line in lines} == {width}


@given(width=st.integers(1, 250), height=st.integers(1, 80), which=st.sampled_from(SNAPSHOTS))
@settings(max_examples=60, deadline=None)
def test_any_size_fits(width: int, height: int, which: Snapshot):
    """Also absurd ones, in between two steps of a resize."""
    lines = drawn(which, width, height, ascii=width % 2 == 0)
    assert len(lines) == height
    assert {cell_len(line) for line in lines} == {width}


@given(name=st.text(max_size=80), detail=st.text(max_size=80), unicode=st.booleans())
@settings(max_examples=40, deadline=None)
def test_names_from_outside_do_no_harm(name: str, detail: str, *, unicode: bool):
    """Whatever a device is called: no line breaks, no escapes, no overflow."""
    channels = (replace(TALKING.channels[0], name=name), ChannelState(f"{name}2"))
    snapshot = replace(TALKING, device=name, model=detail, detail=detail, channels=channels)
    lines = drawn(snapshot, 72, 24, ascii=not unicode)
    assert len(lines) == 24
    assert {cell_len(line) for line in lines} == {72}
    assert "\x1b" not in "".join(lines)
    assert unicode or "".join(lines).isascii()


@pytest.mark.parametrize("snapshot", SNAPSHOTS)
def test_ascii_means_ascii(snapshot: Snapshot):
    """Not one letter beyond, at any layout."""
    for width in (45, 60, 100, 160):
        assert "".join(drawn(snapshot, width, 30, ascii=True)).isascii()


@pytest.mark.parametrize("size", [(60, 24), (100, 30), (160, 45)])
def test_nothing_jumps(size: tuple[int, int]):
    """Whatever happens, each thing keeps its line."""

    def places(snapshot: Snapshot) -> list[int]:
        lines = drawn(snapshot, *size)
        wanted = ("level ", "voice ", *(f"{LETTERS[e]} {e} " for e in EMOTIONS), "now", "emotion ")
        return [next(i for i, line in enumerate(lines) if want in line) for want in wanted]

    for other in (
        EMPTY,
        LOST,
        reduce(TALKING, ANGRY, 75),
        UNCERTAIN,
        CLIPPED,
        NOTICED,
        LONG,
        WARMING_UP,
    ):
        assert places(other) == places(TALKING)


def test_timeline_moves_by_whole_cells():
    """It stands still within a cell, and then everything moves together."""
    samples = 60 * SAMPLE_RATE // 98
    place = next(i for i, line in enumerate(drawn(TALKING, 100, 30)) if "now" in line) - 1

    def lane(position: int) -> str:
        (channel,) = TALKING.channels
        still = replace(channel, position=position, speech=False, open=())
        return drawn(replace(TALKING, channels=(still,)), 100, 30)[place]

    edge = 74 * SAMPLE_RATE // samples * samples
    assert lane(edge) == lane(edge + samples - 1)
    before, after = lane(edge)[1:99], lane(edge + samples)[1:99]
    assert after[1:-1] == before[2:]  # but for the letter that leaves on the left


@pytest.mark.parametrize(("width", "height", "shown"), [(100, 40, 17), (160, 45, 20), (40, 12, 3)])
def test_channels_that_do_not_fit_are_counted(width, height, shown):
    """Nobody takes the part of the channels that is on the screen for all of them."""
    channels = tuple(ChannelState(f"line{n}") for n in range(32))
    lines = drawn(replace(TALKING, channels=channels), width, height)
    names = {word for line in lines for word in line.split() if word.startswith("line")}
    assert len(names) == shown
    assert any(f"… {32 - shown} more channels" in line for line in lines)


@pytest.mark.parametrize(
    ("width", "name"),
    [
        (30, "listening  "),
        (40, "…berlin/two.wav "),
        (60, "…/calls/berlin/two.wav · default-14"),
        (100, "/srv/archive/2026/calls/berlin/two.wav · default-14"),
    ],
)
def test_the_name_of_a_recording_is_not_cut_to_its_folders(width, name):
    """Where there is no room for anything that says something, there is nothing."""
    snapshot = replace(TALKING, device="/srv/archive/2026/calls/berlin/two.wav", model="default-14")
    header = drawn(snapshot, width, 12)[0]
    assert name in header
    assert header.count("…") == name.count("…")


@pytest.mark.parametrize("size", [(30, 8), (40, 12), (100, 30), (160, 45)])
def test_rows_that_cannot_be_written_stay_on_the_screen(size):
    """Beside an alert, which takes the place of the notice that said so."""
    snapshot = reduce(replace(TALKING, counters=Counters()), RowsStuck(2), 0)
    assert any("2 rows not on disk" in line for line in drawn(snapshot, *size))
    assert not any("nothing lost" in line for line in drawn(snapshot, *size))
    assert any("nothing lost" in line for line in drawn(reduce(snapshot, RowsStuck(0), 0), *size))


def test_the_bars_say_the_number_of_the_headline():
    """Also while the bars still move: their length is smoothed, the number is not."""
    start = Snapshot(NAME, "default", channels=(ChannelState("mono"),), smoothing_s=5.0)
    snapshot = reduce(start, StateChanged(State.LISTENING), 0)
    snapshot = reduce(snapshot, UtteranceStarted("mono", 1, 0), 0.1)
    snapshot = reduce(snapshot, PartialResult("mono", 1, SAMPLE_RATE, heard("angry"), 1, 1), 1)
    snapshot = advance(snapshot, 1.1)
    moving = snapshot.channels[0].shown[EMOTIONS.index("angry")]
    assert moving < 0.5
    screen = "\n".join(drawn(snapshot, 100, 30))
    assert set(re.findall(r"angry +(\d+) %", screen, re.IGNORECASE)) == {"72"}


def test_uncertain_says_so():
    """The best guess stands beside it, and is no verdict."""
    text = "\n".join(drawn(UNCERTAIN, 80, 24))
    assert " UNCERTAIN " in text
    assert " SAD " not in text
    assert "sad 40 %" in text


def test_what_is_no_speech_says_so():
    """In the verdict, in the row, and nowhere an emotion or a mood."""
    door = replace(heard("sad", mood=-0.5), is_speech=False)
    row = Utterance(9, "mix", 0, 16_000, door, -20.0, EndReason.SILENCE, 90.0, 9.0)
    snapshot = reduce(reduce(Snapshot(NAME, "default"), StateChanged(State.LISTENING), 0), row, 1)
    text = "\n".join(drawn(advance(snapshot, 2), 120, 30))
    assert " NO SPEECH " in text
    assert "no speech" in text
    assert "SAD" not in text
    assert "-0.50" not in text


def test_two_alerts_at_once_are_two():
    """Both stand in the banner, and are counted; an older one is only counted."""
    snapshot = reduce(TALKING, replace(ANGRY, utterance=1, rule="earlier"), 74)
    for rule in ("anger", "low mood"):
        snapshot = reduce(snapshot, replace(ANGRY, utterance=5, rule=rule), 75)
    banner = drawn(snapshot, 160, 30)[1]
    assert re.search(r"ALERT low mood: .*  ·  anger: .*3 alerts  press a", banner)
    assert "earlier" not in banner


def test_where_rows_go_is_on_the_screen():
    """As far as there is room, the end of the path first."""
    snapshot = replace(TALKING, csv="/home/anna/calls/2026/november.csv")
    assert "→ /home/anna/calls/2026/november.csv" in drawn(snapshot, 160, 30)[0]
    assert "2026/november.csv" in drawn(snapshot, 100, 30)[0]
    assert "november" not in drawn(snapshot, 60, 24)[0]
    assert "> /home/anna" in drawn(snapshot, 160, 30, ascii=True)[0]


@pytest.mark.parametrize("width", [60, 100, 160, 200])
def test_a_channel_that_is_not_analysed_says_so(width: int):
    """In every layout, and only that one."""
    lines = drawn(replace(TALKING, not_analysed=("agent",)), width, 30)
    (line,) = [line for line in lines if "not analysed" in line]
    assert line.split()[:3] == ["agent", "not", "analysed"]


def test_an_alert_is_on_every_screen_until_it_is_acknowledged():
    """Only a lost device is worse; clearing the screen is no acknowledgement."""
    for width in range(40, 201, 8):
        for height in (12, 24, 50):
            text = "\n".join(drawn(ALERTED, width, height))
            assert "ALERT angry" in text
            assert "2 alerts  press a" in text
    cleared = pressed(ALERTED, "c")
    seen = pressed(cleared, "a")
    assert "ALERT angry customer" in "\n".join(drawn(cleared, 100, 24))
    assert "ALERT" not in "\n".join(drawn(seen, 100, 24))


def test_the_keys_say_what_an_alert_waits_for():
    """As long as it does, on every width; then no more, and no other key has moved."""
    for width in range(40, 201, 4):
        last, seen = (drawn(one, width, 24)[-1] for one in (ALERTED, pressed(ALERTED, "a")))
        assert last.rstrip().endswith("a seen")
        assert "seen" not in seen
    assert last.startswith(seen.rstrip())


def test_the_running_mood_is_on_every_screen():
    """Of each channel, from 54 columns on."""
    for width in (*range(54, 64), *range(64, 201, 4)):
        text = "\n".join(drawn(TWO, width, 24))
        assert text.count("ø -0.30 ↘") == 2


def test_what_is_looked_at_does_not_move():
    """Whatever comes: the same lines of the table, and how much there is that is not seen."""
    snapshot = pressed(TWO, *["down"] * 7)
    before = drawn(snapshot, 100, 30)
    at = next(index for index, line in enumerate(before) if "newer" in line)
    for number in range(8, 40):
        row = Utterance(number, "agent", 0, 1, None, -20.0, EndReason.SILENCE, None, 1.0)
        snapshot = reduce(snapshot, row, 75)
    after = drawn(snapshot, 100, 30)
    assert after[at + 1 : -3] == before[at + 1 : -3]
    assert "↑ 2 newer  ↓ 3 older" in before[at]
    assert "↑ 34 newer  ↓ 3 older" in after[at]
    (line,) = [line for line in after if line.startswith(" ▸")]
    assert " 5  agent" in line


def test_the_chosen_row_is_on_every_screen():
    """Though it was chosen on a higher one."""
    for height in range(14, 60):
        if (page := render(CHOSEN, width=100, height=height).page) > 0:
            lines = drawn(CHOSEN, 100, height)
            assert sum(line.startswith(" ▸") for line in lines) == 1
            at = next(index for index, line in enumerate(lines) if "newer" in line)
            shown = [line for line in lines[at + 1 : at + 1 + page] if line.strip()]
            assert len(shown) == min(page, len(CHOSEN.rows))


def test_the_detail_says_everything():
    """Of an utterance of the table, whatever the width."""
    heard_ = replace(heard("angry", 0.7, mood=-0.6), speech=0.93)
    row = Utterance(
        3, "mix", 16_000, 56_000, heard_, -21.0, EndReason.GAP, 512.0, 31.0, ("low mood",)
    )
    snapshot = pressed(reduce(TALKING, row, 75), "enter")
    for width in (60, 80, 100, 160, 200):
        text = "\n".join(drawn(snapshot, width, 30))
        for wanted in (
            "#3  0:00:01.0 to 0:00:03.5", "certain, 70 %", "mood     -0.60", "speech   93 % likely",
            "length   2.50 s", "level    -21.0 dBFS", "latency  512 ms", "computed 31 ms",
            "ended by gap", "alerts    low mood ", "angry       70 %",
        ):  # fmt: skip
            assert wanted in text


def test_labels_in_other_languages():
    """In every place, the English ones nowhere; a wide letter takes two cells."""
    for glyphs, angry, unsure in ((GERMAN, "wütend", "UNSICHER"), (CHINESE, "愤怒", "不确定")):
        for snapshot in SNAPSHOTS:
            for width in (60, 100, 160):
                lines = drawn(snapshot, width, 30, glyphs=glyphs)
                assert {cell_len(line) for line in lines} == {width}
        text = "\n".join(drawn(pressed(TALKING, "enter"), 160, 30, glyphs=glyphs))
        assert angry in text
        assert "angry" not in text
        assert unsure in "\n".join(drawn(UNCERTAIN, 80, 24, glyphs=glyphs))
    assert "W wütend" not in "\n".join(drawn(HELP, 60, 24, glyphs=GERMAN))
    assert "A wütend" in "\n".join(drawn(HELP, 60, 24, glyphs=GERMAN))


def test_what_is_typed_is_seen_to_its_end():
    """However long it is; and nothing else on the screen moves."""
    for width in (60, 80, 160):
        lines = drawn(pressed(TALKING, "m", *("x" * 190), *"the end"), width, 24)
        assert "the end█" in lines[-1]
        assert lines[:-1] == drawn(TALKING, width, 24)[:-1]


def test_what_was_lost_is_on_every_screen():
    """In all sizes, with the help open too."""
    for width in range(40, 201, 8):
        for height in (12, 24, 50):
            text = " ".join(
                "\n".join(drawn(replace(LOST, help=height == 24), width, height)).split()
            )
            for wanted in ("overruns 2", "gaps 1 (1.2 s lost)", "unclassified 3", "queue 4"):
                assert wanted in text
            assert "late 7" in text or "late partial results 7" in text


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch):
    """NO_COLOR leaves bold, dim and reverse, which carry no hue."""
    monkeypatch.setenv("NO_COLOR", "1")
    file = io.StringIO()
    console = Console(
        file=file, width=100, height=30, force_terminal=True, color_system="truecolor"
    )
    console.print(render(LOST, width=100, height=30))
    assert "\x1b[" in file.getvalue()
    assert "38;" not in file.getvalue()


def test_rendering_is_pure():
    """The same Snapshot gives the same frame, in any order."""
    first = drawn(TALKING, 100, 30)
    drawn(LOST, 60, 24, ascii=True)
    assert drawn(TALKING, 100, 30) == first


@pytest.mark.parametrize(("width", "height"), [(30, 8), (40, 12)])
def test_a_small_terminal_shows_the_emotion(width, height):
    """What is heard comes before how fast it runs."""
    text = "\n".join(drawn(TALKING, width, height))
    assert re.search(r"^ +[A-Z]+ .*\d+ %", text, re.MULTILINE)
    assert "nothing lost" in text
    assert "latency" not in text
    lost = "\n".join(drawn(LOST, width, height))
    assert "gaps 1" in lost
