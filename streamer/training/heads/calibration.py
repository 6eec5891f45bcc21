"""Calibrates a head on clips that it was not fitted to: bias, temperature, brevity."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from streamer.model.calibration import short_utterance_factor
from streamer.model.priors import LogPrior, log_prior
from streamer.training.data.extraction import EmbeddedClips, Seconds
from streamer.training.data.manifest import Clip
from streamer.training.heads.bias import as_log_prior, fit_label_bias
from streamer.training.heads.examples import (
    ExampleOptions,
    even_weights,
    natural_weights,
    target_indices,
)
from streamer.training.heads.logistic import TEMPERATURES, Head, known_labels

BREVITIES = np.linspace(0.0, 2.0, 41)  # candidates for the exponent of brevity


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """What suits a head, and the loss that is left.

    Attributes:
        loss: Cross-entropy of the natural mixture.
        temperature: Divisor of the logits.
        brevity: How much less short pieces are trusted, see `short_utterance_factor`.
        log_prior: Logarithm of the prior that the head has in effect, shape (labels,).
    """

    loss: float
    temperature: float
    brevity: float
    log_prior: LogPrior


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationClips:
    """Clips that were not fitted, acted and ordinary.

    In all forms, also degraded: on clean recordings alone, a model of an unseen room is too sure.

    Attributes:
        vectors: Shape (clips, features).
        seconds: Shape (clips,).
        targets: Index of the emotion, shape (clips,).
        known: Which labels the corpus of each clip has, shape (clips, labels).
        weights: Weights that make them a natural mixture, shape (clips,), summing to 1.
        even: Weights that make the acted ones an even mixture, shape (clips,), summing to 1.
        natural: Logarithm of the natural prior, shape (labels,).
    """

    vectors: Tensor
    seconds: Seconds
    targets: Tensor
    known: Tensor
    weights: Tensor
    even: Tensor
    natural: LogPrior

    @classmethod
    def of(
        cls,
        clips: Sequence[Clip],
        natural: Mapping[str, float],
        embed: EmbeddedClips,
        options: ExampleOptions,
    ) -> Self:
        """Of clips.

        Args:
            clips: The clips.
            natural: The natural prior, by label, in the order of the logits.
            embed: Turns the clips into vectors.
            options: How examples are made.
        """
        forms, labels = options.variations, tuple(natural)
        weights = natural_weights(
            clips, labels, [natural[label] for label in labels], voices=options.voices
        )
        return cls(
            vectors=torch.from_numpy(np.concatenate([embed(clips, form) for form in forms])),
            seconds=np.concatenate([embed.seconds(clips, form) for form in forms]),
            targets=target_indices(clips, labels).repeat(len(forms)),
            known=known_labels(clips, labels).repeat(len(forms), 1),
            weights=torch.kron(options.shares, weights).double(),
            even=torch.kron(options.shares, even_weights(clips, voices=options.voices)),
            natural=log_prior(natural, labels),
        )

    def fit(self, head: Head) -> Fitted:
        """What suits a head.

        The bias is fitted to the even mixture, then the temperature to the natural one, and after
        it the brevity, which so says only what that leaves over.
        """
        logits = head(self.vectors).double()
        bias = fit_label_bias(logits, self.targets, self.known, self.even)
        biased = (logits + bias).numpy()

        def loss(temperature: float, brevity: float) -> float:
            hesitant = short_utterance_factor(self.seconds, brevity)[:, None]
            scores = biased / temperature / hesitant + self.natural
            each = F.cross_entropy(torch.from_numpy(scores), self.targets, reduction="none")
            return float(self.weights @ each)

        temperature = float(min(TEMPERATURES[::3], key=lambda t: loss(float(t), 0.0)))
        brevity = float(min(BREVITIES, key=lambda b: loss(temperature, float(b))))
        return Fitted(
            loss(temperature, brevity), temperature, brevity, as_log_prior(bias, temperature)
        )
