"""From a manifest of recordings to a bundle that classifies, and to honest figures."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from bundles import small_bundle
from corpora import write_manifest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from streamer.errors import ConfigError, InputError, ModelError, OutputError
from streamer.model.classifier import Classifier
from streamer.training.augmentation.noise import FAMILIES
from streamer.training.augmentation.synthesis import white
from streamer.training.card import CardFigures, write_card
from streamer.training.data.extraction import Extractor, read_mono
from streamer.training.data.manifest import Clip, labels_of, read_manifest
from streamer.training.evaluation.cross_validation import (
    evaluate,
    evaluate_no_speech,
    read_evaluation,
)
from streamer.training.evaluation.metrics import (
    choose_threshold,
    confusion,
    ece,
    figures,
    risk_coverage,
)
from streamer.training.evaluation.model import evaluate_model
from streamer.training.evaluation.splits import folds, hold_out
from streamer.training.heads.calibration import CalibrationClips
from streamer.training.heads.examples import make_examples
from streamer.training.heads.logistic import (
    Examples,
    Head,
    asked_labels,
    balanced_weights,
    fit,
    fit_temperature,
    known_labels,
)
from streamer.training.heads.recipe import Recipe
from streamer.training.heads.speech import read_speech_figures
from streamer.training.train import train
from streamer.types import SAMPLE_RATE

DATA = Path(__file__).parents[3] / "shared" / "data"
RECIPE = Recipe(blocks=2, variations=("plain",), l2=(1e-2,), hidden=0, made_up=0)


def clips_of(counts: Mapping[tuple[str, str, str], int]) -> list[Clip]:
    """So many clips for each (corpus, speaker, emotion)."""
    return [
        Clip(path=Path("x"), name=f"{key}{i}", corpus=key[0], speaker=key[1], emotion=key[2])
        for key, count in counts.items()
        for i in range(count)
    ]


def test_a_bundle_comes_out_and_classifies(manifest: Path, encoder: Path, tmp_path: Path):
    """Train -> bundle -> load -> classify: new tones of the same pitch are told apart."""
    evaluation = evaluate(
        manifest=manifest, encoder=encoder, protocol="one", recipe=RECIPE,
        cache=tmp_path / "cache", jobs=2,
    )  # fmt: skip
    assert evaluation.scores["plain"].uar > 0.8
    result = train(
        manifest=manifest, encoder=encoder, out=tmp_path / "mine", recipe=RECIPE,
        cache=tmp_path / "cache", jobs=1,
    )  # fmt: skip
    classifier = Classifier.load(result.folder)
    assert (classifier.name, classifier.labels) == ("mine-1", ("neutral", "happy", "sad"))
    time, rng = np.arange(SAMPLE_RATE) / SAMPLE_RATE, np.random.default_rng(7)
    for emotion, hz in {"neutral": 310, "happy": 1180, "sad": 3100}.items():
        tone = np.sin(2 * np.pi * hz * time) + 0.05 * rng.standard_normal(len(time))
        assert classifier.classify((0.02 * tone).astype(np.float32)).emotion == emotion
    assert "licence" in (result.folder / "README.md").read_text()[:500]
    card = write_card(result.manifest, CardFigures(evaluations=[evaluation]))
    assert "| one | 24 |" in card


def test_only_some_corpora(manifest: Path, encoder: Path, cache: Path, tmp_path: Path):
    """What is left out is not learned."""
    result = train(
        manifest=manifest, encoder=encoder, out=tmp_path / "mine", corpora=["two"],
        recipe=RECIPE, cache=cache, jobs=1, name="pair",
        version="7",
    )  # fmt: skip
    assert result.manifest.labels == ("neutral", "happy")
    assert result.manifest.speech is None
    assert (result.manifest.name, result.manifest.version) == ("pair", "7")
    assert "emotion by emotion" not in (result.folder / "README.md").read_text()


def test_with_one_speaker_nobody_is_held_out(
    manifest: Path, encoder: Path, cache: Path, tmp_path: Path
):
    """All figures are then of what was learned, and the confidence is too high."""
    rows = [
        (str(clip.path), clip.speaker, clip.emotion)
        for clip in read_manifest(manifest, corpora=["two"])
        if clip.speaker == "0"
    ]
    mine = write_manifest(tmp_path, rows, ("path", "speaker", "emotion"))
    asked = {"encoder": encoder, "recipe": RECIPE, "cache": cache, "jobs": 1}
    assert not train(manifest=mine, out=tmp_path / "mine", **asked).unseen_speakers
    assert train(manifest=manifest, out=tmp_path / "ours", **asked).unseen_speakers


def test_training_is_repeatable(manifest: Path, encoder: Path, tmp_path: Path):
    """The same recordings, with and without the cache, give the same weights."""
    first, second = (
        train(
            manifest=manifest, encoder=encoder, out=tmp_path / "same",
            recipe=Recipe(blocks=1, l2=(1e-2,), hidden=0, made_up=1),
            cache=tmp_path / cache, jobs=1,
        ).manifest.files["model.safetensors"]
        for cache in ("cache", "another")
    )  # fmt: skip
    assert first == second


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of matplotlib, about its own imports
def test_an_evaluation_is_written_down(manifest: Path, encoder: Path, cache: Path, tmp_path: Path):
    """Metrics as JSON, pictures as PNG, other forms of the test clips beside the plain one."""
    evaluation = evaluate(
        manifest=manifest, encoder=encoder, protocol="corpus-out", recipe=RECIPE,
        variations=["telephone A-law", "partial 0.5 s"], out=tmp_path / "out",
        cache=cache, jobs=1,
    )  # fmt: skip
    assert [fold.name for fold in evaluation.folds] == ["one", "two"]
    assert evaluation.folds[0].clips == 16  # nobody taught it what sad is
    assert set(evaluation.scores) == {"plain", "telephone A-law", "partial 0.5 s"}
    assert read_evaluation(tmp_path / "out") == evaluation
    other = small_bundle().manifest.model_copy(update={"training": {"blocks": 3}})
    with pytest.raises(ConfigError, match=r"corpus-out are of a recipe with blocks=2, expected 3"):
        write_card(other, CardFigures(evaluations=[evaluation]))
    for name in ("confusion", "reliability", "risk-coverage", "seconds"):
        picture = (tmp_path / "out" / f"{name}.png").read_bytes()
        assert picture.startswith(b"\x89PNG")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of matplotlib, about its own imports
def test_a_finished_model_is_measured(manifest: Path, encoder: Path, cache: Path, tmp_path: Path):
    """On a manifest, corpus by corpus; what it was made from and what it does not know is said."""
    out = tmp_path / "figures"
    train(
        manifest=manifest, encoder=encoder, corpora=["two"], recipe=RECIPE,
        out=tmp_path / "mine", cache=cache, jobs=1,
    )  # fmt: skip
    asked = {"manifest": manifest, "model": tmp_path / "mine", "cache": cache, "jobs": 1}
    result = evaluate_model(**asked, variations=["telephone A-law"], out=out)
    assert (result.model, result.corpora, result.heard) == ("mine-1", ("one", "two"), ("two",))
    assert result.left_out == 8  # nobody taught it what sad is
    assert set(result.scores) == {"plain", "telephone A-law"}
    classifier = Classifier.load(tmp_path / "mine", prior="even", threads=1)
    clips = [clip for clip in read_manifest(manifest) if clip.emotion in classifier.labels]
    classified = [classifier.classify(read_mono(clip.path)) for clip in clips]
    right = np.array([p.emotion == c.emotion for p, c in zip(classified, clips, strict=True)])
    sure = np.array([not p.uncertain for p in classified])
    assert result.scores["plain"].all.wa == pytest.approx(right.mean())
    assert (result.certain, result.certain_and_right) == pytest.approx(
        (sure.mean(), right[sure].mean())
    )
    assert json.loads((out / "figures.json").read_text())["model"] == "mine-1"
    assert (out / "confusion.png").is_file()
    assert evaluate_model(**asked, corpora=["one"]).heard == ()


def test_nothing_is_replaced_but_a_bundle(manifest: Path, encoder: Path, tmp_path: Path):
    """A wrong --out costs nobody a folder, nor the hours before it is noticed."""
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear").write_text("reader")
    with pytest.raises(ConfigError, match="letters: exists and is no model bundle"):
        train(manifest=manifest, encoder=encoder, out=tmp_path / "letters", cache=tmp_path)
    file = tmp_path / "letters" / "dear"
    for ask in (
        lambda: train(manifest=manifest, encoder=encoder, out=file / "mine"),
        lambda: evaluate(manifest=manifest, encoder=encoder, protocol="one", out=file),
        lambda: evaluate_no_speech(manifest=manifest, encoder=encoder, out=file),
        lambda: evaluate_model(manifest=manifest, model="open", out=file),
    ):
        with pytest.raises(OutputError, match=r"dear(/mine)?: cannot be written"):
            ask()
    assert file.read_text() == "reader"


def test_figures_that_cannot_be_kept_are_said_so(
    manifest: Path, encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A missing library before the work, a disk that is full by then after it."""
    out, asked = tmp_path / "out", {"cache": tmp_path / "cache", "jobs": 1}
    out.mkdir()
    (out / "figures.json").symlink_to("/dev/full")
    asks = (
        lambda: evaluate(
            manifest=manifest, encoder=encoder, protocol="one", recipe=RECIPE, out=out, **asked
        ),
        lambda: evaluate_model(manifest=manifest, model="open", corpora=["one"], out=out, **asked),
    )
    for ask in asks:
        with pytest.raises(OutputError, match=r"out: cannot be written: .*No space left"):
            ask()
    (tmp_path / "cache").rename(tmp_path / "begun")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    for ask in asks:
        with pytest.raises(ConfigError, match=r"plots need matplotlib: pip install"):
            ask()
    assert not (tmp_path / "cache").exists()


