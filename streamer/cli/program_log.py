"""Sets up logging for a command: to stderr, and to a file if asked for.

Modules log with ``logging.getLogger(__name__)``. Warnings and errors appear on stderr; ``-v`` adds
what the program is doing, ``-vv`` everything. The file rotates: it can be written for weeks.
"""

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from io import TextIOWrapper
from logging.handlers import MemoryHandler, RotatingFileHandler
from pathlib import Path
from typing import TextIO

from streamer.cli.parser import CommandParser, Namespace, user_path
from streamer.errors import OutputError
from streamer.text import printable

ROOT = "streamer"
WEB_SERVER = "uvicorn"
"""The logger of the web server of `serve`; its warnings are logged, too."""

MAX_FILE_BYTES = 5_000_000
OLD_FILES = 3
"""How many full log files are kept beside the current one."""

MAX_HELD = 1000
"""How many messages wait for the end of a dashboard."""

FILE_FORMAT = "%(asctime)s %(levelname)-7s %(name)s [%(threadName)s] %(message)s"


def add_logging(parser: CommandParser) -> None:
    """Add ``-v`` and ``--log-file``."""
    parser.add_argument(
        *("-v", "--verbose"),
        action="count",
        default=0,
        help="log to stderr what the program does; -vv: every detail",
    )
    parser.add_argument(
        "--log-file",
        metavar="PATH",
        type=user_path,
        help="append a log with times to this file, which rotates at 5 MB",
    )
    parser.add_argument(
        "--log-json", action="store_true", help="write messages as JSON, one a line, for machines"
    )


@contextmanager
def logging_set_up(args: Namespace) -> Iterator[None]:
    """Log to stderr and the file while the context lasts.

    Raises:
        OutputError: The file cannot be opened.
    """
    root = logging.getLogger(ROOT)
    with ExitStack() as stack:
        level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(args.verbose, 2)]
        terminal = _ToStderr()
        terminal.setFormatter(
            _JsonLines() if args.log_json else _Printable("streamer: %(message)s")
        )
        _attach(stack, root, terminal, level)
        if args.log_file is not None:
            file = _log_file(args.log_file)
            file.setFormatter(_JsonLines() if args.log_json else _Printable(FILE_FORMAT))
            _attach(stack, root, file, min(level, logging.INFO))
        before = root.level
        stack.callback(root.setLevel, before)
        root.setLevel(min(handler.level for handler in root.handlers))
        yield


@contextmanager
def stderr_held_back() -> Iterator[None]:
    """Hold back the messages for stderr while something else is drawn on the terminal."""
    root = logging.getLogger(ROOT)
    direct = [each for each in root.handlers if isinstance(each, _ToStderr)]
    held = [MemoryHandler(MAX_HELD, flushLevel=logging.CRITICAL + 1, target=h) for h in direct]
    for handler, memory in zip(direct, held, strict=True):
        memory.setLevel(handler.level)
        root.removeHandler(handler)
        root.addHandler(memory)
    try:
        yield
    finally:
        for handler, memory in zip(direct, held, strict=True):
            root.removeHandler(memory)
            root.addHandler(handler)
            memory.close()  # writes what was held back


class _ToStderr(logging.StreamHandler[TextIO]):
    """Writes to what is stderr then: while PortAudio is muted, that is another stream."""

    @property
    def stream(self) -> TextIO:
        """The stream that messages go to."""
        return sys.stderr

    @stream.setter
    def stream(self, _: TextIO) -> None:
        """The base class sets one, which counts for nothing here."""


class _Printable(logging.Formatter):
    """Shows control characters escaped: a file's name must not steer the terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the base class's name
        """The line of a message."""
        return printable(super().formatMessage(record))


class _JsonLines(logging.Formatter):
    """A JSON object a line: ``time``, ``level``, ``logger``, ``message``, where known ``call``."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a message."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (call := getattr(record, "call", None)) is not None:
            line["call"] = call
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def _attach(stack: ExitStack, root: logging.Logger, handler: logging.Handler, level: int) -> None:
    handler.setLevel(level)
    stack.callback(handler.close)
    for logger in (root, logging.getLogger(WEB_SERVER)):
        logger.addHandler(handler)
        stack.callback(logger.removeHandler, handler)


def _log_file(path: Path) -> RotatingFileHandler:
    try:
        return _OwnerOnly(path, maxBytes=MAX_FILE_BYTES, backupCount=OLD_FILES, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"--log-file {path}: cannot be written: {error.strerror}") from error


class _OwnerOnly(RotatingFileHandler):
    """A rotating file that its owner alone may read."""

    def _open(self) -> TextIOWrapper:
        return open(self.baseFilename, "a", encoding=self.encoding, opener=_private)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
