"""A voice is known by how it sounds when it is neutral, from past utterances only."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bundles import small_bundle
from hypothesis import given, settings
from hypothesis import strategies as st
from voices import voice

from streamer.model.classifier import Classifier
from streamer.model.speaker.adaptation import (
    MIN_NEUTRAL,
    Observation,
    SpeakerAdaptation,
    VoiceModel,
    neutral_weight,
)
from streamer.model.speaker.clustering import MEMORY, VOICES, SpeakerModel, second_voice
from streamer.training.data.manifest import Clip
from streamer.training.heads.simulated_sessions import (
    NEUTRAL_PAST,
    PAST,
    SimulatedPast,
    classify_sessions,
    sessions,
)

LABELS = ("neutral", "happy", "angry")
NATURAL = np.log([0.8, 0.1, 0.1])
MODEL = VoiceModel(
    weight=np.eye(3, dtype=np.float32),
    bias=np.zeros(3, np.float32),
    centre=np.array([4, 0, 0], np.float32),
    log_prior=np.full(3, np.log(1 / 3)),
    prior=2.0,
    temperature=1.0,
    speakers=SpeakerModel.indifferent(3),
)
"""The features are the logits; the mean voice has 4 where its emotion is, 0 elsewhere."""

VOICE = np.array([-2.0, 0.0, 3.0])
"""Somebody who always sounds angry."""


def said(emotion: int, seed: int, voice: object = VOICE) -> np.ndarray:
    """An utterance, as features."""
    noise = 0.3 * np.random.default_rng(seed).standard_normal(3)
    return (4 * np.eye(3)[emotion] + noise + voice).astype(np.float32)


def scores_of(embedding: np.ndarray) -> np.ndarray:
    """What the unadapted head says: the features themselves."""
    return embedding[:3].astype(np.float64)


def adapted(adaptation: SpeakerAdaptation, embedding: np.ndarray) -> np.ndarray:
    """Scores, less what is the same for all labels."""
    scores = adaptation.adapt(embedding, scores_of(embedding))
    return scores - scores.mean()


def after(spoken: Sequence[tuple[int, float]], voice: object = VOICE) -> SpeakerAdaptation:
    """An adaptation that has heard emotions which count so much for the neutral voice."""
    adaptation = SpeakerAdaptation(MODEL)
    for seed, (emotion, neutral) in enumerate(spoken):
        adaptation.observe(said(emotion, seed, voice), neutral)
    return adaptation


def test_a_neutral_past_shifts():
    """Ten neutral utterances of a voice that sounds angry: what it adds is taken off."""
    calm, angry = said(0, 99), said(2, 98)
    assert adapted(SpeakerAdaptation(MODEL), calm).argmax() == 2  # misled by the voice
    adaptation = after([(0, 1.0)] * 10)
    assert adapted(adaptation, calm).argmax() == 0
    assert adapted(adaptation, angry).argmax() == 2


def test_the_shift_is_the_weighted_mean_drawn_to_the_mean_voice():
    """By hand: two neutral utterances of the mean voice are added to those of the voice."""
    weights = [1.0, 0.6, 0.0, 0.9]
    spoken = np.array([said(0, seed) for seed in range(4)], np.float64)
    expected = weights @ (spoken - MODEL.centre) / (sum(weights) + MODEL.prior)
    assert MODEL.offset(spoken, np.array(weights)) == pytest.approx(expected)
    trust = 2.5 / 4.5
    piece = said(1, 9)
    scores = trust * (piece - expected - MODEL.log_prior) + (1 - trust) * scores_of(piece)
    adaptation = after([(0, weight) for weight in weights])
    assert adaptation.adapt(piece, scores_of(piece)) == pytest.approx(scores)


def test_an_angry_past_does_not_shift():
    """Anger from the first word on is not taken for the voice, however long it lasts."""
    angry = said(2, 99, 0.0)
    weight = float(neutral_weight(scores_of(angry), NATURAL, [0]))
    assert weight == 0
    adaptation = after([(2, weight)] * MEMORY, 0.0)
    assert np.array_equal(adaptation.adapt(angry, scores_of(angry)), scores_of(angry))
    assert adaptation.utterances == 0


def test_a_mood_among_neutral_speech_does_not_shift():
    """What counts nothing changes nothing."""
    mixed, neutral = after([(0, 1.0), (2, 0.0)] * 4), SpeakerAdaptation(MODEL)
    for seed in range(0, 8, 2):
        neutral.observe(said(0, seed), 1.0)
    assert adapted(mixed, said(2, 99)) == pytest.approx(adapted(neutral, said(2, 99)))


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0, 0, 0], 0.8),  # nothing is heard: as likely as neutral speech is
        ([0, np.log(7.9), 0], 8 / (8 + 7.9 + 1)),
        ([1e3, 0, 0], 1.0),
        ([-1e3, 0, 0], 0.0),
    ],
)
def test_an_utterance_counts_by_how_likely_it_is_neutral(scores: list[float], expected: float):
    """Under the natural prior, at or above the least that counts."""
    got = neutral_weight(np.array(scores, np.float64), NATURAL, [0])
    assert float(got) == pytest.approx(expected if expected >= MIN_NEUTRAL else 0.0)


def test_below_the_least_probability_an_utterance_does_not_count():
    """The step is there; several labels may be neutral; a model without any learns no voices."""
    just_below, just_above = np.array([[0, np.log(17.8), 0], [0, np.log(17.5), 0]])
    assert float(neutral_weight(just_below, NATURAL, [0])) == 0.0
    assert float(neutral_weight(just_above, NATURAL, [0])) == pytest.approx(MIN_NEUTRAL, abs=0.01)
    assert float(neutral_weight(just_below, NATURAL, [0, 1])) == pytest.approx(25.8 / 26.8)
    assert neutral_weight(np.zeros((2, 3)), NATURAL, []).tolist() == [0.0, 0.0]


def test_classifying_teaches_nothing():
    """However often a piece is classified, the next answer is the same."""
    adaptation = after([(0, 1.0), (1, 0.7)])
    first = adapted(adaptation, said(2, 5))
    for _ in range(5):
        assert np.array_equal(adapted(adaptation, said(2, 5)), first)
    assert adaptation.utterances == 2


def test_an_unknown_voice_is_not_adapted_to():
    """To the last digit: before the first utterance, and after a reset."""
    scores = np.array([0.3, -1.2, 2.0])
    adaptation = after([(0, 1.0)] * 3)
    assert adaptation.utterances == 3
    adaptation.reset()
    assert adaptation.utterances == 0
    for fresh in (SpeakerAdaptation(MODEL), adaptation):
        assert np.array_equal(fresh.adapt(said(1, 0), scores), scores)


@settings(max_examples=25, deadline=None)
@given(order=st.permutations(range(8)), seed=st.integers(0, 99))
def test_the_order_of_the_past_does_not_matter(order: list[int], seed: int):
    """The voice is a weighted mean."""
    rng = np.random.default_rng(seed)
    spoken = [(said(int(rng.integers(3)), 10 * seed + i), float(rng.random())) for i in range(8)]
    first, second = SpeakerAdaptation(MODEL), SpeakerAdaptation(MODEL)
    for place in range(8):
        first.observe(*spoken[place])
        second.observe(*spoken[order[place]])
    assert adapted(first, said(1, 5)) == pytest.approx(adapted(second, said(1, 5)))


def test_the_more_neutral_speech_the_more_is_taken_off():
    """Nothing at first, nearly all after long."""
    piece = said(0, 99)
    shifts = [adapted(after([(0, 1.0)] * count), piece)[2] for count in (0, 1, 2, 4, 8, 16)]
    assert shifts == sorted(shifts, reverse=True)
    assert MODEL.trust(np.array([0.0, 2.0, 18.0])) == pytest.approx([0.0, 0.5, 0.9])


def test_the_oldest_is_forgotten():
    """So that whoever takes over the microphone is soon the only one."""
    other = after([(0, 1.0)] * (3 * MEMORY))
    assert other.utterances == MEMORY
    fresh = SpeakerAdaptation(MODEL)
    for seed in range(2 * MEMORY, 3 * MEMORY):
        fresh.observe(said(0, seed), 1.0)
    assert adapted(fresh, said(2, 7)) == pytest.approx(adapted(other, said(2, 7)))


PAIR = replace(
    MODEL,
    weight=np.eye(3, 4, dtype=np.float32),
    speakers=SpeakerModel(np.eye(1, 4, 3), np.full(1, 100.0), caution=1.0),
)
"""The fourth feature says who speaks, and tells no emotion."""


def spoken(who: float, emotion: int, seed: int) -> np.ndarray:
    """An utterance of somebody, as features: the first one's voice is the reverse of the others."""
    return np.append(said(emotion, seed, VOICE if who == 0.0 else -VOICE), np.float32(who))


