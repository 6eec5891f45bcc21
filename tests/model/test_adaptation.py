"""A voice is told from a mood, from past utterances only."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from bundles import small_bundle
from voices import voice

from streamer.model.classifier import Classifier
from streamer.model.speaker.adaptation import Baseline, Heard, VoiceModel
from streamer.model.speaker.clustering import MEMORY, VOICES, SpeakerModel
from streamer.training.data.manifest import Clip
from streamer.training.heads.speaker import PAST, Session, judge_sessions, sessions

EMOTIONS = 3
MODEL = VoiceModel(
    weight=np.eye(EMOTIONS, dtype=np.float32),
    bias=np.zeros(EMOTIONS, np.float32),
    means=4 * np.eye(EMOTIONS, dtype=np.float32),
    prior=2.0,
    doubt=0.0,
    temperature=1.0,
    speakers=SpeakerModel.indifferent(EMOTIONS),
)
"""The features are the logits; an average voice has 4 where its emotion is, 0 elsewhere."""

VOICE = np.array([3.0, 0.0, -1.5])
"""Somebody who always sounds like the first emotion."""


def said(emotion: int, seed: int, voice: object = VOICE) -> np.ndarray:
    """An utterance, as features."""
    noise = 0.5 * np.random.default_rng(seed).standard_normal(EMOTIONS)
    return (MODEL.means[emotion] + noise + voice).astype(np.float32)


def heard(baseline: Baseline, embedding: np.ndarray) -> np.ndarray:
    """Calibrated logits; the cold head is the warm one."""
    return baseline.adapt(embedding, embedding.astype(np.float64), temperature=1.0)


def after(emotions: list[int], voice: object = VOICE, *, doubt: float = 0.0) -> Baseline:
    """A baseline that has heard these."""
    baseline = Baseline(replace(MODEL, doubt=doubt))
    for seed, emotion in enumerate(emotions):
        embedding = said(emotion, seed, voice)
        baseline.observe(embedding, embedding.astype(np.float64))
    return baseline


def test_a_voice_is_learned():
    """Ten utterances of several moods: what the voice adds is taken off."""
    third = said(2, 99)
    assert heard(Baseline(MODEL), third).argmax() == 0  # misled by the voice
    assert heard(after([0, 1, 2, 1, 0, 2, 2, 1, 0, 1]), third).argmax() == 2


def test_a_mood_that_stays_is_no_voice():
    """Ten angry utterances of an average voice: the next one is as angry."""
    for emotion in range(EMOTIONS):
        cold = heard(Baseline(MODEL), said(emotion, 99, 0.0))
        warm = heard(after([emotion] * MEMORY, 0.0), said(emotion, 99, 0.0))
        others = np.arange(EMOTIONS) != emotion
        margin = warm[emotion] - warm[others].max()
        assert margin > 0.8 * (cold[emotion] - cold[others].max())


@pytest.mark.parametrize("doubt", [0.0, 0.3, 1.0])
def test_a_mood_that_stays_is_not_doubted(doubt):
    """However great the doubt: utterances that are all alike are in one mood."""
    cold = heard(Baseline(MODEL), said(1, 99, 0.0))
    warm = heard(after([1] * MEMORY, 0.0, doubt=doubt), said(1, 99, 0.0))
    margins = [logits[1] - max(logits[0], logits[2]) for logits in (cold, warm)]
    assert margins[1] > 0.8 * margins[0]


def test_with_doubt_alone_a_voice_is_the_mean_of_what_it_said():
    """Where that differs: shrunk towards an average voice."""
    model = replace(MODEL, doubt=1.0)
    spoken = np.array([said(seed % 3, seed) for seed in range(30)], np.float64)
    expected = (spoken - model.means.mean(axis=0)).sum(axis=0) / (30 + model.prior)
    got = model.estimate(spoken, spoken, np.ones(30))
    assert got == pytest.approx(expected, abs=0.05)


def test_doubt_frees_from_one_s_own_mistakes():
    """A voice unlike all others: everything it says seems to be the first emotion."""
    strange = np.array([6.0, -1.0, -1.0])
    said_in_turn = [0, 1, 2] * 5
    right = {}
    for doubt in (0.0, 0.3):
        baseline = after(said_in_turn, strange, doubt=doubt)
        margins = [
            heard(baseline, said(emotion, 99, strange))[emotion]
            - max(np.delete(heard(baseline, said(emotion, 99, strange)), emotion))
            for emotion in (1, 2)
        ]
        right[doubt] = min(margins)
    assert right[0.3] > 0
    assert right[0.3] > right[0.0]


def test_moods_of_a_voice_that_moves_little_are_told_from_one_that_stays():
    """Its emotions are a third of an average voice's: still its utterances differ."""
    model = replace(MODEL, doubt=1.0)

    def said_faintly(emotions: list[int]) -> np.ndarray:
        noise = 0.1 * np.random.default_rng(7).standard_normal((len(emotions), EMOTIONS))
        return model.means[emotions] / 3 + noise + np.array([0.5, 0.0, -0.2])

    several, one = said_faintly([0, 1, 2] * 4), said_faintly([0] * 12)
    mean = (several - model.means.mean(axis=0)).sum(axis=0) / (12 + model.prior)
    assert model.estimate(several, several, np.ones(12)) == pytest.approx(mean, abs=0.1)
    doubted = model.estimate(one, one, np.ones(12))
    assert doubted == pytest.approx(
        replace(model, doubt=0.0).estimate(one, one, np.ones(12)), abs=0.1
    )


