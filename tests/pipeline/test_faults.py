"""What desks do to programs: nothing is lost, it is said, and the exit code is right."""

import csv
import io
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from fakes import FakeModel, ScriptedSource, blocks, silence, speech
from rich.console import Console

from streamer import session as live_session
from streamer.audio import devices, microphone
from streamer.audio.microphone import MicrophoneSource
from streamer.cli import file, main, run
from streamer.config import Config, DashboardConfig
from streamer.dashboard.dashboard import Dashboard
from streamer.errors import ConfigError, InputError, OutputError
from streamer.events import Event, StateChanged
from streamer.pipeline.live import Pipeline
from streamer.session import LiveSession
from streamer.sinks import retrying_log
from streamer.sinks.csv_format import CsvFormat
from streamer.sinks.lines import JsonLines
from streamer.sinks.nonblocking_writer import MAX_BUFFER
from streamer.types import SAMPLE_RATE, Block, State, Utterance

LEAD = silence(1.0)
SAID = np.concatenate((speech(0.8), silence(0.8)))
"""An utterance, from its first word to the end of the pause after it."""

CHILD = [sys.executable, str(Path(__file__).parents[1] / "child.py")]
PATIENCE_S = 100


class PlantedError(Exception):
    """No error that the program knows."""


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV, none of them torn."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    assert all(None not in row and None not in row.values() for row in rows)
    return rows


def use_model(monkeypatch: pytest.MonkeyPatch, loader: Callable[[Config], object]) -> None:
    """Have the commands load this model."""
    for command in (run, file):
        monkeypatch.setattr(command, "model_loader", loader)


def numbers(path: Path) -> list[int]:
    """Which utterances have rows."""
    return [int(row["utterance"]) for row in read(path)]


def live(script, path: Path | None, **options: object) -> LiveSession:
    """A session that hears a script."""
    config = Config()
    source = ScriptedSource(script, live=False)
    options = {"dashboard": None, "lines": JsonLines(io.StringIO())} | options
    return LiveSession(
        Pipeline(source, FakeModel, config), config, csv=path, duration=None, **options
    )


@pytest.fixture(autouse=True)
def shown(monkeypatch) -> threading.Semaphore:
    """Released for each utterance that was shown: by then its row was tried."""
    semaphore = threading.Semaphore(0)
    show = LiveSession._show

    def and_tell(session: LiveSession, event: Event) -> None:
        show(session, event)
        if isinstance(event, Utterance):
            semaphore.release()

    monkeypatch.setattr(LiveSession, "_show", and_tell)
    monkeypatch.setattr(live_session, "STALLED_S", 3600.0)  # a busy machine's disk takes seconds
    return semaphore


def saying(count: int, before: Callable[[int], object], shown: threading.Semaphore):
    """A script of utterances, each when the last was shown, and after something is done."""
    yield from blocks(LEAD)
    for number in range(1, count + 1):
        before(number)
        yield from blocks(SAID)
        assert shown.acquire(timeout=PATIENCE_S)


