"""``streamer card``: write a model's card from its measured figures."""

from streamer.cli.options import read_text
from streamer.cli.parser import CommandParser, Namespace, user_path
from streamer.errors import ConfigError

NAME = "card"
SUMMARY = "write a model's card anew, with what 'evaluate' measured"
EXAMPLE = "streamer card models/mine --quiet figures/quiet --figures figures/ravdess"


def add_arguments(parser: CommandParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument("model", metavar="DIR", type=user_path, help="the folder of a bundle")
    parser.add_argument(
        "--quiet",
        metavar="DIR",
        type=user_path,
        help="what 'streamer evaluate --model DIR --ordinary CSV' wrote",
    )
    parser.add_argument(
        "--ordinary",
        metavar="DIR",
        type=user_path,
        help="what 'streamer evaluate --protocol ordinary' wrote",
    )
    parser.add_argument(
        "--figures",
        metavar="DIR",
        type=user_path,
        action="append",
        default=[],
        help="what 'streamer evaluate' wrote under another protocol; may be repeated",
    )
    parser.add_argument(
        "--speech-figures",
        metavar="DIR",
        type=user_path,
        help="what 'streamer evaluate --protocol no-speech' wrote",
    )
    parser.add_argument(
        "--notes", metavar="FILE", type=user_path, help="Markdown for the end of the card"
    )


def execute(args: Namespace) -> int:
    """Write the card into the bundle."""
    from streamer.model import bundle
    from streamer.training.adapt import ADAPTED
    from streamer.training.card import CardFigures, with_quiet, write_card
    from streamer.training.evaluation.cross_validation import read_evaluation
    from streamer.training.evaluation.ordinary import read_ordinary_evaluation
    from streamer.training.evaluation.quiet import read_model_quiet
    from streamer.training.heads.speech import read_speech_figures
    from streamer.training.output import written

    manifest = bundle.load(args.model).manifest
    if ADAPTED in manifest.training:
        raise ConfigError(
            f"{args.model}: was made by 'streamer adapt', whose card says what was adapted and "
            "measured; another one would lack that"
        )
    figures = CardFigures(
        quiet=read_model_quiet(args.quiet) if args.quiet else None,
        operating=read_ordinary_evaluation(args.ordinary) if args.ordinary else None,
        evaluations=[read_evaluation(path) for path in args.figures],
        speech=read_speech_figures(args.speech_figures) if args.speech_figures else None,
    )
    manifest = with_quiet(manifest, figures)
    card = write_card(manifest, figures, read_text(args.notes) if args.notes else "")
    with written(args.model):
        bundle.write_card(args.model, manifest, card)
    print(args.model / bundle.CARD)
    return 0
