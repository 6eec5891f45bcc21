"""Keys and the screen on a real pseudo-terminal, which is always given back."""

import contextlib
import io
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from streamer.dashboard.keys import ESCAPE_S, MAX_PASTED, PASTED, KeyDecoder, Keys, console_keys
from streamer.dashboard.screen import Screen, usable
from streamer.dashboard.state import Snapshot

if sys.platform == "win32":
    pytest.skip("pseudo-terminals are POSIX", allow_module_level=True)

import pty
import termios

ENTER, LEAVE = b"\x1b[?1049h", b"\x1b[?1049l"
CURSOR_ON = b"\x1b[?25h"
DEADLINE_S = 20

PROGRAM = """
import signal, sys, time
from rich.console import Console
from streamer.dashboard.keys import Keys
from streamer.dashboard.screen import Screen
from streamer.dashboard.state import Snapshot

signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
screen = Screen(Console())
with Keys(suspended=screen.hide, resumed=screen.unhide) as keys, screen:
    while True:
        screen.show(Snapshot(device="under test"))
        key = keys.read()
        if key == "q":
            break
        if key == "x":
            raise ValueError("on purpose")
        time.sleep(0.02)
"""

# A shell in small: the program in a foreground job of its own. Says when the job has stopped and
# whether the terminal echoes meanwhile, brings it back, and ends as it ends.
SHELL = f"""
import fcntl, os, signal, subprocess, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
restore = lambda: signal.signal(signal.SIGTTOU, signal.SIG_DFL)
job = subprocess.Popen([sys.executable, "-c", {PROGRAM!r}], process_group=0)
os.tcsetpgrp(0, job.pid)
while True:
    _, status = os.waitpid(job.pid, os.WUNTRACED)
    if not os.WIFSTOPPED(status):
        break
    os.tcsetpgrp(0, os.getpgrp())
    print("STOPPED", bool(termios.tcgetattr(0)[3] & termios.ECHO), flush=True)
    os.tcsetpgrp(0, job.pid)
    os.killpg(job.pid, signal.SIGCONT)
os.tcsetpgrp(0, os.getpgrp())
job.returncode = os.waitstatus_to_exitcode(status)
print("ENDED", job.returncode, flush=True)
"""


PIPED = """
import fcntl, os, sys, termios, time
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
reader, _ = os.pipe()
os.dup2(reader, 0)  # the sound comes from there
from streamer.dashboard.keys import Keys
with Keys() as keys:
    print("READY", keys.usable, flush=True)
    while (key := keys.read()) is None:
        time.sleep(0.02)
    print("PRESSED", key, flush=True)
"""


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """A pseudo-terminal: the end of the person, the end of the program."""
    person, program = pty.openpty()
    yield person, program
    for fd in (person, program):
        with contextlib.suppress(OSError):
            os.close(fd)


def flags(fd: int) -> int:
    """Echo and line mode, as a number."""
    return int(termios.tcgetattr(fd)[3]) & (termios.ECHO | termios.ICANON)


def typed(keys: Keys) -> str:
    """All keys that have arrived, once the kernel has handed them over."""
    time.sleep(0.02)
    return "".join(iter(keys.read, None))


def arrived(fd: int) -> bytes:
    """All that has been written to the terminal."""
    seen = b""
    while select.select([fd], [], [], 0.05)[0]:
        seen += os.read(fd, 65536)
    return seen


class TerminalProgram:
    """A program on a pseudo-terminal of its own."""

    def __init__(self, person: int, program: int, source: str) -> None:
        self.fd, self.seen = person, b""
        environment = {**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", source],
            stdin=program,
            stdout=program,
            stderr=program,
            start_new_session=True,
            env=environment,
        )

    def wait_for(self, wanted: bytes, *, since: int = 0) -> int:
        """Read until something was printed; where in the output it ends."""
        deadline = time.monotonic() + DEADLINE_S
        while wanted not in self.seen[since:]:
            assert time.monotonic() < deadline, self.seen[-2000:]
            if select.select([self.fd], [], [], 0.05)[0]:
                self.seen += os.read(self.fd, 65536)
        return self.seen.index(wanted, since) + len(wanted)

    def end(self) -> int:
        """Read to the end; the exit status."""
        deadline = time.monotonic() + DEADLINE_S
        while self.process.poll() is None or select.select([self.fd], [], [], 0.1)[0]:
            assert time.monotonic() < deadline, self.seen[-2000:]
            if select.select([self.fd], [], [], 0.05)[0]:
                self.seen += os.read(self.fd, 65536)
        return self.process.wait()

    def assert_restored(self) -> None:
        """The normal screen and the cursor are back, and stay."""
        assert self.seen.rindex(LEAVE) > self.seen.rindex(ENTER)
        assert self.seen.rindex(CURSOR_ON) > self.seen.rindex(ENTER)


