"""The real program in a real terminal: what is on screen, and the terminal back afterwards."""

import csv
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
from conftest import Excerpt
from rich.cells import cell_len

from streamer.cli import DEMO
from streamer.types import EMOTIONS, NO_SPEECH

pytestmark = pytest.mark.skipif(not shutil.which("tmux"), reason="tmux is not installed")

PATIENCE_S = 40
POLL_S = 0.05
SOUND = "call.wav"
KEYS = {
    60: "q quit  space pause  m mark  ↑↓ rows  b new voice  ? help",
    80: "q quit  space pause  m mark  ↑↓ rows  enter detail  b new voice  ? help",
    100: "q quit · space pause · m mark · ↑↓ rows · enter detail · c clear · b new voice · ? help",
}
"""From each width on; alerts add one at the end."""
LISTENING = rf"^ ● listening +{SOUND} · \S+ +0:00:\d\d$"
BAR = r"^ .. *({}) +\d+ %".format("|".join(EMOTIONS))
ROLLING = r"^ +[A-Z]+ .*%  so far"
ROW = r"^ +{} +0:00:\d\d\.\d +\d\.\d s +[NCHSAFD!?] "
CHOSEN = ROW.replace("^ +", "^ ▸ +")
LATENCY = r"^ latency \d+ / \d+ ms"
COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9\d|10\d)[;m]")
SUMMARY = r"^(\d+) utterances?, \d+\.\d s of speech$"


class Terminal:
    """A window of a private tmux with a shell in it, in which ``streamer run`` is typed."""

    def __init__(self, folder: Path, width: int, height: int) -> None:
        self.folder, self.width, self.height = folder, width, height
        self._name = f"streamer-{os.getpid()}-{folder.name}"
        # What the developer's own terminal says about itself is not for this one.
        env = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("TMUX", "STREAMER_", "COLORTERM"))
            and key not in {"COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"}
        }
        self._env = env | {"LC_ALL": "C.UTF-8", "ENV": str(folder / "profile")}
        (folder / "profile").write_text("PS1='% '\n")
        (folder / "play").write_text(  # its process becomes the program
            f"echo $$ > pid\nexec {sys.executable} -m streamer run --input {SOUND} --csv rows.csv\n"
        )
        size = ("-x", str(width), "-y", str(height))
        self._tmux("-f", "/dev/null", "new-session", "-d", *size, "-c", str(folder), "sh")

    def _tmux(self, *args: str) -> str:
        tmux = ["tmux", "-u", "-L", self._name, *args]
        return subprocess.run(
            tmux, env=self._env, check=True, capture_output=True, encoding="utf-8", timeout=20
        ).stdout

    def close(self) -> None:
        """End the shell, whatever runs in it, and the server; tmux leaves its socket behind."""
        socket = self._tmux("display-message", "-p", "#{socket_path}").strip()
        self._tmux("kill-server")
        Path(socket).unlink(missing_ok=True)

    def play(self, recording: Path, assign: str = "") -> None:
        """Run the program in the shell; what is around it is noted."""
        (self.folder / SOUND).symlink_to(recording)
        self.until(r"^%$")
        line = f'stty -a >before; {assign} sh play; echo "left with $?"; stty -a >after'
        self._tmux("send-keys", "-l", line)
        self.press("Enter")

    def press(self, key: str) -> None:
        """Press a key, as tmux calls it."""
        self._tmux("send-keys", key)

    def type(self, text: str) -> None:
        """Type letters."""
        self._tmux("send-keys", "-l", text)

    def resize(self, width: int, height: int) -> None:
        """Drag the window's corner."""
        self.width, self.height = width, height
        self._tmux("resize-window", "-x", str(width), "-y", str(height))

    def signal(self, number: int) -> None:
        """Send the program a signal."""
        os.kill(int((self.folder / "pid").read_text()), number)

    def vanish(self) -> None:
        """Close the window on the program, and open another."""
        self._tmux("respawn-pane", "-k", "sh")

    def screen(self) -> str:
        """What is on the screen."""
        return self._tmux("capture-pane", "-p")

    def styled(self) -> str:
        """What is on the screen, with escape codes."""
        return self._tmux("capture-pane", "-p", "-e")

    def shows(self, variable: str) -> int:
        """A number that tmux knows about the window."""
        return int(self._tmux("display-message", "-p", f"#{{{variable}}}"))

    def until(self, *patterns: str, without: str = r"\A\Z", whole: bool = False) -> str:
        """Wait for a screen with all of these on it and without that; ``whole``: one frame."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            screen = self.screen()
            if (
                all(re.search(pattern, screen, re.MULTILINE) for pattern in patterns)
                and not re.search(without, screen, re.MULTILINE)
                and (not whole or self.one_frame(screen))
            ):
                return screen
            assert time.monotonic() < deadline, f"waited for {patterns}; there is\n{screen}"
            time.sleep(POLL_S)

    def one_frame(self, screen: str) -> bool:
        """Whether this is one frame, and nothing else, that fits the window.

        A line that is too wide would wrap, and push the header off the screen.
        """
        lines = screen.splitlines()
        keys = KEYS[max(width for width in KEYS if width <= self.width)]
        return (
            len(lines) == self.height
            and cell_len(lines[0]) == cell_len(lines[1]) == self.width - 1
            and re.match(LISTENING, lines[0]) is not None
            and tuple(re.findall(BAR, screen, re.MULTILINE)) == EMOTIONS
            and [line for line in lines if "q quit" in line] == [lines[-1]]
            and (lines[-1] == f" {keys}" or lines[-1].endswith(" a seen"))
        )

    def rows(self, *, marks: bool = False) -> list[dict[str, str]]:
        """The CSV's rows: utterances, or marks."""
        with (self.folder / "rows.csv").open(newline="") as file:
            return [r for r in csv.DictReader(file) if (r["end_reason"] == "mark") is marks]


