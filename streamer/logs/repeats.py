"""Finds what several logs hold, as parts and the log that they were joined to do."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from streamer.logs.sessions import LoggedSession
from streamer.text import quantity

WITHIN_S = 0.001
"""Starts that differ by less are the same one: cells have three decimals."""


class Repeats:
    """Lets each utterance and mark of a session pass once, whichever logs it is in.

    A session may be divided between logs, as logrotate does, so its spans of time are compared, not
    its name alone. Only what other logs hold is compared, and the two ends of each part are kept.
    """

    def __init__(self) -> None:
        self._spans: defaultdict[int, list[tuple[Path, float, float]]] = defaultdict(list)
        self._count = 0

    def without(self, sessions: Iterable[LoggedSession]) -> Iterator[LoggedSession]:
        """The sessions of a log without what other logs hold of them; whole ones are left out."""
        return (one for one in map(self._new, sessions) if one is not None)

    def _new(self, session: LoggedSession) -> LoggedSession | None:
        """The session without what other logs hold of it; None where that is all of it."""
        spans = self._spans[hash((session.id, session.source, session.model))]
        others = [(begin, end) for path, begin, end in spans if path != session.path]

        def is_new(start_s: float) -> bool:
            return not any(begin - WITHIN_S < start_s < end + WITHIN_S for begin, end in others)

        utterances = tuple(one for one in session.utterances if is_new(one.start_s))
        marks = tuple(one for one in session.marks if is_new(one.start_s))
        if len(utterances) + len(marks) < len(session.utterances) + len(session.marks):
            self._count += 1
        if not utterances:
            return None
        starts = [one.start_s for one in utterances] + [one.start_s for one in marks]
        spans.append((session.path, min(starts), max(starts)))
        return replace(session, utterances=utterances, marks=marks)

    def told(self, path: Path) -> list[str]:
        """A line about a log that was read if it repeats others; the next log counts anew."""
        count, self._count = self._count, 0
        if not count:
            return []
        return [f"{path}: {quantity(count, 'session')} that other logs hold, too: counted once"]
