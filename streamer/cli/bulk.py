"""``streamer bulk``: analyse an archive of recordings on a Ray cluster."""

from streamer.cli.archive import add_archive, part, source, tables
from streamer.cli.options import add_call_gap, add_config, add_model, load_config, warn_of_licence
from streamer.cli.parser import CommandParser, Namespace, positive_int, user_path

NAME = "bulk"
SUMMARY = "analyse an archive of recordings on a Ray cluster"
EXAMPLE = "streamer bulk s3://calls/2026/ --out tables/ --address ray://head:10001"


def add_arguments(parser: CommandParser) -> None:
    """Add the command's arguments to its parser."""
    add_config(parser)
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="SRC",
        help="a recording, a folder of them, or a URL of either, as every node finds it",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=user_path,
        required=True,
        help="write tables there: utterances-… and calls-…; only this machine must find it",
    )
    parser.add_argument(
        "--address", help="of the cluster (default: RAY_ADDRESS, else one on this machine)"
    )
    parser.add_argument(
        "--actors",
        metavar="N",
        type=positive_int,
        help="number of processes, each of which loads the model (default: one per logical CPU)",
    )
    add_archive(parser)
    add_call_gap(parser)
    add_model(parser)


def execute(args: Namespace) -> int:
    """Analyse the archive; return 1 if a recording could not be read or a result not written."""
    from streamer.bulk.local import Request
    from streamer.bulk.ray import Cluster
    from streamer.cli.file import analyse, analysis

    config = load_config(args).config
    paths = [source(path) for path in args.paths]
    shard = part(args.shard)
    utterances, calls = tables(args.out, args.format, shard)
    how = analysis(config, split=not args.mono)
    warn_of_licence(config)
    with Cluster(args.address, args.actors) as cluster:
        return analyse(
            Request(
                paths=paths,
                analysis=how,
                csv=utterances.work,
                summary=calls.work,
                tables=(utterances, calls),
                shard=shard,
                engine=cluster,
                again=args.again,
                retry_failed=args.retry_failed,
            )
        )