@pytest.fixture
def pcm(tmp_path: Path) -> Path:
    """Raw PCM of thirty utterances."""
    path = tmp_path / "said.pcm"
    path.write_bytes(np.concatenate((LEAD, np.tile(SAID, 30))).tobytes())
    return path


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 kB."""
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this needs to mount a tmpfs, which is not allowed here")
    yield path
    subprocess.run(["umount", str(path)], check=True)


# --- the CSV ------------------------------------------------------------------------------------


def deleted(path: Path) -> None:
    """Take the file away."""
    path.unlink()


def folder_removed(path: Path) -> None:
    """Take it away with the folder that it is in."""
    path.unlink()
    path.parent.rmdir()


def moved(path: Path) -> None:
    """As a log rotation does."""
    path.rename(path.with_suffix(".old"))


def replaced(path: Path) -> None:
    """As an editor or a spreadsheet saves."""
    copy = path.with_suffix(".new")
    copy.write_text(path.read_text())
    copy.replace(path)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (deleted, "deleted; rows go on in a new file, those before cannot be brought back"),
        (folder_removed, "deleted; rows go on in a new file, those before cannot be brought back"),
        (moved, "moved; rows go on in a new file, those before are where it went"),
        (replaced, "replaced; rows go on in the file that is there now"),
    ],
)
def test_a_csv_that_is_taken_away_is_made_anew(tmp_path, shown, capfd, fault, said):
    """It has a header, all rows from then on, and the user is told once."""
    path = tmp_path / "folder" / "rows.csv"
    path.parent.mkdir()
    script = saying(3, lambda number: fault(path) if number == 2 else None, shown)
    live(script, path).run()
    assert numbers(path) == ([1, 2, 3] if fault is replaced else [2, 3])
    assert capfd.readouterr().err == f"streamer: {path}: was {said}\n"
    if fault is moved:
        assert numbers(path.with_suffix(".old")) == [1]


def test_a_csv_that_was_made_read_only_is_gone_on_with(shown, capfd):
    """It is open: what was promised is kept. The next start cannot open it, and says so."""
    with tempfile.TemporaryDirectory() as name:  # where anybody may look, unlike in tmp_path
        Path(name).chmod(0o755)
        path = Path(name) / "rows.csv"
        live(saying(2, lambda number: number == 2 and path.chmod(0o444), shown), path).run()
        assert numbers(path) == [1, 2]
        assert capfd.readouterr().err == ""
        with as_nobody(), pytest.raises(OutputError, match="cannot be written: Permission denied"):
            live(blocks(LEAD), path).run()
        assert numbers(path) == [1, 2]


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without root's privilege to write what is read-only."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_what_cannot_be_written_for_a_while_follows(tmp_path, shown, capfd, monkeypatch):
    """It is said when it begins, and when it is over; in order, and nothing is missing."""
    monkeypatch.setattr(retrying_log, "RETRY_S", 3600.0)  # with the next row, not in between
    path = tmp_path / "folder" / "rows.csv"
    (tmp_path / "real").mkdir()
    (tmp_path / "blocked" / "rows.csv").mkdir(parents=True)  # where a file is expected

    def lead_to(name: str) -> None:  # at once: the recorder may look at any time
        (tmp_path / "link").symlink_to(tmp_path / name)
        (tmp_path / "link").replace(path.parent)

    then = {2: "blocked", 4: "real"}
    lead_to("real")
    live(saying(4, lambda n: lead_to(then[n]) if n in then else None, shown), path).run()
    assert numbers(path) == [1, 2, 3, 4]
    began, over = capfd.readouterr().err.splitlines()
    assert f"{path}: is a folder" in began
    assert "rows wait, and are written when that is over" in began
    assert over == f"streamer: {path}: written again, with 2 rows that waited"


def test_rows_that_never_could_be_written_go_to_stderr(tmp_path, shown, capfd, monkeypatch):
    """As lines of CSV; the exit code is 1."""
    path = tmp_path / "rows.csv"

    def block(number: int) -> None:
        if number == 2:
            path.rename(tmp_path / "kept.csv")
            path.mkdir()

    use_model(monkeypatch, lambda _: FakeModel)
    monkeypatch.setattr(run, "_source", lambda *_: ScriptedSource(saying(3, block, shown)))
    assert main.main(["run", "--json", "--csv", str(path)]) == 1
    error = capfd.readouterr().err
    lines = error.splitlines()
    at = next(i for i, line in enumerate(lines) if "these rows are not in it" in line)
    rest = csv.DictReader(lines[at + 1 : at + 4])
    assert [row["utterance"] for row in rest] == ["2", "3"]
    assert f"streamer: {path}: not all rows could be written" in lines
    assert numbers(tmp_path / "kept.csv") == [1]
    assert "Traceback" not in error


def test_a_full_disk_that_is_freed_has_every_row(small_disk, shown, capfd, monkeypatch):
    """A real one: no row is torn, and those that waited follow."""
    monkeypatch.setattr(retrying_log, "RETRY_S", 0.0)
    monkeypatch.setattr(CsvFormat, "line", padded(CsvFormat.line))
    path, ballast = small_disk / "rows.csv", small_disk / "ballast"

    def fill_and_free(number: int) -> None:
        if number == 2:
            fill(ballast)
        if number == 4:
            ballast.unlink()

    live(saying(4, fill_and_free, shown), path).run()
    assert numbers(path) == [1, 2, 3, 4]
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 2, lines
    began, over = lines
    assert "cannot be written: No space left on device; rows wait" in began
    assert over.endswith("written again, with 2 rows that waited")


def test_a_disk_that_stays_full_costs_recordings_no_row(small_disk, tmp_path, capfd, monkeypatch):
    """`streamer file` goes on, says so at once, prints what is left, and ends with 1."""
    call = tmp_path / "call.wav"
    soundfile.write(call, np.concatenate((LEAD, SAID, SAID, SAID)), SAMPLE_RATE)
    use_model(monkeypatch, lambda _: FakeModel)
    monkeypatch.setattr(CsvFormat, "line", padded(CsvFormat.line))
    path = small_disk / "rows.csv"
    assert main.main(["file", str(call), "--csv", str(path)]) == 0
    fill(small_disk / "ballast")
    other = tmp_path / "other.wav"
    other.write_bytes(call.read_bytes())
    assert main.main(["file", str(other), "--csv", str(path)]) == 1
    out, error = capfd.readouterr()
    assert out.count("3 utterances") == 2
    assert " ".join(error.split()).count("No space left on device; rows wait") == 1
    lines = error[error.index("these rows are not in it:") :].splitlines()
    unwritten = [row["utterance"] for row in csv.DictReader(lines[1:])]
    assert unwritten == ["1", "2", "3"]
    assert numbers(path) == [1, 2, 3]


def fill(path: Path) -> None:
    """Take all the room that there is."""
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * 512):
                pass
        except OSError:
            pass


def padded(line: Callable[..., bytes]) -> Callable[..., bytes]:
    """Make each row longer than a page: none fits into the rest of one that is taken already."""

    def long(form: CsvFormat, cells: list[str]) -> bytes:
        header = cells[0] == "session"
        return line(form, cells if header else [*cells[:-1], cells[-1] + " " * 4096])

    return long


# --- time ---------------------------------------------------------------------------------------


def test_a_clock_that_jumps_moves_no_row(tmp_path, shown, monkeypatch):
    """Time of day is attached once; from then on the samples count."""
    times = iter([1_700_000_000.0, *(1_600_000_000.0, 1_800_000_000.0) * 1000])
    monkeypatch.setattr("streamer.pipeline.capture.time.time", lambda: next(times))
    path = tmp_path / "rows.csv"
    jumps = saying(3, lambda _: time.time(), shown)
    live(jumps, path).run()
    rows = read(path)
    began = {
        round(datetime.fromisoformat(row["started_at"]).timestamp() - float(row["start_s"]), 2)
        for row in rows
    }
    assert len(rows) == 3
    assert began == {1_700_000_000.0}


def test_a_minute_asleep_is_a_hole_in_the_stream(tmp_path):
    """The utterance before it ends with it; what follows is a minute later; it is counted."""
    woken = Block(LEAD.reshape(-1, 1), time.monotonic(), lost=60 * SAMPLE_RATE)
    script = [*blocks(np.concatenate((LEAD, speech(1.0)))), woken, *blocks(SAID)]
    session = live(script, tmp_path / "rows.csv")
    session.run()
    before, after = read(tmp_path / "rows.csv")
    assert (before["end_reason"], after["end_reason"]) == ("gap", "silence")
    assert float(after["start_s"]) == pytest.approx(63.0, abs=0.15)
    assert "lost: 60.00 s in 1 gap, 0 overruns, 0 utterances not classified" in session.summary()


def lost_at(times, monkeypatch):
    """What a microphone says is missing before each of the blocks that come at these times."""
    up = iter(times)
    monkeypatch.setattr(microphone, "uptime", lambda: next(up))
    source = MicrophoneSource(None, channels=1, block_s=0.02)
    fine = SimpleNamespace(input_overflow=False)
    for _ in times:
        source._on_block(silence(0.02).reshape(-1, 1), 320, None, fine)
    return [source._blocks.get().lost for _ in times]


def test_time_asleep_is_counted_by_the_clock_that_does_not_stop(monkeypatch):
    """Linux's monotonic clock stands still while the machine sleeps."""
    paced = [160.02 + 0.02 * block for block in range(1, 6)]
    lost = lost_at([100.0, 100.02, *paced], monkeypatch)
    assert lost == [0] * 5 + [60 * SAMPLE_RATE, 0]