def test_a_model_that_knows_none_of_the_emotions_says_so(tmp_path: Path, manifest: Path):
    """Both sides are named."""
    rows = [(str(manifest.parent / "one-0-happy-0.wav"), "me", "calm")]
    mine = write_manifest(tmp_path, rows, ("path", "speaker", "emotion"))
    with pytest.raises(InputError, match="got calm, the model knows: neutral, happy, sad"):
        evaluate_model(manifest=mine, model="open", cache=tmp_path)


def test_an_unknown_variation_lists_what_there_is(manifest: Path, encoder: Path):
    """Before anything is embedded."""
    with pytest.raises(ConfigError, match="got variation 'shouted', expected some of: plain, crop"):
        evaluate(manifest=manifest, encoder=encoder, protocol="one", variations=["shouted"])


def test_partial_forms_are_what_the_program_hears(manifest: Path, encoder: Path, tmp_path: Path):
    """The first excerpt is classified as if it were all; later ones go on from there."""
    clips = read_manifest(manifest)[:2]
    extract = Extractor(encoder, cache=tmp_path, jobs=1)
    first, partial = extract(clips, "first 0.5 s"), extract(clips, "partial 0.5 s")
    assert np.allclose(first, partial, atol=2e-2)
    assert extract.seconds(clips, "partial 0.5 s") == pytest.approx(0.5)
    assert extract.seconds(clips, "partial 3 s") == pytest.approx(0.7)
    assert np.allclose(extract(clips, "plain"), extract(clips, "partial 3 s"), atol=2e-2)


