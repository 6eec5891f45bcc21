"""What the documents, the packaging and the templates say about each other."""

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from commands import streamer

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NOTES = sorted((ROOT / "docs" / "experiments").glob("[0-9]*.md"))
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def tracked() -> list[Path]:
    """Every text file of the project."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False
    ).stdout
    if not listed:
        pytest.skip("no git repository")
    paths = [ROOT / name.decode() for name in listed.split(b"\0") if name]
    return [path for path in paths if path.is_file() and b"\0" not in path.read_bytes()[:8192]]


@pytest.mark.parametrize("note", NOTES, ids=lambda note: note.stem[:3])
def test_experiments(note: Path):
    """A note has its four headings and a commit, and the index links it."""
    text = note.read_text()
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings == ["Question", "Command", "Result", "Decision"]
    assert re.search(r"^Commit: [0-9a-f]{7}", text, re.MULTILINE)
    assert f"({note.name})" in (note.parent / "README.md").read_text()


def test_versions_agree():
    """The package, the citation and the changelog name one version."""
    version = PROJECT["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == version
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert newest[1] == version


def test_install_lines_work():
    """No line installs another program: on the index, streamer is somebody else's."""
    wrong = re.compile(r"pip install (?:\S+ )*['\"]?streamer(?!-emotion)\b(?!\.)")
    for path in tracked():
        if path != Path(__file__) and path.suffix in {".py", ".md", ".yaml", ".toml", ".sh"}:
            assert not wrong.search(path.read_text()), path
    extras = PROJECT["optional-dependencies"]
    for path in tracked():
        for extra in re.findall(r"pip install '\.\[(\w+)\]'", path.read_text(errors="replace")):
            assert extra in extras, path


def test_tables_are_those_of_the_figures():
    """README and docs/accuracy.md say what docs/figures says; `make tables` writes them."""
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "accuracy_tables.py", "--check"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "path",
    [".github/workflows/ci.yml", ".gitlab-ci.yml", ".pre-commit-config.yaml",
     ".devcontainer/devcontainer.json", "CONTRIBUTING.md"],
)  # fmt: skip
def test_make_targets_exist(path: str):
    """What CI, the hooks and the documents call is in the Makefile."""
    text = re.sub(r"^#.*", "", (ROOT / path).read_text(), flags=re.MULTILINE)
    called = set(re.findall(r"(?:`|- |: |&& |\"|\(|^)make ([a-z][a-z-]*)\b", text, re.MULTILINE))
    assert called
    assert called <= TARGETS


def test_workflows_and_templates_are_yaml():
    """Both hosts can read what is written for them."""
    paths = [*(ROOT / ".github").rglob("*.yml"), ROOT / ".gitlab-ci.yml"]
    paths.append(ROOT / ".pre-commit-config.yaml")
    for path in paths:
        assert isinstance(yaml.safe_load(path.read_text()), dict), path
    matrix = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]["test"]
    supported = matrix["strategy"]["matrix"]["python"]
    assert PROJECT["requires-python"] == f">={supported[0]}"


def test_service_starts_streamer_as_it_understands(tmp_path: Path):
    """The unit's command and environment are understood: all that is missing is the device."""
    unit = (ROOT / "deploy" / "streamer.service").read_text()
    command = re.search(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    assert command is not None
    program, *arguments = shlex.split(command[1].replace("%S", str(tmp_path)))
    assert program.endswith("/streamer")
    (tmp_path / "streamer").mkdir()
    variables = dict(re.findall(r"^Environment=(\w+)=(.*)$", unit, re.MULTILINE))
    done = streamer(
        *arguments, "--device", "no such device", cwd=tmp_path,
        env=variables | {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}, own_process=True,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr.decode()
    assert b"device" in done.stderr


def test_files_that_are_named_exist():
    """A path of the project in a document is there."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "docs").glob("usage/*.md")]
    for page in pages:
        if page.name == "CHANGELOG.md":
            continue
        named = re.findall(
            r"`((?:streamer|tests|tools|benchmarks|deploy|docs)/[^`* ]*)`", page.read_text()
        )
        for path in named:
            assert (ROOT / path).exists(), f"{page.name}: {path}"
        tests = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
        for path in re.findall(r"`(test_\w+\.py)`", page.read_text()):
            assert path in tests, f"{page.name}: {path}"


def test_tests_that_are_named_exist():
    """Each ``file::test`` of docs/faults.md."""
    files = {path.name: path.read_text() for path in (ROOT / "tests").rglob("test_*.py")}
    named = re.findall(r"`(test_\w+\.py)::(\w+)`", (ROOT / "docs" / "faults.md").read_text())
    assert len(named) > 80
    missing = [f"{name}::{test}" for name, test in named if f"def {test}(" not in files[name]]
    assert not missing


def test_the_architecture_names_modules_that_exist():
    """Every module that docs/architecture.md names is in the package."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    named = set(re.findall(r"(?<![\w/])((?:[a-z]+/)+[a-z_]*(?:\.py)?)(?![\w/])", page))
    assert len(named) > 30
    missing = [
        p for p in sorted(named) if not any((r / p).exists() for r in (ROOT, ROOT / "streamer"))
    ]
    assert not missing
