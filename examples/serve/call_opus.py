"""Sends a recording to `streamer serve` as Opus, in real time, and prints the results.

python call_opus.py call.wav [ws://127.0.0.1:8765/v1/stream] [TOKEN]
"""

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import av
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

RATE = 48_000  # or 8000, 12000, 16000, 24000


def packets(path: str, layout: str) -> Iterator[bytes]:
    """20 ms of all channels each."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = RATE, layout, "s16"
    resampler = av.AudioResampler("s16", layout, RATE, frame_size=RATE // 50)
    with av.open(path) as file:
        for frame in (*file.decode(audio=0), None):  # None: what is left in the resampler
            for block in resampler.resample(frame):
                yield from map(bytes, encoder.encode(block))
    yield from map(bytes, encoder.encode(None))


async def send(socket: ClientConnection, path: str) -> None:
    """The header, a packet in each message, the end."""
    with av.open(path) as file:
        stereo = file.streams.audio[0].channels > 1
    names = ["agent", "customer"] if stereo else ["customer"]
    header = {"rate": RATE, "channels": names, "encoding": "opus", "call": Path(path).stem}
    await socket.send(json.dumps(header))
    for packet in packets(path, "stereo" if stereo else "mono"):
        await asyncio.gather(socket.send(packet), asyncio.sleep(0.02))
    await socket.send(json.dumps({"end": True}))


async def main(path: str, url: str = "ws://127.0.0.1:8765/v1/stream", token: str = "") -> None:
    """Send and listen at once; the server closes the connection after the last row."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with connect(url, additional_headers=headers) as socket, asyncio.TaskGroup() as tasks:
        tasks.create_task(send(socket, path))
        async for line in socket:
            event = json.loads(line)
            if event["event"] in ("utterance", "alert"):
                print(event["event"], event["channel"], event["emotion"], event["confidence"])


try:
    asyncio.run(main(*sys.argv[1:]))
except InvalidStatus as refusal:  # for a token, or while the model is loaded
    sys.exit((refusal.response.body or b"").decode() or str(refusal))
