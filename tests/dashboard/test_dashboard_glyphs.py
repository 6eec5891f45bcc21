"""Colours: legible on any terminal, and apart for every eye."""

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.cells import cell_len

from streamer.config import DashboardConfig, Language
from streamer.config.schema import MAX_LABEL
from streamer.dashboard.glyphs import ASCII, COLOURS, LETTERS, UNICODE
from streamer.dashboard.languages import WORDS, words
from streamer.types import EMOTIONS, NO_SPEECH, UNCERTAIN

Colour = NDArray[np.float64]

BACKGROUNDS = {
    "black": (0, 0, 0),
    "dark grey": (0x1E, 0x1E, 0x1E),
    "solarized light": (0xFD, 0xF6, 0xE3),
    "white": (255, 255, 255),
}

# Linear RGB as it looks to others, from Machado, Oliveira & Fernandes (2009), severity 1.
SIGHT = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}


def linear(rgb: tuple[int, int, int]) -> Colour:
    """Without sRGB's gamma, from 0 to 1."""
    share = np.array(rgb) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def contrast(one: Colour, other: Colour) -> float:
    """As WCAG defines it: from 1 to 21."""
    dark, light = sorted(float(colour @ [0.2126, 0.7152, 0.0722]) for colour in (one, other))
    return (light + 0.05) / (dark + 0.05)


def oklab(colour: Colour) -> Colour:
    """Where distance is how different two colours look."""
    cones = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    opponents = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return opponents @ np.cbrt(cones @ colour)


def hues() -> dict[str, Colour]:
    """The emotions' colours."""
    colours = {emotion: style.color for emotion, style in COLOURS.items()}
    return {e: linear(c.get_truecolor()) for e, c in colours.items() if c is not None}


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_colours_stand_out(background: str):
    """What graphics need, on dark and on light terminals."""
    behind = linear(BACKGROUNDS[background])
    assert min(contrast(colour, behind) for colour in hues().values()) >= 3


@pytest.mark.parametrize("sight", SIGHT)
def test_colours_stay_apart(sight: str):
    """Also where red and green, or yellow and blue, are one."""
    seen = [oklab(np.clip(SIGHT[sight] @ colour, 0, 1)) for colour in hues().values()]
    assert len(seen) == len(EMOTIONS)
    assert min(100 * np.linalg.norm(a - b) for a, b in combinations(seen, 2)) >= 8


def test_letters_differ():
    """Colour is never the only difference."""
    assert tuple(LETTERS) == tuple(COLOURS) == EMOTIONS
    assert len(set(LETTERS.values())) == len(EMOTIONS)


def test_ascii_has_no_other_letters():
    """For terminals without Unicode, each shape has another one."""
    for name in UNICODE.__slots__:
        assert str(getattr(ASCII, name)).isascii()
    assert ASCII.ascii
    assert not UNICODE.ascii


@pytest.mark.parametrize("language", WORDS)
def test_every_language_has_its_words(language: Language):
    """One for everything, none twice, none that is too wide; in ASCII what there is of them."""
    called = words(DashboardConfig(language=language))
    assert tuple(called) == (*EMOTIONS, UNCERTAIN, NO_SPEECH)
    assert len(set(called.values())) == len(called)
    assert max(map(cell_len, called.values())) <= MAX_LABEL
    plain = ASCII.called(called).words
    assert all(word and word.isascii() for word in plain.values())


def test_labels_of_ones_own_win():
    """Over the language; what is not given stays as it is."""
    called = words(DashboardConfig(language="de", labels={"angry": "stinkwütend"}))
    assert (called["angry"], called["sad"]) == ("stinkwütend", "traurig")
    assert ASCII.called(called).words["angry"] == "stinkwutend"
    assert ASCII.called(words(DashboardConfig(language="zh"))).words["angry"] == "angry"