def test_judging_teaches_nothing():
    """However often a window is judged, the next answer is the same."""
    baseline = after([0, 1])
    first = heard(baseline, said(2, 5))
    for _ in range(5):
        assert np.array_equal(heard(baseline, said(2, 5)), first)
    assert baseline.utterances == 2


def test_an_unknown_voice_is_judged_cold():
    """To the last digit: before the first utterance, and after a reset."""
    cold = np.array([0.3, -1.2, 2.0])
    baseline = after([0, 1, 2])
    baseline.reset()
    assert baseline.utterances == 0
    for fresh in (Baseline(MODEL), baseline):
        assert np.array_equal(fresh.adapt(said(1, 0), cold, temperature=1.5), cold / 1.5)


def test_the_oldest_is_forgotten():
    """So that whoever takes over the microphone is soon the only one."""
    other = after([0, 1, 2] * MEMORY)
    assert other.utterances == MEMORY
    newest = [(seed, seed % 3) for seed in range(3 * MEMORY)][-MEMORY:]
    fresh = Baseline(MODEL)
    for seed, emotion in newest:
        embedding = said(emotion, seed)
        fresh.observe(embedding, embedding.astype(np.float64))
    assert np.allclose(heard(fresh, said(2, 7)), heard(other, said(2, 7)))


PAIR = replace(MODEL, speakers=SpeakerModel(np.eye(1, 4, 3), np.full(1, 100.0), caution=1.0))
"""The fourth feature says who speaks, and tells no emotion."""
PAIR = replace(PAIR, weight=np.eye(EMOTIONS, 4, dtype=np.float32))


def spoken(who: float, emotion: int, seed: int, voice: object = VOICE) -> np.ndarray:
    """An utterance of somebody, as features."""
    return np.append(said(emotion, seed, voice), np.float32(who))


def conversation(people: list[float], enrolled: Sequence[Heard] = ()) -> Baseline:
    """A baseline that has heard these people, one utterance each."""
    baseline = Baseline(PAIR, enrolled)
    for seed, who in enumerate(people):
        observe(baseline, spoken(who, seed % 3, seed, VOICE if who == 0.0 else -VOICE))
    return baseline


def observe(baseline: Baseline, embedding: np.ndarray) -> Heard:
    """Learn from an utterance."""
    cold = embedding[:EMOTIONS].astype(np.float64)
    baseline.observe(embedding, cold)
    return PAIR.hear(embedding, cold)


def judged(baseline: Baseline, embedding: np.ndarray) -> np.ndarray:
    """Calibrated logits."""
    return baseline.adapt(embedding, embedding[:EMOTIONS].astype(np.float64), temperature=1.0)


def test_voices_in_turn_are_kept_apart():
    """Each is judged as if the other were not there."""
    alone, pair = conversation([0.0] * 12), conversation([0.0, 30.0] * 12)
    assert (alone.utterances, pair.utterances) == (12, 12)
    third = spoken(0.0, 2, 99)
    assert judged(pair, third).argmax() == 2
    assert judged(pair, spoken(30.0, 2, 99, -VOICE)).argmax() == 2


def test_a_stranger_is_judged_cold():
    """Also the first time, after somebody else spoke for long."""
    first = spoken(30.0, 1, 5, -VOICE)
    assert np.allclose(judged(conversation([0.0] * 12), first), first[:EMOTIONS])


def test_a_doubtful_match_counts_half():
    """The likelier somebody else speaks, the more the cold head is believed."""
    baseline = conversation([0.0] * 12)
    shifts = [
        np.abs(judged(baseline, spoken(who, 1, 5)) - spoken(who, 1, 5)[:EMOTIONS]).sum()
        for who in (0.0, 1.5, 2.5, 5.0)
    ]
    assert shifts == sorted(shifts, reverse=True)
    assert 0.2 < shifts[1] / shifts[0] < shifts[2] / shifts[0] + 0.9
    assert shifts[3] < 0.01 * shifts[0]


def test_who_was_silent_for_longest_makes_room():
    """Whoever takes over the microphone is soon known, and memory has a bound."""
    people = [30.0 * number for number in range(VOICES)]
    baseline = conversation([*people, 0.0, 900.0])  # the second one was silent for longest
    assert np.allclose(judged(baseline, spoken(30.0, 1, 5)), spoken(30.0, 1, 5)[:EMOTIONS])
    for who in (0.0, 60.0, 900.0):
        assert not np.allclose(judged(baseline, spoken(who, 1, 5)), spoken(who, 1, 5)[:EMOTIONS])


