"""Partial results: each second of an utterance is encoded once, and little is lost by it."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from fakes import speech
from hypothesis import given, settings
from hypothesis import strategies as st
from shipped import shipped_bundle, shipped_classifier
from voices import VOICES

from streamer.config import Config
from streamer.model.encoder import Encoder
from streamer.model.features import HOP
from streamer.model.streaming import PIECE, StreamingEmbedder
from streamer.segmentation.channel import Channel
from streamer.types import SAMPLE_RATE, EndReason, Excerpt, Pcm

STEP, MAX_SAMPLES = SAMPLE_RATE // 4, 3 * SAMPLE_RATE


class CountingEncoder(Encoder):
    """Counts the frames that it was given."""

    def __init__(self) -> None:
        super().__init__(shipped_bundle().manifest.shape)
        self.load_state_dict(shipped_bundle().network.encoder.state_dict())
        self.frames = 0

    def proceed(self, mel, past):
        """Count, and go on."""
        self.frames += mel.shape[-1]
        return super().proceed(mel, past)


def excerpts(pcm: Pcm, *, utterance: int = 1, start: int = 0) -> Iterator[Excerpt]:
    """As the segmenter gives them."""
    for end in range(STEP, len(pcm) + 1, STEP):
        yield Excerpt(utterance, start + end, pcm[max(0, end - MAX_SAMPLES) : end])


def embedding(embedder: StreamingEmbedder, excerpt: Excerpt) -> np.ndarray:
    """Of speech."""
    heard = embedder(excerpt)
    assert heard is not None
    return heard.embedding


def test_the_first_second_is_classified_as_a_whole():
    """As if the utterance were over, to the last digit but one."""
    streaming = shipped_classifier().open_stream()
    for excerpt in excerpts(speech(0.95)):
        got, expected = streaming.classify(excerpt), shipped_classifier().classify(excerpt.pcm)
        assert got.probabilities == pytest.approx(expected.probabilities, abs=1e-4)


def test_each_second_is_encoded_once():
    """Not the last three seconds four times a second."""
    encoder = CountingEncoder()
    embedder = StreamingEmbedder(encoder)
    for excerpt in excerpts(speech(4.0)):
        embedder(excerpt)
    assert encoder.frames < 4 * 4 * 100  # of 100 a second, where eight times as many were due


def test_partial_results_are_near_those_of_the_excerpt_alone():
    """On the bundled recording: nine of ten name the same emotion, or nearly so."""
    pcm, _ = soundfile.read(VOICES, dtype="int16", frames=14 * SAMPLE_RATE)
    channel = Channel("mono", Config())
    events = [*channel.push(pcm), *channel.close(EndReason.END_OF_INPUT)]
    streaming = shipped_classifier().open_stream()
    gaps = []
    for excerpt in (event for event in events if isinstance(event, Excerpt)):
        got, alone = streaming.classify(excerpt), shipped_classifier().classify(excerpt.pcm)
        gaps.append(np.abs(np.subtract(got.probabilities, alone.probabilities)).max())
    assert len(gaps) > 20
    assert np.mean(gaps) < 0.05  # 0.058 for pieces that do not look ahead
    assert np.mean(np.array(gaps) < 0.1) > 0.8


@settings(max_examples=2, deadline=None)
@given(missing=st.sets(st.integers(0, 11), max_size=9))
def test_excerpts_may_be_missing(missing: set[int]):
    """Those that are classified are classified as ever, nearly: what they missed is within them."""
    pcm = speech(3.0)
    every, some = shipped_classifier().open_stream(), shipped_classifier().open_stream()
    for number, excerpt in enumerate(excerpts(pcm)):
        expected = every.classify(excerpt)
        if number not in missing:
            got = some.classify(excerpt)
            assert got.probabilities == pytest.approx(expected.probabilities, abs=0.3)


def test_a_hole_begins_anew():
    """Of what was missed for longer than an excerpt, nothing is made up."""
    pcm = speech(7.0)
    embedder = StreamingEmbedder(shipped_bundle().network.encoder)
    last = list(excerpts(pcm))[-1]
    for excerpt in list(excerpts(pcm))[:8]:
        embedder(excerpt)
    fresh = StreamingEmbedder(shipped_bundle().network.encoder)
    assert np.array_equal(embedding(embedder, last), embedding(fresh, last))


def test_another_utterance_begins_anew():
    """Also where the stream goes on without a hole."""
    embedder = StreamingEmbedder(shipped_bundle().network.encoder)
    for excerpt in excerpts(speech(2.5)):
        embedder(excerpt)
    fresh = StreamingEmbedder(shipped_bundle().network.encoder)
    for excerpt in excerpts(speech(1.5, seed=3), utterance=2, start=round(2.5 * SAMPLE_RATE)):
        assert np.array_equal(embedding(embedder, excerpt), embedding(fresh, excerpt))


def test_the_microphone_s_gain_is_not_heard():
    """As for whole utterances."""
    loud, quiet = (
        shipped_classifier(exact=True).open_stream(),
        shipped_classifier(exact=True).open_stream(),
    )
    for excerpt in excerpts(speech(3.0)):
        faint = replace(excerpt, pcm=(excerpt.pcm // 8).astype(np.int16))
        expected = loud.classify(excerpt).probabilities
        assert quiet.classify(faint).probabilities == pytest.approx(expected, abs=0.02)


def test_an_utterance_may_be_longer_than_the_net_can_hear():
    """After 30 s it begins anew; every excerpt gets an answer."""
    small = replace(shipped_bundle().manifest.shape, positions=175)  # 3.5 s
    encoder = Encoder(small).eval().requires_grad_(requires_grad=False)
    embedder = StreamingEmbedder(encoder)
    for excerpt in excerpts(speech(8.0)):
        assert np.isfinite(embedding(embedder, excerpt)).all()


def test_silence_gets_a_flat_answer():
    """And does not end what goes on."""
    streaming = shipped_classifier().open_stream()
    nothing = Excerpt(1, MAX_SAMPLES, np.zeros(MAX_SAMPLES, np.int16))
    assert streaming.classify(nothing).uncertain
    assert len(set(streaming.classify(nothing).probabilities)) == 1


def test_a_piece_is_a_whole_number_of_states():
    """Or they would drift apart from the samples."""
    assert PIECE % (2 * HOP) == 0
