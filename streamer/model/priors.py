"""Class priors say how common each emotion is, in training and where the model is used.

Training sees emotions about evenly; most of what people say is neutral. Probabilities under one
prior become those under another by the ratio of the two (Saerens, Latinne & Decaestecker 2002,
"Adjusting the outputs of a classifier to new a priori probabilities"). Here priors are read and
checked; `streamer.model.calibration` applies them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamer.errors import ConfigError
from streamer.types import EMOTIONS

Prior: TypeAlias = Literal["natural", "even"] | Mapping[Any, float]
"""``natural``: that of the model's bundle, for everyday speech; ``even``: all emotions alike; or
probabilities of some emotions, while the others share the rest evenly."""

MIN_PROBABILITY = 1e-4
"""Least probability of an emotion, so that its logarithm is finite."""

TOLERANCE = 1e-3
"""How far a sum may be from 1: probabilities are written with a few digits."""

LogPrior: TypeAlias = NDArray[np.float64]
"""Logarithms of the probabilities of the labels, shape (labels,)."""


def log_prior(
    prior: Prior, labels: Sequence[str], natural: Mapping[str, float] | None = None
) -> LogPrior:
    """Compute the logarithm of a prior over the labels of a model.

    Args:
        prior: The prior.
        labels: The emotions that the model knows.
        natural: The natural prior of the model's bundle; None stands for the even one.

    Raises:
        ConfigError: An emotion is unknown, or a probability not possible.
    """
    if prior == "natural":
        prior = natural or "even"
    if isinstance(prior, str):
        if prior != "even":
            raise ConfigError(f"got prior {prior!r}, expected natural, even or probabilities")
        chosen = dict.fromkeys(labels, 1 / len(labels))
    else:
        check_prior(prior)
        left = [label for label in labels if label not in prior]
        rest = (1 - sum(prior.values())) / len(left) if left else 0.0
        chosen = {label: prior.get(label, rest) for label in labels}
    values = np.maximum([chosen[label] for label in labels], MIN_PROBABILITY)
    logarithm: LogPrior = np.log(values / values.sum())
    return logarithm


def check_prior(prior: Mapping[str, float]) -> None:
    """Check that these are probabilities of emotions.

    Raises:
        ConfigError: An emotion is unknown, or the probabilities are not from 0 to 1 in all.
    """
    for emotion, probability in prior.items():
        if emotion not in EMOTIONS:
            raise ConfigError(f"got emotion {emotion!r}, expected: {', '.join(EMOTIONS)}")
        if not 0 <= probability <= 1:
            raise ConfigError(f"got probability {probability} of {emotion}, expected 0 to 1")
    if sum(prior.values()) > 1 + TOLERANCE:
        raise ConfigError(f"got probabilities that sum to {sum(prior.values()):g}, expected 1")
