"""Rolling predictions: each second of an utterance is encoded once, and little is lost by it."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from fakes import speech
from hypothesis import given, settings
from hypothesis import strategies as st
from voices import VOICES

from streamer.config import Config
from streamer.model.bundle import load
from streamer.model.catalog import find_bundle
from streamer.model.classifier import Classifier
from streamer.model.encoder import Encoder
from streamer.model.features import HOP
from streamer.model.streaming import PIECE, RollingEmbedding
from streamer.segmentation.channel import Channel
from streamer.types import SAMPLE_RATE, EndReason, Pcm, Window

BUNDLE = load(find_bundle("default"))
CLASSIFIER = Classifier(BUNDLE)
EXACT = Classifier(BUNDLE, exact=True)
STEP, LONGEST = SAMPLE_RATE // 4, 3 * SAMPLE_RATE


class CountingEncoder(Encoder):
    """Counts the frames that it was given."""

    def __init__(self) -> None:
        super().__init__(BUNDLE.manifest.shape)
        self.load_state_dict(BUNDLE.network.encoder.state_dict())
        self.frames = 0

    def proceed(self, mel, past):
        """Count, and go on."""
        self.frames += mel.shape[-1]
        return super().proceed(mel, past)


def windows(pcm: Pcm, *, utterance: int = 1, start: int = 0) -> Iterator[Window]:
    """As the segmenter gives them."""
    for end in range(STEP, len(pcm) + 1, STEP):
        yield Window(utterance, start + end, pcm[max(0, end - LONGEST) : end])


def embedding(rolling: RollingEmbedding, window: Window) -> np.ndarray:
    """Of speech."""
    heard = rolling(window)
    assert heard is not None
    return heard.embedding


def test_the_first_second_is_judged_as_a_whole():
    """As if the utterance were over, to the last digit but one."""
    follower = CLASSIFIER.follow()
    for window in windows(speech(0.95)):
        got, expected = follower.judge(window), CLASSIFIER.judge(window.pcm)
        assert got.probabilities == pytest.approx(expected.probabilities, abs=1e-4)


def test_each_second_is_encoded_once():
    """Not the last three seconds four times a second."""
    encoder = CountingEncoder()
    rolling = RollingEmbedding(encoder)
    for window in windows(speech(6.0)):
        rolling(window)
    assert encoder.frames < 4 * 6 * 100  # of 100 a second, where eight times as many were due


def test_rolling_predictions_are_near_those_of_the_window_alone():
    """On the bundled recording: nine of ten name the same emotion, or nearly so."""
    pcm, _ = soundfile.read(VOICES, dtype="int16")
    channel = Channel("mono", Config())
    events = [*channel.push(pcm), *channel.close(EndReason.END_OF_INPUT)]
    follower = CLASSIFIER.follow()
    gaps = []
    for window in (event for event in events if isinstance(event, Window)):
        got, alone = follower.judge(window), CLASSIFIER.judge(window.pcm)
        gaps.append(np.abs(np.subtract(got.probabilities, alone.probabilities)).max())
    assert len(gaps) > 80
    assert np.mean(gaps) < 0.05  # 0.058 for pieces that do not look ahead
    assert np.mean(np.array(gaps) < 0.1) > 0.8


@settings(max_examples=4, deadline=None)
@given(missing=st.sets(st.integers(0, 11), max_size=9))
def test_windows_may_be_missing(missing: set[int]):
    """Those that are judged are judged as ever, nearly: what they missed is within them."""
    pcm = speech(3.0)
    every, some = CLASSIFIER.follow(), CLASSIFIER.follow()
    for number, window in enumerate(windows(pcm)):
        expected = every.judge(window)
        if number not in missing:
            got = some.judge(window)
            assert got.probabilities == pytest.approx(expected.probabilities, abs=0.3)


def test_a_hole_begins_anew():
    """Of what was missed for longer than a window, nothing is made up."""
    pcm = speech(7.0)
    rolling = RollingEmbedding(BUNDLE.network.encoder)
    last = list(windows(pcm))[-1]
    for window in list(windows(pcm))[:8]:
        rolling(window)
    fresh = RollingEmbedding(BUNDLE.network.encoder)
    assert np.array_equal(embedding(rolling, last), embedding(fresh, last))


def test_another_utterance_begins_anew():
    """Also where the stream goes on without a hole."""
    rolling = RollingEmbedding(BUNDLE.network.encoder)
    for window in windows(speech(2.5)):
        rolling(window)
    fresh = RollingEmbedding(BUNDLE.network.encoder)
    for window in windows(speech(1.5, seed=3), utterance=2, start=round(2.5 * SAMPLE_RATE)):
        assert np.array_equal(embedding(rolling, window), embedding(fresh, window))


def test_the_microphone_s_gain_is_not_heard():
    """As for whole utterances."""
    loud, quiet = EXACT.follow(), EXACT.follow()
    for window in windows(speech(3.0)):
        faint = replace(window, pcm=(window.pcm // 8).astype(np.int16))
        expected = loud.judge(window).probabilities
        assert quiet.judge(faint).probabilities == pytest.approx(expected, abs=0.02)


def test_an_utterance_may_be_longer_than_the_net_can_hear():
    """After 30 s it begins anew; every window gets an answer."""
    small = replace(BUNDLE.manifest.shape, positions=175)  # 3.5 s
    encoder = Encoder(small).eval().requires_grad_(requires_grad=False)
    rolling = RollingEmbedding(encoder)
    for window in windows(speech(8.0)):
        assert np.isfinite(embedding(rolling, window)).all()


def test_silence_gets_a_flat_answer():
    """And does not end what goes on."""
    follower = CLASSIFIER.follow()
    nothing = Window(1, LONGEST, np.zeros(LONGEST, np.int16))
    assert follower.judge(nothing).uncertain
    assert len(set(follower.judge(nothing).probabilities)) == 1


def test_a_piece_is_a_whole_number_of_states():
    """Or they would drift apart from the samples."""
    assert PIECE % (2 * HOP) == 0
