"""Runs ``streamer`` as a user types it: in this process, or in one of its own where needed."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack, chdir
from pathlib import Path
from unittest.mock import patch

import torch

from streamer.cli.main import main


def streamer(
    *args: str,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    own_process: bool = False,
) -> "subprocess.CompletedProcess[bytes]":
    """Run a command to its end.

    Args:
        args: The command line.
        cwd: The current folder meanwhile.
        env: The whole environment meanwhile.
        stdin: What it reads.
        own_process: Start Python anew, which takes seconds: for what only a process can show.
    """
    if own_process:
        return subprocess.run(
            [sys.executable, "-m", "streamer", *args],
            capture_output=True,
            timeout=100,
            check=False,
            cwd=cwd,
            env=env,
            input=stdin,
        )
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        given, out, err = (Path(folder) / name for name in ("stdin", "stdout", "stderr"))
        given.write_bytes(stdin)
        for name, path, mode in (("stdin", given, "r"), ("stdout", out, "w"), ("stderr", err, "w")):
            file = stack.enter_context(path.open(mode, encoding="utf-8", newline="\n"))
            stack.enter_context(patch.object(sys, name, file))  # real ones: each has a descriptor
        stack.enter_context(chdir(cwd or Path.cwd()))
        if env is not None:
            stack.enter_context(patch.dict(os.environ, env, clear=True))
        stack.callback(torch.set_num_threads, torch.get_num_threads())
        try:
            code = main(args)
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        sys.stdout.flush()
        sys.stderr.flush()
        return subprocess.CompletedProcess(args, code, out.read_bytes(), err.read_bytes())
