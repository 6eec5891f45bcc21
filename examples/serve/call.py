"""Sends a recording to `streamer serve` as a call, in real time, and prints the results.

python call.py call.wav [ws://127.0.0.1:8765/v1/stream] [TOKEN]
"""

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import soundfile
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus


def pieces(path: str) -> Iterator[bytes]:
    """20 ms of all channels each, as 16-bit samples."""
    with soundfile.SoundFile(path) as file:
        for block in file.blocks(file.samplerate // 50, dtype="int16"):
            yield block.tobytes()


async def send(socket: ClientConnection, path: str) -> None:
    """The header, the audio at the pace of a telephone line, the end."""
    info = soundfile.info(path)
    names = ["agent", "customer"] if info.channels == 2 else ["customer"]
    header = {"rate": info.samplerate, "channels": names, "call": Path(path).stem}
    await socket.send(json.dumps(header))
    for piece in pieces(path):
        await asyncio.gather(socket.send(piece), asyncio.sleep(0.02))
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