def test_what_is_no_speech_is_learned_and_measured(
    manifest: Path, encoder: Path, cache: Path, tmp_path: Path
):
    """Metrics of the protocol go into the card, the packages with their licences too."""
    soundfile.write(tmp_path / "hiss.wav", 0.1 * white(np.random.default_rng(0), 9999), SAMPLE_RATE)
    listing = "path,package,licence\nhiss.wav,winds,CC0\n"
    (tmp_path / "manifest.csv").write_text(listing)
    asked = {
        "manifest": manifest, "encoder": encoder, "recipe": replace(RECIPE, made_up=1),
        "sounds": tmp_path, "cache": cache, "jobs": 1,
    }  # fmt: skip
    measured = evaluate_no_speech(**asked, out=tmp_path / "figures")
    assert measured.sounds == len(FAMILIES) + 1
    assert read_speech_figures(tmp_path / "figures") == measured
    result = train(**asked, out=tmp_path / "mine")
    assert result.manifest.speech is not None
    assert result.manifest.sources[-1].licence == "CC0"
    assert "| sounds of winds | CC0 |" in (result.folder / "README.md").read_text()
    card = write_card(result.manifest, CardFigures(speech=measured))
    assert "taken for no speech" in card


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        (("path", "speaker"), ("a.wav", "1"), "got columns path, speaker, expected also: emotion"),
        (("path", "speaker", "emotion"), ("a.wav", "1", "bored"), ":2: emotion: got 'bored'"),
        (("path", "speaker", "emotion"), ("a.wav", "", "sad"), ":2: speaker is empty"),
        (("path", "speaker", "emotion"), ("a.wav", "1"), ":2: emotion is empty"),
        (
            ("path", "speaker", "emotion"),
            ("b.wav", "1", "sad"),
            ":2: there is no recording 'b.wav'",
        ),
        (
            ("path", "speaker", "emotion", "heard_as"),
            ("a.wav", "1", "sad", "sad bored"),
            ":2: heard_as: got 'bored', expected one of: neutral, calm",
        ),
    ],
)
def test_a_wrong_manifest_is_named(
    tmp_path: Path, header: Sequence[str], row: Sequence[str], message: str
):
    """The line and the value."""
    (tmp_path / "a.wav").touch()
    with pytest.raises(InputError, match=message):
        read_manifest(write_manifest(tmp_path, [row], header))


