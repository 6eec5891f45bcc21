"""Plots an evaluation; only this module imports matplotlib."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from streamer.errors import ConfigError
from streamer.training.evaluation.metrics import (
    Probabilities,
    Targets,
    confusion,
    ece,
    reliability,
    risk_coverage,
)
from streamer.training.evaluation.operating import RATES, TESTED, Curve

INCHES = (5.0, 4.4)


def check_plots() -> None:
    """Check that plots can be drawn.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    _new_figure()


def draw_all(
    probabilities: Probabilities, targets: Targets, labels: Sequence[str], *, out: Path
) -> list[Path]:
    """Confusion matrix, reliability diagram and risk-coverage curve as PNG.

    Args:
        probabilities: Shape (clips, labels).
        targets: Index of each clip's emotion, shape (clips,).
        labels: Names of the columns.
        out: Folder to write to.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    drawings = {
        "confusion.png": _draw_confusion,
        "reliability.png": _draw_reliability,
        "risk-coverage.png": _draw_risk_coverage,
    }
    for name, draw in drawings.items():
        figure = _new_figure()
        draw(figure.add_subplot(), probabilities, targets, labels)
        figure.savefig(out / name, dpi=120)
    return [out / name for name in drawings]


def draw_seconds(uars: Mapping[str, float], *, out: Path) -> Path | None:
    """Plot UAR by seconds of speech as PNG; None without such forms.

    Args:
        uars: UAR by form; those called "first N s" and "partial N s" are plotted.
        out: Folder to write to.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    curves: dict[str, list[tuple[float, float]]] = {}
    for form, uar in uars.items():
        if heard := re.fullmatch(r"(first|partial) ([\d.]+) s", form):
            curves.setdefault(heard[1], []).append((float(heard[2]), uar))
    if not curves:
        return None
    figure = _new_figure()
    axes = figure.add_subplot()
    names = {"first": "as if they were all", "partial": "excerpt by excerpt, as on the screen"}
    for kind, points in curves.items():
        axes.plot(*zip(*sorted(points), strict=True), marker="o", label=names[kind])
    axes.axhline(uars["plain"], color="grey", linestyle=":", label="whole utterances")
    axes.set(xlabel="seconds heard", ylabel="UAR", ylim=(0, 1), title="UAR by seconds heard")
    axes.legend(loc="lower right")
    path = out / "seconds.png"
    figure.savefig(path, dpi=120)
    return path


def draw_operating(groups: Mapping[str, Mapping[str, Mapping[str, Curve]]], *, out: Path) -> Path:
    """Plot how much of each emotion is found, by false alarms an hour, as PNG.

    Args:
        groups: The curves by tested group, corpus and emotion; the mean of the corpora is drawn.
        out: Folder to write to.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    figure = _new_figure()
    axes = figure.add_subplot()
    styles = ("-", "--", ":")
    for (group, corpora), style in zip(groups.items(), styles, strict=False):
        for number, emotion in enumerate(TESTED):
            found = [by[emotion].found for by in corpora.values() if emotion in by]
            if found:
                axes.plot(
                    RATES, np.mean(found, axis=0), linestyle=style, marker="o",
                    color=f"C{number}", label=f"{emotion}, {group}",
                )  # fmt: skip
    axes.set(
        xscale="log", xlabel="false alarms an hour of ordinary speech", ylim=(0, 1),
        ylabel="share that is found", title="Found, after eight neutral utterances",
    )  # fmt: skip
    axes.legend(fontsize=7)
    path = out / "operating.png"
    figure.savefig(path, dpi=120)
    return path


def _new_figure() -> Any:  # noqa: ANN401 - matplotlib ships no types
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - optional, and slow to import
    except ImportError:
        raise ConfigError("plots need matplotlib: pip install matplotlib") from None
    return Figure(figsize=INCHES, layout="constrained")  # no pyplot: no window, no global state


def _draw_confusion(
    axes: Any,  # noqa: ANN401
    probabilities: Probabilities,
    targets: Targets,
    labels: Sequence[str],
) -> None:
    counts = confusion(probabilities, targets)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    for row, column in np.ndindex(shares.shape):
        share = shares[row, column]
        colour = "white" if share > 0.5 else "black"  # noqa: PLR2004 - on a dark cell
        axes.text(column, row, f"{share:.0%}", ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set(
        xlabel="classified", ylabel="acted", title="Of each acted emotion, what was classified"
    )


def _draw_reliability(
    axes: Any,  # noqa: ANN401
    probabilities: Probabilities,
    targets: Targets,
    _labels: Sequence[str],
) -> None:
    confidence, accuracy, counts = reliability(probabilities, targets)
    some = counts > 0
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":", label="perfect")
    axes.plot(confidence[some], accuracy[some], marker="o", label="measured")
    axes.bar(confidence[some], counts[some] / counts.sum(), width=0.04, alpha=0.3, label="clips")
    axes.set(
        xlabel="confidence", ylabel="share that is right", xlim=(0, 1), ylim=(0, 1),
        title=f"Reliability: ECE {ece(probabilities, targets):.3f}",
    )  # fmt: skip
    axes.legend()


def _draw_risk_coverage(
    axes: Any,  # noqa: ANN401
    probabilities: Probabilities,
    targets: Targets,
    _labels: Sequence[str],
) -> None:
    curve = risk_coverage(probabilities, targets)
    axes.plot(curve.coverage, curve.risk)
    axes.set(
        xlabel="share of clips that are answered, the most confident first",
        ylabel="share of those that are wrong", xlim=(0, 1), ylim=(0, None),
        title="Risk and coverage",
    )  # fmt: skip
