"""How a voice sounds in general, learned from its past utterances, so that mood is told from voice.

A voice shifts what the model hears, whatever the mood. Known, the shift is taken off; but it must
be told from mood first, or a caller who is angry for ten minutes would become "neutral". Both are
estimated together, as in joint factor analysis (Kenny et al. 2007, "Joint factor analysis versus
eigenchannels in speaker recognition"): what is heard = an average voice in this emotion + the
voice + noise, by a few rounds of expectation and maximisation over the past utterances:

1. How likely is each emotion in each utterance, given the voice, and given that people keep their
   mood (a Dirichlet prior on a session's emotions, as of topics in a text: Blei et al. 2003)? That
   is doubted a little where the utterances differ, so that there must be several moods: of a voice
   that is unlike all that it learned from, the model is sure and wrong, and would find its own
   mistakes confirmed.
2. What is left of each utterance without its expected emotion? Its mean, shrunk towards an average
   voice by the prior, is the voice.

There are two linear heads. The ``cold`` one judges voices that nobody knows; the ``warm`` one was
fitted to features without their speaker's mean and judges only what is left when the voice is
taken off. In between they are mixed, by how much is known, and by how likely it is that this voice
speaks. All this happens in the few dimensions of their logits: a voice is one number per emotion.

Several people may speak on a channel. Whose an utterance is, is told before it is judged
(`streamer/model/speakers.py`); each voice has a past of its own.
"""

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamer.model.speaker.clustering import MEMORY, VOICES, Mark, Register, SpeakerModel

Logits: TypeAlias = NDArray[np.float64]
"""One per label, in the last axis."""

ROUNDS = 4  # of expectation and maximisation
EVENNESS = 8.0  # utterances, of all emotions alike, that are added to a session's own
VARIETY = 0.6
"""Several moods, or one that stays: the variance between utterances, as a part of that between an
average voice's emotions, or between those that each utterance sounds like, where that is less. A
voice unlike all others moves either less."""


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """What is kept of an utterance.

    Attributes:
        cold: What the cold head says to it, shape (labels,).
        warm: What the warm head says to it, likewise.
        mark: Where it lies among the voices, shape (directions,).
    """

    cold: Logits
    warm: Logits
    mark: Mark


