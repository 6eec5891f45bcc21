"""Marks on their way from the key to the log: at once, in order, and none is lost."""

import csv
import io
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from fakes import FakeModel, ScriptedSource, blocks, silence, speech

from streamer.config import Config
from streamer.dashboard.state import Input, Notice
from streamer.events import SourceOpened
from streamer.pipeline.live import Pipeline
from streamer.session import LiveSession
from streamer.sinks.lines import JsonLines
from streamer.types import Mark, Pcm, Utterance


class Person:
    """Stands in for the dashboard: sees what is shown, and does what is scripted."""

    def __init__(
        self, wishes: Callable[["Person"], str | Mark | None], *, last: Mark | None
    ) -> None:
        self.seen: list[Input] = []
        self._wishes = wishes
        self._last = last

    def add(self, event: Input) -> None:
        """See it."""
        self.seen.append(event)

    def draw(self) -> None:
        """Nothing to draw on."""

    def next_action(self) -> str | Mark | None:
        """As scripted."""
        return self._wishes(self)

    def finish(self) -> Mark | None:
        """The note that is still being typed."""
        return self._last


def sound(before_the_end: Callable[[], object]) -> Iterator[Pcm]:
    """Two utterances of a second."""
    for piece in (silence(0.5), speech(1.0), silence(1.0), speech(1.0), silence(1.0)):
        yield from blocks(piece)
    before_the_end()


def listen(
    path: Path,
    person: Person,
    lines: JsonLines | None = None,
    before_the_end: Callable[[], object] = lambda: None,
) -> LiveSession:
    """A session from its begin to its end."""
    config = Config()
    session = LiveSession(
        Pipeline(ScriptedSource(sound(before_the_end)), FakeModel, config),
        config,
        csv=path,
        dashboard=person,  # type: ignore[arg-type]
        lines=lines,
        duration=None,
    )
    session.run()
    return session


def rows(path: Path) -> list[tuple[str, str, str, str]]:
    """Number, start, end reason and note of each row."""
    with path.open(newline="") as file:
        return [
            (row["utterance"], row["start_s"], row["end_reason"], row["note"])
            for row in csv.DictReader(file)
        ]


def test_a_mark_is_on_disk_before_it_is_on_screen(tmp_path):
    """After the row of the first utterance, in the log and in the lines; the rest goes on."""
    path = tmp_path / "rows.csv"
    mark = Mark(1, 24_000, "shouts")
    on_disk = []
    marked = threading.Event()

    class Watching(Person):
        def add(self, event: Input) -> None:
            if isinstance(event, Mark):
                on_disk.append(("0", "1.5", "mark", "shouts") in rows(path))
                marked.set()
            super().add(event)

    presses = iter([mark])

    def after_the_first(person: Person) -> Mark | None:
        classified = any(isinstance(event, Utterance) for event in person.seen)
        return next(presses, None) if classified else None

    file = io.StringIO()
    person = Watching(after_the_first, last=None)
    session = listen(path, person, JsonLines(file), before_the_end=lambda: marked.wait(60))
    assert on_disk == [True]
    assert person.seen.count(mark) == 1
    assert sorted(row[0] for row in rows(path)) == ["0", "1", "2"]
    told = [json.loads(line) for line in file.getvalue().splitlines()]
    assert [line for line in told if line["event"] == "mark"] == [
        {"event": "mark", "at_s": 1.5, "note": "shouts"}
    ]
    assert session.summary()[0].startswith("2 utterances, ")


def test_a_note_that_is_being_typed_at_the_end_is_kept(tmp_path):
    """Nobody had the time to press enter."""
    path = tmp_path / "rows.csv"
    listen(path, Person(lambda _: None, last=Mark(1, 8_000, "half a")))
    assert rows(path)[-1] == ("0", "0.5", "mark", "half a")


def test_before_anything_is_heard_there_is_nothing_to_mark(tmp_path):
    """Which is said."""
    path = tmp_path / "rows.csv"
    early = iter([Mark(1, 0, "early")])

    def before_the_source(person: Person) -> Mark | None:
        opened = any(isinstance(event, SourceOpened) for event in person.seen)
        return None if opened else next(early, None)

    person = Person(before_the_source, last=None)
    listen(path, person)
    assert [row[0] for row in rows(path)] == ["1", "2"]
    (notice,) = [event for event in person.seen if isinstance(event, Notice)]
    assert "nothing to mark" in notice.text
