"""A model adapted to labelled utterances: better on others of their kind, or left alone."""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from streamer.cli.main import main
from streamer.errors import ConfigError, InputError
from streamer.model import bundle, features
from streamer.model.bundle import Bundle
from streamer.model.catalog import is_commercial
from streamer.model.classifier import Classifier
from streamer.model.encoder import EmotionNet
from streamer.model.manifest import Calibration, DataSource, Manifest, Mood, Network, Priors, Voices
from streamer.model.priors import log_prior
from streamer.model.speaker.adaptation import VoiceModel
from streamer.model.speaker.clustering import SpeakerModel
from streamer.sinks.audio_files import AudioFolder, file_name
from streamer.training.adapt import _changed_network, _changed_voices, adapt
from streamer.training.evaluation.metrics import figures
from streamer.training.heads import transfer
from streamer.training.heads.logistic import Head
from streamer.training.heads.transfer import (
    SURE,
    Change,
    LabelledExamples,
    fit_change,
    split,
    try_change,
)
from streamer.types import SAMPLE_RATE, Pcm

LABELS = ("neutral", "happy", "angry")
UNADAPTED = {"neutral": 0.5, "happy": 0.3, "angry": 0.2}
ADAPTED = {"neutral": 0.6, "happy": 0.3, "angry": 0.1}
NATURAL = {"neutral": 0.8, "happy": 0.1, "angry": 0.1}
PITCH = {"neutral": 300, "happy": 1200, "angry": 3000}
SECONDS = np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE
Row = dict[str, object]


@pytest.fixture(autouse=True)
def _few_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Less is tried than in earnest: a test has no minute."""
    monkeypatch.setattr(transfer, "L2", (10.0, 1.0))
    monkeypatch.setattr(transfer, "FOLDS", 3)


def tone(label: str, seed: int) -> Pcm:
    """Half a second at about the pitch of a label, shape (samples,)."""
    rng = np.random.default_rng(seed)
    wave = np.sin(2 * np.pi * PITCH[label] * rng.uniform(0.9, 1.1) * SECONDS)
    return np.rint(3000 * (wave + 0.05 * rng.standard_normal(len(wave)))).astype(np.int16)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of random weights, which knows nothing."""
    manifest = Manifest(
        name="base",
        version="7",
        labels=LABELS,
        features=features.PARAMETERS,
        network=Network(mels=80, width=64, heads=1, blocks=1, positions=1500),
        calibration=Calibration(temperature=1.5, threshold=0.4, brevity=0.5),
        priors=Priors(unadapted=UNADAPTED, adapted=ADAPTED, natural=NATURAL),
        baseline=Voices(prior=2.0, temperature=1.2),
        mood=Mood(positive=("happy",), negative=("angry",)),
        sources=(DataSource(name="nobody", licence="CC BY-NC 4.0"),),
        training={"seed": 0, "quiet": "0.00 false alerts an hour"},
    )
    torch.manual_seed(0)
    network = EmotionNet(manifest.shape).eval()
    voices = VoiceModel(
        weight=network.head.weight.detach().numpy().copy(),
        bias=network.head.bias.detach().numpy().copy(),
        centre=np.zeros(3, np.float32),
        log_prior=log_prior(ADAPTED, LABELS),
        prior=2.0,
        temperature=1.2,
        speakers=SpeakerModel.indifferent(manifest.shape.features),
    )
    path = tmp_path_factory.mktemp("models") / "base"
    bundle.save(Bundle(manifest, network, "# base, version 7\n\n## Licences\n", voices), path)
    return path


@pytest.fixture
def rows() -> list[Row]:
    """Thirty labelled utterances of two calls, a third of them heard right, and one unlabelled."""
    labelled = [
        {
            "session": f"call-{number % 2}", "utterance": number, "channel": "a/b",
            "start_s": number, "end_s": number + 0.5, "emotion": "happy", "confidence": 0.5,
            "mood": 0.0, "uncertain": "false", "label": LABELS[number % 3],
        }
        for number in range(30)
    ]  # fmt: skip
    return [*labelled, {**labelled[0], "utterance": 99, "label": ""}]


