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
    """All that running, a server and the tests need, and what these need in turn."""
    run, serve, dev = map(lock.pinned, (lock.RUN, lock.SERVE, lock.DEV))
    assert lock.needed().items() <= run.items()
    assert lock.needed("serve").items() <= (run | serve).items()
    assert lock.needed("dev").items() <= (run | serve | dev).items()
    assert len(run | serve | dev) == len(run) + len(serve) + len(dev)


def test_what_older_pythons_need_besides_is_locked(lock):
    """Locks are written with one Python; what that does not need is missing with another."""
    text = lock.RUN.read_text() + lock.SERVE.read_text()
    for name, marker in lock.older(lock.needed("serve")).items():
        quoted = re.escape(marker.replace('"', "'"))
        assert re.search(rf"^{name}==\S+ ; {quoted} ", text, re.MULTILINE)


def test_everything_locked_has_hashes(lock):
    """So that pip refuses any other file; torch, which has none, is pinned by the package."""
    for path in (lock.RUN, lock.SERVE, lock.DEV):
        entries = re.split(r"\n(?=\S)", path.read_text().strip())
        assert len(entries) == len(lock.pinned(path))
        for entry in entries:
            assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry
    assert '"torch==' in (ROOT / "pyproject.toml").read_text()
