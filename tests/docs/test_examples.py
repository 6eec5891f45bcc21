"""The examples, commands, settings and links in the documents are true."""

import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import soundfile
from commands import streamer

from streamer.audio.demo import DEMO

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
    if "cards" not in path.parts
)
USAGE = [path for path in PAGES if path.name == "README.md" or path.parent.name == "usage"]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def name(page: Path) -> str:
    """What a test is called by."""
    return str(page.relative_to(ROOT))


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a page in a language."""
    return [text for found, text in BLOCK.findall(page.read_text()) if found == language]


@cache
def usage(*command: str) -> str:
    """What a command's help says."""
    done = streamer(*command, "--help")
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def anchors(page: Path) -> set[str]:
    """What a link into a page may name."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path):
    """Every relative link names a file that is there, and a heading that is in it."""
    for link in re.findall(r"\]\(([^)\s]+)\)", BLOCK.sub("", page.read_text())):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", USAGE, ids=name)
def test_commands_are_known(page: Path):
    """Every command line of `streamer` in a page uses a command and options that there are."""
    text = page.read_text()
    lines = [line for block in blocks(page, "sh") for line in block.splitlines()]
    lines += re.findall(r"`(streamer [^`]+)`", text)
    for line in lines:
        found = re.search(r"(?:^|\| |STREAMER\S+ )(streamer [^|#…]*)", line)
        if not found:
            continue
        words = found[1].split()[1:]
        if words[0].startswith("-"):
            assert words[0] in usage(), line
            continue
        assert re.search(rf"^ +{words[0]}\b", usage(), re.MULTILINE), line
        for option in re.findall(r"(?<=\s)(-{1,2}[a-z][\w-]*)", found[1]):
            assert re.search(rf"(?<![\w-]){option}(?![\w-])", usage(words[0])), line


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=name)
def test_python_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The Python in a page runs, in its order, beside a recording called call.wav."""
    monkeypatch.chdir(tmp_path)
    pcm, rate = soundfile.read(DEMO, dtype="int16")
    soundfile.write("call.wav", pcm[: 6 * rate], rate)  # it is played at its own pace, too
    (tmp_path / "path" / "to").mkdir(parents=True)
    names: dict[str, object] = {}
    for block in blocks(page, "python"):
        exec(compile(block, str(page), "exec"), names)  # noqa: S102 - our own examples


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "yaml")], ids=name)
def test_settings_are_valid(page: Path, tmp_path: Path):
    """The YAML in a page is a configuration that streamer takes."""
    for block in blocks(page, "yaml"):
        (tmp_path / "page.yaml").write_text(block)
        done = streamer("config", "show", "--config", "page.yaml", cwd=tmp_path)
        assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("page", USAGE, ids=name)
def test_keys_are_known(page: Path):
    """Every key of the configuration that a page names is in config.yaml."""
    config = (ROOT / "config.yaml").read_text()
    sections = dict(re.findall(r"^(\w+):.*\n((?: .*\n|\n)*)", config, re.MULTILINE))
    for section, key in re.findall(r"`(\w+)\.(\w+)(?:: [^`]*)?`", page.read_text()):
        if section in sections and key != "csv":  # `calls.csv` is a file
            assert re.search(rf"^ +{key}:", sections[section], re.MULTILINE), f"{section}.{key}"


@pytest.mark.skipif(sys.platform == "win32", reason="activates as a POSIX shell does")
def test_try_it(tmp_path: Path):
    """README's first commands run as typed, in a new shell, once the first of them has."""
    page = (ROOT / "README.md").read_text()
    shell = BLOCK.search(page, page.index("<!-- try -->"))
    assert shell is not None
    first, *others = shell[2].splitlines()
    assert first.split("#")[0].strip() == "make setup"
    (tmp_path / ".venv").symlink_to(sys.prefix)
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        ["/bin/sh", "-e", "-c", "\n".join(others)],
        cwd=tmp_path, env=environment, capture_output=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    assert len((tmp_path / "try.csv").read_text().splitlines()) > 1
    assert "<html" in (tmp_path / "try.html").read_text()


def test_the_notebook_runs(monkeypatch: pytest.MonkeyPatch):
    """Its cells run in order in their own folder; what they printed is kept in it."""
    page = ROOT / "docs" / "usage" / "first-steps.ipynb"
    cells = [c for c in json.loads(page.read_text())["cells"] if c["cell_type"] == "code"]
    monkeypatch.chdir(page.parent)
    names: dict[str, object] = {}
    for cell in cells:
        exec(compile("".join(cell["source"]), str(page), "exec"), names)  # noqa: S102 - our own
        assert not [out for out in cell["outputs"] if out["output_type"] == "error"]
    assert all(cell["execution_count"] for cell in cells)