@pytest.fixture
def start() -> Iterator[list[TerminalProgram]]:
    """Jobs to be ended at the latest with the test."""
    jobs: list[TerminalProgram] = []
    yield jobs
    for job in jobs:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(job.process.pid, signal.SIGKILL)
        job.process.wait()


SENT = {
    b"q": ["q"], b" ": [" "], "ä€".encode(): ["ä", "€"], b"\r": ["enter"], b"\n": ["enter"],
    b"\x7f": ["backspace"], b"\b": ["backspace"], b"\t": [], b"\x00": [],
    b"\x1b[A": ["up"], b"\x1bOA": ["up"], b"\x1b[B": ["down"], b"\x1bOB": ["down"],
    b"\x1b[5~": ["page up"], b"\x1b[6~": ["page down"],
    b"\x1b[H": ["home"], b"\x1bOH": ["home"], b"\x1b[1~": ["home"], b"\x1b[7~": ["home"],
    b"\x1b[F": ["end"], b"\x1bOF": ["end"], b"\x1b[4~": ["end"], b"\x1b[8~": ["end"],
    b"\x1b[C": [], b"\x1b[1;5A": [], b"\x1b[15~": [], b"\x1bOq": [], b"\x1bq": [], b"\x1b[M": [],
    b"\x1b\x1b[A": ["escape", "up"],
}  # fmt: skip
"""What terminals send, and the keys that it is."""


@pytest.mark.parametrize("sent", SENT)
def test_a_key_is_one_key_however_it_arrives(sent: bytes):
    """At once, or a byte at a time over a slow line, also within a letter."""
    assert KeyDecoder().feed(sent, 0.0) == SENT[sent]
    decoder = KeyDecoder()
    keys = []
    for at in range(len(sent)):
        keys += decoder.feed(sent[at : at + 1], at * ESCAPE_S / 2)
    assert keys == SENT[sent]


def test_an_escape_that_nothing_follows_is_the_escape_key():
    """After a moment; what comes later is a key of its own, what was cut off is none."""
    decoder = KeyDecoder()
    assert decoder.feed(b"m\x1b", 0.0) == ["m"]
    assert decoder.feed(b"", ESCAPE_S / 2) == []
    assert decoder.feed(b"", ESCAPE_S * 2) == ["escape"]
    assert decoder.feed(b"\x1b", 1.0) == []
    assert decoder.feed(b"A", 2.0) == ["escape", "A"]
    assert decoder.feed(b"\x1b[1;", 3.0) == []
    assert decoder.feed(b"q", 4.0) == ["q"]


@given(sent=st.lists(st.binary(max_size=40), max_size=5))
def test_no_bytes_upset_the_decoder(sent: list[bytes]):
    """Nor pile up in it; a key after them is that key."""
    decoder = KeyDecoder()
    for at, data in enumerate(sent):
        for key in decoder.feed(data, float(at)):
            assert key.isprintable()
    decoder.feed(b"\x1b[" + b"1" * 1000, 90.0)
    assert len(decoder._rest) <= 32
    decoder.feed(b"", 99.0)
    assert decoder.feed(b"\n", 100.0) == ["enter"]


@pytest.mark.parametrize(
    ("typed", "keys"),
    [
        ("q", ["q"]),
        ("\xe0H\xe0P\xe0I\xe0Q\xe0G\xe0O", ["up", "down", "page up", "page down", "home", "end"]),
        ("\x00H\x00;q", ["up", "q"]),
        ("\r\b", ["enter", "backspace"]),
        ("q\xe0", ["q", "à"]),
    ],
)
def test_a_windows_console_sends_the_same_keys(typed: str, keys: list[str]):
    """A prefix and a code; the prefix alone is a letter."""
    waiting = list(typed)
    sent = console_keys(lambda: bool(waiting), lambda: waiting.pop(0))
    assert KeyDecoder().feed(sent.encode(), 0.0) == keys


