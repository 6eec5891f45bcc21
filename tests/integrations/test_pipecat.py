"""The processor in Pipecat's own test pipeline; with its package alone."""

import asyncio
import warnings

import numpy as np
import pytest
from fakes import FakeModel
from serving import voices

from streamer.stream import Stream
from streamer.types import SAMPLE_RATE

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of its own imports
    pytest.importorskip("pipecat")
    from pipecat.frames.frames import InputAudioRawFrame, TextFrame
    from pipecat.tests.utils import run_test

    from streamer.integrations.pipecat import EmotionFrame, EmotionPartialFrame, EmotionProcessor

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def scripted_model(monkeypatch):
    """No torch."""
    monkeypatch.setattr(Stream, "_load", lambda _self: FakeModel())


def frames(seconds: float, channels: int = 1) -> list[InputAudioRawFrame]:
    """What is said, 20 ms each."""
    said = np.frombuffer(voices(seconds), "<i2")
    pieces = [np.repeat(said[at : at + 320], channels) for at in range(0, len(said), 320)]
    return [InputAudioRawFrame(piece.tobytes(), SAMPLE_RATE, channels) for piece in pieces]


@pytest.mark.parametrize("channels", [1, 2])
def test_utterances_become_frames_behind_the_audio(channels):
    """All audio passes, each utterance is a frame, partial results come meanwhile."""
    sent = [*frames(8, channels), TextFrame("as it was")]
    down, up = asyncio.run(run_test(EmotionProcessor(), frames_to_send=sent))
    assert [f for f in down if isinstance(f, InputAudioRawFrame)] == sent[:-1]
    heard = [f.utterance for f in down if isinstance(f, EmotionFrame)]
    assert [u.number for u in heard] == list(range(1, len(heard) + 1))
    assert len(heard) >= 2
    assert any(isinstance(f, EmotionPartialFrame) for f in down)
    assert not up


def test_partial_results_are_left_out_on_request():
    """Utterances come all the same."""
    down, _ = asyncio.run(run_test(EmotionProcessor(partials=False), frames_to_send=frames(5)))
    assert not any(isinstance(f, EmotionPartialFrame) for f in down)
    assert any(isinstance(f, EmotionFrame) for f in down)


def test_a_pipeline_without_audio_ends():
    """Nothing was opened."""
    down, _ = asyncio.run(run_test(EmotionProcessor(), frames_to_send=[TextFrame("alone")]))
    assert [type(f) for f in down][:1] == [TextFrame]
