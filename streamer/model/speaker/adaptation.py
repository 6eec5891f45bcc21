"""Speaker adaptation measures emotion relative to the speaker's own neutral voice.

Each voice shifts the features, whatever the mood. Most speech is neutral, so the program learns how
a voice sounds when it is neutral. The weight of a past utterance is the probability that it is
neutral or calm, according to the unadapted head under the natural prior; below `MIN_NEUTRAL` it is
0. So nothing is learned of somebody who is angry from the first word to the last, and their anger
is not taken for their voice. The weighted mean, shrunk towards the mean neutral voice of the
training speakers, is subtracted. A second head, fitted to features without the neutral mean of
their speaker, classifies the difference.

The adapted head is linear, so all of this is computed in the few dimensions of its logits. The
scores of the two heads are mixed by how much of the voice is known, and by the probability that
this voice speaks: several people may speak on a channel (`streamer/model/speaker/clustering.py`).
The pipeline asks for a `reset` where a call begins.
"""

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamer.model.speaker.clustering import MEMORY, VOICES, Register, SpeakerModel, VoicePoint

Scores: TypeAlias = NDArray[np.float64]
"""Calibrated log-likelihoods of the labels, up to a constant; one per label in the last axis."""

NEUTRAL = ("neutral", "calm")
"""The emotions in which a voice counts as neutral."""

MIN_NEUTRAL = 0.3
"""An utterance that is less likely neutral or calm does not count for the neutral voice."""


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """What adaptation keeps of a past utterance.

    Attributes:
        neutral: How much it counts for the neutral voice, from 0 to 1.
        adapted: Logits of the adapted head, shape (labels,).
        mark: Its place in the space of voices, shape (directions,).
    """

    neutral: float
    adapted: Scores
    mark: VoicePoint


