"""Draws the help page, which the key ? opens."""

from rich.text import Text

from streamer.dashboard.glyphs import BOLD, COLOURS, LETTERS, UNCERTAIN, UNCLASSIFIED, Cell, Glyphs
from streamer.dashboard.layout import styled
from streamer.types import EMOTIONS


def help_page(glyphs: Glyphs) -> list[Text]:
    """Every key, letter and number that needs a word."""
    letters: list[Cell | str] = []
    for emotion in EMOTIONS:
        letters += [(LETTERS[emotion], COLOURS[emotion] + BOLD), f" {glyphs.words[emotion]}  "]
    rows: list[tuple[str, list[Cell | str]]] = [
        ("q", ["stop; the open utterance still gets its row"]),
        ("space", ["pause, and go on"]),
        ("a", ["acknowledge the alerts"]),
        ("m", [f"set a mark ({glyphs.mark}) with a note; it goes into the CSV"]),
        (glyphs.arrows, ["choose a row; PgUp, PgDn, Home, End go further"]),
        ("enter", ["details of the chosen row; esc: back to newest"]),
        ("c", ["clear the screen; CSV and counters stay"]),
        ("b", ["a new voice: forget the one that is learned"]),
        ("n", ["a new call: nothing of the one before counts"]),
        ("letters", letters[:8]),
        ("", letters[8:]),
        (
            "",
            [
                (UNCERTAIN, BOLD),
                " uncertain  ",
                (UNCLASSIFIED, BOLD),
                " not classified or no speech",
            ],
        ),
        ("mood", [f"from -1 to +1; {glyphs.over} the running one, {glyphs.trends} its trend"]),
        ("latency", ["from the last sound of an utterance to its row"]),
        ("rtf", ["real-time factor: computing per second of speech"]),
        ("overruns", ["the device or the analysis fell behind"]),
        ("gaps", ["holes in the sound; they end an open utterance"]),
        ("late", ["partial results that newer ones replaced"]),
        ("", ["unclassified: rows without a prediction"]),
    ]
    return [styled((f"{name:>8}  ", BOLD), *parts) for name, parts in rows]
