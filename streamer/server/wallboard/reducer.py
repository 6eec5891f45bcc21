"""The reducer changes the state of the wallboard by events: pure functions.

Events are the objects that `streamer serve` sends to viewers, each with ``event``, ``call``,
``server`` and ``at`` (seconds since 1970). An event of an unknown call begins it, so that a
wallboard may start in the middle; an unknown or incomplete event changes nothing.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, TypeAlias

from streamer.server.wallboard.state import (
    Channel,
    Heard,
    Spoken,
    Status,
    WallboardAlert,
    WallboardCall,
    WallboardServer,
    WallboardState,
)
from streamer.types import NO_SPEECH

Message: TypeAlias = Mapping[str, Any]
"""An event as a JSON object."""

MOODS: Final = 40
"""Maximum number of running moods of a channel that are kept for its curve."""

MAX_UTTERANCES: Final = 500
"""Maximum number of utterances in the timeline of a call; beyond that, the oldest are dropped."""

MAX_ALERTS: Final = 50
"""Maximum number of alerts of a call; beyond that, the oldest are dropped."""

MAX_CHANNELS: Final = 8

MAX_CALLS: Final = 2_000
"""Maximum number of calls; beyond that, the oldest that has ended is dropped first."""

ENDED_S: Final = 60.0
"""Seconds for which an ended call stays on the page."""

LOST_S: Final = 300.0
"""Seconds for which a call stays whose server was lost."""

UNSEEN_S: Final = 3_600.0
"""Seconds for which either stays while one of its alerts is not acknowledged."""

SERVER_S: Final = 10.0
"""Seconds without a sign of life after which a server and its calls count as lost (default)."""


def reduce(state: WallboardState, event: Message, now: float) -> WallboardState:
    """Return the state after an event.

    Args:
        state: The state before it.
        event: The event.
        now: The wallboard's time, in seconds since 1970.
    """
    server = _text(event, "server")
    if server:
        state = _seen(state, server, event, now)
    call_id = _text(event, "call")
    kind = event.get("event")
    if not call_id:
        return state
    if kind == "call_deleted":
        return replace(state, calls={k: v for k, v in state.calls.items() if k != call_id})
    step = _STEPS.get(kind) if isinstance(kind, str) else None
    if step is None:
        return state
    before = state.calls.get(call_id)
    known = _addressed(before, call_id, event, now)
    if known is None:
        return state
    changed = step(known, event)
    if changed is before:
        return state
    calls = {**state.calls, call_id: changed}
    if len(calls) > MAX_CALLS:
        over = [call.id for call in calls.values() if call.status != "live"] or list(calls)
        del calls[over[0]]
    return replace(state, calls=calls)


def _addressed(
    known: WallboardCall | None, call_id: str, event: Message, now: float
) -> WallboardCall | None:
    """The call that an event is about; None where it changes nothing.

    A call has several connections where each side has its own. A peer that connects again begins
    the call anew: what its former connection still sends, and its end, are of the past.
    """
    kind, connection = event.get("event"), _text(event, "connection")
    joins = known is not None and known.status == "live" and bool(connection)
    if kind == "call_begun":
        names = event.get("channels")
        theirs = names if isinstance(names, list) else []
        if known is None or not joins or any(channel.name in theirs for channel in known.channels):
            return _new_call(known, call_id, event, now)
        return _joined(known, connection)
    if known is None:
        return None if kind in _ENDS else _new_call(None, call_id, event, now)
    if not connection or connection in known.connections or kind == "alert":
        return known
    if kind in _ENDS or any(c.name == _text(event, "channel") for c in known.channels):
        return None if known.connections else known
    return _joined(known, connection) if joins else known


def _new_call(
    before: WallboardCall | None, call_id: str, event: Message, now: float
) -> WallboardCall:
    """A call that begins; of an earlier one with its id, alerts must not be forgotten."""
    caller, connection = _text(event, "caller"), _text(event, "connection")
    return WallboardCall(
        call_id,
        _text(event, "server"),
        _number(event, "at", now),
        caller or (before.caller if before is not None else ""),
        alerts=before.alerts if before is not None else (),
        connections=(connection,) if connection else (),
    )


def _joined(call: WallboardCall, connection: str) -> WallboardCall:
    return replace(call, connections=(*call.connections, connection)[-MAX_CHANNELS:])


def expire(state: WallboardState, now: float, server_s: float = SERVER_S) -> WallboardState:
    """Return the state at a later time: ended calls are removed, silent servers are lost.

    Args:
        state: The state before it.
        now: The wallboard's time, in seconds since 1970.
        server_s: Seconds without a sign of life after which a server counts as lost.
    """
    lost = {
        name: replace(each, status="lost")
        for name, each in state.servers.items()
        if each.status == "up" and now - each.seen > server_s
    }
    gone = [
        name
        for name, each in state.servers.items()
        if each.status != "up" and now - each.seen > UNSEEN_S
    ]
    calls: dict[str, WallboardCall] = {}
    changed = bool(lost or gone)
    for call in state.calls.values():
        kept: WallboardCall | None = call
        if call.status == "live" and call.server in lost:
            kept = _closed(call, "lost", lost[call.server].seen)
        elif call.ended is not None and now - call.ended > _stays_s(call):
            kept = None
        changed = changed or kept is not call
        if kept is not None:
            calls[call.id] = kept
    if not changed:
        return state
    servers = {**state.servers, **lost}
    return WallboardState(calls, {name: each for name, each in servers.items() if name not in gone})


def _stays_s(call: WallboardCall) -> float:
    if call.unseen:
        return UNSEEN_S
    return LOST_S if call.status == "lost" else ENDED_S


def _seen(state: WallboardState, name: str, event: Message, now: float) -> WallboardState:
    """Note a sign of life of a server, or its end. A lost server gets its calls back."""
    known = state.servers.get(name)
    ended = event.get("event") == "server_ended"
    if known is not None and known.status == "up" and now - known.seen < 1 and not ended:
        return state  # a new state for each event would cost too much
    calls = state.calls
    if known is not None and known.status == "lost" and not ended:
        calls = {
            call.id: replace(call, status="live", ended=None)
            if call.server == name and call.status == "lost"
            else call
            for call in calls.values()
        }
    server = WallboardServer(name, now, "ended" if ended else "up")
    return WallboardState(calls, {**state.servers, name: server})


def _closed(call: WallboardCall, status: Status, at: float) -> WallboardCall:
    channels = tuple(replace(c, speaking_from=None, partial=False) for c in call.channels)
    return replace(call, status=status, ended=at, channels=channels)


# --- a step for each kind of event --------------------------------------------------------------


def _begun(call: WallboardCall, event: Message) -> WallboardCall:
    if not call.caller:
        call = replace(call, caller=_text(event, "caller"))
    names = event.get("channels")
    for name in names if isinstance(names, list) else []:
        if isinstance(name, str):
            call, _ = _with_channel(call, name)
    return call


def _speech(call: WallboardCall, event: Message) -> WallboardCall:
    start = _number(event, "start_s", 0.0)

    def change(channel: Channel) -> Channel:
        return channel if _late(channel, event) else replace(channel, speaking_from=start)

    return _changed(call, event, change)


def _partial(call: WallboardCall, event: Message) -> WallboardCall:
    heard = _heard(event)
    if heard is None or heard.emotion == NO_SPEECH:
        return call
    end = _number(event, "end_s", 0.0)

    def change(channel: Channel) -> Channel:
        if _late(channel, event):
            return channel
        begin = end if channel.speaking_from is None else channel.speaking_from
        return replace(channel, heard=heard, partial=True, speaking_from=begin)

    return _changed(call, event, change)


def _utterance(call: WallboardCall, event: Message) -> WallboardCall:
    start, end = _number(event, "start_s", 0.0), _number(event, "end_s", 0.0)
    heard = _heard(event) or Heard("", 0.0, uncertain=True, mood=None)
    silent = heard.emotion == NO_SPEECH
    name = _text(event, "channel")

    number = event.get("utterance")
    number = number if isinstance(number, int) else 0

    def change(channel: Channel) -> Channel:
        still = channel.speaking_from is not None and channel.speaking_from > end
        begin = channel.speaking_from if still else None
        closed = replace(channel, speaking_from=begin, number=max(number, channel.number))
        if silent:
            return replace(closed, partial=False, heard=None if channel.partial else channel.heard)
        return replace(
            closed,
            heard=heard,
            partial=False,
            speech_s=channel.speech_s + max(0.0, end - start),
            utterances=channel.utterances + 1,
            until=max(channel.until, end),
        )

    call = _changed(call, event, change)
    if silent:
        return call
    overlap = sum(
        max(0.0, min(end, other.end_s) - max(start, other.start_s))
        for other in call.utterances[-20:]
        if other.channel != name
    )
    spoken = Spoken(name, number, start, end, heard, _text(event, "alert"))
    return replace(
        call,
        overlap_s=call.overlap_s + overlap,
        utterances=(*call.utterances, spoken)[-MAX_UTTERANCES:],
    )


def _mood(call: WallboardCall, event: Message) -> WallboardCall:
    mood, trend = _number(event, "mood", 0.0), _number(event, "trend", 0.0)
    call, index = _with_channel(call, _text(event, "channel"))
    if index is None:
        return call
    moods = list(call.moods)
    moods[index] = (*moods[index], mood)[-MOODS:]
    call = replace(call, moods=tuple(moods))
    return _changed(call, event, lambda channel: replace(channel, mood=mood, trend=trend))


def _alert(call: WallboardCall, event: Message) -> WallboardCall:
    channel, rule = _text(event, "channel"), _text(event, "rule")
    connection = _text(event, "connection")  # each counts its utterances from one
    alert = WallboardAlert(
        id=f"{channel}/{event.get('utterance')}/{rule}{connection and f'/{connection}'}",
        rule=rule,
        reason=_text(event, "reason"),
        channel=channel,
        at_s=_number(event, "at_s", 0.0),
        at=_number(event, "at", 0.0),
    )
    if any(known.id == alert.id for known in call.alerts):
        return call
    return replace(call, alerts=(*call.alerts, alert)[-MAX_ALERTS:])


def _acknowledged(call: WallboardCall, event: Message) -> WallboardCall:
    wanted = _text(event, "alert")
    alerts = tuple(
        replace(alert, by=_text(event, "by")) if alert.id == wanted and alert.by is None else alert
        for alert in call.alerts
    )
    return call if alerts == call.alerts else replace(call, alerts=alerts)


def _ended(call: WallboardCall, event: Message) -> WallboardCall:
    gone = _text(event, "connection")
    left = tuple(each for each in call.connections if each != gone)
    if gone and left:
        return replace(call, connections=left)
    return _closed(call, "ended", _number(event, "at", call.began))


_STEPS: dict[str, Callable[[WallboardCall, Message], WallboardCall]] = {
    "call_begun": _begun,
    "speech": _speech,
    "rolling": _partial,
    "utterance": _utterance,
    "mood": _mood,
    "alert": _alert,
    "acknowledged": _acknowledged,
    "call_ended": _ended,
}
_ENDS = ("call_ended", "acknowledged")
"""Events that do not begin an unknown call."""


# --- parts --------------------------------------------------------------------------------------


def _with_channel(call: WallboardCall, name: str) -> tuple[WallboardCall, int | None]:
    """The call with a channel of that name, and where it is; None where there are too many."""
    for index, channel in enumerate(call.channels):
        if channel.name == name:
            return call, index
    if not name or len(call.channels) >= MAX_CHANNELS:
        return call, None
    made = replace(call, channels=(*call.channels, Channel(name)), moods=(*call.moods, ()))
    return made, len(made.channels) - 1


def _changed(
    call: WallboardCall, event: Message, change: Callable[[Channel], Channel]
) -> WallboardCall:
    """The call with the event's channel changed."""
    call, index = _with_channel(call, _text(event, "channel"))
    if index is None:
        return call
    channels = list(call.channels)
    before = channels[index]
    channels[index] = change(before)
    if channels[index] is before:
        return call
    return replace(call, channels=tuple(channels))


def _late(channel: Channel, event: Message) -> bool:
    """Whether an event is of an utterance that has ended."""
    number = event.get("utterance")
    return isinstance(number, int) and 0 < number <= channel.number


def _heard(event: Message) -> Heard | None:
    emotion = event.get("emotion")
    if not isinstance(emotion, str):
        return None
    mood = event.get("mood")
    return Heard(
        emotion,
        _number(event, "confidence", 0.0),
        event.get("uncertain") is not False,
        mood if isinstance(mood, float | int) else None,
    )


def _text(event: Message, key: str) -> str:
    found = event.get(key)
    return found if isinstance(found, str) else ""


def _number(event: Message, key: str, default: float) -> float:
    found = event.get(key)
    usable = isinstance(found, int | float) and math.isfinite(found)
    return float(found) if usable and found is not None else default
