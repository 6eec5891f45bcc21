"""Checks what the program was started with: standard streams and the current folder."""

import os
import sys
from contextlib import suppress
from pathlib import Path

from streamer.errors import ConfigError

STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))
"""Names and modes of the standard streams, in the order of their descriptors."""


def open_closed_streams() -> None:
    """Open the null device in place of standard streams that were closed, as ``>&-`` does.

    Python has None for them. Their descriptors are free, so that the next file that is opened,
    a CSV perhaps, would get what C code prints there.
    """
    for descriptor, (name, mode) in enumerate(STREAMS):
        if getattr(sys, name) is not None:
            continue
        try:
            os.fstat(descriptor)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null != descriptor:
                os.dup2(null, descriptor)
                os.close(null)
            with suppress(OSError):
                os.set_inheritable(descriptor, True)  # noqa: FBT003 - programs that we start need them, too
        stream = open(descriptor, mode, encoding="utf-8", closefd=False)  # noqa: SIM115 - for good
        setattr(sys, name, stream)


def check_current_folder() -> None:
    """Raises ConfigError where the current folder has been deleted: no path leads anywhere."""
    try:
        Path.cwd()
    except OSError as error:
        raise ConfigError(
            f"the current folder cannot be used ({error.strerror}): change to another one"
        ) from error
