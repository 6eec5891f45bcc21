"""Calls at the same time, and one after the other, have nothing in common but the model."""

import asyncio
import time

import numpy as np
import pytest
from fakes import FakeModel, silence, speech

from streamer.config import Config
from streamer.events import Alert, MoodChanged
from streamer.server.calls import Call
from streamer.server.engine import Engine
from streamer.server.protocols.base import CallStart
from streamer.types import SAMPLE_RATE, EndReason, Utterance

SIDES = ("customer", "agent")


class Noting(FakeModel):
    """Notes whose voice each utterance was classified with."""

    def __init__(self) -> None:
        super().__init__()
        self.voices = []

    def classify(self, pcm, adaptation=None, *, learn=False):
        """Classify and note."""
        if learn:
            self.voices.append(adaptation)
        return super().classify(pcm, adaptation, learn=learn)


@pytest.fixture
def noting():
    """The model, and an engine with it."""
    model = Noting()
    engine = Engine(lambda: model, Config(), None)
    engine.start()
    while engine.model is None:
        time.sleep(0.01)
    yield model, engine
    engine.stop()


def loud(utterances):
    """Utterances of somebody who is angry, on one side or the other: all that is needed."""
    piece = np.concatenate([silence(0.8), speech(2.0), silence(1.2)])
    said = np.tile(np.clip(piece.astype(np.int32) * 8, -32768, 32767).astype(np.int16), utterances)
    return np.stack([said, said[::-1]], axis=1)


async def all_events(call):
    """Everything until its end."""
    found = []
    while (event := await call.events.next()) is not None:
        found.append(event)
    return found


def test_calls_share_no_voice_mood_or_rule(noting):
    """What one caller says counts for nothing in the call of another."""
    model, engine = noting

    async def run():
        starts = [CallStart(name, SAMPLE_RATE, SIDES) for name in ("one", "two", "three")]
        calls = [Call(start, engine) for start in starts]
        for _ in range(3):  # in turns, as the segmenter thread has them
            for call in calls[:2]:
                call.push(loud(1))
        calls[2].push(loud(1))
        for call in calls:
            call.end(EndReason.END_OF_INPUT)
        return [await all_events(call) for call in calls]

    one, two, three = asyncio.run(run())
    assert len({id(voice) for voice in model.voices}) == 6  # three calls of two sides
    for events in (one, two):
        heard = [e for e in events if isinstance(e, Utterance)]
        assert {e.prediction.emotion for e in heard} == {"angry"}
        assert any(isinstance(e, Alert) for e in events)
    assert not any(isinstance(e, Alert) for e in three)
    moods = [[e.mood for e in events if isinstance(e, MoodChanged)] for events in (one, three)]
    assert moods[1] == moods[0][: len(moods[1])]
