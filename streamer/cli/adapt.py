"""``streamer adapt``: make a model better at one's own recordings."""

from streamer.cli.options import add_config, add_model, load_config
from streamer.cli.parser import CommandParser, Namespace, user_path
from streamer.errors import StreamerError

NAME = "adapt"
SUMMARY = "make a model better at one's own recordings, from utterances labelled by hand"
EXAMPLE = "streamer adapt calls.csv --audio calls-audio --out my-model"


def add_arguments(parser: CommandParser) -> None:
    """Add the command's arguments to its parser."""
    add_config(parser)
    parser.add_argument(
        "logs",
        nargs="+",
        metavar="CSV",
        type=user_path,
        help="logs with the columns label and, where known, speaker filled in",
    )
    parser.add_argument(
        "--audio",
        metavar="DIR",
        type=user_path,
        required=True,
        help="the folder that --save-audio wrote",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=user_path,
        required=True,
        help="folder of the new bundle; an existing one is replaced",
    )
    parser.add_argument(
        "--version",
        metavar="V",
        default="1",
        help="version of the new model (default: %(default)s)",
    )
    add_model(parser)


def execute(args: Namespace) -> int:
    """Adapt the model, and write it where it became better by more than chance explains."""
    from streamer.training.adapt import adapt

    model = load_config(args).config.model.name
    result = adapt(args.logs, audio=args.audio, base=model, out=args.out, version=args.version)
    counts = ", ".join(f"{label} {count}" for label, count in result.labels.items())
    trial = result.trial
    print(f"{sum(result.labels.values())} labelled utterances: {counts}")
    print(f"on {result.left_out} left out in turn:")
    for name, each in ((result.base, trial.before), ("adapted", trial.after)):
        print(f"  {name}: UAR {each.uar:.3f}, accuracy {each.wa:.3f}, ECE {each.ece:.3f}")
    change = "lower" if trial.gain >= 0 else "higher"
    gain = f"log loss {change} by {abs(trial.gain):.3f}, standard error {trial.error:.3f}"
    if result.folder is None:
        raise StreamerError(
            f"adapted, it is not better than {result.base} by more than chance explains "
            f"({gain}): nothing was written; label more utterances"
        )
    print(f"better ({gain}); the model is in {result.folder}")
    return 0
