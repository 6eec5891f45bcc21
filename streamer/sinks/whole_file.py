"""A file that is there whole or not at all: it is written beside its place, then renamed."""

import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from streamer.errors import OutputError


@contextmanager
def whole_file(out: Path) -> Iterator[Path]:
    """A new, empty file to write to, which takes the place of ``out`` where nothing goes wrong.

    What is there stays until then, and gives the new file its permissions.

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
