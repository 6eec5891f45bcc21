"""The API reference is made from the docstrings."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_reference(tmp_path: Path):
    """Each public name has its place, without a warning."""
    pytest.importorskip("pdoc")
    runpy.run_path(str(ROOT / "tools" / "api_reference.py"))["write"](tmp_path)
    page = (tmp_path / "streamer.html").read_text()
    for name in __import__("streamer").__all__:
        assert f'id="{name}"' in page
    assert (tmp_path / "streamer" / "errors.html").exists()
    assert not (tmp_path / "streamer" / "cli.html").exists()
