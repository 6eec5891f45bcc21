"""Writes the card of a model that was adapted to somebody's own recordings."""

from collections.abc import Mapping

from streamer.model.manifest import Calibration, Manifest
from streamer.training.card import paragraph
from streamer.training.heads.transfer import Change, Trial


def write_adapted_card(  # noqa: PLR0913 - a card says many things
    manifest: Manifest,
    base_card: str,
    *,
    base: str,
    labels: Mapping[str, int],
    left_out: str,
    trial: Trial,
    change: Change,
) -> str:
    """Write the README of a bundle that was adapted to own recordings, as Markdown.

    Args:
        manifest: The manifest of the bundle.
        base_card: The card of the model that it was made from; it follows the new one.
        base: That model's name.
        labels: How many utterances of each emotion it was adapted to.
        left_out: What was left out as a whole to measure: speakers, sessions or utterances.
        trial: What the change is worth, as measured.
        change: The change of the heads.
    """
    count = sum(labels.values())
    older = "\n".join(
        f"#{line}" if line.startswith("#") else line for line in base_card.splitlines()
    )
    text = paragraph(
        f"""{base}, adapted to {count} labelled utterances of somebody's own recordings
        ({", ".join(f"{label} {number}" for label, number in labels.items())}). Whoever uses it is
        bound by every licence of {base}, below, and by what the speakers of those recordings
        agreed to."""
    )
    return f"""# {manifest.name}, version {manifest.version}

{text}

## Measured on utterances left out

{_measured(base, left_out, trial)}

## What was changed

{_changed(manifest.calibration, base, change)}

What follows is the card of {base}: its figures are of that model.

{older}
"""


def _measured(base: str, left_out: str, trial: Trial) -> str:
    """What the change is worth: a paragraph and a table."""
    text = paragraph(
        f"""On these utterances, classified as if nobody had spoken before: {base} as it was, and
        adapted to the others, on those left out in turn ({left_out} as a whole; penalty and
        temperature chosen without them). The log loss is lower by {trial.gain:.3f} nats an
        utterance (standard error {trial.error:.3f}) than with a fitted temperature
        alone. On recordings of another kind nobody has measured it; it may be worse there than
        {base}."""
    )
    rows = [
        f"| {name} | {each.uar:.3f} | {each.wa:.3f} | {each.ece:.3f} |"
        for name, each in ((base, trial.before), ("adapted", trial.after))
    ]
    return "\n".join([text, "", "| | UAR | accuracy | ECE |", "| --- | --- | --- | --- |", *rows])


def _changed(calibration: Calibration, base: str, change: Change) -> str:
    """What was changed: a paragraph."""
    return paragraph(
        f"""A change of the weights of both linear layers, for unknown voices and for known ones,
        by logistic regression with a penalty on its size ({change.l2:g}); every emotion weighs the
        same. The encoder, what tells voices apart and what tells speech from other sounds are those
        of {base}. The temperature is now {calibration.temperature:.2f}, the threshold of
        "uncertain" {calibration.threshold:.2f}"""
        + (" as it was." if change.threshold is None else ".")
    )
