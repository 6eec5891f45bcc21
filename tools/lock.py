"""Write the lock files: the versions of what is installed now, with hashes.

    .venv/bin/python tools/lock.py      # with uv on the path

requirements.lock has what running needs, requirements-serve.lock what a server needs besides,
requirements-dev.lock what the tests need besides both. torch is in none of them: which of its
files is the right one depends on the machine (see SECURITY.md); pyproject.toml pins it.
"""

import re
import subprocess
from collections.abc import Iterable
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
RUN = ROOT / "requirements.lock"
SERVE = ROOT / "requirements-serve.lock"
DEV = ROOT / "requirements-dev.lock"
OLDEST = {"python_version": "3.11", "python_full_version": "3.11.0"}
"""The oldest Python that streamer runs with, as markers of requirements say it."""
NOT_LOCKED = re.compile("torch|nvidia-.*|cuda-.*|triton")
"""What depends on the machine: torch, and what a CUDA build of it needs."""


def normal(name: str) -> str:
    """A package's name as all its spellings have it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def needed(extra: str = "") -> dict[str, str]:
    """Versions, by name, of what streamer needs here, and what that needs in turn.

    Args:
        extra: With this extra of streamer's.
    """
    found: dict[str, str] = {}
    waiting = [("streamer-emotion", extra)]
    while waiting:
        name, extra = waiting.pop()
        for text in distribution(name).requires or ():
            requirement = Requirement(text)
            marker, needs = requirement.marker, normal(requirement.name)
            if (marker is None or marker.evaluate({"extra": extra})) and needs not in found:
                found[needs] = distribution(needs).version.partition("+")[0]
                waiting += [(needs, also) for also in (*requirement.extras, "")]
    return {name: v for name, v in sorted(found.items()) if not NOT_LOCKED.fullmatch(name)}


def older(names: Iterable[str]) -> dict[str, str]:
    """Markers, by name, of what the packages need with `OLDEST` but not here.

    Args:
        names: Of installed packages.
    """
    found: dict[str, str] = {}
    for name in names:
        for requirement in map(Requirement, distribution(name).requires or ()):
            marker = requirement.marker
            if marker is None or "python_full_version" not in str(marker):
                continue
            if not marker.evaluate({"extra": ""}) and marker.evaluate({"extra": ""} | OLDEST):
                found[normal(requirement.name)] = str(marker)
    return found


def pinned(path: Path) -> dict[str, str]:
    """Versions, by name, that a lock has."""
    pins = re.findall(r"^([\w.-]+)==([^\s;]+)", path.read_text(), re.MULTILINE)
    return {normal(name): version for name, version in pins}


def write(path: Path, versions: dict[str, str], markers: dict[str, str]) -> None:
    """Write a lock, with the hashes of every file of these versions that the index has.

    Args:
        path: The lock.
        versions: By name.
        markers: By name, of what older Pythons need besides, in its newest version.
    """
    wanted = "".join(f"{name}=={version}\n" for name, version in versions.items())
    wanted += "".join(f"{name}; {marker}\n" for name, marker in markers.items())
    uv = ["uv", "pip", "compile", "-", "--quiet", "--universal", "--no-deps"]
    made = subprocess.run(  # noqa: S603 - uv, with what is installed here
        [*uv, "--generate-hashes", "--no-header", "--no-annotate", "--python-version", "3.11"],
        input=wanted, capture_output=True, text=True, check=True,
    )  # fmt: skip
    path.write_text(made.stdout)


def main() -> None:
    """Write all of them; what is in one is not in the next."""
    locked: set[str] = set()
    for path, extra in ((RUN, ""), (SERVE, "serve"), (DEV, "dev")):
        versions = {name: v for name, v in needed(extra).items() if name not in locked}
        markers = {name: m for name, m in older(versions).items() if name not in locked}
        write(path, versions, markers)
        locked |= versions.keys() | markers.keys()


if __name__ == "__main__":
    main()
