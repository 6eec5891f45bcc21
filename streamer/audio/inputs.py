"""Resolves what a user names as an input to a path or an open pipe."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

from streamer.audio.url import SCHEMES, is_url
from streamer.errors import InputError
from streamer.text import one_line


def recording_path(text: str) -> Path:
    """The path of a recording or a folder; a ``~`` at its beginning is the user's home.

    Raises:
        InputError: It is a URL, perhaps of an unknown kind, or nobody's home.
    """
    if is_url(text):
        raise InputError(
            f"{one_line(text)}: is a URL, expected a file or a folder; "
            "'streamer run --input URL' listens to it"
        )
    path = Path(text)
    if "://" in text and not path.exists():
        raise InputError(
            f"{one_line(text)}: is no file, and no URL of a kind that can be listened to: "
            f"{', '.join(sorted(SCHEMES))}"
        )
    try:
        return path.expanduser() if text.startswith("~") and not path.exists() else path
    except RuntimeError as error:
        raise InputError(f"{one_line(text)}: nobody has such a home folder") from error


def open_pipe(path: Path) -> BinaryIO | None:
    """A named pipe, opened for reading without waiting for whoever writes; None for other files.

    Raises:
        InputError: It cannot be opened.
    """
    try:
        if not stat.S_ISFIFO(path.stat().st_mode):
            return None
        return os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb")
    except FileNotFoundError:
        return None  # whoever reads it says so
    except OSError as error:
        raise InputError(f"{one_line(str(path))}: cannot be read: {error.strerror}") from error
