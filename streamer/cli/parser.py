"""Parses the arguments of a command, with types that several commands use."""

import argparse
import difflib
from collections.abc import Sequence
from pathlib import Path

Namespace = argparse.Namespace


class CommandParser(argparse.ArgumentParser):
    """Reports a usage error with the usage of the command at fault, and suggests what was meant."""

    def parse_known_args(  # type: ignore[override] # the base class has overloads
        self, args: Sequence[str] | None = None, namespace: Namespace | None = None
    ) -> tuple[Namespace, list[str]]:
        """Parse arguments; exits with code 2 where one is unknown."""
        parsed, unknown = super().parse_known_args(args, namespace)
        if unknown:
            hint = "".join(self._suggestion(word) for word in unknown)
            self.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
        return parsed, unknown

    def _suggestion(self, word: str) -> str:
        options = [text for action in self._actions for text in action.option_strings]
        similar = difflib.get_close_matches(word.partition("=")[0], options, n=1)
        return f"; did you mean {similar[0]}?" if similar else ""


def positive_int(text: str) -> int:
    """A whole number above 0."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number <= 0:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a whole number above 0")
    return number


def positive_float(text: str) -> float:
    """A finite number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a number above 0")
    return number


def whole_number(text: str) -> int:
    """A whole number of any sign."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a whole number") from None


def user_path(text: str) -> Path:
    """A path; a ``~`` at its beginning is the user's home, also where no shell has replaced it."""
    found = Path(text)
    try:
        return found.expanduser() if text.startswith("~") and not found.exists() else found
    except RuntimeError:
        message = f"got {text!r}, and nobody has such a home folder"
        raise argparse.ArgumentTypeError(message) from None


def names(text: str) -> list[str]:
    """Different names between commas."""
    found = [name.strip() for name in text.split(",")]
    if not all(found) or len(set(found)) < len(found):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected different names, as left,right")
    return found


def channels(text: str) -> int | list[str]:
    """The number of channels, or their names between commas."""
    return positive_int(text) if text.isdecimal() else names(text)