def test_an_absent_or_empty_manifest_is_named(tmp_path: Path, manifest: Path):
    """The file is named, and a corpus that it does not hold."""
    with pytest.raises(InputError, match="cannot be read"):
        read_manifest(tmp_path / "nowhere.csv")
    with pytest.raises(InputError, match="holds no recordings"):
        read_manifest(write_manifest(tmp_path, []))
    with pytest.raises(InputError, match="got corpora three, it holds: one, two"):
        read_manifest(manifest, corpora=["three"])


def test_only_three_columns_are_obligatory(tmp_path: Path):
    """Somebody's own recordings are one corpus."""
    (tmp_path / "a.wav").touch()
    path = write_manifest(tmp_path, [("a.wav", "me", "calm")], ("path", "speaker", "emotion"))
    (clip,) = read_manifest(path)
    assert (clip.corpus, clip.voice, clip.fold) == ("recordings", ("recordings", "me"), "")


def test_recordings_are_heard_as_the_program_hears_them(tmp_path: Path, encoder: Path):
    """Stereo at another rate is what the same sound is, mono at 16 kHz; what is none is named."""
    rng = np.random.default_rng(0)
    for rate, channels in ((SAMPLE_RATE, 1), (48000, 2)):
        time = np.arange(rate) / rate
        wave = sum(np.sin(2 * np.pi * hz * time) for hz in (300, 700, 1900)) / 10
        soundfile.write(tmp_path / f"{rate}.flac", np.tile(wave[:, None], channels), rate)
    extract = Extractor(encoder, cache=tmp_path / "cache", jobs=1)
    first, second = extract(
        [
            Clip(tmp_path / f"{rate}.flac", name=f"{rate}", corpus="c", speaker="s", emotion="sad")
            for rate in (SAMPLE_RATE, 48000)
        ]
    )
    assert np.allclose(first, second, atol=0.05)
    assert not np.allclose(first, 0, atol=0.05)
    (tmp_path / "noise.wav").write_bytes(rng.bytes(999))
    soundfile.write(tmp_path / "hole.wav", np.full(9999, np.nan), SAMPLE_RATE, subtype="FLOAT")
    for name, reason in (("noise.wav", "cannot be read"), ("hole.wav", "holds NaN or infinity")):
        broken = Clip(tmp_path / name, name="n", corpus="c", speaker="s", emotion="sad")
        with pytest.raises(InputError, match=f"{name}: {reason}"):
            extract([broken])


