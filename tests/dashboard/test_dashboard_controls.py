"""What keys do to the screen: the table is scrolled, rows are looked at, marks get their note."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.dashboard.controls import NOTE_LETTERS, Action, finish, press
from streamer.dashboard.keys import PASTED
from streamer.dashboard.reducer import reduce
from streamer.dashboard.state import TABLE_ROWS, ChannelState, Notice, Snapshot
from streamer.events import Alert, Counters, LevelMeasured, UtteranceStarted, VoiceLearned
from streamer.types import SAMPLE_RATE, EndReason, Mark, State, Utterance

PAGE = 5
KEYS = ("up", "down", "page up", "page down", "home", "end", "enter", "escape", "c", "m", "?", "x")


def utterance(number: int) -> Utterance:
    """Two seconds long, not classified."""
    start = number * 3 * SAMPLE_RATE
    end = start + 2 * SAMPLE_RATE
    return Utterance(number, "a", start, end, None, -20.0, EndReason.SILENCE, None, 20.0)


def rows(count: int) -> Snapshot:
    """A table with a number of utterances, numbered from 1."""
    snapshot = Snapshot(channels=(ChannelState("a"),))
    for number in range(1, count + 1):
        snapshot = reduce(snapshot, utterance(number), 0)
    return snapshot


def pressed(snapshot: Snapshot, *keys: str) -> Snapshot:
    """After keys, none of which is a action."""
    for key in keys:
        snapshot, action = press(snapshot, key, PAGE)
        assert action is None
    return snapshot


def typed(snapshot: Snapshot, *keys: str) -> tuple[Snapshot, list[Action]]:
    """After keys, and what was wished for."""
    actions = []
    for key in keys:
        snapshot, action = press(snapshot, key, PAGE)
        actions += [action] * (action is not None)
    return snapshot, actions


def number(snapshot: Snapshot) -> int | None:
    """Of the chosen utterance."""
    row = snapshot.chosen_row
    return None if row is None else row.number


@pytest.mark.parametrize(
    ("keys", "chosen", "top"),
    [
        (("up",), None, 0),
        (("down",), 20, 20),
        (("down", "down"), 19, 20),
        (("down", "down", "up"), 20, 20),
        (("down", "up"), None, 20),
        (("down",) * 6, 15, 19),
        ((*("down",) * 6, *("up",) * 4), 19, 19),
        (("page down",), 16, 20),
        (("page down", "page down"), 11, 15),
        (("page down", "page down", "page up"), 16, 16),
        (("end",), 1, 5),
        (("end", "down", "page down"), 1, 5),
        (("end", "home"), None, 5),
        (("end", "escape"), None, 5),
        (("enter",), 20, 20),
    ],
)
def test_the_choice_moves_and_takes_the_table_with_it(
    keys: tuple[str, ...], chosen: int | None, top: int
):
    """A row at a time, a page, or all the way; above the newest it follows again."""
    snapshot = pressed(rows(20), *keys)
    assert number(snapshot) == chosen
    assert snapshot.top + 1 == top or not top


def test_what_is_looked_at_stays_where_it_is():
    """Whatever comes meanwhile; only when it is forgotten the oldest takes its place."""
    before = pressed(rows(20), "page down", "page down", "enter")
    after = before
    for more in range(21, TABLE_ROWS + 9):
        after = reduce(after, utterance(more), 0)
    assert (number(after), after.top, after.opened) == (number(before), before.top, True)
    for more in range(TABLE_ROWS + 9, TABLE_ROWS + 30):
        after = reduce(after, utterance(more), 0)
    assert number(after) == 30


def test_escape_closes_what_was_opened_last():
    """The help, then the detail; then the newest rows are followed again."""
    snapshot = pressed(rows(20), "end", "enter", "?")
    assert (snapshot.help, snapshot.opened, number(snapshot)) == (True, True, 1)
    for state in ((False, True, 1), (False, False, 1), (False, False, None)):
        snapshot = pressed(snapshot, "escape")
        assert (snapshot.help, snapshot.opened, number(snapshot)) == state


def test_enter_opens_and_closes_the_detail():
    """Of the newest row, where none was chosen; of none where there is none."""
    snapshot = pressed(rows(3), "enter")
    assert (number(snapshot), snapshot.opened) == (3, True)
    snapshot = pressed(snapshot, "down")
    assert (number(snapshot), snapshot.opened) == (2, True)
    assert not pressed(snapshot, "enter").opened
    assert pressed(snapshot, "home").opened
    assert not pressed(Snapshot(), "enter").opened
    assert pressed(Snapshot(), "down", "end", "page up").chosen is None


def test_a_mark_lies_where_the_stream_was_when_it_was_begun():
    """Not where it is when its note is finished."""
    snapshot = reduce(rows(1), LevelMeasured("a", 48_000, -20.0, -10.0, False, True), 0)  # noqa: FBT003
    snapshot = pressed(snapshot, "m", *"no")
    snapshot = reduce(snapshot, LevelMeasured("a", 96_000, -20.0, -10.0, False, True), 1)  # noqa: FBT003
    assert snapshot.draft is not None
    snapshot, (mark,) = typed(snapshot, "backspace", *"ä q ", "enter")
    assert mark == Mark(1, 48_000, "nä q")
    assert snapshot.draft is None
    snapshot = reduce(snapshot, mark, 1)
    assert typed(snapshot, "m", "enter")[1] == [Mark(2, 96_000)]


def test_marks_that_wait_for_the_disk_have_numbers_of_their_own():
    """The row of the first one is not on disk yet when the second one is set."""
    snapshot = replace(rows(1), state=State.LISTENING)
    snapshot, actions = typed(snapshot, "m", *"one", "enter", "m", *"two", "enter")
    first, second = actions
    assert isinstance(first, Mark)
    assert isinstance(second, Mark)
    assert (first.number, second.number) == (1, 2)
    assert reduce(snapshot, first, 1).marks == 2


def test_a_mark_before_there_is_anything_to_mark_has_no_number():
    """It is refused."""
    assert typed(Snapshot(state=State.WARMING_UP), "m", "enter")[0].marks == 0


def test_every_key_is_a_letter_while_a_note_is_typed():
    """Also those that would end the session or empty the screen; others do nothing."""
    snapshot, actions = typed(rows(3), "m", *"qac? bm", "up", "home", "page down")
    assert actions == []
    assert snapshot.draft is not None
    assert snapshot.draft.text == "qac? bm"
    assert (len(snapshot.rows), snapshot.help, snapshot.chosen) == (3, False, None)
    left, actions = typed(snapshot, "escape")
    assert (left.draft, actions) == (None, [])
    assert finish(left) is None
    assert finish(snapshot) == Mark(1, 0, "qac? bm")


def test_a_note_is_a_line():
    """However long a key is held; what is empty stays empty."""
    snapshot, _ = typed(Snapshot(), "m", *"x" * 2 * NOTE_LETTERS)
    assert typed(snapshot, "enter")[1] == [Mark(1, 0, "x" * NOTE_LETTERS)]
    assert typed(Snapshot(), "m", *"  ", "enter")[1] == [Mark(1, 0, "")]
    assert typed(Snapshot(), "m", "backspace", "enter")[1] == [Mark(1, 0, "")]


def test_other_keys_are_left_to_others():
    """To the session, which knows what to do with q, or that x means nothing."""
    for key in ("q", " ", "b", "x", "ä", "7"):
        snapshot = pressed(rows(3), "down", "enter")
        assert press(snapshot, key, PAGE) == (snapshot, key)


def test_alerts_are_acknowledged():
    """All that wait, with one key."""
    alert = Alert("r", "a", 1, 0, "angry", 0.9, -0.5, "because")
    snapshot = reduce(reduce(Snapshot(), alert, 0), alert, 0)
    assert pressed(snapshot, "a").alerts == ()


def test_clear_empties_the_screen_and_forgets_nothing_else():
    """What was lost stays known; numbers go on; an open utterance stays open."""
    before = rows(3)
    for event in (
        LevelMeasured("a", 48_000, -20.0, -10.0, clipped=False, speech=True),
        UtteranceStarted("a", 4, 1),
        Mark(1, 0),
        Counters(overruns=2),
        VoiceLearned("a", 3),
        Notice("no", urgent=True),
    ):
        before = reduce(before, event, 0)
    after = pressed(before, "end", "enter", "c")
    assert (after.rows, after.notice, after.chosen, after.opened) == ((), None, None, False)
    assert after.channels[0].levels == ()
    assert after.channels[0].prediction is None
    assert set(after.channels[0].shown) == {0.0}
    assert (after.counters, after.costs, after.marks) == (Counters(overruns=2), before.costs, 1)
    assert after.channels[0].speech
    assert (after.channels[0].open, after.channels[0].known) == (before.channels[0].open, 3)
    assert (after.position, after.seen) == (before.position, before.seen)
    assert number(pressed(reduce(after, utterance(9), 0), "down")) == 9


def test_help_opens_and_closes():
    """The same key does both."""
    assert pressed(Snapshot(), "?").help
    assert not pressed(Snapshot(), "?", "?").help


@given(steps=st.lists(st.sampled_from((*KEYS, "row")), max_size=60), page=st.integers(0, 40))
def test_no_keys_lead_astray(steps: list[str], page: int):
    """In any order, on any screen: the chosen row is one that is there, and on the page."""
    snapshot = replace(rows(7), seen=TABLE_ROWS + 7)
    for step in steps:
        if step == "row":
            snapshot = reduce(snapshot, utterance(snapshot.seen + 1), 0)
        else:
            snapshot, action = press(snapshot, step, page)
            snapshot = reduce(snapshot, action, 0) if isinstance(action, Mark) else snapshot
        if snapshot.chosen is not None:
            assert snapshot.oldest <= snapshot.chosen < snapshot.seen
            assert snapshot.chosen <= snapshot.top
            assert snapshot.chosen_row is not None
        else:
            assert not snapshot.opened


def test_what_is_pasted_is_one_note():
    """Its lines are joined, its letters are no keys, and enter keeps it."""
    snapshot, actions = typed(rows(1), f"{PASTED}quit\nnow\n q", "!", "enter")
    assert actions == [Mark(1, snapshot.position, "quit now q!")]
    snapshot, actions = typed(rows(1), "m", "a", " ", f"{PASTED}b\nc", "enter")
    assert actions == [Mark(1, snapshot.position, "a b c")]


def test_up_at_the_top_keeps_the_detail_open():
    """There is nothing above the newest row."""
    snapshot = pressed(rows(3), "enter", "up", "up")
    assert snapshot.opened
    assert number(snapshot) == 3
    assert pressed(rows(3), "down", "up").chosen is None
