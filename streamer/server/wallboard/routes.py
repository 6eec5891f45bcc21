"""Serves the page of the wallboard, its feed, and acknowledgements."""

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from streamer.errors import OutputError
from streamer.server.access import Access, Role
from streamer.server.wallboard.feed import WallboardFeed

MAX_VIEWERS: Final = 50

MAX_BODY: Final = 4_096
"""Maximum number of bytes of a request of the page."""

MAX_NAME: Final = 40
"""Maximum number of letters of the name of a person who acknowledges an alert."""

ASSETS: Final = {
    "board.css": "text/css",
    "board.js": "text/javascript",
    "detail.js": "text/javascript",
    "feed.js": "text/javascript",
    "format.js": "text/javascript",
    "icon.svg": "image/svg+xml",
    "places.js": "text/javascript",
    "tiles.js": "text/javascript",
}

HEADERS: Final = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-cache",
}
"""Headers of the page: it loads nothing from elsewhere, and runs no inline script."""


class Wallboard:
    """Serves the page and its requests.

    Args:
        board: The state of the calls, and their changes.
        access: Who may view, and who may acknowledge.
        publish: Publishes an acknowledgement; returns when it cannot be lost any more. Raises
            OutputError if it could not be published.
    """

    def __init__(
        self,
        board: WallboardFeed,
        access: Access,
        publish: Callable[[dict[str, str]], Awaitable[None]],
    ) -> None:
        self._board = board
        self._access = access
        self._publish = publish

    def routes(self) -> list[Route]:
        """Its addresses."""
        return [
            Route("/", self._page),
            Route("/wallboard/feed", self._feed),
            Route("/wallboard/acknowledge", self._acknowledge, methods=["POST"]),
            Route("/wallboard/calls/{call:path}", self._call),
            Route("/wallboard/{name}", self._asset),
        ]

    async def _page(self, request: Request) -> Response:
        return self._file(request, "board.html", "text/html")

    async def _asset(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in ASSETS:
            return PlainTextResponse("not found", 404)
        return self._file(request, name, ASSETS[name])

    def _file(self, request: Request, name: str, kind: str) -> Response:
        """Send a file of the page. It holds no secret: the page asks for the token."""
        if (refusal := self._access.host_refusal(request.headers)) is not None:
            return PlainTextResponse(refusal, 403)
        text = files("streamer.server.wallboard").joinpath("assets", name).read_bytes()
        return Response(text, media_type=kind, headers=HEADERS)

    async def _feed(self, request: Request) -> Response:
        if (refusal := self._access.refusal(request.headers, Role.VIEW)) is not None:
            return PlainTextResponse(refusal, 403)
        if self._board.viewers >= MAX_VIEWERS:
            return PlainTextResponse(f"{MAX_VIEWERS} viewers watch, more are not allowed", 503)
        may = self._access.refusal(request.headers, Role.ACKNOWLEDGE) is None
        return StreamingResponse(
            self._lines(may_acknowledge=may),
            media_type="application/x-ndjson",
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )

    async def _lines(self, *, may_acknowledge: bool) -> AsyncIterator[bytes]:
        yield json.dumps({"type": "hello", "may_acknowledge": may_acknowledge}).encode() + b"\n"
        async for line in self._board.lines():
            yield line

    async def _call(self, request: Request) -> Response:
        if (refusal := self._access.refusal(request.headers, Role.VIEW)) is not None:
            return PlainTextResponse(refusal, 403)
        found = self._board.call(request.path_params["call"])
        if found is None:
            return PlainTextResponse("there is no such call", 404)
        return JSONResponse(found, headers={"cache-control": "no-store"})

    async def _acknowledge(self, request: Request) -> Response:
        if (refusal := self._access.refusal(request.headers, Role.ACKNOWLEDGE)) is not None:
            return PlainTextResponse(refusal, 403)
        try:
            call_id, alert_id, by = _asked(await _body(request))
        except ValueError as error:
            return PlainTextResponse(str(error), 400)
        call = self._board.state.calls.get(call_id)
        alert = next((each for each in call.alerts if each.id == alert_id), None) if call else None
        if alert is None:
            return PlainTextResponse("there is no such alert", 404)
        if alert.by is None:
            try:
                await self._publish(
                    {"event": "acknowledged", "call": call_id, "alert": alert_id, "by": by}
                )
            except OutputError as error:
                return PlainTextResponse(str(error), 503)
        return Response(status_code=204)


async def _body(request: Request) -> bytes:
    """Read the body of a request.

    Raises:
        ValueError: It is too long.
    """
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY:
            raise ValueError(f"got more than {MAX_BODY} bytes")
    return body


def _asked(body: bytes) -> tuple[str, str, str]:
    """Read call, alert and the name of the person who acknowledges it.

    Raises:
        ValueError: One of them is missing or not valid.
    """
    try:
        asked = json.loads(body)
    except RecursionError as error:
        raise ValueError("expected a flat JSON object") from error
    values = [asked.get(key, "") for key in ("call", "alert", "by")] if type(asked) is dict else []
    if not values or not all(isinstance(value, str) for value in values):
        raise ValueError('expected {"call": ..., "alert": ..., "by": ...}')
    call_id, alert_id, by = values
    return call_id, alert_id, re.sub(r"[^\w .,'@+-]", "", by)[:MAX_NAME].strip()
