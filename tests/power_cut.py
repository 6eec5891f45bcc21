"""Makes a real disk whose plug can be pulled: data that was not synced is lost."""

import fcntl
import os
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SHUTDOWN = 0x8004587D
"""ext4's EXT4_IOC_SHUTDOWN: no write reaches the disk any more..."""

WITHOUT_LOG = struct.pack("I", 2)
"""...not even that of the journal."""

SIZE = 16 << 20


class Disk:
    """An ext4 file system in an image, mounted; commits nothing of its own accord.

    Attributes:
        folder: Where its files are.
    """

    def __init__(self, base: Path) -> None:
        self.folder = base / "disk"
        self._image = base / "disk.image"
        self.folder.mkdir()
        with self._image.open("wb") as image:
            image.truncate(SIZE)
        _run("mkfs.ext4", "-q", "-F", str(self._image))
        self._mount()

    def cut(self) -> None:
        """Pull the plug: whoever writes from now on gets an error."""
        root = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(root, SHUTDOWN, WITHOUT_LOG)
        finally:
            os.close(root)

    def start_again(self) -> None:
        """Start the machine again: nobody has files open there, and the page cache is empty."""
        _run("umount", str(self.folder))
        self._mount()

    def remove(self) -> None:
        """Take it away."""
        _run("umount", "--lazy", str(self.folder))

    def _mount(self) -> None:
        _run("mount", "-o", "loop,commit=3600", str(self._image), str(self.folder))


@contextmanager
def disk(base: Path) -> Iterator[Disk]:
    """Such a disk; the test is skipped where none can be had."""
    try:
        made = Disk(base)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"no disk can be mounted here: {error}")
    try:
        yield made
    finally:
        made.remove()


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, timeout=60)
