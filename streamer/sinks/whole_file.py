"""Writes a file completely or not at all: beside its place first, then renamed."""

import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from streamer.errors import OutputError


@contextmanager
def whole_file(out: Path) -> Iterator[Path]:
    """Give a new, empty file to write to; it replaces ``out`` if no exception is raised.

    An existing file stays until then, and the new one gets its permissions.

    Raises:
        OutputError: It cannot be written.
    """
    draft = None
    try:
        with tempfile.NamedTemporaryFile(dir=out.parent, prefix=out.name, delete=False) as file:
            draft = Path(file.name)
        yield draft
        if out.exists():  # whoever opened the old file to others meant it
            draft.chmod(stat.S_IMODE(out.stat().st_mode))
        draft.replace(out)
    except OSError as error:
        raise OutputError(f"{out}: cannot be written: {error.strerror or error}") from error
    finally:
        if draft is not None:
            with suppress(OSError):
                draft.unlink()