def test_an_enrolled_voice_is_known_at_once_and_for_good():
    """After many others, and after a reset."""
    heard = [observe(Baseline(PAIR), spoken(0.0, seed % 3, seed)) for seed in range(12)]
    others = [30.0 * number for number in range(1, 4 * VOICES)]
    third = spoken(0.0, 2, 99)
    expected = judged(Baseline(PAIR, heard), third)
    assert expected.argmax() == 2
    assert np.allclose(judged(conversation([0.0] * 12), third), expected)
    baseline = conversation(others, heard)
    assert np.array_equal(judged(baseline, third), expected)
    baseline.reset()
    assert np.array_equal(judged(baseline, third), expected)


def test_an_utterance_does_not_influence_its_own_judgement():
    """It is judged first, and learned from afterwards."""
    classifier = Classifier(small_bundle())
    first, second = voice(0.3), voice(0.3, seed=1)
    baseline = classifier.new_baseline()
    assert baseline is not None
    assert classifier.judge(first, baseline, learn=True) == classifier.judge(first)
    assert baseline.utterances == 1
    before = classifier.judge(second, baseline)
    assert classifier.judge(second, baseline, learn=True) == before
    assert classifier.judge(second, baseline) != before
    assert classifier.judge(second) != before


def test_silence_is_nobody():
    """It gets its flat answer and teaches nothing."""
    classifier = Classifier(small_bundle())
    baseline = classifier.new_baseline()
    assert baseline is not None
    assert classifier.judge(np.zeros(8000, np.int16), baseline, learn=True).uncertain
    assert baseline.utterances == 0


def test_a_bundle_without_voices_has_no_baseline():
    """It judges as it always did."""
    small = small_bundle()
    old = Classifier(replace(small, voices=None))
    assert old.new_baseline() is None
    assert old.judge(voice(0.3), None, learn=True) == Classifier(small).judge(voice(0.3))


def clips(per_emotion: int) -> list[Clip]:
    """Two speakers in all emotions."""
    names = ("neutral", "happy", "sad")
    return [
        Clip(path=None, name=f"{s}{e}{i}", corpus="c", speaker=s, emotion=e)  # type: ignore[arg-type]
        for s in "ab"
        for e in names
        for i in range(per_emotion)
    ]


@pytest.mark.parametrize(
    ("kind", "own"),
    [
        (Session.MIXED, [True] * PAST),
        (Session.ONE_EMOTION, [True] * 4),
        (Session.IN_TURN, [True, False] * (PAST // 2)),
        (Session.ANOTHER, [False] * PAST),
    ],
)
def test_a_session_has_the_speakers_of_its_kind(kind: Session, own: list[bool]):
    """Never the tested clip, none twice, as many as there are; drawn anew by another seed."""
    all_clips = clips(5)
    past = sessions(all_clips, kind, seed=0)
    for row, before in enumerate(past):
        chosen = [int(i) for i in before if i >= 0]
        assert row not in chosen
        assert len(set(chosen)) == len(chosen)
        assert [all_clips[i].voice == all_clips[row].voice for i in chosen] == own
        if kind is Session.ONE_EMOTION:
            assert {all_clips[i].emotion for i in chosen} == {all_clips[row].emotion}
    assert np.array_equal(past, sessions(all_clips, kind, seed=0))
    assert not np.array_equal(past, sessions(all_clips, kind, seed=1))


def test_where_nobody_else_is_nobody_else_speaks():
    """A corpus of one speaker: in turn with nobody, after nobody."""
    alone = clips(5)[:15]
    assert (sessions(alone, Session.ANOTHER, seed=0) == -1).all()
    assert (sessions(alone, Session.IN_TURN, seed=0) >= 0).all()


def test_simulated_sessions_are_judged_as_live_ones():
    """What is measured is what the program does, gaps in the past included."""
    embeddings = np.stack([spoken(2.5 * (i % 2), i % 3, i) for i in range(8)])
    cold = 0.9 * embeddings[:, :EMOTIONS].astype(np.float64)
    past = np.array([[1, 2, 3], [4, -1, -1], [-1, -1, -1], [7, 6, -1]] + [[0, 1, 2]] * 4)
    got = judge_sessions(embeddings, cold, past, PAIR, temperature=1.3)
    for row, before in enumerate(past):
        baseline = Baseline(PAIR)
        for i in before[before >= 0]:
            baseline.observe(embeddings[i], cold[i])
        assert got[row] == pytest.approx(
            baseline.adapt(embeddings[row], cold[row], temperature=1.3)
        )
    possible = judge_sessions(embeddings, cold, past, PAIR, temperature=1.3, among=[0, 2])
    assert np.isneginf(possible[:, 1]).all()
    assert np.isfinite(possible[:, [0, 2]]).all()