Open: TypeAlias = Callable[[int, int], Terminal]


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Open]:
    """Open a terminal of a size; closed with the test."""
    opened: list[Terminal] = []

    def open_(width: int, height: int) -> Terminal:
        opened.append(Terminal(tmp_path, width, height))
        return opened[-1]

    yield open_
    for terminal in opened:
        terminal.close()


def left_well(terminal: Terminal) -> None:
    """The program has ended well: the terminal as it was, the summary, every row in the CSV."""
    screen = terminal.until(r"^left with \d+$", r"^%$")
    assert "left with 0" in screen
    assert not terminal.shows("alternate_on")
    assert terminal.shows("cursor_flag")
    assert "stty -a >before" in screen  # what was there before is there again
    before, after = ((terminal.folder / name).read_text() for name in ("before", "after"))
    assert before.partition("\n")[2] == after.partition("\n")[2]  # the first line has the size
    said = re.search(SUMMARY, screen, re.MULTILINE)
    assert said is not None, screen
    spoken = [row for row in terminal.rows() if row["emotion"] != NO_SPEECH]  # cut off, it may be
    assert len(spoken) == int(said[1]) > 0
    assert "rows in rows.csv" in screen
    assert "Traceback" not in screen


def test_recording_to_its_end(terminal: Open, excerpt: Excerpt):
    """In a big window: everything in its place, a row as each utterance ends, then the summary."""
    window = terminal(160, 45)
    window.play(excerpt.path)
    window.until(LISTENING, whole=True)
    assert window.shows("alternate_on")
    window.until(r"● speech +\d")
    window.until(ROLLING, whole=True)
    for number in range(1, len(excerpt.utterances)):
        window.until(ROW.format(number), LATENCY, whole=True)
        assert len(window.rows()) >= number  # on disk when on screen
    assert COLOUR.search(window.styled())
    left_well(window)
    assert len(window.rows()) == len(excerpt.utterances)


def test_keys(terminal: Open):
    """In a middling window: pause, help and clear, one that means nothing, then q."""
    window = terminal(100, 30)
    window.play(DEMO)
    window.until(LISTENING, whole=True)
    window.press("?")
    window.until(r"^ +enter  all about the chosen row", rf"^ {re.escape(KEYS[100])}$", without=BAR)
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
    assert (mark["note"], mark["utterance"], mark["emotion"]) == ("quite cross? wütend", "", "")
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


@pytest.mark.parametrize(("width", "height"), [(60, 24), (80, 24), (100, 30), (160, 45), (200, 50)])
def test_rows_are_looked_at(terminal: Open, brisk: Path, width: int, height: int):
    """On every width: down to a row, all about it, up again, and back to the newest."""
    window = terminal(width, height)
    window.play(brisk)
    window.until(LISTENING, whole=True)
    window.until(ROW.format(2))
    window.press("Down")
    window.until(CHOSEN.format(2), r"\d newer  ↓ \d+ older")
    window.press("End")
    window.until(CHOSEN.format(1))
    window.press("Enter")
    window.until(
        r"── #1  0:00:01\.\d to 0:00:0\d\.\d ─", "verdict", r"computed \d+ ms", "alerts +none"
    )
    window.until(ROW.format(3), CHOSEN.format(1))  # what comes moves nothing away
    window.press("Escape")
    window.until(LISTENING, CHOSEN.format(1), without="verdict", whole=True)
    window.press("Home")
    window.until(LISTENING, without="▸|newer", whole=True)
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
    window.until(ROLLING)
    window.press("C-c")
    left_well(window)


def test_terminated_without_colour(terminal: Open, brisk: Path):
    """NO_COLOR, then SIGTERM in the middle of an utterance."""
    window = terminal(80, 24)
    window.play(brisk, "NO_COLOR=1")
    window.until(LISTENING, ROLLING)
    styled = window.styled()
    assert "\x1b[1m" in styled  # bold is no colour
    assert not COLOUR.search(styled)
    window.signal(signal.SIGTERM)
    left_well(window)


def test_dumb_terminal(terminal: Open):
    """Plain lines, one an utterance, then Ctrl-C."""
    window = terminal(100, 30)
    window.play(DEMO, "TERM=dumb")
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
    window.until(LISTENING, ROLLING)
    process = Path("/proc") / (window.folder / "pid").read_text().strip()
    window.vanish()
    deadline = time.monotonic() + PATIENCE_S
    while process.exists() and (process / "cmdline").read_bytes():  # empty: it has ended
        assert time.monotonic() < deadline
        time.sleep(POLL_S)
    assert window.rows()[-1]["end_reason"] == "stopped"
