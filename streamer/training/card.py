"""The card: a bundle's README, with what it was trained on first and where it fails last."""

import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence

from streamer.model.bundle import Manifest, Source
from streamer.model.calibration import FULL_S
from streamer.training.data.manifest import Clip
from streamer.training.evaluation.cross_validation import Evaluation
from streamer.training.evaluation.metrics import Figures
from streamer.training.evaluation.protocols import CORPUS_OUT
from streamer.training.evaluation.scoring import DRAWS
from streamer.training.heads.speaker import Session
from streamer.training.heads.speech import SpeechFigures
from streamer.training.heads.transfer import Change, Trial

HARDEST = 5
"""So many kinds of sounds are named that are found least."""


def write_card(  # noqa: PLR0913 - a card says many things
    manifest: Manifest,
    clips: Sequence[Clip],
    held_out: Figures,
    *,
    corpora: Sequence[str],
    certain: tuple[float, float],
    evaluations: Sequence[Evaluation] = (),
    speech_figures: SpeechFigures | None = None,
    notes: str = "",
) -> str:
    """The README of a bundle, as Markdown.

    Args:
        manifest: Of the bundle.
        clips: What it was trained on.
        held_out: Figures on the speakers that its penalty, temperature and threshold were chosen
            on: a little too good, and all there is without a protocol.
        corpora: Of these, and of what the encoder was fine-tuned on.
        certain: On those speakers, the share of answers that is not called uncertain, and how
            many of these are right.
        evaluations: Of the same recipe by protocol.
        speech_figures: Likewise of speech against other sounds.
        notes: More, in Markdown: what it is not good for.
    """
    parts = [
        _head(manifest, clips, corpora),
        _measured(held_out, evaluations),
        _voices(evaluations),
        *(_table_of_forms(evaluation) for evaluation in evaluations if len(evaluation.scores) > 1),
        _recalls(evaluations),
        _no_speech(manifest, speech_figures),
        _recipe(manifest, certain),
        notes,
    ]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


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
    """The README of a bundle that was adapted to somebody's own recordings, as Markdown.

    Args:
        manifest: Of the bundle.
        base_card: The card of the model that it was made from; it follows the new one.
        base: That model's name.
        labels: How many utterances of each emotion it was adapted to.
        left_out: What was left out as a whole to measure: speakers, sessions or utterances.
        trial: What the change is worth.
        change: What was changed.
    """
    count = sum(labels.values())
    text = _paragraph(
        f"""{base}, adapted to {count} labelled utterances of somebody's own recordings
        ({", ".join(f"{label} {number}" for label, number in labels.items())}). Whoever uses it is
        bound by every licence of {base}, below, and by what the speakers of those recordings
        agreed to."""
    )
    measured = _paragraph(
        f"""On these utterances, judged as if nobody had spoken before: {base} as it was, and
        adapted to the others, on those left out in turn ({left_out} as a whole; penalty and
        temperature chosen without them). The log loss is lower by {trial.gain:.3f} nats an
        utterance (standard error {trial.error:.3f}) than with a fitted temperature
        alone. On recordings of another kind nobody has measured it; it may be worse there than
        {base}."""
    )
    rows = "\n".join(
        f"| {name} | {each.uar:.3f} | {each.wa:.3f} | {each.ece:.3f} |"
        for name, each in ((base, trial.before), ("adapted", trial.after))
    )
    calibration = manifest.calibration
    how = _paragraph(
        f"""A change of the weights of both linear layers, for unknown voices and for known ones,
        by logistic regression with a penalty on its size ({change.l2:g}); every emotion weighs the
        same. The encoder, what tells voices apart and what tells speech from other sounds are those
        of {base}. The temperature is now {calibration.temperature:.2f}, the threshold of
        "uncertain" {calibration.threshold:.2f}"""
        + (" as it was." if change.threshold is None else ".")
    )
    older = "\n".join(
        f"#{line}" if line.startswith("#") else line for line in base_card.splitlines()
    )
    return f"""# {manifest.name}, version {manifest.version}

{text}

## Measured on utterances left out

{measured}

| | UAR | accuracy | ECE |
| --- | --- | --- | --- |
{rows}

## What was changed

{how}

What follows is the card of {base}: its figures are of that model.

{older}
"""


def _head(manifest: Manifest, clips: Sequence[Clip], corpora: Sequence[str]) -> str:
    counts = Counter(clip.corpus for clip in clips)
    named = ["", *corpora]
    of_speech, of_sounds = manifest.sources[: len(named)], manifest.sources[len(named) :]
    text = _paragraph(
        f"""Tells apart {", ".join(manifest.labels)} in a piece of speech. Trained on {len(clips)}
        recordings of {len({clip.voice for clip in clips})} speakers. Whoever uses it is bound by
        every licence below; where one of them says NC or research, there is no commercial use."""
    )
    rows = "\n".join(
        f"| {_link(source)} | {counts[name] or ''} | {source.licence} |"
        for name, source in [
            *zip(named, of_speech, strict=True),
            *(("", source) for source in of_sounds),
        ]
    )
    return f"""# {manifest.name}, version {manifest.version}

{text}

| made from | clips | licence |
| --- | --- | --- |
{rows}"""


