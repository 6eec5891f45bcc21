"""The container's image gets the files that its Dockerfile and the package's build read."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_what_the_image_is_built_from_is_sent_to_the_builder():
    """The .dockerignore leaves everything out but what it names."""
    everything, *lines = (ROOT / ".dockerignore").read_text().split()
    assert everything == "*"
    sent = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert all((ROOT / name).exists() for name in sent)
    text = (ROOT / "Dockerfile").read_text()
    steps = re.findall(r"^(?:COPY|RUN) .*(?:\\\n.*)*", text, re.MULTILINE)
    named = {word for word in re.findall(r"[\w.-]+", " ".join(steps)) if (ROOT / word).is_file()}
    assert "requirements.lock" in named
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    packed = {project["project"]["readme"], *wheel["packages"], *wheel["force-include"]}
    assert named | packed <= sent
