"""Cuts recordings into utterances with the program's own voice-activity detection."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import soundfile

from streamer.config import Config
from streamer.pipeline.offline import mixed, segments_of
from streamer.training.data.manifest import Clip
from streamer.types import SAMPLE_RATE


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """The utterances of one recording, in their order.

    Attributes:
        recording: The recording.
        hours: Its length.
        utterances: Its utterances, a clip each.
        seconds: Length of the speech of each.
    """

    recording: Clip
    hours: float
    utterances: tuple[Clip, ...]
    seconds: tuple[float, ...]


def cut_recordings(recordings: Sequence[Clip], config: Config, cache: Path) -> list[Recorded]:
    """Cut each recording into the utterances that would be classified.

    Args:
        recordings: Of any format, rate and length.
        config: For the voice activity detector and the segmenter.
        cache: Folder for the utterances; it may be deleted at any time.

    Raises:
        InputError: A recording cannot be read.
    """
    return [_cut(recording, config, cache / "utterances") for recording in recordings]


def _cut(recording: Clip, config: Config, cache: Path) -> Recorded:
    pcm = mixed(recording.path)
    clips, seconds = [], []
    for segment in segments_of(pcm, config):
        name = f"{recording.corpus}/{recording.name}-{segment.utterance}"
        path = cache / f"{name}.flac"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, segment.pcm, SAMPLE_RATE)
        clips.append(replace(recording, path=path, name=name))
        seconds.append((segment.end - segment.start) / SAMPLE_RATE)
    return Recorded(recording, len(pcm) / SAMPLE_RATE / 3600, tuple(clips), tuple(seconds))
