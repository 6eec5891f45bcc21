"""Prints the emotions of a recording with Pipecat: python pipecat_file.py call.wav."""

import asyncio
import sys

import soundfile
from pipecat.frames.frames import EndFrame, Frame, InputAudioRawFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner

from streamer.integrations.pipecat import EmotionFrame, EmotionProcessor


class Printer(FrameProcessor):
    """Prints each utterance."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Print it and pass it on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, EmotionFrame) and frame.utterance.prediction is not None:
            heard = frame.utterance.prediction
            print(f"{frame.utterance.start_s:.1f} s: {heard.emotion} {heard.confidence:.0%}")
        await self.push_frame(frame, direction)


async def main(path: str) -> None:
    """Play the recording into the pipeline."""
    worker = PipelineWorker(Pipeline([EmotionProcessor(), Printer()]))
    pcm, rate = soundfile.read(path, dtype="int16", always_2d=True)

    @worker.event_handler("on_pipeline_started")
    async def play(worker: PipelineWorker, _frame: Frame) -> None:
        for at in range(0, len(pcm), rate // 50):
            piece = pcm[at : at + rate // 50]
            await worker.queue_frame(InputAudioRawFrame(piece.tobytes(), rate, pcm.shape[1]))
        await worker.queue_frame(EndFrame())

    runner = WorkerRunner()
    await runner.add_workers(worker)
    await runner.run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
