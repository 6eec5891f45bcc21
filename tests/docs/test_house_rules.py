"""The house rules of CONTRIBUTING that can be counted: how long files, functions and calls are."""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = ("streamer", "benchmarks", "tools", "examples")

MAX_LINES = 400
MAX_TEST_LINES = 720
"""A file of tests is a list, read one test at a time; it grows with what it tests."""

MAX_FUNCTION_LINES = 60
"""Of code: docstrings explain and are not counted."""

MAX_ARGUMENTS = 8
"""Of a constructor, without self."""

LONGER_FILES = {
    "benchmarks/soak.py": "one measurement, from the simulated day to its page",
}
"""Files that are longer, and why."""


def files(*suffixes: str) -> list[Path]:
    """What git tracks, or will, below our folders; what others wrote is minified and left out."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *OURS, "tests"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    paths = [ROOT / name for name in listed if name.endswith(suffixes)]
    return [path for path in paths if path.exists() and ".min." not in path.name]


@cache
def functions() -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    """All functions by the place where they stand."""
    return {
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}": node
        for path in files(".py")
        for node in statements(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """All statements below a node: expressions, which are most of a tree, hold no function."""
    for field in ("body", "orelse", "finalbody", "handlers", "cases"):
        for inner in getattr(node, field, ()):
            yield inner
            yield from statements(inner)


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """How long a function is without its docstring."""
    assert function.end_lineno is not None
    lines = function.end_lineno - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None and first.end_lineno is not None:
        lines -= first.end_lineno - first.lineno + 1
    return lines


@pytest.fixture(scope="module", autouse=True)
def checkout() -> None:
    """An unpacked archive has no list of files."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout")


def test_files_are_short():
    """One file, one job; each longer one has its reason, and none keeps it without need."""
    lines = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in files(".py", ".js", ".css", ".html")
    }
    longer = {
        name: count
        for name, count in lines.items()
        if count > (MAX_TEST_LINES if name.startswith("tests/") else MAX_LINES)
    }
    assert longer.keys() == LONGER_FILES.keys(), longer


def test_functions_are_short():
    """What is longer does more than one thing."""
    longer = {place: code_lines(function) for place, function in functions().items()}
    assert {place: n for place, n in longer.items() if n > MAX_FUNCTION_LINES} == {}


def test_constructors_take_few_arguments():
    """What needs more is several things, or takes a dataclass."""
    counts = {
        place: len([*found.args.posonlyargs, *found.args.args, *found.args.kwonlyargs]) - 1
        for place, found in functions().items()
        if found.name == "__init__"
    }
    assert {place: n for place, n in counts.items() if n > MAX_ARGUMENTS} == {}
