"""Measures a finished model's false alerts and certain emotions on ordinary speech.

Each recording is a session, as a user would meet it: the program's own voice activity detection,
speaker adaptation, mood and alert rules.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter

from streamer.analysis.alerts import AlertEngine
from streamer.config import Config
from streamer.config.alert_rules import SENSITIVITIES
from streamer.errors import InputError, NoSpeechError
from streamer.events import Alert
from streamer.model.classifier import Classifier
from streamer.model.speaker.adaptation import NEUTRAL
from streamer.pipeline.offline import utterances
from streamer.training.data.manifest import Clip
from streamer.training.data.ordinary import read_ordinary
from streamer.training.output import FIGURES, make_folder, written
from streamer.types import Utterance


@dataclass(slots=True, kw_only=True)
class SourceQuiet:
    """The figures of the recordings of one source.

    Attributes:
        recordings: How many.
        hours: Their length.
        speech_s: Length of the utterances in them, in seconds.
        certain_s: Length of those with a certain emotion other than neutral and calm.
        emotions_s: Length of the same, by emotion.
        no_speech_s: Length of those that were taken for no speech.
        alerts: Number of alerts, by the sensitivity of the default rule.
    """

    recordings: int = 0
    hours: float = 0.0
    speech_s: float = 0.0
    certain_s: float = 0.0
    emotions_s: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    no_speech_s: float = 0.0
    alerts: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, utterance: Utterance) -> None:
        """Count an utterance."""
        self.speech_s += utterance.duration_s
        heard = utterance.prediction
        if heard is None:
            return
        if not heard.is_speech:
            self.no_speech_s += utterance.duration_s
        elif not heard.uncertain and heard.emotion not in NEUTRAL:
            self.certain_s += utterance.duration_s
            self.emotions_s[heard.emotion] += utterance.duration_s


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelQuiet:
    """A model on ordinary speech.

    Attributes:
        model: Its name and version.
        hours: Length of all recordings.
        speech_hours: Length of the utterances in them.
        certain: Share of the speech with a certain emotion other than neutral and calm.
        no_speech: Share of the speech that is taken for no speech.
        alerts_per_hour: False alerts an hour of recording, by the sensitivity of the default rule.
        sources: The figures by source.
    """

    model: str
    hours: float
    speech_hours: float
    certain: float
    no_speech: float
    alerts_per_hour: Mapping[str, float]
    sources: Mapping[str, SourceQuiet]


_JSON: TypeAdapter[ModelQuiet] = TypeAdapter(ModelQuiet)


def read_model_quiet(path: Path) -> ModelQuiet:
    """Read what `evaluate_quiet` wrote.

    Raises:
        InputError: It cannot be read, or is something else.
    """
    path = path / FIGURES if path.is_dir() else path
    try:
        return _JSON.validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: are no figures of ordinary speech: {error}") from error


def evaluate_quiet(
    *,
    model: str | Path,
    ordinary: Path,
    use: str = "",
    out: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> ModelQuiet:
    """Measure a finished model on ordinary speech.

    Args:
        model: One that came with streamer, or a bundle's folder.
        ordinary: CSV of ordinary speech, see `read_ordinary`.
        use: Only the recordings with this ``use``; empty takes all.
        out: Folder for `figures.json`; None writes nothing.
        progress: Called with the name of each recording.

    Raises:
        InputError: The manifest or a recording cannot be read.
        ModelError: There is no such model, or it is damaged.
        OutputError: The figures cannot be written.
    """
    if out is not None:
        make_folder(out)
    recordings = read_ordinary(ordinary, use=use)
    classifier = Classifier.load(model)
    sources: defaultdict[str, SourceQuiet] = defaultdict(SourceQuiet)
    for recording in recordings:
        progress(recording.name)
        _listen(recording, classifier, sources[recording.corpus])
    result = _summed(classifier.name, sources)
    if out is not None:
        with written(out):
            (out / FIGURES).write_bytes(_JSON.dump_json(result, indent=2) + b"\n")
    return result


def _listen(recording: Clip, classifier: Classifier, quiet: SourceQuiet) -> None:
    config = Config().one_stream()
    rules = {
        name: AlertEngine(Config.model_validate({"alerts": {"sensitivity": name}}).one_stream())
        for name in SENSITIVITIES
    }

    def heard(seconds: float) -> None:
        quiet.hours += seconds / 3600

    quiet.recordings += 1
    try:
        for utterance in utterances(recording.path, classifier, config, progress=heard):
            quiet.add(utterance)
            for name, engine in rules.items():
                events = engine.add(utterance)
                quiet.alerts[name] += sum(isinstance(event, Alert) for event in events)
    except NoSpeechError:
        return


def _summed(model: str, sources: Mapping[str, SourceQuiet]) -> ModelQuiet:
    parts: Sequence[SourceQuiet] = list(sources.values())
    hours, speech = sum(p.hours for p in parts), sum(p.speech_s for p in parts)
    return ModelQuiet(
        model=model,
        hours=hours,
        speech_hours=speech / 3600,
        certain=sum(p.certain_s for p in parts) / max(speech, 1e-9),
        no_speech=sum(p.no_speech_s for p in parts) / max(speech, 1e-9),
        alerts_per_hour={
            name: sum(p.alerts[name] for p in parts) / max(hours, 1e-9) for name in SENSITIVITIES
        },
        sources=dict(sources),
    )
