"""``streamer evaluate``: measure the training recipe, or a finished model, on recordings."""

from pathlib import Path
from typing import TYPE_CHECKING

from streamer.cli.parser import CommandParser, Namespace, names, user_path
from streamer.cli.training_options import add_encoder, add_recipe, add_training
from streamer.errors import ConfigError
from streamer.text import quantity

if TYPE_CHECKING:
    from streamer.training.evaluation.cross_validation import Evaluation
    from streamer.training.evaluation.model import ModelEvaluation
    from streamer.training.evaluation.ordinary import Operating

NAME = "evaluate"
SUMMARY = "measure the recipe on unseen speakers or corpora, or a finished model"
EXAMPLE = (
    "streamer evaluate --protocol ravdess --manifest all.csv --encoder encoder.safetensors "
    "--out figures/ravdess; streamer evaluate --model default --manifest mine.csv --out mine"
)


def add_arguments(parser: CommandParser) -> None:
    """Add the command's arguments to its parser."""
    evaluated = parser.add_mutually_exclusive_group(required=True)
    add_encoder(evaluated)
    evaluated.add_argument(
        "--model", metavar="NAME|DIR", help="a finished model, measured as it is on all recordings"
    )
    add_training(parser, required=False)
    add_recipe(parser)
    parser.add_argument(
        "--protocol",
        metavar="NAME",
        help="a corpus, tested fold by fold; corpus-out, each corpus unseen in turn; ordinary, how "
        "quiet it is when people just talk and what it finds then; or no-speech, speech against "
        "other sounds, both unseen",
    )
    parser.add_argument(
        "--unseen",
        metavar="NAMES",
        type=names,
        default=[],
        help="with --protocol ordinary: corpora to test on and never to learn from",
    )
    parser.add_argument(
        "--use",
        metavar="NAME",
        default="",
        help="with --model and --ordinary: only the recordings with this use (default: all)",
    )
    parser.add_argument(
        "--variations",
        metavar="NAMES",
        type=names,
        default=["plain"],
        help="how the tested clips are changed, as plain,telephone A-law,noise 10 dB,first 1 s,"
        "partial 1 s (default: plain; an unknown name lists all)",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=user_path,
        required=True,
        help="folder for figures.json and plots",
    )


def execute(args: Namespace) -> int:
    """Measure, print the figures, and write them with plots."""
    from streamer.training.evaluation import ordinary
    from streamer.training.heads.speech import PROTOCOL

    if args.model is not None:
        return _evaluate_model(args)
    if args.protocol is None:
        raise ConfigError("an encoder is evaluated under a protocol: --protocol is missing")
    if args.manifest is None:
        raise ConfigError("--manifest is missing: the acted recordings")
    if args.protocol == PROTOCOL:
        return _evaluate_no_speech(args)
    if args.protocol == ordinary.PROTOCOL:
        return _evaluate_ordinary(args)
    return _evaluate_recipe(args)


def _evaluate_ordinary(args: Namespace) -> int:
    from streamer.training.evaluation.ordinary import evaluate_ordinary

    if args.ordinary is None:
        raise ConfigError("--protocol ordinary measures ordinary speech: --ordinary is missing")
    result = evaluate_ordinary(
        manifest=args.manifest,
        encoder=args.encoder,
        ordinary=args.ordinary,
        rooms=args.rooms,
        corpora=args.corpora,
        without=args.without,
        unseen=args.unseen,
        out=args.out,
        cache=args.cache,
        jobs=args.jobs,
    )
    parts = {"unseen speakers": result.speakers, "unseen corpora": result.unseen}
    for name, part in parts.items():
        if part is not None:
            _print_operating(name, part)
    print(f"figures and plot in {args.out}")
    return 0


def _print_operating(name: str, part: "Operating") -> None:
    from streamer.training.evaluation.operating import RATES

    quiet = part.quiet
    print(
        f"{name}: ordinary speech, {quiet.hours * 60:.0f} min: certain of an emotion in "
        f"{quiet.certain:.2%} of the speaking time"
    )
    for corpus, curves in part.found.items():
        for emotion, curve in curves.items():
            rates = zip(RATES, curve.found, strict=True)
            found = ", ".join(f"{share:.2f} at {rate:g}" for rate, share in rates)
            print(
                f"  {corpus}, {emotion}: certain {curve.certain:.2f}, named {curve.named:.2f}; "
                f"found {found} false alarms an hour"
            )
    for corpus, episodes in part.episodes.items():
        shares = "; ".join(
            f"{sensitivity}: {', '.join(f'{share:.2f}' for share in raised)}"
            for sensitivity, raised in episodes.raised.items()
        )
        print(
            f"  {corpus}, {episodes.episodes} episodes of anger: alert after the first, second … "
            f"angry utterance, by alerts.sensitivity: {shares}"
        )