def test_an_encoder_that_is_none_is_named(tmp_path: Path, encoder: Path):
    """Missing, foreign, or too small."""
    with pytest.raises(ModelError, match="cannot be read"):
        Extractor(tmp_path / "nowhere", cache=tmp_path)
    save_file({"blocks.0.weight": torch.zeros(1)}, tmp_path / "foreign")
    with pytest.raises(ModelError, match="is no Whisper encoder"):
        Extractor(tmp_path / "foreign", cache=tmp_path)
    with pytest.raises(ModelError, match="got 2 blocks, expected at least 3"):
        Extractor(encoder, blocks=3, cache=tmp_path)


@pytest.mark.parametrize("protocol", ["one", "two", "corpus-out"])
def test_no_speaker_is_on_both_sides(manifest: Path, protocol: str):
    """And every clip of the tested corpora is tested once."""
    clips = read_manifest(manifest)
    divisions = folds(protocol, clips)
    for fold in divisions:
        assert not {clips[i].voice for i in fold.train} & {clips[i].voice for i in fold.test}
        assert sorted(fold.train + fold.test) == list(range(len(clips)))
    tested = sorted(i for fold in divisions for i in fold.test)
    assert tested == [i for i, c in enumerate(clips) if protocol in (c.corpus, "corpus-out")]


def test_an_unknown_protocol_lists_what_there_is(manifest: Path):
    """So that a typing error is seen at once."""
    with pytest.raises(ConfigError, match="'on', expected one of: one, two, corpus-out"):
        folds("on", read_manifest(manifest))
    with pytest.raises(ConfigError, match="at least two"):
        folds("corpus-out", read_manifest(manifest, corpora=["one"]))


def test_speakers_are_held_out_of_each_corpus(manifest: Path):
    """One in five, at least one, never the only one."""
    clips = [*read_manifest(manifest), *clips_of({("alone", "a", "sad"): 3})]
    fitted, held = hold_out(clips)
    assert sorted(fitted + held) == list(range(len(clips)))
    voices = {clips[i].voice for i in held}
    assert {corpus for corpus, _ in voices} == {"one", "two"}
    assert len(voices) == 2
    assert not voices & {clips[i].voice for i in fitted}


def test_a_corpus_weighs_by_its_voices():
    """Three voices to one, to the power asked for."""
    clips = clips_of({("a", x, "sad"): 1 for x in "xyz"} | {("b", "y", "sad"): 3})
    weights = balanced_weights(clips, voices=0.5)
    assert float(weights[:3].sum() / weights[3:].sum()) == pytest.approx(3**0.5, rel=1e-5)


def test_what_listeners_heard_otherwise_weighs_less():
    """And so does the emotion; the corpus does not, nor any clip about which nobody was asked."""
    sad, happy = clips_of({("a", "x", "sad"): 2, ("a", "x", "happy"): 1})[::2], ("sad", "happy")
    first = replace(sad[0], perceived=happy)
    second = replace(sad[0], name="2", perceived=("neutral",))
    weights = balanced_weights(
        [first, second, *clips_of({("b", "y", "sad"): 1})], disagreement_weight=0.25
    )
    assert weights.tolist() == pytest.approx([0.4, 0.1, 0.5])
    weights = balanced_weights([first, second, sad[1]], disagreement_weight=0.25)
    assert weights.tolist() == pytest.approx([4 / 13, 1 / 13, 8 / 13])