def test_what_comes_late_is_not_lost(monkeypatch):
    """A sound server keeps what is said while this process is stopped, and delivers it at once."""
    before = [100.0, 100.02]
    burst = [110.02 + 0.0001 * block for block in range(500)]
    after = [110.09 + 0.02 * block for block in range(6)]
    assert not any(lost_at([*before, *burst, *after], monkeypatch))
    lost = lost_at([*before, *burst[:200], *after], monkeypatch)
    assert sum(lost) == pytest.approx(6 * SAMPLE_RATE, abs=0.1 * SAMPLE_RATE)
    assert lost.index(max(lost)) == len(before) + 200 + 2


# --- the device ---------------------------------------------------------------------------------


class BusyError(Exception):
    """PortAudio's."""


class Portaudio:
    """Of a machine with one microphone, which another program has now and then."""

    PortAudioError = BusyError

    def __init__(self) -> None:
        self.busy = False
        self.streams = []
        self.default = SimpleNamespace(device={"input": 0})

    def _terminate(self) -> None:
        """Nothing to end."""

    _initialize = _terminate

    def query_hostapis(self):
        """One."""
        return [{"name": "ALSA"}]

    def query_devices(self):
        """One."""
        return [
            {
                "index": 0, "name": "desk", "hostapi": 0, "max_input_channels": 1,
                "default_samplerate": 16_000.0,
            }
        ]  # fmt: skip

    def check_input_settings(self, **_settings: object) -> None:
        """All are fine."""

    def InputStream(self, *, callback, **_settings: object):  # noqa: N802 - its name
        """Raises where somebody else has the device."""
        if self.busy:
            raise BusyError("Error opening InputStream: Device unavailable [PaErrorCode -9985]")
        stream = SimpleNamespace(active=True, close=lambda: None)
        stream.abort = lambda: setattr(stream, "active", False)
        stream.start = lambda: self._speak(stream, callback)
        self.streams.append(stream)
        return stream

    def _speak(self, stream, callback) -> None:
        """Deliver an utterance; then, the first time, somebody else takes the device."""
        fine = SimpleNamespace(input_overflow=False)
        for block in blocks(np.concatenate((LEAD, SAID))):
            callback(block.reshape(-1, 1), len(block), None, fine)
        self.busy = len(self.streams) == 1
        stream.active = not self.busy