@dataclass(frozen=True, slots=True, eq=False)
class VoiceModel:
    """The parameters of speaker adaptation; they travel in the bundle.

    Attributes:
        weight: Weights of the adapted head, shape (labels, features).
        bias: Bias of the adapted head, shape (labels,).
        centre: Logits of the adapted head for the mean neutral voice, shape (labels,).
        log_prior: Logarithm of the prior that the adapted head has in effect, shape (labels,).
        prior: How many neutral utterances of the mean voice are added to those of a voice.
        temperature: Divides the logits of the adapted head.
        speakers: Tells voices apart.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    centre: NDArray[np.float32]
    log_prior: NDArray[np.float64]
    prior: float
    temperature: float
    speakers: SpeakerModel

    def logits(self, embedding: NDArray[np.float32]) -> Scores:
        """Logits of the adapted head, before the voice is subtracted: shape (..., labels).

        Args:
            embedding: Shape (..., features).
        """
        logits: Scores = (embedding @ self.weight.T + self.bias).astype(np.float64)
        return logits

    def observe(self, embedding: NDArray[np.float32], neutral: float) -> Observation:
        """What is kept of an utterance, shape (features,), that counts so much as neutral."""
        return Observation(neutral, self.logits(embedding), self.speakers.mark(embedding))

    def trust(self, neutral: NDArray[np.float64]) -> NDArray[np.float64]:
        """How well a voice is known after some neutral speech, from 0 to 1.

        Args:
            neutral: Sum of the weights of its utterances.
        """
        return np.asarray(neutral / (neutral + self.prior))

    def offset(self, logits: Scores, neutral: NDArray[np.float64]) -> Scores:
        """Estimate the neutral voice of some utterances, as its shift of the adapted logits.

        Args:
            logits: Of the adapted head, shape (..., utterances, labels).
            neutral: How much each counts, 0 for a gap in a batch, shape (..., utterances).

        Returns:
            Shape (..., labels).
        """
        total = (neutral[..., None] * (logits - self.centre)).sum(-2)
        offset: Scores = total / (neutral.sum(-1)[..., None] + self.prior)
        return offset

    def mix(
        self, unadapted: Scores, logits: Scores, offset: Scores, trust: NDArray[np.float64]
    ) -> Scores:
        """Mix the scores of both heads, for a voice that is known as far as ``trust`` says.

        Args:
            unadapted: Scores of the unadapted head, shape (..., labels).
            logits: Of the adapted head, shape (..., labels).
            offset: From `offset`, shape (..., labels).
            trust: From 0 to 1, shape (...).
        """
        adapted = (logits - offset) / self.temperature - self.log_prior
        share = trust[..., None]
        mixed: Scores = (1 - share) * unadapted + share * adapted
        return mixed


def neutral_weight(
    unadapted: Scores, log_prior: NDArray[np.float64], neutral: Sequence[int]
) -> NDArray[np.float64]:
    """How much utterances count for the neutral voice, from 0 to 1, shape (...).

    Args:
        unadapted: Scores of the unadapted head, shape (..., labels).
        log_prior: Logarithm of the natural prior, shape (labels,).
        neutral: The labels of neutral speech.
    """
    scores = unadapted + log_prior
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    share = powers[..., list(neutral)].sum(-1) / powers.sum(-1)
    return np.where(share >= MIN_NEUTRAL, share, 0.0)


class SpeakerAdaptation:
    """Adaptation to the voices on one channel. Used by the thread that owns the channel.

    Args:
        model: What is known about voices in general.
        enrolled: Utterances of a voice that is known from the start, and after a reset.
    """

    def __init__(self, model: VoiceModel, enrolled: Sequence[Observation] = ()) -> None:
        self._model = model
        self._enrolled = tuple(enrolled)
        self.reset()

    @property
    def utterances(self) -> int:
        """From how many neutral utterances the last voice is known, at most `MEMORY`."""
        return len(self._pasts[self._last])

    def adapt(self, embedding: NDArray[np.float32], unadapted: Scores) -> Scores:
        """Adapt the scores of a piece of speech to its voice, as far as that is known.

        It learns nothing from it, so it may be part of an utterance.

        Args:
            embedding: Of the piece, shape (features,).
            unadapted: Scores of the unadapted head, shape (labels,).

        Returns:
            Shape (labels,); for an unknown voice, ``unadapted``.
        """
        place, probability = self._register.match(self._model.speakers.mark(embedding)[None])
        offset, neutral = self._anchors[int(place[0])]
        trust = probability[0] * self._model.trust(neutral)
        return self._model.mix(unadapted, self._model.logits(embedding), offset, trust)

    def observe(self, embedding: NDArray[np.float32], neutral: float) -> None:
        """Learn from an utterance that is over, after it was classified.

        Args:
            embedding: Of the whole utterance, shape (features,).
            neutral: How much it counts for the neutral voice, from `neutral_weight`.
        """
        observation = self._model.observe(embedding, neutral)
        place, new = self._register.add(observation.mark[None])
        self._last = int(place[0])
        past = self._pasts[self._last]
        if new[0]:
            past.clear()
        if neutral > 0:  # an hour of anger must not make the neutral voice forgotten
            past.append(observation)
        self._anchors[self._last] = self._anchor(past)

    def reset(self) -> None:
        """Forget the voices: other people speak from now on."""
        self._register = Register(self._model.speakers)
        self._pasts: list[deque[Observation]] = [deque(maxlen=MEMORY) for _ in range(VOICES)]
        nobody = np.zeros(len(self._model.bias)), np.zeros(())
        self._anchors: list[tuple[Scores, NDArray[np.float64]]] = [nobody] * VOICES
        self._last = 0
        if self._enrolled:
            self._register.enrol(np.stack([each.mark for each in self._enrolled]))
            self._pasts[0].extend(self._enrolled)
            self._anchors[0] = self._anchor(self._pasts[0])

    def _anchor(self, past: Collection[Observation]) -> tuple[Scores, NDArray[np.float64]]:
        if not past:
            return np.zeros(len(self._model.bias)), np.zeros(())
        logits = np.stack([each.adapted for each in past])
        neutral = np.array([each.neutral for each in past])
        return self._model.offset(logits, neutral), neutral.sum()
