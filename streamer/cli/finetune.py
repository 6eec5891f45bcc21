"""``streamer finetune``: train the upper blocks of an encoder on emotions."""

from streamer.cli.parser import (
    CommandParser,
    Namespace,
    names,
    positive_float,
    positive_int,
    user_path,
    whole_number,
)
from streamer.cli.training_options import add_encoder, add_training

NAME = "finetune"
SUMMARY = "train the upper blocks of an encoder on emotions, for 'train' and 'evaluate'"
EXAMPLE = (
    "streamer finetune --manifest all.csv --encoder encoder.safetensors "
    "--without crema-d:1,nemo --out tuned.safetensors"
)


def add_arguments(parser: CommandParser) -> None:
    """Add the command's arguments to its parser."""
    add_encoder(parser, required=True)
    add_training(parser)
    parser.add_argument(
        "--without",
        metavar="NAMES",
        type=names,
        default=[],
        help="corpora, or folds as CORPUS:FOLD, to keep for testing (default: none)",
    )
    parser.add_argument(
        "--steps",
        metavar="N",
        type=positive_int,
        default=7800,
        help="training steps (default: %(default)s)",
    )
    parser.add_argument(
        "--batch",
        metavar="SECONDS",
        type=positive_float,
        default=240.0,
        help="speech in a step; without a GPU, 80 take a third of the time (default: 240)",
    )
    parser.add_argument(
        "--copies",
        metavar="N",
        type=positive_int,
        default=8,
        help="degraded copies of each recording to choose from (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        metavar="N",
        type=whole_number,
        default=0,
        help="seed of the random numbers (default: %(default)s)",
    )
    parser.add_argument(
        "--out", metavar="FILE", type=user_path, required=True, help="the new encoder, safetensors"
    )


def execute(args: Namespace) -> int:
    """Fine-tune the encoder and write it."""
    from streamer.training.data.manifest import leave_out, read_manifest
    from streamer.training.data.ordinary import TRAIN, read_ordinary
    from streamer.training.encoder.finetune import FineTuning, finetune

    acted = read_manifest(args.manifest, corpora=args.corpora)
    spoken = read_ordinary(args.ordinary, use=TRAIN) if args.ordinary else []
    finetune(
        [*leave_out(acted, args.without), *spoken],
        everything=[*acted, *spoken],
        encoder=args.encoder,
        out=args.out,
        choices=FineTuning(
            steps=args.steps, batch_s=args.batch, copies=args.copies, seed=args.seed
        ),
        cache=args.cache,
        jobs=args.jobs,
    )
    print(f"fine-tuned encoder in {args.out}")
    return 0