def conversation(
    people: Sequence[float], enrolled: Sequence[Observation] = ()
) -> SpeakerAdaptation:
    """An adaptation that has heard these people, one neutral utterance each."""
    adaptation = SpeakerAdaptation(PAIR, enrolled)
    for seed, who in enumerate(people):
        adaptation.observe(spoken(who, 0, seed), 1.0)
    return adaptation


def test_voices_in_turn_are_kept_apart():
    """Each is classified as if the other were not there."""
    pair = conversation([0.0, 30.0] * 12)
    assert pair.utterances == 12
    for who in (0.0, 30.0):
        for emotion in (0, 2):
            assert adapted(pair, spoken(who, emotion, 99)).argmax() == emotion


def test_a_stranger_is_not_adapted_to():
    """Also the first time, after somebody else spoke for long."""
    first = spoken(30.0, 1, 5)
    got = conversation([0.0] * 12).adapt(first, scores_of(first))
    assert got == pytest.approx(scores_of(first))


def test_a_doubtful_match_counts_half():
    """The likelier somebody else speaks, the more the unadapted head is believed."""
    adaptation = conversation([0.0] * 12)
    shifts = []
    for who in (0.0, 1.5, 2.5, 5.0):
        piece = np.append(said(1, 5), np.float32(who))
        shifts.append(
            float(
                np.abs(adapted(adaptation, piece) - adapted(SpeakerAdaptation(PAIR), piece)).sum()
            )
        )
    assert shifts == sorted(shifts, reverse=True)
    assert shifts[3] < 0.01 * shifts[0] < shifts[1] < shifts[0]


