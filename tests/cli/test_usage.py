"""The command line's own words: the overview, help, usage errors and their suggestions."""

import subprocess
import sys
from pathlib import Path

import pytest

from streamer.cli.main import COMMANDS, command_parser, main


def test_the_overview_lists_every_command_in_its_group(capsys):
    """In the order in which somebody comes to need them."""
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    groups = ["listen and analyse:", "set up:", "build models:"]
    assert [line for line in text.splitlines() if line in groups] == groups
    for name, command in COMMANDS.items():
        assert f"\n  {name:<9} {command.SUMMARY}\n" in text


LEFT_BEHIND = """
import atexit, threading
from streamer.cli import main as module

def main():
    threading.Thread(target=threading.Event().wait, daemon={daemon}).start() if {daemon} else None
    print("said")
    return 3

atexit.register(print, "the interpreter ended")
module.main = main
module.program()
"""


@pytest.mark.parametrize("daemon", [True, False])
def test_a_thread_that_is_left_behind_does_not_spoil_the_end(daemon):
    """The interpreter would stop it within torch, which aborts the process and its exit code."""
    done = subprocess.run(
        [sys.executable, "-c", LEFT_BEHIND.format(daemon=daemon)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    ended = [] if daemon else ["the interpreter ended"]
    assert (done.returncode, done.stdout.splitlines()) == (3, ["said", *ended])


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example_and_defaults(name, capsys):
    """And no default is a bare number at the end of a sentence."""
    with pytest.raises(SystemExit) as exit_:
        main([name, "--help"])
    assert exit_.value.code == 0
    text = capsys.readouterr().out
    assert f"example: streamer {name}" in " ".join(text.split()) or "config show" in text
    parser = command_parser(COMMANDS[name])
    for action in parser._actions:
        if action.default not in (None, False, [], "==SUPPRESS=="):
            assert "(default: " in (action.help or ""), action.dest


@pytest.mark.parametrize(
    ("words", "messages"),
    [
        (["rum"], ["there is no command 'rum'; did you mean 'run'?"]),
        (["xyzzy"], ["there is no command 'xyzzy'; 'streamer --help' lists them"]),
        ([], ["usage: streamer COMMAND", "listen and analyse:"]),
        (["--csv", "x"], ["there is no command '--csv'"]),
    ],
)
def test_an_unknown_command_is_a_usage_error(words, messages, capsys):
    """With what was meant, where that can be told."""
    assert main(words) == 2
    error = capsys.readouterr().err
    for message in messages:
        assert message in error


@pytest.mark.parametrize(
    ("words", "messages"),
    [
        (["run", "--chanels", "a,b"], ["usage: streamer run", "did you mean --channels?"]),
        (["file"], ["usage: streamer file", "required: PATH"]),
        (["run", "--duration", "soon"], ["got 'soon', expected a number above 0"]),
        (["run", "--rate", "8k"], ["got '8k', expected a whole number above 0"]),
        (["serve", "--keep", "x"], ["usage: streamer serve", "expected a number above 0, or 0"]),
        (["finetune", "--seed", "x"], ["usage: streamer finetune", "got 'x', expected a whole n"]),
        (["config", "show", "--confg"], ["usage: streamer config show", "did you mean --config?"]),
        (
            ["report", "~nobody_here/a.csv"],
            ["and nobody has such a home"],
        ),
        (["config", "shwo"], ["usage: streamer config", "show"]),
    ],
)
def test_a_usage_error_shows_the_usage_of_its_command(words, messages, capsys):
    """And what is expected; exit code 2."""
    with pytest.raises(SystemExit) as exit_:
        main(words)
    assert exit_.value.code == 2
    error = capsys.readouterr().err
    for message in messages:
        assert message in error


def test_help_imports_nothing_slow():
    """Help is there at once: neither numpy nor torch nor pydantic is imported for it."""
    code = (
        "import sys; from streamer.cli.main import main; main(['--help']); "
        "assert not {'numpy', 'torch', 'pydantic', 'rich', 'yaml'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_home_folder_is_found_without_a_shell(tmp_path, monkeypatch):
    """In every argument that is a path, also in quotes."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name, words in {
        "report": ["~/a.csv", "-o", "~/b.html", "--audio", "~/c"],
        "file": ["x", "--summary", "~/a.csv", "--save-audio", "~/c", "--log-file", "~/d"],
        "export": ["~/a.csv", "--to", "srt", "--out", "~/c"],
        "card": ["~/model", "--notes", "~/a.md"],
    }.items():
        args = command_parser(COMMANDS[name]).parse_args(words)
        found = [value for value in vars(args).values() if isinstance(value, Path | list)]
        paths = [path for one in found for path in (one if isinstance(one, list) else [one])]
        assert not [path for path in paths if str(path).startswith("~")]


def test_a_csv_in_a_home_that_is_none_is_an_error(monkeypatch, capsys, tmp_path):
    """One that names the key."""
    monkeypatch.chdir(tmp_path)
    assert main(["run", "--demo", "--csv", "~nobody_here/a.csv"]) == 2
    assert "output.csv: got '~nobody_here/a.csv', and nobody has such" in capsys.readouterr().err
