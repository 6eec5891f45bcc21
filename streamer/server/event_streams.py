"""Serves events (server-sent, or a WebSocket) and metrics to viewers of all calls."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from streamer.server.access import Access, Role
from streamer.server.hub import Hub, Viewer

MAX_VIEWERS: Final = 50

HEARTBEAT_S: Final = 5.0
"""Seconds between two signs of life for a viewer when there are no events."""


class Viewing:
    """Serves the events and metrics of the hub.

    Args:
        hub: Has the events and metrics.
        access: Who may view.
    """

    def __init__(self, hub: Hub, access: Access) -> None:
        self._hub = hub
        self._access = access

    def routes(self) -> list[BaseRoute]:
        """Its addresses."""
        return [
            Route("/metrics", self._metrics),
            Route("/events", self._events),
            WebSocketRoute("/events", self._events_socket),
        ]

    async def _metrics(self, request: Request) -> Response:
        if (refusal := self._access.refusal(request.headers, Role.VIEW)) is not None:
            return PlainTextResponse(refusal, 403)
        return Response(self._hub.metrics(), media_type="text/plain; version=0.0.4")

    async def _events(self, request: Request) -> Response:
        if (refused := self._refused(request)) is not None:
            return refused
        viewer = Viewer()
        self._hub.viewers.add(viewer)
        return StreamingResponse(
            self._lines_for(viewer),
            media_type="text/event-stream",
            headers={"cache-control": "no-store"},
        )

    async def _events_socket(self, websocket: WebSocket) -> None:
        """Send each event as a text; messages of the viewer are read and ignored."""
        if (refused := self._refused(websocket)) is not None:
            await websocket.send_denial_response(refused)
            return
        await websocket.accept()
        viewer = Viewer()
        self._hub.viewers.add(viewer)
        gone = asyncio.create_task(_until_gone(websocket, viewer))
        try:
            with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # the viewer has gone
                while (line := await viewer.lines.get()) is not None:
                    await websocket.send_text(line)
                await websocket.close()
        finally:
            gone.cancel()
            self._hub.viewers.discard(viewer)

    def _refused(self, request: HTTPConnection) -> Response | None:
        if (refusal := self._access.refusal(request.headers, Role.VIEW)) is not None:
            return PlainTextResponse(refusal, 403)
        if len(self._hub.viewers) >= MAX_VIEWERS:
            return PlainTextResponse(f"{MAX_VIEWERS} viewers watch, more are not allowed", 503)
        return None

    async def _lines_for(self, viewer: Viewer) -> AsyncIterator[str]:
        """Server-sent events, until the viewer goes or the server ends."""
        try:
            yield ": streamer\n\n"
            while True:
                try:
                    async with asyncio.timeout(HEARTBEAT_S):
                        line = await viewer.lines.get()
                except TimeoutError:
                    yield ": alive\n\n"
                    continue
                if line is None:
                    return
                yield f"data: {line}\n\n"
        finally:
            self._hub.viewers.discard(viewer)


async def _until_gone(websocket: WebSocket, viewer: Viewer) -> None:
    """Read what the viewer sends until it goes, then end its lines."""
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass
    viewer.end()
