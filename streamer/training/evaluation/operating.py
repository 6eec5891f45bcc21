"""The operating curve shows how much of an emotion is found at a rate of false alarms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamer.model.speaker.adaptation import NEUTRAL
from streamer.model.speaker.clustering import MEMORY
from streamer.training.data.extraction import EmbeddedClips
from streamer.training.data.manifest import Clip
from streamer.training.data.utterances import Recorded
from streamer.training.heads.recipe import Calibrated
from streamer.training.heads.simulated_sessions import Sessions, SimulatedPast, sessions

RATES = (0.1, 1.0, 10.0, 100.0)
"""Rates of false alarms an hour of recording at which the curve is evaluated."""

TESTED = ("angry", "sad", "happy", "fearful")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quiet:
    """A model's answers to ordinary speech, by the probability of each emotion.

    Attributes:
        hours: Length of the recordings.
        speech_hours: Length of the utterances in them.
        certain: Share of the speech with a certain emotion other than neutral and calm.
        sources: The same share, by source.
        thresholds: By emotion, the probabilities above which the rates of false alarms are those of
            `RATES`, in their order. Where fewer than one false alarm is expected in all
            recordings, there is none above it.
    """

    hours: float
    speech_hours: float
    certain: float
    sources: Mapping[str, float]
    thresholds: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """How much of an emotion is found after eight neutral utterances of the voice.

    Attributes:
        clips: How many have the emotion.
        found: Share above the threshold, in the order of `RATES`.
        named: Share in which it is the likeliest emotion, under the natural prior.
        certain: Share in which it is, and not called uncertain.
    """

    clips: int
    found: tuple[float, ...]
    named: float
    certain: float


def earlier(lengths: Sequence[int]) -> Sessions:
    """List for each utterance those before it in its recording, the newest `MEMORY`.

    Args:
        lengths: Number of utterances of each recording, one after another.
    """
    rows = []
    begin = 0
    for length in lengths:
        for place in range(length):
            past = list(range(begin, begin + place))[-MEMORY:]
            rows.append(past + [-1] * (MEMORY - len(past)))
        begin += length
    return np.array(rows, np.int64).reshape(-1, MEMORY)


def measure_quiet(model: Calibrated, recorded: Sequence[Recorded], embed: EmbeddedClips) -> Quiet:
    """Classify ordinary speech, adapted as it goes, under the natural prior.

    Args:
        model: The model.
        recorded: Recordings of people who just talk, each a session of its own.
        embed: Turns their utterances into vectors.
    """
    clips = [clip for one in recorded for clip in one.utterances]
    length = np.array([seconds for one in recorded for seconds in one.seconds])
    probabilities = model.adapted_probabilities(
        embed(clips, "plain"),
        embed.seconds(clips, "plain"),
        earlier([len(one.utterances) for one in recorded]),
        prior="natural",
    )
    named = np.array([model.labels[i] for i in probabilities.argmax(1)])
    alarms = (probabilities.max(1) >= model.threshold) & ~np.isin(named, NEUTRAL)
    source = np.array([clip.corpus for clip in clips])
    hours = sum(one.hours for one in recorded)
    return Quiet(
        hours=hours,
        speech_hours=float(length.sum() / 3600),
        certain=float(length[alarms].sum() / length.sum()),
        sources={
            name: float(length[alarms & (source == name)].sum() / length[source == name].sum())
            for name in sorted(set(source.tolist()))
        },
        thresholds={
            emotion: tuple(
                _threshold(probabilities[:, model.labels.index(emotion)], rate * hours)
                for rate in RATES
            )
            for emotion in TESTED
            if emotion in model.labels
        },
    )


def measure_found(
    model: Calibrated, clips: Sequence[Clip], embed: EmbeddedClips, quiet: Quiet
) -> dict[str, Curve]:
    """Measure how much of each emotion is found after eight neutral utterances of the voice.

    Args:
        model: The model.
        clips: Of speakers that it does not know; a voice without neutral clips is not adapted to.
        embed: Turns them into vectors.
        quiet: The figures of the same model on ordinary speech.
    """
    clips = [clip for clip in clips if clip.emotion in model.labels]
    past = sessions(clips, SimulatedPast.NEUTRAL, seed=0)
    probabilities = model.adapted_probabilities(
        embed(clips, "plain"), embed.seconds(clips, "plain"), past, prior="natural"
    )
    acted = np.array([clip.emotion for clip in clips])
    result = {}
    for emotion, thresholds in quiet.thresholds.items():
        own = probabilities[acted == emotion]
        if len(own):
            column = model.labels.index(emotion)
            named = own.argmax(1) == column
            result[emotion] = Curve(
                clips=len(own),
                found=tuple(float((own[:, column] > each).mean()) for each in thresholds),
                named=float(named.mean()),
                certain=float((named & (own.max(1) >= model.threshold)).mean()),
            )
    return result


def _threshold(scores: NDArray[np.float64], allowed: float) -> float:
    """The lowest score with at most ``allowed`` scores above it."""
    ordered = np.sort(scores)[::-1]
    return float(ordered[int(allowed)]) if int(allowed) < len(ordered) else 0.0
