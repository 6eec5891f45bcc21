"""Reads recordings from ``s3://``, ``gs://``, ``https://`` and other URLs that fsspec knows.

A recording is fetched whole to a temporary file before it is analysed, so that a connection that
breaks is tried again, and never leaves half of its rows.
"""

import importlib
import os
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

from streamer.errors import ConfigError, InputError
from streamer.text import one_line

MAX_AHEAD = 8
"""How many recordings are fetched in advance."""

ATTEMPTS = 5
BACK_OFF_S = 0.2
"""Seconds before the second attempt; each further pause is twice as long."""

COPY_BYTES = 1_048_576

INSTALL = "python -m pip install 'fsspec>=2024.6'"


def is_remote(location: str) -> bool:
    """Whether it is a URL."""
    scheme, separator, _ = location.partition("://")
    return bool(separator) and scheme.isalnum() and len(scheme) > 1


def shown(location: str) -> str:
    """The location without a password in it, on one line."""
    if not is_remote(location):
        return one_line(location)
    parts = urlsplit(location)
    host = parts.netloc.rpartition("@")[2]
    query = "…" if parts.query else ""  # signed URLs hold secrets there
    return one_line(urlunsplit((parts.scheme, host, parts.path, query, "")))


def find(location: str) -> Iterator[tuple[str, int, str]]:
    """List the files at a URL: location, size in bytes, and a stamp that changes with each.

    One folder's entries are in memory at a time.

    Raises:
        ConfigError: fsspec, or what it needs for this kind of URL, is not installed.
        InputError: There is nothing, or it cannot be listed.
    """
    system, path = _system(location)
    with _explained(location):
        info: Mapping[str, Any] = _retried(lambda: system.info(path), location)
        if info.get("type") != "directory":
            yield location, int(info.get("size") or 0), _stamp(info)
            return
        for _, _, files in system.walk(path, detail=True):
            for entry in files.values():
                if not os.path.basename(entry["name"]).startswith("."):  # noqa: PTH119 - a URL
                    address = system.unstrip_protocol(entry["name"])
                    yield address, int(entry.get("size") or 0), _stamp(entry)


@contextmanager
def fetched(location: str) -> Iterator[Path]:
    """Fetch a recording into a temporary file.

    Raises:
        InputError: It cannot be fetched.
    """
    system, path = _system(location)
    suffix = os.path.splitext(urlsplit(location).path)[1]  # noqa: PTH122 - a URL
    with tempfile.NamedTemporaryFile(suffix=suffix, delete=False) as file:
        copy = Path(file.name)
    try:
        with _explained(location):
            _retried(lambda: _copy(system, path, copy), location)
        yield copy
    finally:
        with suppress(OSError):
            copy.unlink()


class Ahead:
    """Fetches recordings before they are analysed, several at a time; a context manager."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(MAX_AHEAD, thread_name_prefix="fetch")

    def copies(self, locations: Iterable[str]) -> "Iterator[_Copy]":
        """Give a copy of each, in order; files on this machine are not copied."""
        waiting: deque[_Copy] = deque()
        for location in locations:
            waiting.append(_Copy(location, self._pool))
            if len(waiting) > MAX_AHEAD or not is_remote(waiting[0].location):
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)


class _Copy:
    """A recording that is being fetched; the context manager waits for it and gives its path."""

    def __init__(self, location: str, pool: ThreadPoolExecutor) -> None:
        self.location = location
        self._stack = ExitStack()
        self._path = pool.submit(self._fetch) if is_remote(location) else None

    def _fetch(self) -> Path:
        return self._stack.enter_context(fetched(self.location))

    def __enter__(self) -> Path:
        return Path(self.location) if self._path is None else self._path.result()

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def _copy(system: Any, path: str, copy: Path) -> None:  # noqa: ANN401 - fsspec ships no types
    with system.open(path, "rb") as source, copy.open("wb") as target:
        shutil.copyfileobj(source, target, COPY_BYTES)
        expected = getattr(source, "size", None)
        if expected is not None and target.tell() != expected:
            raise OSError(f"got {target.tell()} bytes, expected {expected}")


def _retried(attempt: Any, location: str) -> Any:  # noqa: ANN401 - returns what it returns
    for number in range(1, ATTEMPTS + 1):
        try:
            return attempt()
        except (FileNotFoundError, PermissionError):
            raise
        except Exception:  # each kind of storage has errors of its own
            if number == ATTEMPTS:
                raise
            time.sleep(BACK_OFF_S * 2 ** (number - 1))
    raise AssertionError(location)


def _system(location: str) -> tuple[Any, str]:
    """The file system for this kind of URL, without a cache of listings, and the path in it."""
    try:
        core = importlib.import_module("fsspec.core")
    except ImportError as error:
        raise ConfigError(f"{shown(location)}: needs fsspec: {INSTALL}") from error
    try:
        system, path = core.url_to_fs(location, use_listings_cache=False)
    except ImportError as error:
        raise ConfigError(f"{shown(location)}: {error}") from error
    except Exception as error:  # some kinds connect here, each with errors of its own
        raise _unreadable(location, error) from error
    return system, path


def _stamp(info: Mapping[str, Any]) -> str:
    for key in ("ETag", "etag", "LastModified", "updated", "mtime", "last_modified"):
        if info.get(key):
            return str(info[key])
    return ""


@contextmanager
def _explained(location: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(f"{shown(location)}: no such file or folder") from error
    except (InputError, ConfigError, GeneratorExit):
        raise
    except Exception as error:
        raise _unreadable(location, error) from error


def _unreadable(location: str, error: Exception) -> InputError:
    text = one_line(str(error) or repr(error))
    return InputError(f"{shown(location)}: cannot be read: {text}")
