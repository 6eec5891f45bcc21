"""Where sound comes from: a microphone, a recording, a pipe. All deliver blocks of int16 PCM."""

import os
import queue
import select
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Protocol, Self

import numpy as np
import soundfile

from streamer.audio.level import FULL_SCALE
from streamer.errors import DeviceLostError, InputError
from streamer.types import SAMPLE_RATE, Block, Pcm, SourceInfo

POLL_S = 0.1
"""How long a read waits before it comes back with nothing: every thread looks up this often."""

MIN_SILENT_S = 1.0
MIN_SILENT_BLOCKS = 10
"""A device that delivers nothing for the longer of these two is lost."""

START_TIMEOUT_S = 4.0
"""A device that was just opened may take this long to deliver its first block."""

PACED_BLOCKS = 3
"""After a pause, what has not come before so many blocks at their usual pace is lost."""

CLOSE_TIMEOUT_S = 2.0
"""Closing a stream whose device has gone may never return: it is given this long, then left."""


RATES = (1_000, 768_000)
"""Samples a second that a recording or a pipe may have."""

MOST_CHANNELS = 64


class Source(Protocol):
    """Something that can be listened to. Opened, read and closed on the capture thread."""

    def open(self) -> SourceInfo:
        """Start delivering; may be called again after `close`, for the same device.

        Raises:
            InputError: It cannot be opened; the message says why and names the cure.
        """

    def read(self) -> Block | None:
        """The next block; an empty one where nothing came within `POLL_S`; None at the end.

        Raises:
            DeviceLostError: A device stopped delivering.
            InputError: A recording cannot be read on.
        """

    def close(self) -> None:
        """Stop delivering. Never raises, never waits long."""