def test_who_was_silent_for_longest_makes_room():
    """Whoever takes over the microphone is soon known, and memory has a bound."""
    people = [30.0 * number for number in range(VOICES)]
    adaptation = conversation([*people, 0.0, 900.0])  # the second one was silent for longest
    forgotten = spoken(30.0, 1, 5)
    assert adaptation.adapt(forgotten, scores_of(forgotten)) == pytest.approx(scores_of(forgotten))
    for who in (0.0, 60.0, 900.0):
        known = spoken(who, 1, 5)
        assert adaptation.adapt(known, scores_of(known)) != pytest.approx(scores_of(known))


def test_an_enrolled_voice_is_known_at_once_and_for_good():
    """After many others, and after a reset."""
    enrolled = [PAIR.observe(spoken(0.0, 0, seed), 1.0) for seed in range(12)]
    others = [30.0 * number for number in range(1, 4 * VOICES)]
    piece = spoken(0.0, 1, 99)
    expected = adapted(SpeakerAdaptation(PAIR, enrolled), piece)
    assert expected.argmax() == 1
    assert SpeakerAdaptation(PAIR, enrolled).utterances == 12
    assert adapted(conversation([0.0] * 12), piece) == pytest.approx(expected)
    adaptation = conversation(others, enrolled)
    assert adapted(adaptation, piece) == pytest.approx(expected)
    adaptation.reset()
    assert adapted(adaptation, piece) == pytest.approx(expected)


def test_an_utterance_does_not_influence_its_own_answer():
    """It is classified first, and learned from afterwards."""
    classifier = Classifier(small_bundle(), prior="even")
    classifier._log_natural = np.log([0.99, 0.005, 0.005])  # so that all of it counts
    first, second = voice(0.3), voice(0.3, seed=1)
    adaptation = classifier.new_adaptation()
    assert adaptation is not None
    assert classifier.classify(first, adaptation, learn=True) == classifier.classify(first)
    assert adaptation.utterances == 1
    before = classifier.classify(second, adaptation)
    assert classifier.classify(second, adaptation, learn=True) == before
    assert classifier.classify(second, adaptation) != before
    assert classifier.classify(second) != before


def test_silence_is_nobody():
    """It gets its flat answer and teaches nothing."""
    classifier = Classifier(small_bundle())
    adaptation = classifier.new_adaptation()
    assert adaptation is not None
    assert classifier.classify(np.zeros(8000, np.int16), adaptation, learn=True).uncertain
    assert adaptation.utterances == 0


def test_a_bundle_without_voices_has_no_adaptation():
    """It classifies as if nobody had spoken before."""
    small = small_bundle()
    old = Classifier(replace(small, voices=None))
    assert old.new_adaptation() is None
    assert old.classify(voice(0.3), None, learn=True) == Classifier(small).classify(voice(0.3))


def clips(per_emotion: int) -> list[Clip]:
    """Two speakers in all emotions."""
    return [
        Clip(path=Path("x"), name=f"{s}{e}{i}", corpus="c", speaker=s, emotion=e)
        for s in "ab"
        for e in ("neutral", "happy", "sad")
        for i in range(per_emotion)
    ]


