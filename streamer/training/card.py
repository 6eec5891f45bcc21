"""Writes the card, a bundle's README: sources, how quiet it is, what it finds, where it fails."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from streamer.config.alert_rules import SENSITIVITIES
from streamer.errors import ConfigError
from streamer.model.catalog import QUIET, is_commercial
from streamer.model.manifest import DataSource, Manifest
from streamer.training.evaluation.cross_validation import Evaluation
from streamer.training.evaluation.operating import RATES, TESTED, Curve
from streamer.training.evaluation.ordinary import Operating, OrdinaryEvaluation
from streamer.training.evaluation.quiet import ModelQuiet
from streamer.training.evaluation.splits import CORPUS_OUT
from streamer.training.heads.simulated_sessions import SimulatedPast
from streamer.training.heads.speech import SpeechFigures


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFigures:
    """The figures of a model, as far as they were measured.

    Attributes:
        quiet: The model itself on ordinary speech.
        operating: The recipe under the protocol ``ordinary``.
        evaluations: The recipe under other protocols.
        speech: The recipe under the protocol ``no-speech``.
    """

    quiet: ModelQuiet | None = None
    operating: OrdinaryEvaluation | None = None
    evaluations: Sequence[Evaluation] = ()
    speech: SpeechFigures | None = None


def write_card(manifest: Manifest, figures: CardFigures | None = None, notes: str = "") -> str:
    """Write the README of a bundle, as Markdown.

    Args:
        manifest: The manifest of the bundle.
        figures: The figures; None for a model that was just trained.
        notes: More text in Markdown: where it fails.

    Raises:
        ConfigError: An evaluation is of another recipe than the model's.
    """
    figures = figures or CardFigures()
    _check_recipe(manifest, figures)
    parts = [
        _head(manifest),
        _quiet(figures),
        _found(figures.operating),
        _protocols(figures.evaluations),
        _no_speech(figures.speech),
        _making(manifest),
        notes,
    ]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


EPISODES = """Somebody speaks neutrally for eight utterances, then angrily for five. The share of
such episodes in which the default rule has raised an alert after at most three or five of the angry
ones, by `alerts.sensitivity`. "Before": an alert was raised while the acting was still neutral."""

SHOWN = (3, 5)
"""After how many angry utterances the table of episodes counts alerts."""


def with_quiet(manifest: Manifest, figures: CardFigures) -> Manifest:
    """The manifest with a line on how quiet the model is, where that was measured."""
    quiet = figures.quiet
    if quiet is None:
        return manifest
    line = (
        f"{quiet.alerts_per_hour['normal']:.2f} false alerts an hour, a certain emotion in "
        f"{quiet.certain:.1%} of {quiet.hours * 60:.0f} minutes of ordinary speech"
    )
    return manifest.model_copy(update={"training": {**manifest.training, QUIET: line}})


def paragraph(text: str) -> str:
    """Text filled to 100 columns."""
    return textwrap.fill(" ".join(text.split()), 100)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _check_recipe(manifest: Manifest, figures: CardFigures) -> None:
    measured = [(each.protocol, each.recipe) for each in figures.evaluations]
    if figures.operating is not None:
        measured.append(("ordinary", figures.operating.recipe))
    for protocol, recipe in measured:
        for key, value in recipe.as_json().items():
            if key in manifest.training and manifest.training[key] != value:
                raise ConfigError(
                    f"the figures for {protocol} are of a recipe with {key}={value}, "
                    f"expected {manifest.training[key]}"
                )


def _head(manifest: Manifest) -> str:
    use = (
        "Commercial use is allowed by all of the licences below; some ask for attribution, or for "
        "the same licence."
        if is_commercial(each.licence for each in manifest.sources)
        else "**Not for commercial use**: at least one licence below forbids it or says nothing. "
        "For a company, take `--model open`."
    )
    training = manifest.training
    text = paragraph(
        f"""This model tells apart {", ".join(manifest.labels)} in speech. It was trained on
        {training.get("clips")} recordings of {training.get("speakers")} speakers. {use}"""
    )
    sources = table(
        ("made from", "licence"), ((_link(each), each.licence) for each in manifest.sources)
    )
    return f"# {manifest.name}, version {manifest.version}\n\n{text}\n\n{sources}"


def _quiet(figures: CardFigures) -> str:
    quiet = figures.quiet
    if quiet is None:
        return ""
    rows = [
        *(
            (f"false alerts an hour, `alerts.sensitivity: {name}`", f"{alerts:.2f}")
            for name, alerts in quiet.alerts_per_hour.items()
        ),
        ("speech with a certain emotion other than neutral and calm", f"{quiet.certain:.2%}"),
        ("speech that is taken for no speech", f"{quiet.no_speech:.2%}"),
    ]
    by_source = table(
        ("recordings", "minutes", "certain emotion", "alerts"),
        (
            (
                name,
                f"{part.hours * 60:.0f}",
                f"{part.certain_s / max(part.speech_s, 1e-9):.2%}",
                str(part.alerts["normal"]),
            )
            for name, part in quiet.sources.items()
        ),
    )
    text = paragraph(
        f"""Measured on {quiet.hours * 60:.0f} minutes of people who just talk. Nothing was learned
        from them, but the threshold of "uncertain" and the natural prior were chosen on them. Each
        recording is a session of its own, through the program's own voice activity detection,
        speaker adaptation and alert rule."""
    )
    return f"## How quiet it is\n\n{text}\n\n{table(('', 'measured'), rows)}\n\n{by_source}"


def _found(operating: OrdinaryEvaluation | None) -> str:
    if operating is None:
        return ""
    text = paragraph(
        """Share of the acted clips of an emotion that is found after eight neutral utterances of
        the voice, under the natural prior. "Certain": named, and not called uncertain. "Named": the
        likeliest emotion. The other columns set a threshold for this emotion alone, at a number
        of false alarms an hour of ordinary speech; where fewer than one false alarm is expected in
        all of the recordings, the column says what is above the highest of their scores."""
    )
    parts = {
        "Unseen speakers of the corpora": operating.speakers,
        "Unseen corpora": operating.unseen,
    }
    tables = "\n\n".join(
        f"{name} ({part.quiet.hours * 60:.0f} min of ordinary speech, {part.quiet.certain:.2%} "
        f"certain):\n\n{_curves(part)}"
        for name, part in parts.items()
        if part is not None
    )
    episodes = "\n\n".join(
        f"{name}:\n\n{_episodes(part)}"
        for name, part in parts.items()
        if part is not None and part.episodes
    )
    return (
        f"## What it finds\n\n{text}\n\n{tables}\n\n"
        f"## When somebody becomes angry\n\n{paragraph(EPISODES)}\n\n{episodes}"
    )


def _episodes(part: Operating) -> str:
    """A row for each corpus: the share of episodes with an alert, by sensitivity."""
    columns = [(name, number) for name in SENSITIVITIES for number in SHOWN]
    rows, values = [], []
    for corpus, found in part.episodes.items():
        shares = [found.raised[name][number - 1] for name, number in columns]
        values.append([*shares, found.early["normal"]])
        rows.append((corpus, str(found.episodes), *(f"{share:.2f}" for share in values[-1])))
    means = np.mean(values, axis=0)
    rows.append(("**mean**", "", *(f"**{share:.2f}**" for share in means)))
    return table(
        ("corpus", "episodes", *(f"{name}: {n}" for name, n in columns), "normal: before"), rows
    )


def _curves(part: Operating) -> str:
    header = ("corpus", "emotion", "clips", "certain", "named", *(f"{r:g} an hour" for r in RATES))
    rows = [
        (corpus, emotion, *_curve(curves[emotion]))
        for corpus, curves in part.found.items()
        for emotion in TESTED
        if emotion in curves
    ]
    for emotion in TESTED:
        each = [curves[emotion] for curves in part.found.values() if emotion in curves]
        if each:
            values = np.mean([(c.certain, c.named, *c.found) for c in each], axis=0)
            rows.append(("**mean**", emotion, "", *(f"**{value:.2f}**" for value in values)))
    return table(header, rows)


def _curve(curve: Curve) -> tuple[str, ...]:
    shares = (curve.certain, curve.named, *curve.found)
    return (str(curve.clips), *(f"{share:.2f}" for share in shares))


def _protocols(evaluations: Sequence[Evaluation]) -> str:
    if not evaluations:
        return ""
    text = paragraph(
        """The model was trained on every speaker of its corpora, so these are the figures of the
        same recipe, trained without the tested speakers or corpora, with all emotions equally
        likely. UAR is the mean of the recalls of the tested corpus's emotions. "Unadapted":
        nothing was heard of the voice before. The other columns: after ten earlier clips,
        of which eight are neutral; of all emotions; of the tested emotion alone; of two
        speakers in turn; of another speaker. ECE is the expected calibration error,
        unadapted, all emotions possible."""
    )
    kinds = [kind for kind in SimulatedPast if any(kind in each.sessions for each in evaluations)]
    rows = [
        (
            each.protocol,
            str(each.scores["plain"].own.clips),
            f"{each.scores['plain'].uar:.3f}",
            *(f"{each.sessions[k].uar:.3f}" if k in each.sessions else "" for k in kinds),
            f"{each.scores['plain'].all.ece:.3f}",
        )
        for each in evaluations
    ]
    main = table(("protocol", "clips", "unadapted", *kinds, "ECE"), rows)
    remarks = [
        f"Each corpus unseen, unadapted: "
        f"{', '.join(f'{fold.name} {fold.uar:.3f}' for fold in each.folds)}."
        for each in evaluations
        if each.protocol == CORPUS_OUT
    ]
    parts = ["## How well it does, emotion by emotion alike", text, main, *map(paragraph, remarks)]
    return "\n\n".join([*parts, *_forms(evaluations)])


def _forms(evaluations: Sequence[Evaluation]) -> list[str]:
    """The figures on degraded speech, where they were measured."""
    return [
        f"{each.protocol}, in other forms:\n\n"
        + table(
            ("what is classified", "UAR", "ECE"),
            (
                ("whole" if name == "plain" else name, f"{s.uar:.3f}", f"{s.all.ece:.3f}")
                for name, s in each.scores.items()
            ),
        )
        for each in evaluations
        if len(each.scores) > 1
    ]


def _no_speech(result: SpeechFigures | None) -> str:
    if result is None:
        return ""
    text = paragraph(
        f"""A second linear layer tells speech from noise, music, coughs and laughter. Measured on
        {result.speech} clips of speech and {result.sounds} sounds, speakers and kinds of sounds
        held out in turn."""
    )
    speech = table(
        ("speech", "AUROC", "taken for no speech"),
        (
            (form, f"{result.auroc[form]:.4f}", f"{rejected:.2%}")
            for form, rejected in result.false_rejections.items()
        ),
    )
    sounds = table(
        ("sounds", "found to be no speech"),
        ((form, f"{share:.1%}") for form, share in result.found.items()),
    )
    return f"## What is no speech\n\n{text}\n\n{speech}\n\n{sounds}"


def _making(manifest: Manifest) -> str:
    calibration, training, network = manifest.calibration, manifest.training, manifest.network
    rows = [
        ("encoder", f"the first {network.blocks} blocks, {network.width} wide, {_tuned(training)}"),
        ("features", "mean and standard deviation over time of each block's states"),
        ("head", f"logistic regression, penalty {training.get('chosen_l2')}"),
        ("temperature", f"{calibration.temperature:.2f}"),
        ("a lower confidence is uncertain", f"{calibration.threshold:.2f}"),
        ("natural prior", ", ".join(f"{k} {v:.2f}" for k, v in manifest.priors.natural.items())),
        ("learned forms of a clip", ", ".join(map(str, _list(training.get("variations"))))),
        ("ordinary speech", f"{training.get('ordinary_clips', 0)} recordings, as mostly neutral"),
        ("left out", ", ".join(map(str, _list(training.get("without")))) or "nothing"),
    ]
    if manifest.baseline is not None:
        rows.append(("adapted head: temperature", f"{manifest.baseline.temperature:.2f}"))
    text = paragraph(
        f"""Penalty, temperature and what tells speakers apart were chosen on one in five speakers
        of each corpus; after that, the heads were fitted to all. `mood` is
        P({" or ".join(manifest.mood.positive)}) - P({" or ".join(manifest.mood.negative)})."""
    )
    return f"## How it was made\n\n{table(('', ''), rows)}\n\n{text}"


def _tuned(training: Mapping[str, object]) -> str:
    return "fine-tuned (`streamer finetune`)" if training.get("finetuning") else "as it came"


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _link(source: DataSource) -> str:
    return f"[{source.name}]({source.url})" if source.url else source.name