def saved(folder: Path, rows: list[Row]) -> tuple[Path, Path]:
    """Rows as a log, and the sound of those that have a label."""
    audio = AudioFolder(folder / "voices")
    for row in rows:
        if row["label"] in LABELS:
            name = file_name(str(row["session"]), str(row["channel"]), int(str(row["utterance"])))
            audio.save(name, tone(str(row["label"]), int(str(row["utterance"]))))
    return write(folder / "log.csv", rows), folder / "voices"


def write(path: Path, rows: list[Row]) -> Path:
    """Rows as a CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


def clouds(seed: int, *, apart: float, count: int = 60) -> LabelledExamples:
    """Utterances of three labels in a space of many directions, to a model that knows nothing."""
    rng = np.random.default_rng(seed)
    targets = torch.from_numpy(rng.permutation(np.arange(count) % 3))
    centres = rng.standard_normal((3, 200))
    vectors = apart * centres[targets] + rng.standard_normal((count, 200))
    return LabelledExamples(
        embeddings=torch.from_numpy(vectors.astype(np.float32)),
        logits=torch.from_numpy(rng.standard_normal((count, 3)).astype(np.float32)),
        length_factors=torch.ones(count, 1),
        targets=targets,
        groups=np.arange(count),
    )


def test_utterances_are_classified_as_the_program_classifies_them(base, rows, tmp_path):
    """Short ones are trusted less there: so they are here, before the change and after."""
    log, audio = saved(tmp_path, rows)
    before = adapt([log], audio=audio, base=base, out=tmp_path / "mine").trial.before
    model = Classifier.load(base, prior="even")
    labelled = [row for row in rows if row["label"]]
    heard = [
        model.classify(tone(str(row["label"]), int(str(row["utterance"])))).probabilities
        for row in labelled
    ]
    targets = np.array([LABELS.index(str(row["label"])) for row in labelled])
    assert before.brier == pytest.approx(figures(np.array(heard), targets, LABELS).brier, abs=1e-3)


def test_a_better_model_is_written_and_says_what_it_is(base, rows, tmp_path, capsys):
    """The whole way, as a user goes it: figures, a working bundle, its card and licences."""
    log, audio = saved(tmp_path, rows)
    before = {path.name: path.read_bytes() for path in base.iterdir()}
    out = tmp_path / "mine"
    command = ["adapt", str(log), "--audio", str(audio), "--model", str(base), "--out", str(out)]
    assert main(command) == 0
    told = capsys.readouterr().out
    assert "30 labelled utterances: neutral 10, happy 10, angry 10" in told
    assert "on sessions left out in turn" in told
    model = Classifier.load(out, prior="even")
    assert (model.name, model.labels) == ("mine-1", LABELS)
    heard = [model.classify(tone(label, 1000 + i)).emotion for i, label in enumerate(LABELS * 4)]
    assert sum(a == b for a, b in zip(heard, LABELS * 4, strict=True)) >= 10
    manifest = bundle.load(out).manifest
    notes = manifest.training["adaptation"]
    assert notes["base"] == "base-7"
    assert notes["labels"] == {"neutral": 10, "happy": 10, "angry": 10}
    assert notes["uar"][1] > notes["uar"][0]
    assert manifest.training["seed"] == 0
    assert "quiet" not in manifest.training  # that was measured of another model
    assert manifest.sources[0].licence == "CC BY-NC 4.0"
    assert is_commercial([manifest.sources[-1].licence])  # it is up to whoever has recorded it
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "base-7, adapted to 30 labelled utterances" in card
    assert f"| adapted | {notes['uar'][1]:.3f} |" in card
    assert "\n## base, version 7\n\n### Licences\n" in card
    assert {path.name: path.read_bytes() for path in base.iterdir()} == before


def test_what_is_not_better_is_not_written(base, rows, tmp_path, capsys):
    """Labels that have nothing to do with the sound: exit code 1, and the old bundle stays."""
    log, audio = saved(tmp_path, rows)
    for number, row in enumerate(rows[:30]):
        row["label"] = LABELS[number // 3 % 3]
    write(log, rows)
    out = tmp_path / "mine"
    bundle.save(bundle.load(base), out)
    before = (out / "bundle.json").read_bytes()
    command = ["adapt", str(log), "--audio", str(audio), "--model", str(base), "--out", str(out)]
    assert main(command) == 1
    told = capsys.readouterr().err
    assert "not better than base-7 by more than chance explains" in told
    assert re.search(r"log loss (lower|higher) by \d", told)
    assert (out / "bundle.json").read_bytes() == before


@pytest.mark.parametrize("seed", range(2))
def test_chance_is_not_taken_for_a_gain(seed):
    """With features that say nothing; with some that say much, a gain is seen."""
    assert not try_change(clouds(seed, apart=0.0), LABELS).is_better
    told = try_change(clouds(seed, apart=0.5), LABELS)
    assert told.is_better
    assert told.gain > SURE * told.error > 0


def test_a_fitted_temperature_alone_is_no_gain():
    """A model that is right, and far too unsure, has nothing to learn from clouds of noise."""
    noise = clouds(5, apart=0.0)
    right = torch.eye(3)[noise.targets] + 0.5 * noise.logits
    told = try_change(replace(noise, logits=0.1 * right), LABELS)
    assert not told.is_better
    assert told.gain < 0.1


def test_an_emotion_that_nobody_labelled_stays():
    """It is not pushed out: nobody said that it does not occur."""
    seen = clouds(2, apart=0.5).take(clouds(2, apart=0.5).targets.numpy() < 2)
    fitted = fit_change(replace(seen, logits=torch.zeros(len(seen), 3)))
    assert abs(float(fitted.head(seen.embeddings)[:, 2].mean())) < 1.0


def test_groups_stay_together_and_labels_are_spread():
    """Unless one group is most of it all: then every utterance goes by itself."""
    examples = clouds(3, apart=0.0)
    groups = np.arange(60) // 6
    folds = split(replace(examples, groups=groups))
    assert all(len(set(folds[groups == group])) == 1 for group in set(groups))
    assert sorted(np.bincount(folds)) == [18, 18, 24]
    alone = split(replace(examples, groups=np.array([0] * 50 + [1] * 10)))
    counts = np.array([np.bincount(examples.targets[alone == fold]) for fold in range(3)])
    assert counts.min() >= 6
    assert counts.max() <= 7


@pytest.fixture
def change() -> Change:
    """Of a model of 128 features."""
    torch.manual_seed(3)
    means = np.random.default_rng(3).standard_normal((3, 3))
    head = Head(torch.randn(3, 128), torch.randn(3))
    return Change(head=head, means=means, temperature=2.0, threshold=None, l2=1.0)


def test_the_new_model_answers_as_the_one_that_was_tried(base, change):
    """The change is one of log-likelihoods: its temperature does not touch any prior."""
    old, vectors = bundle.load(base), torch.randn(5, 128)
    trained, temperature = np.log(list(UNADAPTED.values())), old.manifest.calibration.temperature
    with torch.inference_mode():
        before = old.network.head(vectors).numpy() / temperature - trained
        changed = _changed_network(old, change).head(vectors).numpy()
    after = changed / (temperature * change.temperature) - trained
    expected = (before + change.head(vectors).numpy()) / change.temperature
    assert after == pytest.approx(expected, abs=1e-4)


def test_a_known_voice_is_classified_by_the_same_model(base, change):
    """The change moves the adapted head as it moves the other, and the mean neutral voice."""
    old = bundle.load(base).voices
    assert old is not None
    new = _changed_voices(old, change, neutral=0)
    vectors, neutral = torch.randn(5, 128), np.ones(5)
    added = change.head(vectors).double().numpy()
    nobody, known = np.zeros(3), np.ones(())

    def answer(voices: VoiceModel, shift: np.ndarray) -> np.ndarray:
        return voices.mix(np.zeros((5, 3)), voices.logits(vectors.numpy()), shift, known)

    expected = (answer(old, nobody) + added) / change.temperature
    assert answer(new, nobody) == pytest.approx(expected, abs=1e-4)
    shifts = [each.offset(each.logits(vectors.numpy()), neutral) for each in (old, new)]
    moved = (added - change.means[0]).sum(0) / (5 + old.prior)
    assert shifts[1] / old.temperature == pytest.approx(
        shifts[0] / old.temperature + moved, abs=1e-4
    )
    assert np.array_equal(_changed_voices(old, change, None).weight, new.weight)


def change_rows(rows: list[Row], **cells: object) -> None:
    """The same in every row."""
    for row in rows:
        row.update(cells)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[4].update(label="sad"), "utterance 4: label: got 'sad', the model know"),
        (lambda rows: rows[4].update(label="agnry"), "line 6: label: got 'agnry'"),
        (lambda rows: change_rows(rows, label=""), r"got 0 labelled utterances \(none\)"),
        (lambda rows: change_rows(rows, label="no_speech"), "got 0 labelled utterances"),
        (lambda rows: change_rows(rows, label="happy"), r"\(happy 31\), expected at least 20"),
        (lambda rows: change_rows(rows[:12], label=""), "got 18 labelled utterances"),
        (lambda rows: change_rows(rows, emotion="sad"), "none of which says what the model"),
        (lambda rows: rows[30].update(label="happy"), "lacks 1 of 31 .* call-0-a%2Fb-99.flac"),
        (lambda rows: rows.append({**rows[0], "label": "angry"}), "is labelled twice"),
    ],
)
def test_labels_that_will_not_do_are_named(change, message, base, rows, tmp_path):
    """What was got and what is expected; nothing is written."""
    _, audio = saved(tmp_path, rows)
    change(rows)
    log = write(tmp_path / "log.csv", rows)
    with pytest.raises(InputError, match=message) as caught:
        adapt([log], audio=audio, base=base, out=tmp_path / "mine")
    assert caught.value.exit_code == 3
    assert not (tmp_path / "mine").exists()


def test_a_folder_that_is_no_bundle_is_left_alone(base, rows, tmp_path):
    """It may hold anything."""
    log, audio = saved(tmp_path, rows)
    with pytest.raises(ConfigError, match="exists and is no model bundle"):
        adapt([log], audio=audio, base=base, out=audio)


def test_an_adapted_model_is_not_adapted_again(base, rows, tmp_path, capsys):
    """It may have heard the very utterances that it would be measured on."""
    log, audio = saved(tmp_path, rows)
    known = bundle.load(base)
    training = {**known.manifest.training, "adaptation": {"base": "base-7"}}
    adapted = known.manifest.model_copy(update={"training": training})
    bundle.save(replace(known, manifest=adapted), tmp_path / "adapted")
    assert json.loads((tmp_path / "adapted" / "bundle.json").read_text())["training"]["adaptation"]
    with pytest.raises(ConfigError, match="was itself adapted"):
        adapt([log], audio=audio, base=tmp_path / "adapted", out=tmp_path / "mine")
    before = (tmp_path / "adapted" / "README.md").read_bytes()
    assert main(["card", str(tmp_path / "adapted")]) == 2
    assert "was made by 'streamer adapt'" in capsys.readouterr().err
    assert (tmp_path / "adapted" / "README.md").read_bytes() == before


def test_speakers_are_kept_apart_where_they_are_named(base, rows, tmp_path):
    """Before sessions are."""
    for row in rows:
        row["speaker"] = f"speaker {int(str(row['utterance'])) % 5}"
    log, audio = saved(tmp_path, rows)
    assert adapt([log], audio=audio, base=base, out=tmp_path / "mine").left_out == "speakers"