@pytest.mark.parametrize(("size", "ratio"), [(0.0, 2.0), (0.5, 2**0.5), (1.0, 1.0)])
def test_every_emotion_of_a_corpus_weighs_the_same(size: float, ratio: float):
    """However many clips it has; the corpora weigh by their size as asked."""
    clips = clips_of({("a", "x", "sad"): 1, ("a", "x", "happy"): 9, ("b", "y", "sad"): 5})
    weights = balanced_weights(clips, size=size)
    parts = [float(weights[part].sum()) for part in (slice(1), slice(1, 10), slice(10, 15))]
    assert parts[0] == pytest.approx(parts[1], rel=1e-5)
    assert parts[2] / parts[0] == pytest.approx(ratio, rel=1e-5)


def test_a_corpus_is_not_asked_for_what_it_does_not_know():
    """What b does not have is left alone in b, and learned from a."""
    clips = clips_of({("a", "x", "sad"): 1, ("a", "x", "happy"): 1, ("b", "y", "sad"): 1})
    assert known_labels(clips, ("happy", "sad")).tolist() == [
        [True, True], [True, True], [False, True],
    ]  # fmt: skip


def test_what_only_one_corpus_has_is_asked_of_all():
    """An emotion that several have is not: the others say nothing about it."""
    clips = clips_of(
        {
            ("a", "1", "calm"): 1, ("a", "1", "happy"): 1, ("a", "1", "sad"): 1,
            ("b", "1", "happy"): 1, ("b", "1", "sad"): 1, ("c", "1", "sad"): 1,
        }
    )  # fmt: skip
    asked = asked_labels(clips, ("calm", "happy", "sad"))
    assert asked[3:].tolist() == [[True, True, True], [True, True, True], [True, False, True]]


def test_the_head_is_the_minimum():
    """The gradient of the penalised, masked loss vanishes, and the penalty has its effect."""
    torch.manual_seed(0)
    x, y = torch.randn(200, 5) * 3 + 1, torch.randint(0, 3, (200,))
    x[:, 0] += 2 * y
    known = torch.ones(200, 3, dtype=torch.bool)
    known[y == 0, 2] = False
    examples = Examples(x, F.one_hot(y, 3).float(), known, torch.full((200,), 1 / 200))
    head = fit(examples, l2=1e-2)
    deviation = x.std(0, correction=0)
    standard = (x - x.mean(0)) / deviation
    weight = (head.weight * deviation).requires_grad_()
    bias = (head.bias + head.weight @ x.mean(0)).requires_grad_()
    logits = (standard @ weight.T + bias).masked_fill(~known, -torch.inf)
    loss = torch.nn.functional.cross_entropy(logits, y) + 1e-2 / 2 * weight.square().sum()
    loss.backward()  # type: ignore[no-untyped-call]
    assert weight.grad is not None
    assert float(weight.grad.abs().max()) < 1e-3
    assert float(fit(examples, l2=10.0).weight.abs().max()) < float(head.weight.abs().max()) / 5
    again = fit(examples, l2=1e-2, start=head)
    torch.testing.assert_close(again.weight, head.weight, atol=1e-3, rtol=0)


def test_the_temperature_undoes_overconfidence():
    """Logits three times too large are divided by three."""
    torch.manual_seed(0)
    logits = torch.randn(4000, 4) * 2
    targets = torch.distributions.Categorical(logits=logits).sample()  # type: ignore[no-untyped-call]
    _, temperature = fit_temperature(3 * logits, targets, torch.full((4000,), 1 / 4000))
    assert temperature == pytest.approx(3, rel=0.08)


