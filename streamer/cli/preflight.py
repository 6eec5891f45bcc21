"""Checks model, CSV and recording quickly, before the model is loaded and the screen taken."""

import errno
import os
import stat
import time
from pathlib import Path

from streamer.audio.recording import Recording
from streamer.audio.url import UrlSource
from streamer.config import Config
from streamer.errors import InputError, OutputError
from streamer.model.catalog import find_bundle
from streamer.sinks.csv_log import NO_FILE
from streamer.sinks.csv_sink import check_log
from streamer.text import quantity

CONNECT_S = 5.0
"""How long `check_url` waits for a stream to begin."""


def check_before_loading(config: Config, csv: Path | None) -> None:
    """Check that the model is there and the CSV can be written.

    Raises:
        ModelError: There is no such model.
        OutputError: The CSV cannot be written, or is no log of this version.
    """
    find_bundle(config.model.name)
    if csv is not None:
        check_writable(csv)
        check_log(csv, excel=config.output.excel)


def check_writable(path: Path) -> None:
    """Check that a file can be appended to; creates nothing.

    Raises:
        OutputError: It is no file, its folder is missing, or permission is denied.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        mode = None
    except OSError as error:  # as of a link to itself
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error
    if mode is not None and stat.S_ISDIR(mode):
        raise OutputError(f"{path}: is a folder, expected a CSV file or a new name")
    if mode is not None and not stat.S_ISREG(mode):
        raise OutputError(f"{path}: {NO_FILE}")
    folder = path.resolve().parent  # of what a link leads to
    if not folder.is_dir():
        raise OutputError(f"{path}: cannot be written: there is no folder {folder}")
    if not os.access(folder if mode is None else path, os.W_OK):
        read_only = hasattr(os, "statvfs") and os.statvfs(folder).f_flag & os.ST_RDONLY
        reason = os.strerror(errno.EROFS if read_only else errno.EACCES)
        raise OutputError(f"{path}: cannot be written: {reason}")


def check_recording(path: Path, config: Config) -> None:
    """Check that a recording can be read and has as many channels as are named.

    Raises:
        InputError: It cannot be read, or has fewer channels.
    """
    with Recording(path) as recording:
        _check_channels(str(path), recording.info.channels, config)


def check_url(source: UrlSource, config: Config) -> None:
    """Check that a URL can be read and has as many channels as are named.

    It stays connected, so that nothing of a live stream is lost. A stream that has not begun within
    `CONNECT_S` may begin later.

    Raises:
        InputError: It cannot be read, or has fewer channels.
    """
    deadline = time.monotonic() + CONNECT_S
    try:
        while (info := source.open()) is None:
            if time.monotonic() > deadline:
                return
        _check_channels(info.name, info.channels, config)
    except BaseException:
        source.close()
        raise


def _check_channels(name: str, got: int, config: Config) -> None:
    expected = config.audio.channels
    if got < len(expected):
        raise InputError(
            f"{name}: has {quantity(got, 'channel')}, expected {len(expected)}: "
            f"{', '.join(expected)}"
        )
