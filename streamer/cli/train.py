"""``streamer train``: make a model bundle from recordings."""

from streamer.cli.parser import CommandParser, Namespace, user_path
from streamer.cli.training_options import add_encoder, add_recipe, add_training

NAME = "train"
SUMMARY = "make a model bundle from recordings"
EXAMPLE = "streamer train --manifest mine.csv --encoder encoder.safetensors --out models/mine"


def add_arguments(parser: CommandParser) -> None:
    """Add the command's arguments to its parser."""
    add_encoder(parser, required=True)
    add_training(parser)
    add_recipe(parser)
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=user_path,
        required=True,
        help="folder of the bundle; an existing one is replaced",
    )
    parser.add_argument(
        "--calibrator",
        metavar="FILE",
        type=user_path,
        help="an encoder fine-tuned without some speakers, to calibrate on these",
    )
    parser.add_argument(
        "--version", metavar="V", default="1", help="version of the model (default: %(default)s)"
    )


def execute(args: Namespace) -> int:
    """Train the model and write its bundle."""
    from streamer.training.train import train

    result = train(
        manifest=args.manifest,
        encoder=args.encoder,
        calibrator=args.calibrator,
        version=args.version,
        out=args.out,
        corpora=args.corpora,
        ordinary=args.ordinary,
        rooms=args.rooms,
        without=args.without,
        sounds=args.sounds,
        cache=args.cache,
        jobs=args.jobs,
    )
    print(f"{result.manifest.name} in {result.folder}: UAR {result.held_out.uar:.3f}, ", end="")
    print(f"ECE {result.held_out.ece:.3f} on the speakers that it was calibrated on")
    if not result.unseen_speakers:
        print("nobody was left to calibrate on: it is surer than it may be; add other speakers")
    return 0
