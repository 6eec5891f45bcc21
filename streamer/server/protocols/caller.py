"""Finds who calls in what a telephone system says about a call."""

from collections.abc import Mapping
from typing import Final

MAX_CALLER: Final = 80
"""Maximum number of letters of the name and number of a caller."""

NAMES: Final = (
    "callername", "calleridname", "aniname", "customername", "displayname", "name",
)  # fmt: skip
"""Keys of metadata that hold a name, in small letters without punctuation; the first wins."""

NUMBERS: Final = (
    "caller", "callernumber", "calleridnumber", "callerid", "ani", "from", "customernumber",
    "phonenumber", "phone", "number",
)  # fmt: skip
"""Keys of metadata that hold a number or an address."""

SCHEMES: Final = ("tel:", "sip:", "sips:")


def caller_of(metadata: Mapping[str, str]) -> str:
    """Who calls, for people: a name, a number, or both; empty where neither is known.

    Args:
        metadata: Texts of the peer about the call.
    """
    known = {_plain(key): _shown(value) for key, value in reversed([*metadata.items()])}
    name = next(filter(None, (known.get(key) for key in NAMES)), "")
    number = next(filter(None, (known.get(key) for key in NUMBERS)), "")
    both = f"{name}, {number}" if name and number and name != number else name or number
    return both[:MAX_CALLER]


def _plain(key: str) -> str:
    return "".join(letter for letter in key.lower() if letter.isalnum())


def _shown(value: str) -> str:
    """A value without control characters and runs of space, and without the scheme of its URI."""
    text = " ".join("".join(c if c.isprintable() else " " for c in value).split())
    scheme = next((each for each in SCHEMES if text.lower().startswith(each)), "")
    return text[len(scheme) :]
