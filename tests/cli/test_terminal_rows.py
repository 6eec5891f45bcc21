"""The real program in a real terminal: what somebody does with rows and marks."""

import signal
from pathlib import Path

from real_terminal import BAR, LISTENING, ROW, Open, left_well

CHOSEN = ROW.replace("^ +", "^ ▸ +")
DETAIL = r"── #1  0:00:01\.\d to 0:00:0\d\.\d ─"


def test_a_mark_and_its_note(terminal: Open, brisk: Path):
    """Typed while the recording goes on: every key is a letter; it is in the CSV at once."""
    window = terminal(80, 24)
    window.play(brisk)
    window.until(LISTENING, whole=True)
    window.press("m")
    window.type("quite cross?x")
    window.press("BSpace")
    window.type(" wütend")
    window.until(r"^ ▲1: quite cross\? wütend█", BAR)
    window.press("Enter")
    window.until(r"^ +▲1 +0:00:\d\d\.\d +mark: quite cross\? wütend$", LISTENING, whole=True)
    (mark,) = window.rows(marks=True)
    assert (mark["note"], mark["utterance"], mark["emotion"]) == ("quite cross? wütend", "0", "")
    window.press("m")
    window.type("no")
    window.until("no█")
    window.press("Escape")
    window.until(LISTENING, without="enter/esc", whole=True)
    window.press("m")
    window.press("Enter")
    window.until(r"^ +▲2 +0:00:\d\d\.\d +mark$")
    assert [row["note"] for row in window.rows(marks=True)] == ["quite cross? wütend", ""]
    window.until(ROW.format(1))
    window.press("m")
    window.type("half a")
    window.until("half a█")
    window.signal(signal.SIGTERM)
    left_well(window)
    assert window.rows(marks=True)[-1]["note"] == "half a"


def test_rows_are_looked_at(terminal: Open, brisk: Path):
    """Down to a row, all about it, up again, and back to the newest."""
    window = terminal(60, 24)
    window.play(brisk)
    window.until(LISTENING, whole=True)
    window.until(ROW.format(2))
    window.press("Down")
    window.until(CHOSEN.format(2), r"\d newer  ↓ \d+ older")
    window.press("End")
    window.until(CHOSEN.format(1))
    window.press("Enter")
    window.until(DETAIL, "verdict", r"computed \d+ ms", "alerts +none")
    window.until(ROW.format(3), CHOSEN.format(1))  # what comes moves nothing away
    for width, height in ((80, 24), (100, 30), (160, 45), (200, 50)):  # and on every width
        window.resize(width, height)
        window.until(DETAIL, CHOSEN.format(1), "verdict", r"computed \d+ ms")
        window.press("Escape")
        window.until(LISTENING, CHOSEN.format(1), without="verdict", whole=True)
        window.press("Home")
        window.until(LISTENING, without="▸|newer", whole=True)
        window.press("Down")
        window.until(CHOSEN.format(r"\d+"), r"\d+ older")
        window.press("End")
        window.until(CHOSEN.format(1))
        window.press("Enter")
    window.press("q")
    left_well(window)
