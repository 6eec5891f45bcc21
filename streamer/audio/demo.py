"""This is the bundled recording, for `--demo` and for measurements."""

from pathlib import Path

DEMO = Path(__file__).parents[1] / "recordings" / "demo.flac"