@pytest.fixture
def portaudio(monkeypatch) -> Portaudio:
    """A scripted one: no program here has a device to itself."""
    scripted = Portaudio()
    monkeypatch.setattr(devices, "portaudio", lambda: scripted)
    monkeypatch.setattr(microphone, "portaudio", lambda: scripted)
    return scripted


def test_a_device_that_another_program_has_is_named(portaudio, tmp_path, monkeypatch, capfd):
    """At the start: exit code 3, and the cure."""
    portaudio.busy = True
    use_model(monkeypatch, lambda _: FakeModel)
    assert main.main(["run", "--json", "--csv", str(tmp_path / "rows.csv")]) == 3
    error = capfd.readouterr().err
    assert "desk: cannot be opened (Error opening InputStream: Device unavailable" in error
    assert "is another program using it? 'streamer devices' lists the others" in error
    assert "Traceback" not in error


def test_a_device_that_another_program_takes_is_waited_for(portaudio, tmp_path, monkeypatch):
    """LOST with the reason while somebody else has it; then the rows go on."""
    monkeypatch.setattr("streamer.pipeline.capture.REOPEN_S", (0.05, 0.05))
    config = Config()
    source = MicrophoneSource(None, channels=1, block_s=0.02)
    pipeline = Pipeline(source, FakeModel, config)
    lost = []

    class Watching(JsonLines):
        """Takes the device back when that was told, and ends it with the second row."""

        def write(self, event, session_):
            super().write(event, session_)
            if isinstance(event, StateChanged) and event.state == State.LOST:
                lost.append(event.detail)
                portaudio.busy = "is another program using it?" not in event.detail
            if isinstance(event, Utterance) and len(portaudio.streams) > 1:
                session.stop()

    session = LiveSession(
        pipeline, config, csv=tmp_path / "rows.csv", dashboard=None,
        lines=Watching(io.StringIO()), duration=None,
    )  # fmt: skip
    session.run()
    assert any("desk: cannot be opened (Error opening InputStream" in detail for detail in lost)
    assert len(portaudio.streams) == 2
    assert numbers(tmp_path / "rows.csv") == [1, 2]


