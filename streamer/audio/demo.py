"""The bundled recording, which is played where there is no microphone and measured with."""

from pathlib import Path

DEMO = Path(__file__).parents[1] / "recordings" / "demo.flac"
