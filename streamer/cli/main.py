"""The commands, and nothing else. Each imports what it needs when it runs: start-up stays quick."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, TypeAlias

from streamer import __version__
from streamer.errors import ConfigError, InputError, StreamerError

if TYPE_CHECKING:
    from streamer.audio.sources import Source
    from streamer.config import Config, LoadedConfig
    from streamer.model.classifier import Classifier
    from streamer.session import LiveSession
    from streamer.sinks.audio_files import AudioFolder
    from streamer.training.evaluation.cross_validation import Evaluation
    from streamer.training.evaluation.model import ModelEvaluation

Command: TypeAlias = Callable[[argparse.Namespace], int]
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - typeshed's name

INTERRUPTED = 130
LAST_LINES_S = 1.0
"""How long somebody who does not read what we print is waited for at the end."""

DEMO = Path(__file__).parents[1] / "recordings" / "demo.flac"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code (see `streamer.errors`)."""
    args = _parser().parse_args(argv)
    command: Command = args.command
    try:
        return command(args)
    except StreamerError as error:
        print(f"streamer: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # whoever read our output has gone
        sys.stderr.close()
        return StreamerError.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - a fault of ours: whoever sees it can report it
        import traceback

        traceback.print_exc()
        print(f"streamer: a fault in the program, please report it: {error!r}", file=sys.stderr)
        return StreamerError.exit_code


# --- commands -----------------------------------------------------------------------------------


def _run(args: argparse.Namespace) -> int:
    from contextlib import ExitStack

    from rich.console import Console

    from streamer.audio.devices import native_stderr_muted
    from streamer.dashboard.board import Board
    from streamer.dashboard.screen import usable
    from streamer.pipeline.live import Pipeline
    from streamer.session import LiveSession
    from streamer.sinks.audio_files import AudioWriter
    from streamer.sinks.lines import JsonLines, PlainLines

    config = _config(args)
    console = Console()
    folder = _audio_folder(args)
    recording = folder is not None
    with_board = not args.json and not args.no_dashboard and usable(console)
    with ExitStack() as stack:
        stack.enter_context(native_stderr_muted())
        pipeline = Pipeline(_source(args, config), _loader(config), config, record=recording)
        board = lines = None
        if with_board:
            board = Board(
                console,
                config.dashboard,
                config.audio.streams,
                bell=config.alerts.bell,
                recording=recording,
            )
        else:
            lines = JsonLines() if args.json else PlainLines()
        session = LiveSession(
            pipeline,
            config,
            csv=_csv(config),
            audio=AudioWriter(folder) if folder is not None else None,
            board=board,
            lines=lines,
            duration=args.duration,
        )
        stack.callback(_print_summary, session, sys.stderr if args.json else sys.stdout)
        if board is not None:
            stack.enter_context(board)
        session.run()
    return 0


def _print_summary(session: "LiveSession", file: TextIO) -> None:
    from streamer.sinks.writer import Outlet

    for where, lines in ((file, session.summary()), (sys.stderr, session.unwritten)):
        outlet = Outlet(where)  # the terminal may be gone, or nobody may read the pipe
        outlet.write("".join(f"{line}\n" for line in lines))
        outlet.finish(LAST_LINES_S)


def _file(args: argparse.Namespace) -> int:
    from streamer.bulk.local import analyse

    config = _config(args)
    audio = _audio_folder(args)  # before the model, which takes a while
    return analyse(
        [Path(path) for path in args.paths],
        _loader(config)(),
        config,
        split=not args.mono,
        csv=_csv(config),
        summary=args.summary,
        audio=audio,
        jobs=args.jobs,
        json=args.json,
    )


def _report(args: argparse.Namespace) -> int:
    import webbrowser

    from streamer.report.make import make

    code = make(args.logs, args.out, audio=args.audio)
    print(args.out)
    if args.open and not webbrowser.open(args.out.resolve().as_uri()):
        print("streamer: no browser found; open the page by hand", file=sys.stderr)
    return code


def _enrol(args: argparse.Namespace) -> int:
    from streamer.audio.devices import find_device, native_stderr_muted
    from streamer.audio.microphone import MicrophoneSource
    from streamer.cli.enrol import enrol, read, record
    from streamer.model.speaker import enrolment

    config = _config(args)
    enrolment.check_name(args.name)
    if args.input is not None:
        pcm = read(Path(args.input))
    else:
        with native_stderr_muted():
            find_device(config.audio.device)
            print(f"speak for {args.duration:g} s, as you usually do", file=sys.stderr)
            source = MicrophoneSource(
                config.audio.device, channels=1, block_s=config.audio.block_ms / 1000
            )
            pcm = record(source, args.duration)
    known = enrol(args.name, pcm, _loader(config)(), config)
    path = enrolment.save(known)
    print(f"{known.speaker}: {len(known.utterances)} utterances, {known.seconds:.1f} s, in {path}")
    return 0


def _devices(args: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.table import Table

    from streamer.audio.devices import input_devices, native_stderr_muted

    del args
    with native_stderr_muted():
        devices = input_devices()
    if not devices:
        print("no input device")
        return 0
    table = Table("index", "name", "host API", "channels", "default rate", "")
    for device in devices:
        rate, mark = f"{device.sample_rate} Hz", "default" if device.default else ""
        table.add_row(
            str(device.index), device.name, device.host_api, str(device.channels), rate, mark
        )
    Console().print(table)
    return 0


def _check(args: argparse.Namespace) -> int:
    from streamer.audio.devices import native_stderr_muted
    from streamer.cli.check import check, check_alert

    config = _config(args)
    if args.alert is not None:
        return check_alert(config, args.alert)
    with native_stderr_muted():
        return check(config, _loader(config), DEMO)


def _bench(args: argparse.Namespace) -> int:
    from streamer.cli.bench import bench

    config = _config(args)
    bench(config, _loader(config), DEMO, json=args.json)
    return 0


def _finetune(args: argparse.Namespace) -> int:
    from streamer.training.data.manifest import leave_out, read_manifest
    from streamer.training.encoder.finetune import FineTuning, finetune

    clips = read_manifest(args.manifest, corpora=args.corpora)
    finetune(
        leave_out(clips, args.without),
        everything=clips,
        encoder=args.encoder,
        out=args.out,
        choices=FineTuning(steps=args.steps, batch_s=args.batch, seed=args.seed),
        cache=args.cache,
        jobs=args.jobs,
    )
    print(f"fine-tuned encoder in {args.out}")
    return 0


def _average(args: argparse.Namespace) -> int:
    from streamer.training.encoder.average import average

    average(args.encoders, out=args.out)
    print(f"mean of {len(args.encoders)} encoders in {args.out}")
    return 0


def _train(args: argparse.Namespace) -> int:
    from streamer.training.evaluation.cross_validation import read_evaluation
    from streamer.training.heads.speech import read_speech_figures
    from streamer.training.train import train

    result = train(
        manifest=args.manifest,
        encoder=args.encoder,
        calibrator=args.calibrator,
        version=args.version,
        notes=_text(args.notes) if args.notes else "",
        out=args.out,
        corpora=args.corpora,
        evaluations=[read_evaluation(path) for path in args.figures],
        sounds=args.sounds,
        speech_figures=read_speech_figures(args.speech_figures) if args.speech_figures else None,
        cache=args.cache,
        jobs=args.jobs,
    )
    print(f"{result.manifest.name} in {result.folder}: UAR {result.held_out.uar:.3f}, ", end="")
    print(f"ECE {result.held_out.ece:.3f} on the speakers that it was calibrated on")
    if not result.strangers:
        print("nobody was left to calibrate on: it is surer than it may be; add other speakers")
    return 0


def _adapt(args: argparse.Namespace) -> int:
    from streamer.training.adapt import adapt

    model = _config(args).model.name
    result = adapt(args.logs, audio=args.audio, base=model, out=args.out, version=args.version)
    counts = ", ".join(f"{label} {count}" for label, count in result.labels.items())
    trial = result.trial
    print(f"{sum(result.labels.values())} labelled utterances: {counts}")
    print(f"on {result.left_out} left out in turn:")
    for name, each in ((result.base, trial.before), ("adapted", trial.after)):
        print(f"  {name}: UAR {each.uar:.3f}, accuracy {each.wa:.3f}, ECE {each.ece:.3f}")
    gain = f"log loss lower by {trial.gain:.3f}, standard error {trial.error:.3f}"
    if result.folder is None:
        raise StreamerError(
            f"adapted, it is not better than {result.base} by more than chance explains "
            f"({gain}): nothing was written; label more utterances"
        )
    print(f"better ({gain}); the model is in {result.folder}")
    return 0


def _evaluate(args: argparse.Namespace) -> int:
    from streamer.training.evaluation.cross_validation import evaluate
    from streamer.training.heads.speech import PROTOCOL

    if args.model is not None:
        return _evaluate_model(args)
    if args.protocol is None:
        raise ConfigError("an encoder is judged under a protocol: --protocol is missing")
    if args.protocol == PROTOCOL:
        return _evaluate_no_speech(args)
    result = evaluate(
        manifest=args.manifest,
        encoder=args.encoder,
        protocol=args.protocol,
        corpora=args.corpora,
        variations=args.variations,
        out=args.out,
        cache=args.cache,
        jobs=args.jobs,
    )
    for fold in result.folds:
        print(f"fold {fold.name}: UAR {fold.uar:.3f} on {fold.clips} clips")
    _print_scores(result, args.out)
    return 0


def _evaluate_model(args: argparse.Namespace) -> int:
    from streamer.training.evaluation.model import evaluate_model

    if args.protocol is not None:
        raise ConfigError("a finished model is judged as it is, without --protocol")
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
        print(f"it was made from {', '.join(result.heard)}: with strangers it will do worse")
    _print_scores(result, args.out)
    print(f"certain of {result.certain:.0%}, of which {result.certain_and_right:.0%} are right")
    return 0


def _print_scores(result: "Evaluation | ModelEvaluation", out: Path) -> None:
    for name, scores in result.scores.items():
        print(f"{name}: UAR {scores.uar:.3f}, WA {scores.own.wa:.3f}, ECE {scores.own.ece:.3f}")
    for kind, after in result.sessions.items():
        print(f"after {kind}: UAR {after.uar:.3f}, ECE {after.ece:.3f}")
    print(f"figures and plots in {out}")


def _evaluate_no_speech(args: argparse.Namespace) -> int:
    from streamer.training.evaluation.cross_validation import evaluate_no_speech

    result = evaluate_no_speech(
        manifest=args.manifest,
        encoder=args.encoder,
        corpora=args.corpora,
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


def _config_show(args: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.table import Table

    table = Table("key", "value", "from", "what it is")
    for setting in _loaded_config(args).settings():
        value = "null" if setting.value is None else str(setting.value)
        table.add_row(setting.key, value, setting.source, setting.description)
    Console().print(table)
    return 0


# --- what they share ----------------------------------------------------------------------------


def _loaded_config(args: argparse.Namespace) -> "LoadedConfig":
    from streamer.config import load

    given = vars(args)
    flags = {
        key: given[flag]
        for key, flag in (
            ("model.name", "model"),
            ("audio.device", "device"),
            ("output.csv", "csv"),
            ("audio.channels", "channels"),
            ("baseline.speakers", "speakers"),
        )
        if given.get(flag) is not None and not isinstance(given[flag], int)
    }
    if given.get("speakers"):
        flags["baseline.enabled"] = True
    if given.get("ascii"):
        flags["dashboard.ascii"] = True
    if given.get("no_csv"):
        flags["output.csv"] = None
    return load(file=args.config, flags=flags)


def _config(args: argparse.Namespace) -> "Config":
    return _loaded_config(args).config


def _csv(config: "Config") -> Path | None:
    return Path(config.output.csv) if config.output.csv else None


def _audio_folder(args: argparse.Namespace) -> "AudioFolder | None":
    """Where the sound of utterances is kept, if that is asked for."""
    from streamer.sinks.audio_files import AudioFolder

    return AudioFolder(args.save_audio) if args.save_audio is not None else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error


def _loader(config: "Config") -> "Callable[[], Classifier]":
    """What loads the model, wherever and whenever it is called: torch takes a second to import."""

    def load() -> "Classifier":
        from streamer.model.classifier import Classifier

        return Classifier.load(config.model.name, threads=config.model.threads)

    return load


def _source(args: argparse.Namespace, config: "Config") -> "Source":
    """What `run` listens to: without a microphone or a wish, the bundled recording."""
    from streamer.audio.devices import find_device
    from streamer.audio.microphone import MicrophoneSource
    from streamer.audio.sources import FileSource, PipeSource
    from streamer.types import SAMPLE_RATE

    block_s = config.audio.block_ms / 1000
    channels = args.channels if isinstance(args.channels, int) else len(config.audio.channels) or 1
    if args.input == "-":
        if sys.stdin.isatty():
            raise InputError("standard input is a terminal, expected a pipe of raw s16le PCM")
        rate = args.rate or SAMPLE_RATE
        return PipeSource(sys.stdin.buffer, sample_rate=rate, channels=channels, block_s=block_s)
    if args.rate is not None or isinstance(args.channels, int):
        raise ConfigError(
            "--rate and --channels with a number describe raw PCM: they need --input -"
        )
    if args.input is not None:
        return FileSource(Path(args.input), block_s=block_s)
    try:
        find_device(config.audio.device)
    except InputError as error:
        if config.audio.device is not None:
            raise
        print(f"streamer: {error}; playing the bundled recording", file=sys.stderr)
        return FileSource(DEMO, block_s=block_s, name="the bundled recording (no microphone)")
    return MicrophoneSource(config.audio.device, channels=channels, block_s=block_s)


# --- the command line ---------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="streamer",
        description="Which emotion is heard, and how sure it is, while somebody speaks.",
        epilog="example: streamer run --csv calls.csv",
    )
    parser.add_argument("--version", action="version", version=f"streamer {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")

    run = _command(
        commands,
        "run",
        _run,
        "listen to a microphone, a recording or a pipe",
        "streamer run --device USB --csv calls.csv",
    )
    run.add_argument(
        "--device", metavar="INDEX|NAME", help="input device, as 'streamer devices' lists them"
    )
    run.add_argument(
        "--input", metavar="FILE|-", help="play a recording, or read raw s16le PCM from a pipe"
    )
    run.add_argument("--rate", metavar="HZ", type=_positive_int, help="of the pipe: 16000")
    run.add_argument(
        "--channels",
        metavar="NAMES|N",
        type=_channels,
        help="independent channels, as agent,customer; or how many the pipe has, mixed to one",
    )
    run.add_argument(
        "--duration", metavar="S", type=_positive_float, help="stop after so many seconds"
    )
    run.add_argument(
        "--speaker",
        metavar="NAME",
        dest="speakers",
        action="append",
        help="an enrolled voice to expect; with channels, CHANNEL=NAME each",
    )
    run.add_argument("--no-dashboard", action="store_true", help="plain lines, also on a terminal")
    run.add_argument("--ascii", action="store_true", help="a dashboard of nothing but ASCII")
    _add_output(run)
    _add_model(run)

    file = _command(
        commands,
        "file",
        _file,
        "judge recordings and folders of them, as fast as the machine allows",
        "streamer file calls/ --csv calls.csv --jobs 2",
    )
    file.add_argument("paths", nargs="+", metavar="PATH", help="a recording, or a folder of them")
    file.add_argument(
        "--jobs", metavar="N", type=_positive_int, help="recordings at once: one per core"
    )
    file.add_argument(
        "--channels",
        metavar="NAMES",
        type=_names,
        help="independent channels, as agent,customer; of a stereo recording: left,right",
    )
    file.add_argument(
        "--mono", action="store_true", help="mix a stereo recording to one channel instead"
    )
    file.add_argument(
        "--summary",
        metavar="PATH",
        type=Path,
        help="append a row per recording and channel to this CSV: speaking time, shares, mood",
    )
    _add_output(file)
    _add_model(file)

    report = _command(
        commands,
        "report",
        _report,
        "make a page of logged sessions that people read and print",
        "streamer report calls.csv -o calls.html --open",
        config=False,
    )
    report.add_argument(
        "logs", nargs="+", metavar="CSV", type=Path, help="a log, or a folder of them"
    )
    report.add_argument(
        *("-o", "--out"),
        metavar="PATH",
        type=Path,
        default=Path("report.html"),
        help="one HTML file with all in it: report.html",
    )
    report.add_argument(
        "--audio",
        metavar="DIR",
        type=Path,
        help="saved utterances, from --save-audio, to be played from the page",
    )
    report.add_argument("--open", action="store_true", help="show it in a browser")
    enrol = _command(
        commands,
        "enrol",
        _enrol,
        "learn a voice from a few seconds of ordinary speech",
        "streamer enrol anna",
    )
    enrol.add_argument("name", metavar="NAME", help="whose voice it is, for 'run --speaker NAME'")
    enrol.add_argument("--device", metavar="INDEX|NAME", help="input device to listen to")
    enrol.add_argument("--input", metavar="FILE", help="a recording of the voice, and nobody else")
    enrol.add_argument(
        "--duration", metavar="S", type=_positive_float, default=20.0, help="how long to listen: 20"
    )
    _add_model(enrol)

    _command(
        commands, "devices", _devices, "list the input devices", "streamer devices", config=False
    )
    check = _command(
        commands, "check", _check, "say whether this machine is ready", "streamer check"
    )
    check.add_argument("--device", metavar="INDEX|NAME", help="input device to be checked")
    check.add_argument(
        "--alert", metavar="NAME", help="only send a test alert of this rule, and say what happens"
    )
    _add_model(check)

    bench = _command(
        commands, "bench", _bench, "measure what it costs on this machine", "streamer bench --json"
    )
    bench.add_argument("--json", action="store_true", help="one line of JSON instead of a table")
    _add_model(bench)

    _add_training_commands(commands)

    config = commands.add_parser(
        "config", help="show the configuration", description="The configuration."
    )
    config_commands = config.add_subparsers(required=True, metavar="COMMAND", title="commands")
    _command(
        config_commands,
        "show",
        _config_show,
        "list every value and where it came from",
        "STREAMER_VAD_FRAME_MS=30 streamer config show",
    )
    return parser


def _add_training_commands(commands: Commands) -> None:
    finetune = _command(
        commands,
        "finetune",
        _finetune,
        "teach the upper blocks of an encoder emotion, for 'train' and 'evaluate'",
        "streamer finetune --manifest all.csv --encoder encoder.safetensors "
        "--without crema-d:1,nemo --out tuned.safetensors",
        config=False,
    )
    _add_encoder(finetune, required=True)
    _add_training(finetune)
    finetune.add_argument(
        "--without",
        metavar="NAMES",
        type=_names,
        default=[],
        help="corpora, or folds as CORPUS:FOLD, to keep for testing",
    )
    finetune.add_argument("--steps", metavar="N", type=_positive_int, default=7800, help="7800")
    finetune.add_argument(
        "--batch",
        metavar="SECONDS",
        type=_positive_float,
        default=240.0,
        help="of speech in a step: 240; without a GPU, 80 take a third of the time",
    )
    finetune.add_argument("--seed", metavar="N", type=int, default=0, help="of all chance: 0")
    finetune.add_argument(
        "--out", metavar="FILE", type=Path, required=True, help="the new encoder, safetensors"
    )

    average = _command(
        commands,
        "average",
        _average,
        "make the mean of encoders that grew out of the same one: often better than each",
        "streamer average encoder.safetensors tuned.safetensors --out both.safetensors",
        config=False,
    )
    average.add_argument(
        "encoders",
        metavar="FILE",
        type=Path,
        nargs="+",
        help="safetensors; named twice, it counts twice",
    )
    average.add_argument(
        "--out", metavar="FILE", type=Path, required=True, help="the new encoder, safetensors"
    )

    train = _command(
        commands,
        "train",
        _train,
        "make a model bundle from recordings",
        "streamer train --manifest mine.csv --encoder encoder.safetensors --out models/mine",
        config=False,
    )
    _add_encoder(train, required=True)
    _add_training(train)
    train.add_argument(
        "--out", metavar="DIR", type=Path, required=True, help="the bundle; one there is replaced"
    )
    train.add_argument(
        "--figures",
        metavar="DIR",
        type=Path,
        action="append",
        default=[],
        help="what 'streamer evaluate' wrote, for the card; may be repeated",
    )
    train.add_argument(
        "--calibrator",
        metavar="FILE",
        type=Path,
        help="an encoder fine-tuned without some speakers, to calibrate on these",
    )
    train.add_argument("--version", metavar="V", default="1", help="of the model: 1")
    train.add_argument(
        "--notes", metavar="FILE", type=Path, help="Markdown for the end of the model's card"
    )
    train.add_argument(
        "--speech-figures",
        metavar="DIR",
        type=Path,
        help="likewise of the protocol no-speech",
    )
    adapt = _command(
        commands,
        "adapt",
        _adapt,
        "make a model better at one's own recordings, from utterances labelled by hand",
        "streamer adapt calls.csv --audio calls-audio --out my-model",
    )
    adapt.add_argument(
        "logs",
        nargs="+",
        metavar="CSV",
        type=Path,
        help="logs with the columns label and, where known, speaker filled in",
    )
    adapt.add_argument(
        "--audio", metavar="DIR", type=Path, required=True, help="saved by --save-audio"
    )
    adapt.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        required=True,
        help="the new bundle; one there is replaced",
    )
    adapt.add_argument("--version", metavar="V", default="1", help="of the new model: 1")
    _add_model(adapt)

    evaluate = _command(
        commands,
        "evaluate",
        _evaluate,
        "measure the recipe on speakers or corpora that it never heard, or a finished model",
        "streamer evaluate --protocol ravdess --manifest all.csv --encoder encoder.safetensors "
        "--out figures/ravdess; streamer evaluate --model default --manifest mine.csv --out mine",
        config=False,
    )
    judged = evaluate.add_mutually_exclusive_group(required=True)
    _add_encoder(judged)
    judged.add_argument(
        "--model", metavar="NAME|DIR", help="a finished model, judged as it is on all recordings"
    )
    _add_training(evaluate)
    evaluate.add_argument(
        "--protocol",
        metavar="NAME",
        help="a corpus, tested fold by fold; corpus-out, each corpus unheard in turn; or "
        "no-speech, speech against other sounds, both unheard",
    )
    evaluate.add_argument(
        "--variations",
        metavar="NAMES",
        type=_names,
        default=["plain"],
        help="how the tested clips are changed, as plain,telephone A-law,noise 10 dB,first 1 s,"
        "rolling 1 s (an unknown name lists all)",
    )
    evaluate.add_argument(
        "--out", metavar="DIR", type=Path, required=True, help="figures.json and plots"
    )


def _command(  # noqa: PLR0913 - a command has a name, a job, a help and an example
    commands: Commands,
    name: str,
    command: Command,
    description: str,
    example: str,
    *,
    config: bool = True,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=description,
        description=f"{description[0].upper()}{description[1:]}.",
        epilog=f"example: {example}",
    )
    parser.set_defaults(command=command)
    if config:
        parser.add_argument(
            "--config", metavar="FILE", type=Path, help="configuration file: ./config.yaml"
        )
    return parser


def _add_training(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--manifest",
        metavar="CSV",
        type=Path,
        required=True,
        help="the recordings: path, speaker, emotion; where known corpus, fold, heard_as",
    )
    parser.add_argument(
        "--corpora", metavar="NAMES", type=_names, default=[], help="only these; all of them"
    )
    parser.add_argument(
        "--sounds",
        metavar="DIR|CSV",
        type=Path,
        help="what is no speech, as tools/collect_sounds.py collects it; made-up sounds alone",
    )
    parser.add_argument(
        "--cache",
        metavar="DIR",
        type=Path,
        default=Path(".cache/features"),
        help="the encoder's output, kept between runs: .cache/features",
    )
    parser.add_argument(
        "--jobs", metavar="N", type=_positive_int, help="recordings at once: one per core"
    )


def _add_encoder(parser: argparse._ActionsContainer, *, required: bool = False) -> None:
    parser.add_argument(
        "--encoder",
        metavar="FILE",
        type=Path,
        required=required,
        help="Whisper's audio encoder as safetensors, or what 'streamer finetune' made of it",
    )


def _add_output(parser: argparse.ArgumentParser) -> None:
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--csv", metavar="PATH", help="append a row per utterance to this file")
    where.add_argument("--no-csv", action="store_true", help="write no CSV")
    parser.add_argument("--json", action="store_true", help="one line of JSON per event on stdout")
    parser.add_argument(
        "--save-audio",
        metavar="DIR",
        type=Path,
        help="keep the sound of each utterance there, as FLAC named by its row",
    )


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="NAME|DIR", help="model bundle: default")


def _positive_int(text: str) -> int:
    number = int(text)
    if number <= 0:
        raise argparse.ArgumentTypeError(f"got {text}, expected a whole number above 0")
    return number


def _positive_float(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"got {text}, expected a number above 0")
    return number


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if not all(names) or len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected different names, as left,right")
    return names


def _channels(text: str) -> int | list[str]:
    return _positive_int(text) if text.isdecimal() else _names(text)
