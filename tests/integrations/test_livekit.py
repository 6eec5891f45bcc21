"""Emotions on the way of LiveKit's audio; with its packages alone."""

import asyncio
import warnings

import pytest
from fakes import FakeModel
from serving import voices

from streamer.stream import Stream
from streamer.types import SAMPLE_RATE

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of its own imports
    pytest.importorskip("livekit.agents")
    from livekit import rtc
    from livekit.agents import Agent, llm

    from streamer.integrations.livekit import EmotionMixin, EmotionTap

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def scripted_model(monkeypatch):
    """No torch."""
    monkeypatch.setattr(Stream, "_load", lambda _self: FakeModel())


async def audio(seconds):
    """What is said, 20 ms each."""
    said = voices(seconds)
    for at in range(0, len(said) - 640, 640):
        yield rtc.AudioFrame(said[at : at + 640], SAMPLE_RATE, 1, 320)


def test_frames_pass_and_utterances_are_heard():
    """The same frames, and each utterance once."""

    async def run():
        heard = []

        async def note(utterance):
            heard.append(utterance.number)

        passed = [bytes(frame.data) async for frame in EmotionTap(note).through(audio(8))]
        return heard, b"".join(passed)

    heard, passed = asyncio.run(run())
    assert heard == list(range(1, len(heard) + 1))
    assert len(heard) >= 2
    assert passed == voices(8)[: len(passed)]


class Desk(EmotionMixin, Agent):
    """An agent of the tests."""


def test_the_answer_knows_how_the_user_sounded(monkeypatch):
    """What was heard last stands in the chat before the answer is made, where it is certain."""

    async def run():
        desk = Desk(instructions="help")
        nodes = []

        def recognise(_agent, frames, _settings):
            nodes.append(frames)
            return frames

        monkeypatch.setattr(Agent, "stt_node", recognise)
        async for _ in desk.stt_node(audio(8), None):
            pass
        chat = llm.ChatContext.empty()
        await desk.on_user_turn_completed(chat, llm.ChatMessage(role="user", content=["hello"]))
        return desk, chat

    desk, chat = asyncio.run(run())
    said = [item.text_content for item in chat.items]
    assert said == [desk.voice_context()]
    assert said[0].startswith("The user's voice sounds ")
