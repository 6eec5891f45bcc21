"""``streamer average``: average the weights of several encoders."""

from streamer.cli.parser import CommandParser, Namespace, user_path

NAME = "average"
SUMMARY = "average encoders that were tuned from the same one: often better than each"
EXAMPLE = "streamer average encoder.safetensors tuned.safetensors --out both.safetensors"


def add_arguments(parser: CommandParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument(
        "encoders",
        metavar="FILE",
        type=user_path,
        nargs="+",
        help="safetensors; named twice, it counts twice",
    )
    parser.add_argument(
        "--out", metavar="FILE", type=user_path, required=True, help="the new encoder, safetensors"
    )


def execute(args: Namespace) -> int:
    """Write the average."""
    from streamer.training.encoder.average import average

    average(args.encoders, out=args.out)
    print(f"mean of {len(args.encoders)} encoders in {args.out}")
    return 0
