"""An agent of LiveKit that knows how the user sounds; run alone, it classifies a recording.

python livekit_agent.py call.wav
"""

import asyncio
import sys
from collections.abc import AsyncIterator

import soundfile
from livekit import rtc
from livekit.agents import Agent

from streamer.integrations.livekit import EmotionMixin, EmotionTap
from streamer.types import Utterance


class Desk(EmotionMixin, Agent):
    """Give it to an `AgentSession` as any other agent."""

    def __init__(self) -> None:
        super().__init__(instructions="You are at the service desk. Calm an angry caller.")

    async def on_utterance(self, utterance: Utterance) -> None:
        """Print what is heard; the answer is told of it anyway."""
        print(f"{utterance.start_s:.1f} s: {self.voice_context()}")


async def frames(path: str) -> AsyncIterator[rtc.AudioFrame]:
    """20 ms each, as a room delivers them."""
    with soundfile.SoundFile(path) as file:
        for block in file.blocks(file.samplerate // 50, dtype="int16", always_2d=True):
            yield rtc.AudioFrame(block.tobytes(), file.samplerate, *block.shape[::-1])


async def main(path: str) -> None:
    """What the agent does with the audio of a room."""
    desk = Desk()
    async for _ in EmotionTap(desk.note).through(frames(path)):
        pass


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
