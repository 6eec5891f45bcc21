"""Keys change the screen: each makes the next Snapshot, or an action for the session.

These functions are pure. While a note is being typed, every key belongs to it.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeAlias

from streamer.dashboard.keys import (
    BACKSPACE,
    DOWN,
    END,
    ENTER,
    ESCAPE,
    HOME,
    PAGE_DOWN,
    PAGE_UP,
    PASTED,
    UP,
)
from streamer.dashboard.state import TABLE_ROWS, ChannelState, Draft, Snapshot
from streamer.types import Mark, State

NOTE_LETTERS = 200
"""Longest note, in letters."""

Action: TypeAlias = str | Mark | None
"""What the session has to do: the action of a key, or a mark to record, which becomes an event."""


def press(snapshot: Snapshot, key: str, page: int) -> tuple[Snapshot, Action]:
    """Return the Snapshot after a key, and what the session has to do.

    Args:
        snapshot: The Snapshot before it.
        key: As `Keys.read` calls it.
        page: How many rows of the table are on screen.
    """
    if key.startswith(PASTED):
        return _pasted(snapshot, key.removeprefix(PASTED)), None
    if snapshot.draft is not None:
        return _typed(snapshot, snapshot.draft, key)
    moves = {
        UP: -1,
        DOWN: 1,
        PAGE_UP: -page,
        PAGE_DOWN: page,
        HOME: -TABLE_ROWS,
        END: TABLE_ROWS,
    }
    if key in moves:
        return _moved(snapshot, moves[key], page), None
    if key in ACTIONS:
        return ACTIONS[key](snapshot), None
    return snapshot, key


def finish(snapshot: Snapshot) -> Action:
    """The mark whose note is being typed when the session ends, so that it is not lost."""
    return None if snapshot.draft is None else _mark(snapshot, snapshot.draft)


def _typed(snapshot: Snapshot, draft: Draft, key: str) -> tuple[Snapshot, Action]:
    """A key of the note that is being typed."""
    text = draft.text
    if key == ENTER:
        mark = _mark(snapshot, draft)
        # counted before its row is on disk, so that the next one has a number of its own
        marks = snapshot.marks if snapshot.state is State.WARMING_UP else mark.number
        return replace(snapshot, draft=None, marks=marks), mark
    if key == ESCAPE:
        return replace(snapshot, draft=None), None
    if key == BACKSPACE:
        text = text[:-1]
    elif len(key) == 1:  # a letter; other keys have names
        text = (text + key)[:NOTE_LETTERS]
    return replace(snapshot, draft=replace(draft, text=text)), None


def _pasted(snapshot: Snapshot, text: str) -> Snapshot:
    """Add pasted text to the note, as one line; its letters are not keys."""
    draft = snapshot.draft or Draft(snapshot.position)
    text = " ".join(text.split())
    return replace(
        snapshot, draft=replace(draft, text=(draft.text + text)[:NOTE_LETTERS]), help=False
    )


def _mark(snapshot: Snapshot, draft: Draft) -> Mark:
    return Mark(snapshot.marks + 1, draft.position, draft.text.strip())


def _moved(snapshot: Snapshot, rows: int, page: int) -> Snapshot:
    """Choose the row that is ``rows`` below the chosen one; the newest is at the top.

    Above the newest one, the table shows new rows again, unless a row is open.
    """
    newest = snapshot.seen - 1
    chosen = newest + 1 if snapshot.chosen is None else snapshot.chosen
    chosen = max(snapshot.oldest, chosen - rows)
    if chosen > newest and snapshot.opened:  # there is nothing above: what is open stays open
        chosen = newest
    if chosen > newest:
        return replace(snapshot, chosen=None)
    top = newest if snapshot.chosen is None else snapshot.top
    top = max(chosen, min(top, chosen + max(1, page) - 1))
    return replace(snapshot, chosen=chosen, top=top)


def _acknowledged(snapshot: Snapshot) -> Snapshot:
    return replace(snapshot, alerts=())


def _begun(snapshot: Snapshot) -> Snapshot:
    """Begin a mark at the present time, before its note is typed."""
    return replace(snapshot, draft=Draft(snapshot.position), help=False)


def _helped(snapshot: Snapshot) -> Snapshot:
    return replace(snapshot, help=not snapshot.help)


def _opened(snapshot: Snapshot) -> Snapshot:
    """Show or hide the details of the chosen row, or of the newest one."""
    if snapshot.chosen is not None:
        return replace(snapshot, opened=not snapshot.opened)
    return replace(_moved(snapshot, 1, page=1), opened=bool(snapshot.rows))


def _back(snapshot: Snapshot) -> Snapshot:
    """Close what was opened last; with nothing open, show the newest rows again."""
    if snapshot.help:
        return replace(snapshot, help=False)
    if snapshot.opened:
        return replace(snapshot, opened=False)
    return replace(snapshot, chosen=None)


def _cleared(snapshot: Snapshot) -> Snapshot:
    """Empty the screen; losses, speed, moods and alerts to be acknowledged stay known."""
    return replace(
        snapshot,
        channels=tuple(
            ChannelState(
                channel.name,
                position=channel.position,
                rms_dbfs=channel.rms_dbfs,
                level_at=channel.level_at,
                speech=channel.speech,
                since=channel.since,
                open=channel.open,
                known=channel.known,
                mood=channel.mood,
            )
            for channel in snapshot.channels
        ),
        rows=(),
        chosen=None,
        opened=False,
        notice=None,
    )


ACTIONS: Mapping[str, Callable[[Snapshot], Snapshot]] = {
    "a": _acknowledged,
    "m": _begun,
    "c": _cleared,
    "?": _helped,
    ENTER: _opened,
    ESCAPE: _back,
}
"""Keys that change only the screen."""
