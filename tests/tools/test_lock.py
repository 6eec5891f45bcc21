"""What is installed is what is locked, with hashes; looked up without a network."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def lock():
    """tools/lock.py."""
    spec = importlib.util.spec_from_file_location("lock", ROOT / "tools" / "lock.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_installed_is_locked(lock):
    """All that running needs, all that the tests need, and what these need in turn."""
    run, dev = lock.pinned(lock.RUN), lock.pinned(lock.DEV)
    assert lock.needed().items() <= run.items()
    assert lock.needed("dev").items() <= (run | dev).items()
    assert not run.keys() & dev.keys()


def test_everything_locked_has_hashes(lock):
    """So that pip refuses any other file; torch, which has none, is pinned by the package."""
    for path in (lock.RUN, lock.DEV):
        entries = re.split(r"\n(?=\S)", path.read_text().strip())
        assert len(entries) == len(lock.pinned(path))
        for entry in entries:
            assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry
    assert '"torch==' in (ROOT / "pyproject.toml").read_text()