@dataclass(frozen=True, slots=True, eq=False)
class VoiceModel:
    """What is known about voices in general; it travels in the bundle.

    Attributes:
        weight: Of the warm head, shape (labels, features).
        bias: Likewise, shape (labels,).
        means: The warm head's logits for an average voice, by emotion, shape (labels, labels).
        prior: So many utterances of an average voice are added to those of the voice.
        doubt: This share of past utterances that differ is taken to be of all emotions alike,
            whatever was heard: at 1 a voice is the plain mean of what it said.
        temperature: Divides the logits of a voice that is well known.
        speakers: Tells voices apart.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    means: NDArray[np.float32]
    prior: float
    doubt: float
    temperature: float
    speakers: SpeakerModel

    def warm(self, embedding: NDArray[np.float32]) -> Logits:
        """The warm head's logits, the voice still in them: shape (..., labels).

        Args:
            embedding: Shape (..., features).
        """
        logits: Logits = (embedding @ self.weight.T + self.bias).astype(np.float64)
        return logits

    def hear(self, embedding: NDArray[np.float32], cold: Logits) -> Heard:
        """What is kept of an utterance, shape (features,), and of the cold head's word on it."""
        return Heard(cold, self.warm(embedding), self.speakers.mark(embedding))

    def trust(self, utterances: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """How far a voice is known after so many utterances: from 0 to 1."""
        return np.asarray(utterances / (utterances + self.prior))

    def estimate(self, cold: Logits, warm: Logits, heard: NDArray[np.float64]) -> Logits:
        """The voice behind some utterances, as its shift of the warm logits.

        Args:
            cold: Shape (..., utterances, labels).
            warm: Likewise.
            heard: 1 for an utterance, 0 for a gap in a batch, shape (..., utterances).

        Returns:
            Shape (..., labels).
        """
        labels = cold.shape[-1]
        count = heard.sum(-1)[..., None]
        doubt = self.doubt * self._variety(cold, warm, heard)[..., None, None]
        voice = np.zeros((*cold.shape[:-2], labels))
        mood = np.full_like(voice, 1 / labels)
        for turn in range(ROUNDS):
            known = self.trust(count if turn else np.zeros_like(count))
            logits = mix(cold, warm, voice[..., None, :], known[..., None])
            share = _softmax(logits + np.log(mood)[..., None, :])
            share = ((1 - doubt) * share + doubt / labels) * heard[..., None]
            mood = (share.sum(-2) + EVENNESS / labels) / (count + EVENNESS)
            rest = (warm * heard[..., None] - share @ self.means).sum(-2)
            voice = rest / (count + self.prior)
        return voice

    def _variety(
        self, cold: Logits, warm: Logits, heard: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Whether there seem to be several moods (1) or one that stays (0): shape (...).

        Told from how much the utterances differ, which no shift of the voice can change.
        """
        count, weight = np.maximum(heard.sum(-1), 1), heard[..., None]
        mean = (warm * weight).sum(-2) / count[..., None]
        between = (np.square(warm - mean[..., None, :]) * weight).sum(-2).mean(-1)
        within = (cold.var(axis=-1) * heard).sum(-1) / count
        least = np.minimum(within, self.means.var(axis=0).mean())
        spread = between / np.maximum(count - 1, 1) / np.maximum(least, 1e-9)
        variety: NDArray[np.float64] = spread**4 / (spread**4 + VARIETY**4)
        return variety


def mix(cold: Logits, warm: Logits, voice: Logits, trust: NDArray[np.float64]) -> Logits:
    """Logits of a voice that is known as far as ``trust`` (0 to 1) says; shapes broadcast."""
    mixed: Logits = (1 - trust) * cold + trust * (warm - voice)
    return mixed


class Baseline:
    """What is known about the voices on one channel. Whoever owns the channel owns it: one thread.

    Args:
        model: What is known about voices in general.
        enrolled: Utterances of a voice that is known from the start, also after a reset.
    """

    def __init__(self, model: VoiceModel, enrolled: Sequence[Heard] = ()) -> None:
        self._model = model
        self._enrolled = tuple(enrolled)
        self.reset()

    @property
    def utterances(self) -> int:
        """From how many utterances the voice that spoke last is known, at most `MEMORY`."""
        return len(self._pasts[self._last])

    def adapt(self, embedding: NDArray[np.float32], cold: Logits, *, temperature: float) -> Logits:
        """Calibrated logits of a piece of speech, its voice taken off as far as it is known.

        Nothing is learned from it: a rolling window, too, may be judged.

        Args:
            embedding: Of the piece, shape (features,).
            cold: What the cold head says to it, shape (labels,).
            temperature: Divides the logits of a voice that is not known at all.

        Returns:
            Shape (labels,); of a voice that was never heard, ``cold / temperature``.
        """
        place, probability = self._register.match(self._model.speakers.mark(embedding)[None])
        voice = int(place[0])
        trust = probability[0] * self._model.trust(len(self._pasts[voice]))
        logits = mix(cold, self._model.warm(embedding), self._shifts[voice], trust)
        scaled: Logits = logits / ((1 - trust) * temperature + trust * self._model.temperature)
        return scaled

    def observe(self, embedding: NDArray[np.float32], cold: Logits) -> None:
        """Learn from an utterance that is over, after it was judged.

        Args:
            embedding: Of the whole utterance, shape (features,).
            cold: What the cold head says to it, shape (labels,).
        """
        heard = self._model.hear(embedding, cold)
        place, new = self._register.add(heard.mark[None])
        self._last = int(place[0])
        past = self._pasts[self._last]
        if new[0]:
            past.clear()
        past.append(heard)
        self._shifts[self._last] = self._estimate(past)

    def reset(self) -> None:
        """Forget the voices: other people speak from now on."""
        self._register = Register(self._model.speakers)
        self._pasts: list[deque[Heard]] = [deque(maxlen=MEMORY) for _ in range(VOICES)]
        self._shifts: list[Logits] = [np.zeros(len(self._model.bias))] * VOICES
        self._last = 0
        if self._enrolled:
            self._register.enrol(np.stack([heard.mark for heard in self._enrolled]))
            self._pasts[0].extend(self._enrolled)
            self._shifts[0] = self._estimate(self._pasts[0])

    def _estimate(self, past: Collection[Heard]) -> Logits:
        cold, warm = np.stack([each.cold for each in past]), np.stack([each.warm for each in past])
        return self._model.estimate(cold, warm, np.ones(len(past)))


def _softmax(logits: Logits) -> Logits:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: Logits = powers / powers.sum(axis=-1, keepdims=True)
    return probabilities
