"""Runs ``streamer file`` without a command line, with any model."""

from collections.abc import Callable, Sequence
from pathlib import Path

from streamer.bulk.analyse_recording import Analysis, ModelIdentity
from streamer.bulk.local import Request
from streamer.cli import file
from streamer.config import Config
from streamer.model.protocol import Model
from streamer.sinks.audio_files import AudioFolder


def analyse(  # noqa: PLR0913 - what a command line has to say
    paths: Sequence[Path | str],
    load: Callable[[], Model],
    config: Config | None = None,
    *,
    csv: Path | None,
    split: bool = True,
    audio: AudioFolder | None = None,
    json: bool = False,
    **options: object,
) -> int:
    """Analyse recordings in this process, unless ``jobs`` says otherwise; the exit code."""
    model = load()
    analysis = Analysis(
        load=load,
        model=ModelIdentity(model.name, model.labels),
        config=config or Config(),
        split=split,
        audio=audio,
    )
    request = Request(
        paths=[str(path) for path in paths], analysis=analysis, csv=csv, **({"jobs": 1} | options)
    )
    return file.analyse(request, json=json)