def _evaluate_recipe(args: Namespace) -> int:
    from streamer.training.evaluation.cross_validation import evaluate

    result = evaluate(
        manifest=args.manifest,
        encoder=args.encoder,
        protocol=args.protocol,
        corpora=args.corpora,
        without=args.without,
        ordinary=args.ordinary,
        rooms=args.rooms,
        variations=args.variations,
        out=args.out,
        cache=args.cache,
        jobs=args.jobs,
    )
    for fold in result.folds:
        print(f"fold {fold.name}: UAR {fold.uar:.3f} on {fold.clips} clips")
    _print_scores(result, args.out)
    return 0


def _evaluate_quiet(args: Namespace) -> int:
    from streamer.training.evaluation.quiet import evaluate_quiet

    result = evaluate_quiet(model=args.model, ordinary=args.ordinary, use=args.use, out=args.out)
    print(f"{result.model} on {result.hours * 60:.0f} min of ordinary speech")
    for name, alerts in result.alerts_per_hour.items():
        print(f"false alerts an hour, sensitivity {name}: {alerts:.2f}")
    print(f"certain of an emotion other than neutral, calm: {result.certain:.2%} of the speech")
    print(f"taken for no speech: {result.no_speech:.2%} of the speech")
    for name, part in result.sources.items():
        print(f"  {name}: {part.certain_s / max(part.speech_s, 1e-9):.2%} certain, ", end="")
        print(f"{quantity(part.alerts['normal'], 'alert')} in {part.hours * 60:.0f} min")
    print(f"figures in {args.out}")
    return 0


def _evaluate_model(args: Namespace) -> int:
    from streamer.training.evaluation.model import evaluate_model

    if args.ordinary is not None:
        return _evaluate_quiet(args)
    if args.protocol is not None:
        raise ConfigError("a finished model is evaluated as it is, without --protocol")
    if args.manifest is None:
        raise ConfigError("--manifest is missing: the recordings to evaluate on")
    result = evaluate_model(
        manifest=args.manifest,
        model=args.model,
        corpora=args.corpora,
        variations=args.variations,
        out=args.out,
        cache=args.cache,
        jobs=args.jobs,
    )
    clips = result.scores["plain"].all.clips
    print(f"{result.model} on {clips} clips of {', '.join(result.corpora)}")
    if result.left_out:
        print(f"left out: {result.left_out} of emotions that it does not know")
    if result.heard:
        print(f"it was trained on {', '.join(result.heard)}: it will do worse on unseen speakers")
    _print_scores(result, args.out)
    print(f"certain of {result.certain:.0%}, of which {result.certain_and_right:.0%} are right")
    return 0


def _print_scores(result: "Evaluation | ModelEvaluation", out: Path) -> None:
    for name, scores in result.scores.items():
        print(f"{name}: UAR {scores.uar:.3f}, WA {scores.own.wa:.3f}, ECE {scores.own.ece:.3f}")
    for kind, after in result.sessions.items():
        print(f"after {kind}: UAR {after.uar:.3f}, ECE {after.ece:.3f}")
    print(f"figures and plots in {out}")


def _evaluate_no_speech(args: Namespace) -> int:
    from streamer.training.evaluation.cross_validation import evaluate_no_speech

    result = evaluate_no_speech(
        manifest=args.manifest,
        encoder=args.encoder,
        corpora=args.corpora,
        without=args.without,
        sounds=args.sounds,
        out=args.out,
        cache=args.cache,
        jobs=args.jobs,
    )
    for form, rejected in result.false_rejections.items():
        print(f"speech, {form}: AUROC {result.auroc[form]:.4f}, rejected {rejected:.2%}")
    for form, found in result.found.items():
        print(f"no speech, {form}: found {found:.1%}")
    print(f"figures in {args.out}")
    return 0
