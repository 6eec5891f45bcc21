"""Lists the programs that are compared, and makes an environment for each."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

ROOT = Path(__file__).parents[2]
WORKERS = Path(__file__).parent / "workers"
CACHE = ROOT / ".cache" / "peers"
ONE_THREAD = {
    f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMBA", "VECLIB")
}
STDERR = Console(stderr=True)


class PeerError(Exception):
    """A peer cannot be installed, or failed; the message is a line for its row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A program that is measured.

    Attributes:
        script: Its file in `WORKERS`.
        title: Its name for people.
        requires: Packages that pip installs.
        alone: Packages that pip installs without their dependencies.
        classifier: The classifier that `fit.py` fits to its features; empty where it needs none.
        model: Its weights, relative to ROOT or to site-packages; None for a classifier of ours.
        streams: Whether it can classify repeatedly while somebody speaks.
    """

    script: str
    title: str
    requires: tuple[str, ...]
    alone: tuple[str, ...] = ()
    classifier: str = ""
    model: str | None = None
    streams: bool = True

    @property
    def folder(self) -> Path:
        """Its environment; what is installed alike is installed once."""
        return CACHE / f"env-{digest(self.requires, self.alone)}"

    @property
    def site_packages(self) -> Path:
        """Where its packages are."""
        return next(self.folder.glob("lib*/**/site-packages"))

    @property
    def fitted(self) -> Path:
        """Its classifier."""
        return CACHE / f"{self.script}.joblib"


OURS = Peer(
    script="classifying",
    title="streamer, a piece classified (`Classifier.classify`)",
    requires=(str(ROOT),),  # the code itself is that of the checkout, see `run`
    model="models/default/model.safetensors",
)
BASELINES = (
    OURS,
    Peer(
        script="predicting",
        title="streamer, speech found and classified (`Predictor.predict`)",
        requires=OURS.requires,
        model="models/default/model.safetensors",
        streams=False,
    ),
    Peer(
        script="egemaps",
        title="openSMILE eGeMAPSv02 + SVM",
        requires=("opensmile", "scikit-learn"),
        classifier="vectors",
    ),
    Peer(
        script="midterm",
        title="pyAudioAnalysis + SVM",
        # It declares nothing; this is what its features import.
        requires=(
            *("pyAudioAnalysis", "eyed3", "matplotlib", "pydub", "scipy", "tqdm"),
            "scikit-learn",
        ),
        classifier="vectors",
    ),
    Peer(
        script="mfcc",
        title="librosa MFCC + small net",
        requires=("librosa", "scikit-learn"),
        classifier="net",
    ),
    Peer(
        script="silero",
        title="Silero VAD alone (no emotion)",
        requires=("numpy", "onnxruntime"),
        alone=("silero-vad",),  # it would take torch, which its ONNX model does without
        model="silero_vad/data/silero_vad.onnx",
        streams=False,
    ),
)


def install(peer: Peer) -> None:
    """Make its environment, unless it is there and made of the same.

    Raises:
        PeerError: pip refuses.
    """
    ready = peer.folder / "ready"
    ours = (ROOT / "pyproject.toml").read_text() if str(ROOT) in peer.requires else ""
    wanted = digest(peer.requires, peer.alone, ours)
    if ready.is_file() and ready.read_text() == wanted:
        return
    shutil.rmtree(peer.folder, ignore_errors=True)
    run([sys.executable, "-m", "venv", str(peer.folder)])
    pip = [str(python(peer)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*pip, *peer.requires])
    if peer.alone:
        run([*pip, "--no-deps", *peer.alone])
    ready.write_text(wanted)


def python(peer: Peer) -> Path:
    """The interpreter of its environment."""
    windows = peer.folder / "Scripts" / "python.exe"
    return windows if windows.is_file() else peer.folder / "bin" / "python"


def run(command: Sequence[str], said: Callable[[str], None] = lambda _: None) -> str:
    """What a command prints; each line is also told to ``said`` as it comes.

    Raises:
        PeerError: It fails.
    """
    environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    lines = []
    with tempfile.TemporaryFile("w+") as errors:
        with subprocess.Popen(  # noqa: S603 - our own scripts, and pip
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
            text=True, env=environment, cwd=ROOT,
        ) as process:  # fmt: skip
            for line in process.stdout or ():
                said(line.strip())
                lines.append(line)
        if process.returncode:
            errors.seek(0)
            said_last = [line for line in errors.read().splitlines() if line.strip()][-1:]
            raise PeerError(*(said_last or [f"exit code {process.returncode}"]))
    return "".join(lines)


def megabytes(folder: Path) -> float:
    """Of all files in it, pip left out: nobody runs that."""
    files = (file for file in folder.rglob("*") if file.is_file() and not file.is_symlink())
    kept = (f for f in files if not f.relative_to(folder).parts[0].startswith("pip"))
    return sum(file.stat().st_size for file in kept) / 1e6


@contextmanager
def noting(peer: Peer, failures: dict[str, str]) -> Iterator[None]:
    """Turn an error of a peer's into a line for its row."""
    try:
        yield
    except PeerError as error:
        STDERR.print(f"{peer.title}: {error}", markup=False)
        failures[peer.script] = str(error)


def digest(*parts: object) -> str:
    """Of whatever something was made from."""
    state = hashlib.sha256()
    for part in parts:
        state.update(part if isinstance(part, bytes) else json.dumps(part).encode())
    return state.hexdigest()[:16]
