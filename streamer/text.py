"""Makes texts for people: those from outside harmless where they are shown, numbers with nouns."""

JOINERS = "\u200c\u200d"
"""Invisible, and a part of words in Persian and Hindi, and of emoji that are joined."""


def printable(text: str) -> str:
    r"""The text with control characters escaped, so that it cannot steer a terminal.

    Line breaks and tabs stay. ``\x1b[2J`` becomes seven visible characters;
    so do marks that turn the direction of writing, and what is left of bytes that are no UTF-8.
    """
    if text.isprintable():  # as nearly all are
        return text
    return "".join(
        character if is_harmless(character) or character in "\n\t" else _escaped(character)
        for character in text
    )


def one_line(text: str) -> str:
    """The text with all control characters escaped, line breaks and tabs, too."""
    return "".join(each if is_harmless(each) else _escaped(each) for each in text)


def quantity(number: int, thing: str) -> str:
    """A number and a noun, which has an s unless the number is 1."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def is_shown_whole(text: str) -> bool:
    """Whether nothing in the text has to be escaped."""
    return all(map(is_harmless, text))


def is_harmless(character: str) -> bool:
    """Whether a character can be shown as it is: printable, or one that joins its neighbours."""
    return character.isprintable() or character in JOINERS


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # a byte of a file name that is not UTF-8 (PEP 383)
        return f"\\x{ord(character) & 0xFF:02x}"
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
