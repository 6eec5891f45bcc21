"""Computes metrics of probabilities: recall, calibration error, risk-coverage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 15  # of confidence, all equally wide

Probabilities = NDArray[np.float64]
"""Shape (clips, labels), rows summing to 1."""
Targets = NDArray[np.int64]
"""Index of the emotion of each clip, shape (clips,)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """What a model achieves on clips that it was not trained on; all but ``clips`` from 0 to 1.

    Attributes:
        clips: How many.
        uar: Unweighted average recall: the mean of ``recalls``. Chance is 1 / number of labels.
        wa: Weighted accuracy: the share of clips that are right.
        macro_f1: Mean over the labels of the harmonic mean of recall and precision.
        recalls: By emotion, of those that occur.
        ece: Expected calibration error: how far confidence and accuracy are apart, on average.
        brier: Mean over the clips of the summed squared errors of the probabilities (0 to 2).
        confident_half: Share of what is right among the half with the highest confidence.
    """

    clips: int
    uar: float
    wa: float
    macro_f1: float
    recalls: Mapping[str, float]
    ece: float
    brier: float
    confident_half: float


def figures(probabilities: Probabilities, targets: Targets, labels: Sequence[str]) -> Metrics:
    """All figures at once."""
    matrix = confusion(probabilities, targets)
    occurring = np.flatnonzero(matrix.sum(axis=1))
    hits, actual, predicted = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    recalls = {labels[i]: float(hits[i] / actual[i]) for i in occurring.tolist()}
    truth = np.eye(len(labels))[targets]
    curve = risk_coverage(probabilities, targets)
    return Metrics(
        clips=len(targets),
        uar=float(np.mean(list(recalls.values()))),
        wa=float(hits.sum() / matrix.sum()),
        macro_f1=float(np.mean(2 * hits[occurring] / (actual + predicted)[occurring])),
        recalls=recalls,
        ece=ece(probabilities, targets),
        brier=float(np.square(probabilities - truth).sum(axis=1).mean()),
        confident_half=float(1 - curve.risk[(len(targets) - 1) // 2]),
    )


def confusion(probabilities: Probabilities, targets: Targets) -> NDArray[np.int64]:
    """Clips by actual (rows) and predicted (columns) emotion, shape (labels, labels)."""
    count = probabilities.shape[1]
    cells = targets * count + probabilities.argmax(axis=1)
    return np.bincount(cells, minlength=count * count).reshape(count, count)


def reliability(
    probabilities: Probabilities, targets: Targets
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Mean confidence, accuracy and number of clips of each bin of confidence, shape (BINS,)."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == targets
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    some = np.maximum(counts, 1)
    return (
        np.bincount(bins, confidence, BINS) / some,
        np.bincount(bins, right, BINS) / some,
        counts,
    )


def ece(probabilities: Probabilities, targets: Targets) -> float:
    """Expected calibration error of the confidence."""
    confidence, accuracy, counts = reliability(probabilities, targets)
    return float(np.abs(confidence - accuracy) @ counts / counts.sum())


@dataclass(frozen=True, slots=True, eq=False)
class RiskCoverage:
    """Coverage, and the share of errors in it, for each threshold of confidence.

    Attributes:
        thresholds: Confidences of the clips, falling; shape (clips,).
        coverage: Share of the clips at least as confident.
        risk: Share of those that are wrong.
    """

    thresholds: NDArray[np.float64]
    coverage: NDArray[np.float64]
    risk: NDArray[np.float64]


def risk_coverage(probabilities: Probabilities, targets: Targets) -> RiskCoverage:
    """The risk-coverage curve of the confidence."""
    confidence = probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    wrong = (probabilities.argmax(axis=1) != targets)[order]
    kept = np.arange(1, len(order) + 1)
    return RiskCoverage(confidence[order], kept / len(order), np.cumsum(wrong) / kept)


def certain(
    probabilities: Probabilities, targets: Targets, threshold: float
) -> tuple[float, float]:
    """Share of clips at least as confident as ``threshold``, and of those the share right."""
    sure = probabilities.max(axis=1) >= threshold
    right = (probabilities.argmax(axis=1) == targets)[sure]
    return float(sure.mean()), float(right.mean()) if sure.any() else 0.0


def choose_threshold(curve: RiskCoverage, *, risk: float, least_coverage: float) -> float:
    """The lowest confidence that keeps the risk at or below ``risk``.

    Args:
        curve: On held-out speakers.
        risk: Share of wrong answers among the certain ones that is acceptable.
        least_coverage: At least this share of the answers stays certain, whatever the risk.
    """
    fine = np.flatnonzero((curve.risk <= risk) | (curve.coverage <= least_coverage))
    return float(curve.thresholds[fine[-1]])