def _uptime() -> float:
    """Seconds that also pass while the machine sleeps: in Linux, monotonic ones do not."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


def _empty(channels: int) -> Block:
    return Block(np.zeros((0, channels), dtype=np.int16), time.monotonic())


def _sane(info: SourceInfo) -> SourceInfo:
    """Let pass what somebody may have recorded: the memory that a second of it takes is bounded.

    Raises:
        InputError: Such a rate or channel count is a mistake, or a damaged header.
    """
    least, most = RATES
    if not least <= info.sample_rate <= most or not 1 <= info.channels <= MOST_CHANNELS:
        raise InputError(
            f"{info.name}: got {info.sample_rate} Hz and {info.channels} channels, "
            f"expected {least} to {most} Hz and 1 to {MOST_CHANNELS} channels"
        )
    return info


def to_int16(pcm: np.ndarray[Any, np.dtype[np.float32]], name: str) -> Pcm:
    """Float PCM, full scale 1.0, to int16; what is beyond full scale is clipped.

    Raises:
        InputError: NaN or infinity among the samples.
    """
    if not np.isfinite(pcm).all():
        bad = np.count_nonzero(~np.isfinite(pcm))
        raise InputError(f"{name}: {bad} samples are NaN or infinite, expected finite numbers")
    scaled = np.rint(pcm * FULL_SCALE)
    clipped: Pcm = np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
    return clipped


# --- recordings ---------------------------------------------------------------------------------


class Recording:
    """A recording that libsndfile can read (WAV, FLAC, Ogg, Opus, MP3, ...), as a context manager.

    Raises:
        InputError: It is missing, a folder, empty, or no sound file.
    """

    def __init__(self, path: Path) -> None:
        if path.is_dir():
            raise InputError(f"{path}: is a folder, expected a recording")
        if not path.exists():
            raise InputError(f"{path}: no such file")
        try:
            if path.stat().st_size == 0:
                raise InputError(f"{path}: is empty (0 bytes), expected a recording")
            self._file = soundfile.SoundFile(path)
        except (soundfile.SoundFileError, OSError, TypeError) as error:
            # TypeError: soundfile takes a name ending in .raw for headerless PCM
            raise InputError(f"{path}: cannot be read as a sound file: {_reason(error)}") from error
        self.path = path
        try:
            self.info = _sane(
                SourceInfo(str(path), self._file.samplerate, self._file.channels, live=False)
            )
        except InputError:
            self._file.close()
            raise

    @property
    def duration_s(self) -> float:
        """Length in seconds, as its header says."""
        return float(self._file.frames / self._file.samplerate)

    def blocks(self, seconds: float) -> Iterator[Pcm]:
        """Its samples, shape (samples, channels), at its own rate, a piece at a time.

        Raises:
            InputError: It breaks off, or holds samples that are no numbers. All blocks before
                that were delivered.
        """
        samples = max(1, round(seconds * self.info.sample_rate))
        delivered = 0
        while True:
            try:
                # float32, since libsndfile does not scale float files when asked for integers
                block = self._file.read(samples, dtype="float32", always_2d=True)
            except soundfile.SoundFileError as error:
                at = delivered / self.info.sample_rate
                raise InputError(
                    f"{self.path}: breaks off at {at:.1f} s: {_reason(error)}"
                ) from error
            if not len(block):
                return
            delivered += len(block)
            yield to_int16(block, str(self.path))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()


def _reason(error: Exception) -> str:
    text = getattr(error, "error_string", None) or str(error)
    return text.strip().rstrip(".")


class FileSource:
    """A recording played at real-time pace, through the very same pipeline as a microphone."""

    def __init__(self, path: Path, *, block_s: float, name: str | None = None) -> None:
        self._path = path
        self._block_s = block_s
        self._name = name or str(path)

    def open(self) -> SourceInfo:
        """Open the recording and start its clock."""
        self._recording = Recording(self._path)
        self._blocks = self._recording.blocks(self._block_s)
        self._started = time.monotonic()
        self._delivered = 0
        return replace(self._recording.info, name=self._name)

    def read(self) -> Block | None:
        """The next block, once the time for it has come."""
        pcm = next(self._blocks, None)
        if pcm is None:
            return None
        self._delivered += len(pcm)
        due = self._started + self._delivered / self._recording.info.sample_rate
        time.sleep(max(0.0, due - time.monotonic()))
        return Block(pcm, due)

    def close(self) -> None:
        """Close the recording."""
        if hasattr(self, "_recording"):
            self._recording.close()


# --- a pipe -------------------------------------------------------------------------------------


class PipeSource:
    """Raw signed 16-bit little-endian PCM, channels interleaved, from a pipe.

    Raises:
        InputError: Nobody can have recorded such a rate or so many channels.
    """

    def __init__(self, pipe: BinaryIO, *, sample_rate: int, channels: int, block_s: float) -> None:
        self._pipe = pipe
        self._info = _sane(SourceInfo("standard input", sample_rate, channels, live=False))
        self._block_bytes = round(block_s * sample_rate) * channels * 2
        self._rest = b""  # of a sample that the last read cut

    def open(self) -> SourceInfo:
        """Nothing to open: the pipe is there."""
        return self._info

    def read(self) -> Block | None:
        """What the pipe holds now, at most one block."""
        if sys.platform != "win32" and not select.select([self._pipe], [], [], POLL_S)[0]:
            return _empty(self._info.channels)
        data = os.read(self._pipe.fileno(), self._block_bytes)
        if not data:
            return None
        data = self._rest + data
        whole = len(data) - len(data) % (2 * self._info.channels)
        self._rest = data[whole:]
        pcm = np.frombuffer(data[:whole], dtype="<i2").astype(np.int16)
        return Block(pcm.reshape(-1, self._info.channels), time.monotonic())

    def close(self) -> None:
        """Leave the pipe to whoever opened it."""


# --- a microphone -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Device:
    """An input device, as PortAudio knows it."""

    index: int
    name: str
    host_api: str
    channels: int
    sample_rate: int
    default: bool


def input_devices() -> list[Device]:
    """The input devices of this machine, freshly looked for.

    Raises:
        InputError: PortAudio is missing or does not start.
    """
    sd = _portaudio()
    _look_again(sd)
    apis = sd.query_hostapis()
    default = sd.default.device["input"]
    return [
        Device(
            index=entry["index"],
            name=entry["name"],
            host_api=apis[entry["hostapi"]]["name"],
            channels=entry["max_input_channels"],
            sample_rate=int(entry["default_samplerate"]),
            default=entry["index"] == default,
        )
        for entry in sd.query_devices()
        if entry["max_input_channels"] > 0
    ]


def find_device(wanted: str | int | None) -> Device:
    """The device with this index or with this in its name; None: the default one.

    Raises:
        InputError: There is none, or there are several; the candidates are listed.
    """
    devices = input_devices()
    if not devices:
        raise InputError(
            "no input device: plug in a microphone, or play a recording with --input FILE"
        )
    if wanted is None:
        return next((device for device in devices if device.default), devices[0])
    if isinstance(wanted, str) and wanted.isdecimal():
        wanted = int(wanted)
    if isinstance(wanted, int):
        found = [device for device in devices if device.index == wanted]
    else:
        found = [device for device in devices if device.name.casefold() == wanted.casefold()]
        found = found or [d for d in devices if wanted.casefold() in d.name.casefold()]
    if len(found) == 1:
        return found[0]
    problem = "is ambiguous" if found else "is no input device"
    candidates = "\n".join(f"  {d.index}: {d.name} ({d.host_api})" for d in found or devices)
    raise InputError(f"device {wanted!r} {problem}; there are:\n{candidates}")


def _portaudio() -> Any:  # noqa: ANN401 - the sounddevice module, which ships no types
    try:
        import sounddevice as sd  # noqa: PLC0415 - opens PortAudio: only where it is needed
    except OSError as error:
        raise InputError(
            "PortAudio is missing: install it (Debian: apt-get install libportaudio2), "
            "or play a recording with --input FILE"
        ) from error
    return sd


def _look_again(sd: Any) -> None:  # noqa: ANN401 - the sounddevice module
    """Have PortAudio list the devices anew: it looks when it starts, and only then."""
    try:
        sd._terminate()  # noqa: SLF001 - there is no public way
        sd._initialize()  # noqa: SLF001
    except sd.PortAudioError as error:
        raise InputError(f"PortAudio does not start: {error}") from error


@contextmanager
def native_stderr_muted() -> Iterator[None]:
    """Keep what C code writes to stderr off the terminal; Python's own stderr still works.

    ALSA and PortAudio report absent cards and lost devices there, line upon line, on threads of
    their own: it would tear the dashboard, and says nothing that our own errors do not.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with os.fdopen(kept, "w") as still_heard, Path(os.devnull).open("wb") as sink:
        os.dup2(sink.fileno(), 2)
        try:
            with redirect_stderr(still_heard):
                yield
        finally:
            os.dup2(kept, 2)