def _measured(held_out: Figures, evaluations: Sequence[Evaluation]) -> str:
    if not evaluations:
        text = _paragraph(
            f"""On {held_out.clips} clips of speakers that the head was not fitted to, but that
            its penalty, temperature and threshold were chosen on: UAR {held_out.uar:.3f}, WA
            {held_out.wa:.3f}, ECE {held_out.ece:.3f}. No protocol was run."""
        )
        return f"## Measured\n\n{text}"
    text = _paragraph(
        """This model has heard every speaker of its corpora, so it cannot be tested on them. The
        figures are those of the same recipe, trained anew for each fold on the other speakers and
        corpora, with penalty, temperature and threshold chosen on training speakers held out for
        that; an encoder that was fine-tuned had heard neither. UAR (the mean of the folds), WA and
        F1 are over the emotions that the tested corpus has; "all" lets the model answer with any
        emotion that it knows, as a user meets it, and so do ECE, Brier score, and the accuracy of
        all and of the more confident half of the answers."""
    )
    plain = [(evaluation, evaluation.scores["plain"]) for evaluation in evaluations]
    rows = "\n".join(
        f"| {evaluation.protocol} | {len(evaluation.folds)} | {scores.own.clips} "
        f"| **{scores.uar:.3f}** | {scores.own.wa:.3f} | {scores.own.macro_f1:.3f} "
        f"| {scores.all.uar:.3f} | {scores.all.ece:.3f} | {scores.all.brier:.3f} "
        f"| {scores.all.wa:.3f} | {scores.all.confident_half:.3f} |"
        for evaluation, scores in plain
    )
    remarks = []
    for evaluation, scores in plain:
        if evaluation.protocol == CORPUS_OUT:
            each = ", ".join(f"{fold.name} {fold.uar:.3f}" for fold in evaluation.folds)
            remarks.append(f"UAR on each corpus, never heard before: {each}.")
        elif scores.agreed:
            remarks.append(
                f"On the {scores.agreed.clips} clips of {evaluation.protocol} in which no emotion "
                "was heard by more listeners than the acted one, UAR is "
                f"{scores.agreed.uar:.3f}."
            )
    return f"""## Measured on speakers that it had not heard

{text}

| tested on | folds | clips | UAR | WA | macro-F1 | UAR, all | ECE | Brier | right | surer half |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
{rows}

{_paragraph(" ".join(remarks))}"""


def _voices(evaluations: Sequence[Evaluation]) -> str:
    tested = [evaluation for evaluation in evaluations if evaluation.sessions]
    if not tested:
        return ""
    rows = "\n".join(
        " | ".join(
            [
                f"| {evaluation.protocol}",
                f"{cold.uar:.3f}",
                *(f"{after[kind].uar:.3f}" if kind in after else "" for kind in Session),
                f"{cold.all.ece:.3f}",
                *(f"{after[kind].ece:.3f}" if kind in after else "" for kind in Session),
            ]
        )
        + " |"
        for evaluation in tested
        for cold, after in [(evaluation.scores["plain"], evaluation.sessions)]
    )
    text = _paragraph(
        f"""Cold: nothing was heard before. Mixed: after ten other clips of the speaker, or as many
        as there are, in random order. One emotion: the same, but all of them in the emotion of the
        tested clip, as of a caller who stays angry: what is lost there is mood that was taken for
        voice. Two voices in turn: five of the speaker, five of another one of the corpus. Another
        voice: ten of another one alone, where the fold has one. The model is never told who speaks,
        nor in which mood. Mean of {DRAWS} draws."""
    )
    kinds = " | ".join(Session)
    return f"""## What learning the voice is worth

{text}

| tested on | UAR, cold | {kinds} | ECE, cold | {kinds} |
| --- | --- |{" --- |" * len(Session)} --- |{" --- |" * len(Session)}
{rows}"""


def _table_of_forms(evaluation: Evaluation) -> str:
    rows = "\n".join(
        f"| {'whole' if name == 'plain' else name} | {scores.uar:.3f} "
        f"| {scores.all.uar:.3f} | {scores.all.ece:.3f} |"
        for name, scores in evaluation.scores.items()
    )
    return f"""### {evaluation.protocol}: short, and over a telephone

| what is judged | UAR | UAR, all | ECE |
| --- | --- | --- | --- |
{rows}"""


