"""Text from outside, shown."""

import pytest

from streamer.text import one_line, quantity


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("call 1.wav", "call 1.wav"),
        ("caf\u00e9 \u8fd9 \U0001f600.wav", "caf\u00e9 \u8fd9 \U0001f600.wav"),
        ("caf\udce9.wav", "caf\\xe9.wav"),
        ("\x1b]0;x\x07\x1b[31mred", "\\x1b]0;x\\x07\\x1b[31mred"),
        ("two\nlines\r\u2028", "two\\nlines\\r\\u2028"),
        (
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        ),
        ("\U0001f468\u200d\U0001f467.wav", "\U0001f468\u200d\U0001f467.wav"),
        ("right\u202eto left", "right\\u202eto left"),
    ],
)
def test_what_cannot_be_shown_is_escaped(text, shown):
    """And nothing else."""
    assert one_line(text) == shown


@pytest.mark.parametrize(("number", "shown"), [(0, "0 gaps"), (1, "1 gap"), (2, "2 gaps")])
def test_a_noun_agrees_with_its_number(number, shown):
    """Only one is singular."""
    assert quantity(number, "gap") == shown
