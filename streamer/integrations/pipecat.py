"""A processor for Pipecat that says which emotion is heard in what the user says.

    pipeline = Pipeline([transport.input(), EmotionProcessor(), stt, ...])

Audio passes through. Behind it comes an `EmotionFrame` for each utterance, and meanwhile an
`EmotionPartialFrame` several times a second. Its packages are the extra ``pipecat``.
"""

import asyncio
from dataclasses import dataclass
from os import PathLike

from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InputAudioRawFrame,
    SystemFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from streamer.config import Config
from streamer.events import PartialResult
from streamer.integrations.pcm import mono
from streamer.stream import Stream, listen
from streamer.types import Utterance


@dataclass
class EmotionFrame(SystemFrame):
    """An utterance has ended. No interruption drops it.

    Attributes:
        utterance: When it was, and what was heard in it.
    """

    utterance: Utterance


@dataclass
class EmotionPartialFrame(SystemFrame):
    """What is heard in an utterance that is still going on.

    Attributes:
        partial: The result so far.
    """

    partial: PartialResult


class EmotionProcessor(FrameProcessor):
    """Hears emotions in the audio that passes through.

    Args:
        model: A bundle, as for `streamer.listen`.
        config: For everything else, as for `streamer.listen`.
        partials: Whether `EmotionPartialFrame`s are wanted.
        name: Of the processor.
    """

    def __init__(
        self,
        *,
        model: str | PathLike[str] | None = None,
        config: Config | None = None,
        partials: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self._model = model
        self._config = config
        self._partials = partials
        self._stream: Stream | None = None
        self._rate = 0
        self._listening: asyncio.Task[None] | None = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass a frame on; of audio, hear what is said in it."""
        await super().process_frame(frame, direction)
        match frame:
            case InputAudioRawFrame():
                await self._feed(frame)
            case EndFrame():
                await self._finish()
            case CancelFrame():
                await self._close()
        await self.push_frame(frame, direction)

    async def cleanup(self) -> None:
        """Stop listening."""
        await super().cleanup()
        await self._close()

    async def _feed(self, frame: InputAudioRawFrame) -> None:
        if self._stream is None:
            self._rate = frame.sample_rate
            stream = listen(sample_rate=self._rate, model=self._model, config=self._config)
            self._stream = await stream.__aenter__()
            self._listening = self.create_task(self._push_events(stream))
        if frame.sample_rate != self._rate:
            raise ValueError(f"got audio of {frame.sample_rate} Hz, expected {self._rate} Hz")
        if self._listening is not None and not self._listening.done():
            pcm = mono(frame.audio, frame.num_channels)
            await asyncio.to_thread(self._stream.feed, pcm)

    async def _push_events(self, stream: Stream) -> None:
        try:
            async for event in stream:
                match event:
                    case Utterance():
                        await self.push_frame(EmotionFrame(event))
                    case PartialResult() if self._partials:
                        await self.push_frame(EmotionPartialFrame(event))
        except Exception as error:  # noqa: BLE001 - audio passes on
            await self.push_error(f"emotions are no longer heard: {error}")

    async def _finish(self) -> None:
        """Hear to the end what was said."""
        if self._stream is not None and self._listening is not None:
            self._stream.finish()
            await self._listening
        await self._close()

    async def _close(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            if self._listening is not None and not self._listening.done():
                await self.cancel_task(self._listening)
            await stream.__aexit__(None, None, None)