def test_figures_by_hand():
    """Two of three labels occur; three of four clips are right."""
    probabilities = np.array([[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.3, 0.6, 0.1], [0.9, 0.1, 0]])
    got = figures(probabilities, np.array([0, 0, 1, 1]), ("neutral", "happy", "sad"))
    assert got.recalls == {"neutral": 1.0, "happy": 0.5}
    assert (got.uar, got.wa, got.clips) == (0.75, 0.75, 4)
    assert got.macro_f1 == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert got.brier == pytest.approx((0.06 + 0.26 + 0.26 + 1.62) / 4)
    assert got.ece == pytest.approx((0.2 + 2 * (1 - 0.6) + 0.9) / 4)
    assert confusion(probabilities, np.array([0, 0, 1, 1])).tolist() == [
        [2, 0, 0], [1, 1, 0], [0, 0, 0],
    ]  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 999))
def test_the_threshold_keeps_its_promise(seed: int):
    """At or below the accepted risk, or at the least coverage."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(4, 0.5), 100)
    targets = np.array([rng.choice(4, p=p) for p in probabilities])
    curve = risk_coverage(probabilities, targets)
    threshold = choose_threshold(curve, risk=0.2, least_coverage=0.4)
    certain = probabilities.max(axis=1) >= threshold
    wrong = (probabilities.argmax(axis=1) != targets)[certain].mean()
    assert wrong <= 0.2 or certain.mean() <= 0.4
    assert certain.mean() >= 0.4 or threshold == curve.thresholds[39]
    assert 0 <= ece(probabilities, targets) <= 1


def test_the_public_corpora_are_read():
    """The real manifest, where it is at hand."""
    if not (DATA / "manifest.csv").is_file():
        pytest.skip(f"no manifest in {DATA}")
    clips = read_manifest(DATA / "manifest.csv", corpora=["ravdess", "crema-d"])
    assert len(clips) == 8874
    assert len(labels_of(clips)) == 8
    assert [len(fold.test) for fold in folds("ravdess", clips)] == [240, 240, 240, 239, 240, 240]


def test_confidence_is_fitted_to_augmented_speech_too():
    """Where augmented clips are misclassified, nothing is as sure as clean clips would make it."""
    clips = clips_of({("a", "1", "happy"): 40, ("a", "1", "sad"): 40})
    targets = torch.tensor([0] * 40 + [1] * 40)
    clean = F.one_hot(targets, 2).float() * 2
    wrong = clean.flip(0)

    class Said:
        def __call__(self, _clips: Sequence[Clip], variation: str) -> np.ndarray:
            told = clean.clone() if variation == "plain" else wrong.clone()
            told[::8] = 2 - told[::8]  # some are misclassified in any case
            return told.numpy()

        def seconds(self, clips: Sequence[Clip], _variation: str) -> np.ndarray:
            return np.full(len(clips), 3.0, np.float32)

    recipe = replace(RECIPE, variations=("plain", "piece"))
    temperatures = [
        CalibrationClips.of(
            clips, recipe.natural_of(("happy", "sad")), Said(),
            replace(recipe, augmented_weight=weight),
        ).fit(Head(torch.eye(2), torch.zeros(2))).temperature
        for weight in (0.0, 0.1, 1.0)
    ]  # fmt: skip
    assert temperatures[2] > 2 * temperatures[0]
    assert temperatures[2] > temperatures[1] > temperatures[0]


def test_an_augmented_form_weighs_less():
    """As said, against the clip as it is; all together as much as before."""
    clips = clips_of({("a", "1", "happy"): 1, ("a", "1", "sad"): 3})
    recipe = replace(RECIPE, variations=("plain", "piece"), augmented_weight=0.25)

    def embed(clips: Sequence[Clip], variation: str) -> np.ndarray:
        return np.full((len(clips), 1), variation == "piece", np.float32)

    examples = make_examples(clips, ("happy", "sad"), embed, recipe)
    assert float(examples.weights.sum()) == pytest.approx(1.0)
    assert float(examples.weights @ examples.features[:, 0]) == pytest.approx(0.2)
    assert examples.weights[:4].tolist() == pytest.approx([0.4, 0.4 / 3, 0.4 / 3, 0.4 / 3])
