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
from streamer.types import EMOTIONS

pytestmark = pytest.mark.skipif(not shutil.which("tmux"), reason="tmux is not installed")

PATIENCE_S = 40
POLL_S = 0.05
SOUND = "call.wav"
KEYS = "q quit · space pause · m mark · c clear · b new voice · ? help"
LISTENING = rf"^ ● listening +{SOUND} · \S+ +0:00:\d\d$"
BAR = r"^ .. *({}) +\d+ %".format("|".join(EMOTIONS))
ROLLING = r"^ +[A-Z]+ .*%  so far"
ROW = r"^ +{} +0:00:\d\d\.\d +\d\.\d s +[NCHSAFD!?] "
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
        keys = KEYS if self.width > len(KEYS) + 1 else KEYS.replace("b new voice · ", "")
        return (
            len(lines) == self.height
            and cell_len(lines[0]) == cell_len(lines[1]) == self.width - 1
            and re.match(LISTENING, lines[0]) is not None
            and tuple(re.findall(BAR, screen, re.MULTILINE)) == EMOTIONS
            and [line for line in lines if "q quit" in line] == [lines[-1]] == [f" {keys}"]
        )

    def rows(self) -> list[dict[str, str]]:
        """The CSV's rows."""
        with (self.folder / "rows.csv").open(newline="") as file:
            return list(csv.DictReader(file))


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
    assert len(terminal.rows()) == int(said[1]) > 0
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
    """In a middling window: pause, mark, help and clear, then q."""
    window = terminal(100, 30)
    window.play(DEMO)
    window.until(LISTENING, whole=True)
    window.press("m")
    window.until(r"^ .*▲1 ", r"^ +▲1 +0:00:\d\d\.\d +mark$")
    window.press("?")
    window.until(r"^ +\?  this page, and back$", rf"^ {re.escape(KEYS)}$", without=BAR)
    window.press("?")
    window.until(BAR, whole=True)
    window.until(ROW.format(1), LATENCY)
    window.press("c")
    window.until(LISTENING, without=f"▲1|{ROW.format(1)}", whole=True)
    window.press("Space")
    window.until(r"^ ‖ paused", "paused: space goes on")
    window.press("Space")
    window.until(LISTENING, whole=True)
    window.press("q")
    left_well(window)


def test_resized(terminal: Open):
    """From small to big and back while it runs, then Ctrl-C."""
    window = terminal(60, 24)
    window.play(DEMO)
    window.until(LISTENING, whole=True)
    for width, height in ((160, 45), (100, 30), (60, 24)):
        window.resize(width, height)
        window.until(LISTENING, whole=True)
    window.until(ROLLING)
    window.press("C-c")
    left_well(window)


def test_terminated_without_colour(terminal: Open):
    """NO_COLOR, then SIGTERM in the middle of an utterance."""
    window = terminal(80, 24)
    window.play(DEMO, "NO_COLOR=1")
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


def test_a_terminal_that_vanishes(terminal: Open):
    """Its window is closed: the open utterance is finished, its row written, the program ended."""
    window = terminal(100, 30)
    window.play(DEMO)
    window.until(LISTENING, ROLLING)
    process = Path("/proc") / (window.folder / "pid").read_text().strip()
    window.vanish()
    deadline = time.monotonic() + PATIENCE_S
    while process.exists() and (process / "cmdline").read_bytes():  # empty: it has ended
        assert time.monotonic() < deadline
        time.sleep(POLL_S)
    assert window.rows()[-1]["end_reason"] == "stopped"
