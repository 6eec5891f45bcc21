"""``streamer`` as a process."""

import subprocess
import sys
from pathlib import Path


def streamer(
    *args: str, cwd: Path | None = None, env: dict[str, str] | None = None, stdin: bytes = b""
) -> "subprocess.CompletedProcess[bytes]":
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "streamer", *args],
        capture_output=True,
        timeout=100,
        check=False,
        cwd=cwd,
        env=env,
        input=stdin,
    )
