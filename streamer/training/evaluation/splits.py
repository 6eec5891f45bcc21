"""Splits clips for training and testing: no speaker is on both sides."""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from streamer.errors import ConfigError
from streamer.training.data.manifest import Clip

CORPUS_OUT = "corpus-out"
SPEAKER_FOLDS = 5  # for corpora that come without folds
HELD_OUT = 5  # one in five speakers of each corpus is kept from fitting, for choosing


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """One division into training and test clips, as indices."""

    name: str
    train: tuple[int, ...]
    test: tuple[int, ...]


def folds(
    protocol: str, clips: Sequence[Clip], *, heard: Collection[tuple[str, str]] = ()
) -> list[Fold]:
    """Make the folds of a protocol.

    Args:
        protocol: The name of a corpus: each of its folds is tested in turn, the rest of it and all
            other corpora are trained on; without folds, five groups of its speakers.
            ``corpus-out``: each corpus in turn is tested and unseen in training.
        clips: All clips.
        heard: Speakers that the encoder was trained on: a fold that would test one is left out.

    Raises:
        ConfigError: An unknown protocol, or one that leaves nothing to train on or to test.
    """
    corpora = sorted({clip.corpus for clip in clips})
    if protocol == CORPUS_OUT:
        groups = {i: clip.corpus for i, clip in enumerate(clips)}
    elif protocol in corpora:
        own = [i for i, clip in enumerate(clips) if clip.corpus == protocol]
        if all(clips[i].fold for i in own):
            groups = {i: clips[i].fold for i in own}
        else:
            of = _speaker_groups([clips[i] for i in own])
            groups = {i: of[clips[i].voice] for i in own}
    else:
        raise ConfigError(
            f"got protocol {protocol!r}, expected one of: {', '.join([*corpora, CORPUS_OUT])}"
        )
    heard_groups = {group for i, group in groups.items() if clips[i].voice in heard}
    names = sorted(set(groups.values()) - heard_groups)
    if not names:
        raise ConfigError(f"protocol {protocol!r}: the encoder has heard somebody of every group")
    if len(set(groups.values())) < 2 and len(groups) == len(clips):  # noqa: PLR2004 - train and test
        raise ConfigError(f"protocol {protocol!r}: expected at least two groups, got {names}")
    return [
        Fold(
            name=name,
            train=tuple(i for i in range(len(clips)) if groups.get(i) != name),
            test=tuple(i for i, group in groups.items() if group == name),
        )
        for name in names
    ]


def hold_out(
    clips: Sequence[Clip], *, seed: int = 0, heard: Collection[tuple[str, str]] = ()
) -> tuple[list[int], list[int]]:
    """Indices of the clips to fit, and of those to choose and calibrate on.

    One speaker in five of each corpus, at least one, is held out; the only one of a corpus is not.

    Args:
        clips: All clips.
        seed: Seed of the choice.
        heard: Speakers that the encoder was trained on: its confidence on them is too high, so they
            are not held out.

    Raises:
        ConfigError: The encoder was trained on every speaker.
    """
    held: set[tuple[str, str]] = set()
    for corpus in sorted({clip.corpus for clip in clips}):
        voices = sorted({clip.voice for clip in clips if clip.corpus == corpus})
        count = max(1, len(voices) // HELD_OUT) if len(voices) > 1 else 0
        strange = [voice for voice in voices if voice not in heard]
        count = min(count, len(strange))
        held.update(random.Random(seed).sample(strange, count))  # noqa: S311 - no secret
    if heard and not held:
        raise ConfigError("the encoder has heard every speaker: nobody is left to calibrate on")
    fitted = [i for i, clip in enumerate(clips) if clip.voice not in held]
    return fitted, [i for i, clip in enumerate(clips) if clip.voice in held]


def _speaker_groups(clips: Sequence[Clip]) -> dict[tuple[str, str], str]:
    voices = sorted({clip.voice for clip in clips})
    return {voice: str(1 + i % SPEAKER_FOLDS) for i, voice in enumerate(voices)}