class MicrophoneSource:
    """An input device, at 16 kHz where it can, else at its own rate.

    After a loss, `open` looks for the same device again, by its name, never for another one.
    """

    def __init__(self, device: str | int | None, *, channels: int, block_s: float) -> None:
        self._wanted = device
        self._channels = channels
        self._block_s = block_s
        self._info: SourceInfo | None = None  # of the last time it was open
        self._stream: Any = None
        self._blocks: queue.SimpleQueue[Block] = queue.SimpleQueue()
        self._polls = 0  # how often in a row nothing had come
        self._heard = False  # since it was opened
        self._last_up = 0.0  # when a block last came, by the clock that does not stop; 0: never
        self._late = 0  # samples that did not come in time, and still may
        self._paced = 0  # how many blocks have come at their usual pace since
        self._after_loss = False

    def open(self) -> SourceInfo:
        """Open the device; after a loss, the same one."""
        found = find_device(self._wanted if self._info is None else self._info.name)
        sd = _portaudio()
        channels, rate = _best_format(sd, found, self._channels)
        self._blocks = queue.SimpleQueue()
        self._polls, self._heard = 0, False
        self._after_loss = self._info is not None
        self._info = SourceInfo(found.name, rate, channels, live=True)
        try:
            self._stream = sd.InputStream(
                device=found.index,
                samplerate=rate,
                channels=channels,
                dtype="int16",
                blocksize=round(self._block_s * rate),
                callback=self._on_block,
            )
            self._stream.start()
        except sd.PortAudioError as error:
            self.close()
            raise InputError(
                f"{found.name}: cannot be opened ({error.args[0]}); is another program using it? "
                "'streamer devices' lists the others"
            ) from error
        return self._info

    def read(self) -> Block | None:
        """The next block. Raises DeviceLostError when the device has gone silent for too long."""
        assert self._info is not None, "read before open"  # noqa: S101 - for the type checker
        try:
            block = self._blocks.get(timeout=POLL_S)
        except queue.Empty:
            self._polls += 1  # no clock: while this process was stopped, nothing could be heard
            limit = max(MIN_SILENT_S, MIN_SILENT_BLOCKS * self._block_s)
            silent = self._polls * POLL_S
            if not self._stream.active:
                raise DeviceLostError("its stream broke off") from None
            if silent > (limit if self._heard else START_TIMEOUT_S):
                raise DeviceLostError(f"nothing from it for {silent:.1f} s") from None
            return _empty(self._info.channels)
        self._polls, self._heard = 0, True
        return block

    def close(self) -> None:
        """Close the stream; where that hangs, leave it to a thread of its own."""
        stream, self._stream = self._stream, None
        if stream is not None:
            closing = threading.Thread(target=_close_quietly, args=(stream.abort, stream.close))
            closing.daemon = True
            closing.start()
            closing.join(CLOSE_TIMEOUT_S)

    def _on_block(self, pcm: Pcm, samples: int, _times: object, status: Any) -> None:  # noqa: ANN401
        """On PortAudio's thread: hand over a copy and return at once."""
        now, up = time.monotonic(), _uptime()
        rate = self._info.sample_rate if self._info else SAMPLE_RATE
        # The device does not say how much it lost: what the clock says is missing.
        missing = round((up - self._last_up) * rate) - samples if self._last_up else 0
        self._last_up = up
        overrun = bool(status.input_overflow)
        if self._after_loss:
            lost, self._late = max(1, self._late + missing), 0
        elif overrun and not self._late and missing <= MIN_SILENT_S * rate:
            lost = max(1, missing)
        else:
            lost = self._given_up(missing, samples, rate)
        self._blocks.put(Block(pcm.copy(), now, lost=lost, overrun=overrun))
        self._after_loss = False

    def _given_up(self, missing: int, samples: int, rate: int) -> int:
        """How many samples are lost for good, now that a block has come.

        What did not come in time may come all at once: a sound server keeps it while this process
        is stopped. It is lost when blocks have come at their usual pace again for a while.
        """
        if missing > MIN_SILENT_S * rate:
            self._late, self._paced = self._late + missing, 0
        elif self._late:
            self._late += missing
            self._paced = 0 if missing < -samples // 2 else self._paced + 1
            if self._paced == PACED_BLOCKS:
                lost, self._late = self._late, 0
                return lost if lost > POLL_S * rate else 0
        return 0


def _best_format(sd: Any, device: Device, channels: int) -> tuple[int, int]:  # noqa: ANN401
    """Channels and rate to open a device with: as wanted where it can, else its own."""
    for count in (channels, device.channels):
        for rate in (SAMPLE_RATE, device.sample_rate):
            try:
                sd.check_input_settings(
                    device=device.index, channels=count, dtype="int16", samplerate=rate
                )
            except sd.PortAudioError:
                continue
            return count, rate
    return device.channels, device.sample_rate  # opening it will say what is wrong


def _close_quietly(*steps: Callable[[], None]) -> None:
    for step in steps:
        try:
            step()
        except Exception:  # noqa: BLE001, S112 - the device is gone: nothing is left to be saved
            continue
