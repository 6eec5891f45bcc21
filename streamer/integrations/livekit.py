"""Gives an agent of LiveKit the emotion of what the user says, as context.

    class Desk(EmotionMixin, Agent):
        async def on_utterance(self, utterance): ...

The mixin hears the audio on its way to speech recognition (`Agent.stt_node`), and says before each
answer how the user sounded (`Agent.on_user_turn_completed`). `EmotionTap` does the first without an
agent. Its packages are the extra ``livekit``.
"""

import asyncio
import logging
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from os import PathLike
from typing import Any

from livekit import rtc

from streamer.config import Config
from streamer.integrations.pcm import mono
from streamer.stream import Stream, listen
from streamer.types import Utterance

logger = logging.getLogger(__name__)

Heard = Callable[[Utterance], Awaitable[None]]
"""Told of an utterance that has ended."""


class EmotionTap:
    """Hears emotions in audio frames that pass through.

    Args:
        heard: Told of each utterance.
        model: A bundle, as for `streamer.listen`.
        config: For everything else, as for `streamer.listen`.
    """

    def __init__(
        self,
        heard: Heard,
        *,
        model: str | PathLike[str] | None = None,
        config: Config | None = None,
    ) -> None:
        self._heard = heard
        self._model = model
        self._config = config

    async def through(self, audio: AsyncIterable[rtc.AudioFrame]) -> AsyncIterator[rtc.AudioFrame]:
        """The same frames. At their end, what was said last is heard before this ends."""
        stream: Stream | None = None
        listening: asyncio.Task[None] | None = None
        try:
            async for frame in audio:
                if stream is None or listening is None:
                    rate = frame.sample_rate
                    stream = listen(sample_rate=rate, model=self._model, config=self._config)
                    await stream.__aenter__()
                    listening = asyncio.create_task(self._report(stream))
                if not listening.done():  # what is said is understood without us, too
                    pcm = mono(memoryview(frame.data).cast("B"), frame.num_channels)
                    await asyncio.to_thread(stream.feed, pcm)
                yield frame
            if stream is not None and listening is not None:
                stream.finish()
                await listening
        finally:
            if listening is not None:
                listening.cancel()
            if stream is not None:
                await stream.__aexit__(None, None, None)

    async def _report(self, stream: Stream) -> None:
        try:
            async for event in stream:
                if isinstance(event, Utterance):
                    await self._heard(event)
        except Exception:
            logger.exception("emotions are no longer heard")


class EmotionMixin:
    """For an `Agent`, named before it among the bases.

    Attributes:
        emotion_model: A bundle, as for `streamer.listen`.
        emotion_config: For everything else, as for `streamer.listen`.
    """

    emotion_model: str | PathLike[str] | None = None
    emotion_config: Config | None = None
    _last_utterance: Utterance | None = None

    async def on_utterance(self, utterance: Utterance) -> None:
        """Called for each utterance of the user; does nothing unless it is overridden."""

    def voice_context(self) -> str | None:
        """How the user sounded last, in a sentence; None where that is not certain."""
        heard = self._last_utterance.prediction if self._last_utterance is not None else None
        if heard is None or heard.uncertain:
            return None
        return f"The user's voice sounds {heard.emotion} ({heard.confidence:.0%})."

    def stt_node(self, audio: AsyncIterable[rtc.AudioFrame], model_settings: Any) -> Any:  # noqa: ANN401 - LiveKit's
        """Hear the audio on its way to speech recognition."""
        tap = EmotionTap(self.note, model=self.emotion_model, config=self.emotion_config)
        return super().stt_node(tap.through(audio), model_settings)  # type: ignore[misc]

    async def on_user_turn_completed(self, turn_ctx: Any, new_message: Any) -> None:  # noqa: ANN401 - LiveKit's
        """Say how the user sounded, before the answer is made."""
        if (context := self.voice_context()) is not None:
            turn_ctx.add_message(role="developer", content=context)
        await super().on_user_turn_completed(turn_ctx, new_message)  # type: ignore[misc]

    async def note(self, utterance: Utterance) -> None:
        """Take an utterance of the user."""
        self._last_utterance = utterance
        await self.on_utterance(utterance)
