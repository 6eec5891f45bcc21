"""Runs the real program in a real terminal, tmux, and reads its screen."""

import csv
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
from rich.cells import cell_len

from streamer.types import EMOTIONS, NO_SPEECH

PATIENCE_S = 40
POLL_S = 0.1
SOUND = "call.wav"
KEYS = {
    60: "q quit  space pause  m mark  ↑↓ rows  b new voice  ? help",
    80: "q quit  space pause  m mark  ↑↓ rows  enter detail  b new voice  ? help",
    100: "q quit · space pause · m mark · ↑↓ rows · enter detail · c clear · b new voice · ? help",
}
"""From each width on; alerts add one at the end."""
LISTENING = rf"^ ● listening +{SOUND} · \S+(  · → rows\.csv)? +0:00:\d\d$"
BAR = r"^ .. *({}) +\d+ %".format("|".join(EMOTIONS))
ROW = r"^ +{} +0:00:\d\d\.\d +\d\.\d s +[NCHSAFD!?] "
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
        self._env = env | {
            "LC_ALL": "C.UTF-8",
            "ENV": str(folder / "profile"),
            "STREAMER_ALERTS_RULES": "[]",  # a banner would take the place of what is looked for
        }
        (folder / "profile").write_text("PS1='% '\n")
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

    def play(self, recording: Path, assign: str = "", *, real_model: bool = False) -> None:
        """Run the program in the shell; what is around it is noted.

        Args:
            recording: What it plays.
            assign: Set before it in the shell.
            real_model: Load the real model, which takes seconds, instead of a scripted one.
        """
        (self.folder / SOUND).symlink_to(recording)
        program = "-m streamer" if real_model else str(Path(__file__).parent / "child.py")
        (self.folder / "play").write_text(  # its process becomes the program
            f"echo $$ > pid\nexec {sys.executable} {program} run --input {SOUND} --csv rows.csv\n"
        )
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

    def until_rows(self, count: int) -> None:
        """Wait for a number of utterances in the CSV, whatever is on the screen."""
        deadline = time.monotonic() + PATIENCE_S
        while not (self.folder / "rows.csv").exists() or len(self.rows()) < count:
            assert time.monotonic() < deadline, f"waited for {count} rows"
            time.sleep(POLL_S)


Open: TypeAlias = Callable[[int, int], Terminal]


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Open]:
    """Open a terminal of a size; closed with the test."""
    if not shutil.which("tmux"):
        pytest.skip("tmux is not installed")
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