def test_keys_arrive_one_by_one_and_unechoed(terminal: tuple[int, int]):
    """Without Enter, in their order, and None when there is no more."""
    person, program = terminal
    with Keys(fd=program) as keys:
        assert keys.usable
        assert keys.read() is None
        os.write(person, b"m?")
        time.sleep(0.02)
        assert (keys.read(), keys.read(), keys.read()) == ("m", "?", None)
        os.write(person, "ä q".encode())
        assert typed(keys) == "ä q"
        assert not select.select([person], [], [], 0.05)[0]  # nothing was echoed


def test_arrows_and_function_keys_are_no_letters(terminal: tuple[int, int]):
    """An arrow ends in a letter, a function key may even send "q"."""
    person, program = terminal
    with Keys(fd=program) as keys:
        os.write(person, b"\x1b[A\x1bOq\x1b[15~c\x1b[1;5Cm\x1b")
        assert typed(keys) == "upcm"
        time.sleep(2 * ESCAPE_S)
        assert keys.read() == "escape"


def test_terminal_is_restored(terminal: tuple[int, int]):
    """After the block, whether it ends well or badly; the signals too."""
    before, handler = termios.tcgetattr(terminal[1]), signal.getsignal(signal.SIGTSTP)
    with Keys(fd=terminal[1]):
        assert flags(terminal[1]) == 0
    assert termios.tcgetattr(terminal[1]) == before
    with pytest.raises(ValueError, match="on purpose"), Keys(fd=terminal[1]):
        raise ValueError("on purpose")
    assert termios.tcgetattr(terminal[1]) == before
    assert signal.getsignal(signal.SIGTSTP) is handler


def test_keys_can_be_taken_again(terminal: tuple[int, int]):
    """Two sessions in one process."""
    keys = Keys(fd=terminal[1])
    for key in "ab":
        with keys:
            os.write(terminal[0], key.encode())
            assert typed(keys) == key
    assert flags(terminal[1]) != 0


def test_a_terminal_that_goes_away_is_survived():
    """The window is closed: no keys any more, and no exception."""
    person, program = pty.openpty()
    with Keys(fd=program) as keys:
        os.close(person)
        assert typed(keys) == ""
        assert keys.read() is None
    os.close(program)


def test_keys_are_pressed_beside_a_pipe(terminal: tuple[int, int], start: list[TerminalProgram]):
    """With ``--input -`` stdin is the sound: keys come from the terminal of the process."""
    before = termios.tcgetattr(terminal[1])
    start.append(job := TerminalProgram(*terminal, PIPED))
    job.wait_for(b"READY True")
    os.write(terminal[0], b"q")
    job.wait_for(b"PRESSED q")
    assert job.end() == 0
    assert termios.tcgetattr(terminal[1]) == before


def test_no_terminal_no_keys(monkeypatch: pytest.MonkeyPatch):
    """A pipe, a closed stdin, none at all: nothing is touched."""
    reader, writer = os.pipe()
    os.write(writer, b"q")
    with Keys(fd=reader) as keys:
        assert not keys.usable
        assert keys.read() is None
    os.close(reader)
    os.close(writer)
    for stdin in (None, io.StringIO("q")):
        monkeypatch.setattr(sys, "stdin", stdin)
        with Keys() as keys:
            assert keys.read() is None


@pytest.mark.parametrize(
    ("key", "status", "word"), [(b"q", 0, b""), (b"x", 1, b"ValueError: on purpose")]
)
def test_screen_is_left(
    terminal: tuple[int, int], start: list[TerminalProgram], key: bytes, status: int, word: bytes
):
    """By the user or by an exception, whose traceback stays readable."""
    before = termios.tcgetattr(terminal[1])
    start.append(job := TerminalProgram(*terminal, PROGRAM))
    job.wait_for(b"under test")
    assert flags(terminal[1]) == 0
    os.write(terminal[0], key)
    assert job.end() == status
    job.assert_restored()
    assert word in job.seen[job.seen.rindex(LEAVE) :]
    assert termios.tcgetattr(terminal[1]) == before