@pytest.mark.parametrize(
    ("kind", "own"),
    [
        (SimulatedPast.MIXED, [True] * PAST),
        (SimulatedPast.ONE_EMOTION, [True] * 9),
        (SimulatedPast.NEUTRAL, [True] * NEUTRAL_PAST),
        (SimulatedPast.EIGHT_NEUTRAL, [True] * PAST),
        (SimulatedPast.IN_TURN, [True, False] * (PAST // 2)),
        (SimulatedPast.ANOTHER, [False] * PAST),
    ],
)
def test_a_session_has_the_speakers_and_emotions_of_its_kind(kind: SimulatedPast, own: list[bool]):
    """Never the tested clip, none twice, as many as there are; drawn anew by another seed."""
    all_clips = clips(10)
    past = sessions(all_clips, kind, seed=0)
    for row, before in enumerate(past):
        chosen = [int(i) for i in before if i >= 0]
        emotions = [all_clips[i].emotion for i in chosen]
        assert row not in chosen
        assert len(set(chosen)) == len(chosen)
        assert [all_clips[i].voice == all_clips[row].voice for i in chosen] == own
        if kind is SimulatedPast.ONE_EMOTION:
            assert set(emotions) == {all_clips[row].emotion}
        if kind in (SimulatedPast.NEUTRAL, SimulatedPast.EIGHT_NEUTRAL):
            assert emotions.count("neutral") == NEUTRAL_PAST
    assert np.array_equal(past, sessions(all_clips, kind, seed=0))
    assert not np.array_equal(past, sessions(all_clips, kind, seed=1))


def test_where_nobody_else_is_nobody_else_speaks():
    """A corpus of one speaker: in turn with nobody, after nobody."""
    alone = clips(5)[:15]
    assert (sessions(alone, SimulatedPast.ANOTHER, seed=0) == -1).all()
    assert (sessions(alone, SimulatedPast.IN_TURN, seed=0) >= 0).all()


@pytest.mark.parametrize("seed", range(5))
def test_simulated_sessions_are_classified_as_live_ones(seed: int):
    """What is measured is what the program does, step by step, gaps in the past included."""
    rng = np.random.default_rng(seed)
    people, emotions = rng.choice([0.0, 2.0, 30.0, 90.0], 16), rng.integers(3, size=16)
    embeddings = np.stack(
        [
            spoken(who, emotion, 100 * seed + i)
            for i, (who, emotion) in enumerate(zip(people, emotions, strict=True))
        ]
    )
    unadapted = 0.7 * embeddings[:, :3].astype(np.float64) - np.log([0.4, 0.3, 0.3])
    past = np.full((16, 10), -1)
    for row in range(16):
        chosen = rng.permutation(np.delete(np.arange(16), row))[: rng.integers(11)]
        past[row, : len(chosen)] = chosen
    model = replace(PAIR, log_prior=np.log([0.5, 0.3, 0.2]), temperature=1.7)
    weights = neutral_weight(unadapted, NATURAL, [0])
    assert (weights > 0).any()
    got, trust = classify_sessions(
        embeddings, unadapted, past, model, log_natural=NATURAL, labels=LABELS
    )
    for row, before in enumerate(past):
        adaptation = SpeakerAdaptation(model)
        for i in before[before >= 0]:
            adaptation.observe(embeddings[i], float(weights[i]))
        assert got[row] == pytest.approx(adaptation.adapt(embeddings[row], unadapted[row]))
        assert 0 <= trust[row] < 1
    assert np.array_equal(got[(past < 0).all(1)], unadapted[(past < 0).all(1)])


def test_a_long_anger_does_not_make_the_neutral_voice_forgotten():
    """What does not count for the neutral voice takes no place among what is remembered."""
    adaptation = SpeakerAdaptation(PAIR)
    for seed in range(4):
        adaptation.observe(np.append(said(0, seed), np.float32(0.0)), neutral=1.0)
    known = adaptation.utterances
    for seed in range(2 * MEMORY):
        adaptation.observe(np.append(said(1, seed), np.float32(0.0)), neutral=0.0)
    assert adaptation.utterances == known == 4


@pytest.mark.parametrize("spread", [0.5, 1.0, 3.0])
def test_a_second_voice_is_found_where_there_surely_is_one(spread):
    """However much a voice varies on this line; one piece that differs is no voice."""
    rng = np.random.default_rng(0)

    def pieces():
        return spread * rng.standard_normal((10, 32))

    assert sum(second_voice(pieces()).any() for _ in range(50)) == 0
    marks = pieces()
    marks[[1, 4, 6]] += 4 * spread
    assert np.flatnonzero(second_voice(marks)).tolist() == [1, 4, 6]
    once = pieces()
    once[3] += 4 * spread
    assert not second_voice(once).any()
    assert not second_voice(np.zeros((8, 32))).any()
    assert not second_voice(np.zeros((8, 0))).any()
