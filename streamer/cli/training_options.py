"""Defines options that the commands for building models share."""

import argparse
from pathlib import Path

from streamer.cli.parser import CommandParser, names, positive_int, user_path


def add_encoder(parser: argparse._ActionsContainer, *, required: bool = False) -> None:
    """Add ``--encoder``, to a parser or a group."""
    parser.add_argument(
        "--encoder",
        metavar="FILE",
        type=user_path,
        required=required,
        help="Whisper's audio encoder as safetensors, or what 'streamer finetune' made of it",
    )


def add_training(parser: CommandParser, *, required: bool = True) -> None:
    """Add the recordings to work with, the cache and the number of jobs."""
    parser.add_argument(
        "--manifest",
        metavar="CSV",
        type=user_path,
        required=required,
        help="the recordings: path, speaker, emotion; where known corpus, fold, heard_as",
    )
    parser.add_argument(
        "--corpora",
        metavar="NAMES",
        type=names,
        default=[],
        help="use only these (default: all of them)",
    )
    parser.add_argument(
        "--ordinary",
        metavar="CSV",
        type=user_path,
        help="recordings of people who just talk, of which a model should say neutral: path; where "
        "known source, speaker, use (train or dev)",
    )
    parser.add_argument(
        "--sounds",
        metavar="DIR|CSV",
        type=user_path,
        help="sounds that are not speech, as tools/collect_sounds.py collects them "
        "(default: synthetic ones alone)",
    )
    parser.add_argument(
        "--cache",
        metavar="DIR",
        type=user_path,
        default=Path(".cache/features"),
        help="folder that keeps the encoder's output between runs (default: %(default)s)",
    )
    parser.add_argument(
        "--jobs",
        metavar="N",
        type=positive_int,
        help="how many recordings to process at once (default: one per core)",
    )


def add_recipe(parser: CommandParser) -> None:
    """Add the options of the recipe that 'train' and 'evaluate' share."""
    parser.add_argument(
        "--without",
        metavar="NAMES",
        type=names,
        default=[],
        help="leave out speakers (CORPUS:SPEAKER) or emotions of a corpus (CORPUS:EMOTION)",
    )
    parser.add_argument(
        "--rooms",
        metavar="DIR",
        type=user_path,
        help="impulse responses of rooms, for degraded copies (default: synthetic ones alone)",
    )