def test_screen_is_left_after_sigterm(terminal: tuple[int, int], start: list[TerminalProgram]):
    """Where the program handles it, as ours does."""
    before = termios.tcgetattr(terminal[1])
    start.append(job := TerminalProgram(*terminal, PROGRAM))
    job.wait_for(b"under test")
    job.process.terminate()
    assert job.end() == 7
    job.assert_restored()
    assert termios.tcgetattr(terminal[1]) == before


def test_ctrl_z_gives_the_terminal_back(terminal: tuple[int, int], start: list[TerminalProgram]):
    """While the program sleeps the shell has its terminal; then the screen and keys are back."""
    before = termios.tcgetattr(terminal[1])
    start.append(job := TerminalProgram(*terminal, SHELL))
    job.wait_for(b"under test")
    os.write(terminal[0], b"\x1a")
    stopped = job.wait_for(b"STOPPED True")
    assert LEAVE in job.seen[:stopped]
    job.wait_for(ENTER, since=stopped)
    job.wait_for(b"under test", since=stopped)
    os.write(terminal[0], b"q")
    job.wait_for(b"ENDED 0")
    job.end()
    job.assert_restored()
    assert termios.tcgetattr(terminal[1]) == before


def test_frames_follow_a_resize(terminal: tuple[int, int], monkeypatch: pytest.MonkeyPatch):
    """Whatever COLUMNS and LINES said at the start."""
    monkeypatch.setenv("COLUMNS", "132")
    monkeypatch.setenv("LINES", "50")
    with open(terminal[1], "w", encoding="utf-8", closefd=False) as file:
        console = Console(file=file, force_terminal=True)
        with Screen(console) as screen:
            for size in ((24, 80), (10, 44), (1, 1), (30, 100)):
                termios.tcsetwinsize(terminal[1], size)
                screen.show(Snapshot(device="d"))
                assert (console.height, console.width) == size
                assert arrived(terminal[0])


def test_a_failing_frame_is_raised(terminal: tuple[int, int], monkeypatch: pytest.MonkeyPatch):
    """The caller learns of it, on the normal screen."""

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("streamer.dashboard.screen.render", fail)
    with open(terminal[1], "w", encoding="utf-8", closefd=False) as file:
        screen = Screen(Console(file=file, force_terminal=True))
        with pytest.raises(ZeroDivisionError), screen:
            screen.show(Snapshot())
    seen = arrived(terminal[0])
    assert seen.rindex(LEAVE) > seen.rindex(ENTER)


def test_a_closed_window_stops_no_session():
    """Drawing on a terminal that is gone does nothing, so that the last row is still written."""
    person, program = pty.openpty()
    with open(program, "w", encoding="utf-8") as file:  # noqa: PTH123
        with Screen(Console(file=file, force_terminal=True)) as screen:
            os.close(person)
            screen.show(Snapshot())
            screen.show(Snapshot())
        with contextlib.suppress(OSError):
            file.close()


def test_no_screen_off_a_terminal(terminal: tuple[int, int], monkeypatch: pytest.MonkeyPatch):
    """A pipe that FORCE_COLOR calls a terminal is none; a dumb terminal gets lines too."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert not usable(Console(file=io.StringIO()))
    with open(terminal[1], "w", encoding="utf-8", closefd=False) as file:
        monkeypatch.setenv("TERM", "xterm")
        assert usable(Console(file=file))
        monkeypatch.setenv("TERM", "dumb")
        assert not usable(Console(file=file))


@given(st.integers(0, 40), st.integers(0, 40))
def test_a_paste_is_one_key_wherever_it_is_cut(first, second):
    """What comes before and after it is typed as ever."""
    data = "a\x1b[200~q\n\x1b[A é\x1b[201~\r".encode()
    cuts = sorted((first, second))
    decoder, keys = KeyDecoder(), []
    for part in (data[: cuts[0]], data[cuts[0] : cuts[1]], data[cuts[1] :]):
        keys += decoder.feed(part, 0.0)
    assert keys == ["a", f"{PASTED}q\n\x1b[A é", "enter"]


def test_a_paste_that_never_ends_is_kept_short():
    """And its end is still found."""
    decoder = KeyDecoder()
    assert decoder.feed(b"\x1b[200~" + b"x" * 100_000, 0.0) == []
    assert decoder.feed(b"x" * 100_000, 1.0) == []
    (key,) = decoder.feed(b"\x1b[201~", 2.0)
    assert len(key) == len(PASTED) + MAX_PASTED