def _recalls(evaluations: Sequence[Evaluation]) -> str:
    tested = [item for item in evaluations if item.protocol != CORPUS_OUT]
    if not tested:
        return ""
    labels = tested[0].labels
    rows = "\n".join(
        f"| {evaluation.protocol} | "
        + " | ".join(f"{recalls[x]:.2f}" if x in recalls else "" for x in labels)
        + " |"
        for evaluation in tested
        for recalls in [evaluation.scores["plain"].all.recalls]
    )
    return f"""### How much of each emotion is found, all emotions possible

| tested on | {" | ".join(labels)} |
| --- |{" --- |" * len(labels)}
{rows}"""


def _no_speech(manifest: Manifest, result: SpeechFigures | None) -> str:
    if manifest.speech is None:
        return ""
    text = _paragraph(
        f"""A second linear layer on the same vector tells speech from noise, music, coughs and
        clicks: where its score is below {manifest.speech.threshold:.3f}, no emotion is named. It
        was fitted to {manifest.training.get("sounds")} sounds, made up (`training/noise.py`) or
        from the packages above, against speech in the same forms; the threshold lets through
        at least 99.8 % of the speech of speakers held out, in each of these forms."""
    )
    if result is None:
        return f"## What is no speech\n\n{text}"
    speech = "\n".join(
        f"| {form} | {result.auroc[form]:.4f} | {rejected:.2%} |"
        for form, rejected in result.false_rejections.items()
    )
    found = ", ".join(f"{form} {share:.1%}" for form, share in result.found.items())
    hard = sorted(result.kinds.items(), key=lambda kind: kind[1])[:HARDEST]
    more = _paragraph(
        f"""Measured on {result.speech} clips of speakers and {result.sounds} sounds of families
        and packages that a head of the same recipe had not heard, in five turns. Of the sounds
        it finds: {found}; against the {result.let_through} utterances that the VAD makes of them,
        AUROC is {result.auroc_let_through:.4f}. The hardest kinds:
        {", ".join(f"{kind} {share:.0%}" for kind, share in hard)}."""
    )
    return f"""## What is no speech

{text}

{more}

| speech | AUROC | taken for no speech |
| --- | --- | --- |
{speech}"""


def _recipe(manifest: Manifest, certain: tuple[float, float]) -> str:
    calibration = manifest.calibration
    text = _paragraph(
        f"""{_body(manifest)};
        mean and standard deviation over time of each block's output; one linear layer, by
        logistic regression, in which every emotion of a corpus weighs the same, or less where its
        listeners often heard another one. The penalty
        ({manifest.training.get("chosen_l2")}), the temperature ({calibration.temperature:.2f}) and
        the threshold of "uncertain" ({calibration.threshold:.2f}) were chosen on up to one in
        five speakers of each corpus, whom neither head nor encoder had heard, and so was how much
        less pieces of under {FULL_S:g} s are trusted (exponent {calibration.brevity:.2f}); after
        that, the head was fitted to all. On those speakers {1 - certain[0]:.0%} of the answers are
        called uncertain, and of the others {certain[1]:.0%} are right. `mood` is
        P({" or ".join(manifest.mood.positive)}) - P({" or ".join(manifest.mood.negative)})."""
    )
    if manifest.baseline is not None:
        voices = _paragraph(
            f"""The voice is learned from past utterances, by a second linear layer that was fitted
            without the speakers' means (`streamer/model/baseline.py`); voices are told apart by a
            linear discriminant analysis of all speakers (`streamer/model/speakers.py`). Its prior
            ({manifest.baseline.prior:g}) and how much evidence it asks for before it takes two
            utterances for one voice ({manifest.baseline.caution:g}) are the best for the same
            held-out speakers, of those that were tried, where sessions of several moods, of one, of
            two voices in turn and after another voice count alike; its temperature
            ({manifest.baseline.temperature:.2f}) is right for all of them."""
        )
        text = f"{text}\n\n{voices}"
    return f"## How it works, and what was chosen on whom\n\n{text}"


def _body(manifest: Manifest) -> str:
    told = manifest.training.get("finetuning")
    rounds = (
        [choices for choices in told if isinstance(choices, dict)] if isinstance(told, list) else []
    )
    if not rounds:
        return f"The conv stem and {manifest.network.blocks} blocks of the encoder, frozen"
    learned = [choices for choices in rounds if "steps" in choices]
    steps = ", ".join(str(choices["steps"]) for choices in learned)
    several = "rounds of " if len(learned) > 1 else ""
    mean = ", and averaged with what it was before (`streamer average`)"
    return f"""The conv stem and the first {manifest.network.blocks} blocks of the encoder, of which
        all above block {learned[-1]["frozen"]} were fine-tuned in {several}{steps} steps on speech
        cut short and degraded (`streamer finetune`){mean if len(learned) < len(rounds) else ""}"""


def _paragraph(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), 100)


def _link(source: Source) -> str:
    return f"[{source.name}]({source.url})" if source.url else source.name