# --- whoever reads ------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [["--json"], []])
def test_a_closed_pipe_costs_no_row(tmp_path, pcm, form):
    """`streamer run | head -1`: it is said, the rows go on, and it ends well."""
    csv_path = tmp_path / "rows.csv"
    with (
        pcm.open("rb") as said,
        subprocess.Popen(
            [*CHILD, "run", *form, "--input", "-", "--csv", str(csv_path)],
            stdin=said, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as running,
    ):  # fmt: skip
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stdout.readline()
        running.stdout.close()
        error = running.stderr.read()
    assert running.returncode == 0, error
    assert numbers(csv_path) == list(range(1, 31))
    assert "standard output cannot be written any more: Broken pipe; rows go on in" in error
    assert "Traceback" not in error
    assert "Exception ignored" not in error


def test_a_closed_pipe_ends_what_nobody_else_listens_to(pcm):
    """Without a CSV there is nothing left to do: no microphone stays open for nobody."""
    result = subprocess.run(
        f"exec 3>&1; {{ {' '.join(CHILD)} run --json --no-csv --input - <{pcm}; "
        "echo code $? >&3; } | head -1 >/dev/null",
        shell=True, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert result.stdout == "code 0\n"
    assert "Traceback" not in result.stderr


def test_recordings_are_classified_to_the_end_though_nobody_reads(tmp_path):
    """`streamer file | head -1`."""
    pcm, count = np.concatenate((LEAD, SAID, SAID)), 4
    for index in range(count):
        soundfile.write(tmp_path / f"call-{index}.wav", pcm, SAMPLE_RATE)
    for form, name in (("--json", "a.csv"), ("", "b.csv")):
        result = subprocess.run(
            f"exec 3>&1; {{ {' '.join(CHILD)} file {tmp_path} {form} --jobs 1 "
            f"--csv {tmp_path / name}; echo code $? >&3; }} | true",
            shell=True, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
        )  # fmt: skip
        assert result.stdout == "code 0\n", result.stderr
        assert len(read(tmp_path / name)) == 2 * count
        assert "Traceback" not in result.stderr
        assert "Exception ignored" not in result.stderr


def test_a_pipe_that_nobody_reads_holds_nothing_up(tmp_path, shown, capfd, monkeypatch):
    """Rows are written all the same; what is too much for the reader is dropped, and said."""
    monkeypatch.setattr("streamer.sinks.nonblocking_writer.MAX_BUFFER", 2000)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while os.write(writer, b"x" * 4096):
            pass
    except BlockingIOError:
        pass
    os.set_blocking(writer, True)
    path = tmp_path / "rows.csv"
    with os.fdopen(writer, "w") as full:
        lines = JsonLines(full)
        live(saying(6, lambda _: None, shown), path, lines=lines).run()
    assert numbers(path) == [1, 2, 3, 4, 5, 6]
    held = os.read(reader, 10 * MAX_BUFFER)
    os.close(reader)
    assert b"utterance" not in held
    assert "nobody reads standard output: lines are dropped" in capfd.readouterr().err


# --- signals ------------------------------------------------------------------------------------


class Child:
    """A live process with a scripted model that hears an endless paced recording."""

    def __init__(self, folder: Path, *args: str) -> None:
        self.csv = folder / "rows.csv"
        call = folder / "call.wav"
        soundfile.write(call, np.concatenate((LEAD, np.tile(SAID, 40))), SAMPLE_RATE)
        self.process = subprocess.Popen(
            [*CHILD, "run", "--input", str(call), "--csv", str(self.csv), *args],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def wait_for_rows(self, count: int) -> None:
        """Wait until a number of rows are on disk."""
        deadline = time.monotonic() + PATIENCE_S
        while not self.csv.is_file() or len(read(self.csv)) < count:
            assert time.monotonic() < deadline
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.02)


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Child]:
    """Started; ended with the test."""
    started = Child(tmp_path)
    yield started
    started.process.kill()
    started.process.communicate()


def test_ctrl_c_twice_ends_it_at_once_with_every_row(child):
    """Exit code 130 or, where it was done in the meantime, 0; every finished row is there."""
    child.wait_for_rows(1)
    child.process.send_signal(signal.SIGINT)
    child.process.send_signal(signal.SIGINT)
    _, error = child.process.communicate(timeout=PATIENCE_S)
    assert child.process.returncode in (0, main.INTERRUPTED), error
    assert numbers(child.csv) == list(range(1, len(read(child.csv)) + 1))
    assert "Traceback" not in error


def test_a_stopped_process_goes_on(child):
    """SIGSTOP, a while, SIGCONT: a recording has no holes, and no row is missing."""
    child.wait_for_rows(1)
    child.process.send_signal(signal.SIGSTOP)
    time.sleep(2.0)
    child.process.send_signal(signal.SIGCONT)
    child.wait_for_rows(3)
    child.process.send_signal(signal.SIGTERM)
    _, error = child.process.communicate(timeout=PATIENCE_S)
    assert child.process.returncode == 0, error
    rows = read(child.csv)
    assert numbers(child.csv) == list(range(1, len(rows) + 1))
    steps = np.diff([float(row["start_s"]) for row in rows])
    assert steps == pytest.approx(len(SAID) / SAMPLE_RATE, abs=0.15)


# --- faults of our own --------------------------------------------------------------------------


def fail(*_args: object, **_options: object) -> None:
    """Raise what nobody foresaw."""
    raise PlantedError("planted")


@pytest.mark.parametrize(
    ("where", "thread"),
    [
        ("streamer.audio.ring.RingBuffer.write", "capture"),
        ("streamer.segmentation.segmenter.Segmenter.push", "segmenter"),
        ("fakes.FakeModel.classify", "worker"),
        ("fakes.FakeModel.warm_up", "worker"),
        ("streamer.sinks.lines.JsonLines.write", "main"),
    ],
)
def test_a_fault_in_a_thread_ends_it_and_is_told(tmp_path, monkeypatch, capfd, where, thread):
    """With its traceback, for the report, and a sentence; exit code 1, and no hang."""
    path = tmp_path / "rows.csv"
    script = blocks(np.concatenate((LEAD, SAID)))
    use_model(monkeypatch, lambda _: FakeModel)
    monkeypatch.setattr(run, "_source", lambda *_: ScriptedSource(script))
    monkeypatch.setattr(where, fail)
    assert main.main(["run", "--json", "--csv", str(path)]) == 1
    error = capfd.readouterr().err
    assert "streamer: a fault in the program, please report it: PlantedError('planted')" in error
    assert thread == "main" or f"in the thread '{thread}'" in error
    if where == "fakes.FakeModel.classify":  # its row is owed all the same
        assert [row["emotion"] for row in read(path)] == [""]
    elif thread != "main":
        assert not path.exists() or read(path) == []


def test_a_frame_that_cannot_be_drawn_costs_no_row(tmp_path, shown, monkeypatch):
    """The terminal is given back, what was heard until then has its row."""
    path = tmp_path / "rows.csv"
    screen = io.StringIO()
    dashboard = Dashboard(
        Console(file=screen, force_terminal=True), DashboardConfig(fps=30), ["mono"], bell=False
    )

    def plant(number: int) -> None:
        if number == 3:
            monkeypatch.setattr("streamer.dashboard.screen.render", fail)
            monkeypatch.setattr(
                "streamer.dashboard.dashboard.URGENT_S", 0.0
            )  # so it is drawn for sure

    session = live(saying(3, plant, shown), path, dashboard=dashboard, lines=None)
    shown.release()  # nobody shows the third
    with dashboard, pytest.raises(PlantedError):
        session.run()
    assert numbers(path)[:2] == [1, 2]
    assert session.unwritten == []
    assert screen.getvalue().endswith("\x1b[?25h\x1b[?1049l")


def test_what_was_classified_when_it_failed_has_its_row(tmp_path):
    """Rows that wait for the main thread are not lost with it."""
    path = tmp_path / "rows.csv"

    class Failing(JsonLines):
        """Dies of the first utterance."""

        def write(self, event, session):
            del session
            if isinstance(event, Utterance):
                time.sleep(1.0)  # the others are classified meanwhile
                fail()

    script = [*blocks(np.concatenate((LEAD, np.tile(SAID, 4))))]
    with pytest.raises(PlantedError):
        live(script, path, lines=Failing(io.StringIO())).run()
    assert numbers(path) == [1, 2, 3, 4]


# --- said in time -------------------------------------------------------------------------------


def test_an_unknown_speaker_is_said_before_anything_is_loaded(tmp_path, monkeypatch, capfd):
    """Nobody waits for a model that is not used."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    use_model(monkeypatch, lambda _: fail)
    monkeypatch.setattr(run, "_source", lambda *_: ScriptedSource([]))
    assert main.main(["run", "--speaker", "nobody", "--no-csv"]) == 2
    out, error = capfd.readouterr()
    assert "speaker 'nobody' is not enrolled" in error
    assert "warming up" not in out


def test_an_alert_that_the_model_can_never_raise_is_an_error(tmp_path):
    """Rather than an alert that never comes."""
    rules = {"rules": [{"name": "hurt", "emotions": ["angry", "disgust"]}]}
    config = Config.model_validate({"alerts": rules})
    model = FakeModel()
    model.labels = ("neutral", "angry")
    session = LiveSession(
        Pipeline(ScriptedSource([]), lambda: model, config), config,
        csv=tmp_path / "rows.csv", dashboard=None, lines=None, duration=None,
    )  # fmt: skip
    with pytest.raises(ConfigError, match=r"rule 'hurt': got disgust, allowed with the model fake"):
        session.run()


def test_a_csv_that_cannot_be_opened_ends_it_at_the_start(tmp_path):
    """Rather than rows that are nowhere."""
    with pytest.raises(OutputError, match="is a folder"):
        live(blocks(LEAD), tmp_path).run()
    with pytest.raises(InputError, match="gone"):
        live([*blocks(LEAD), InputError("gone")], tmp_path / "rows.csv").run()
