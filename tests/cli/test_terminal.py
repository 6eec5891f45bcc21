"""The real program in a real terminal: what is on screen, and the terminal back afterwards."""

import re
import signal
import time
from pathlib import Path

from real_terminal import BAR, KEYS, LISTENING, PATIENCE_S, POLL_S, ROW, Open, left_well
from voices import Excerpt

PARTIAL = r"^ +[A-Z]+ .*%  so far"
LATENCY = r"^ latency \d+ / \d+ ms"
COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9\d|10\d)[;m]")


def test_recording_to_its_end(terminal: Open, excerpt: Excerpt):
    """In a big window: everything in its place, a row as each utterance ends, then the summary."""
    window = terminal(160, 45)
    window.play(excerpt.path, real_model=True)
    window.until(LISTENING, whole=True)
    assert window.shows("alternate_on")
    window.until(r"● speech +\d")
    window.until(PARTIAL, whole=True)
    for number in range(1, len(excerpt.utterances)):
        window.until(ROW.format(number), LATENCY, whole=True)
        assert len(window.rows()) >= number  # on disk when on screen
    assert COLOUR.search(window.styled())
    last = len(excerpt.utterances)
    window.until(r"the input has ended: rows in rows\.csv; q quits", ROW.format(last))
    assert len(window.rows()) == last
    window.press("q")
    left_well(window)


def test_keys(terminal: Open, brisk: Path):
    """In a middling window: pause, help and clear, one that means nothing, then q."""
    window = terminal(100, 30)
    window.play(brisk)
    window.until(LISTENING, whole=True)
    window.press("?")
    window.until(r"^ +enter  details of the chosen row", rf"^ {re.escape(KEYS[100])}$", without=BAR)
    window.press("?")
    window.until(BAR, whole=True)
    window.until(ROW.format(1), LATENCY)
    for key in ("x", "7", "F5", "Left", "Tab", "M-q", "C-a"):
        window.press(key)
    window.until(LISTENING, ROW.format(1), whole=True)
    window.press("c")
    window.until(LISTENING, without=ROW.format(1), whole=True)
    window.press("Space")
    window.until(r"^ ‖ paused", "paused: space goes on")
    window.press("Space")
    window.until(LISTENING, whole=True)
    window.press("q")
    left_well(window)


def test_ended_while_the_terminal_takes_nothing(terminal: Open, brisk: Path):
    """Ctrl-S, then SIGTERM: nobody has to press Ctrl-Q for it to end, the rows go on meanwhile."""
    window = terminal(100, 30)
    window.play(brisk)
    window.until(ROW.format(1), whole=True)
    window.press("C-s")
    window.until_rows(len(window.rows()) + 2)
    window.signal(signal.SIGTERM)
    left_well(window)


def test_a_terminal_that_goes_on_is_drawn_again(terminal: Open, brisk: Path):
    """Ctrl-S, then Ctrl-Q: what happened meanwhile is on the screen."""
    window = terminal(100, 30)
    window.play(brisk)
    window.until(LISTENING, whole=True)
    window.press("C-s")
    window.until_rows(1)
    window.press("C-q")
    window.until(ROW.format(1), whole=True)
    window.press("q")
    left_well(window)


def test_resized(terminal: Open, brisk: Path):
    """From small to big and back while it runs, then Ctrl-C."""
    window = terminal(60, 24)
    window.play(brisk)
    window.until(LISTENING, whole=True)
    for width, height in ((160, 45), (100, 30), (60, 24)):
        window.resize(width, height)
        window.until(LISTENING, whole=True)
    window.until(PARTIAL)
    window.press("C-c")
    left_well(window)


def test_terminated_without_colour(terminal: Open, brisk: Path):
    """NO_COLOR, then SIGTERM in the middle of an utterance."""
    window = terminal(80, 24)
    window.play(brisk, "NO_COLOR=1")
    window.until(LISTENING, PARTIAL)
    styled = window.styled()
    assert "\x1b[1m" in styled  # bold is no colour
    assert not COLOUR.search(styled)
    window.signal(signal.SIGTERM)
    left_well(window)


def test_dumb_terminal(terminal: Open, brisk: Path):
    """Plain lines, one an utterance, then Ctrl-C."""
    window = terminal(100, 30)
    window.play(brisk, "TERM=dumb")
    screen = window.until(
        r"^warming up$", r"^listening$", r"^ +1\.\d\d s +\d\.\d\d s  \w+  .* dBFS  \[silence\]$"
    )
    assert not window.shows("alternate_on")
    assert "●" not in screen
    assert "\x1b" not in window.styled()
    window.press("C-c")
    left_well(window)


def test_a_terminal_that_vanishes(terminal: Open, brisk: Path):
    """Its window is closed: the open utterance is finished, its row written, the program ended."""
    window = terminal(100, 30)
    window.play(brisk)
    window.until(LISTENING, PARTIAL)
    process = Path("/proc") / (window.folder / "pid").read_text().strip()
    window.vanish()
    deadline = time.monotonic() + PATIENCE_S
    while process.exists() and (process / "cmdline").read_bytes():  # empty: it has ended
        assert time.monotonic() < deadline
        time.sleep(POLL_S)
    assert window.rows()[-1]["end_reason"] == "stopped"
