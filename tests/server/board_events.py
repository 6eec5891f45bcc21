"""Simulates calls: the events of a wallboard, as `streamer serve` makes them."""

import random
from collections.abc import Iterator
from typing import Any, TypeAlias

Event: TypeAlias = dict[str, Any]

EMOTIONS = ("neutral", "neutral", "neutral", "calm", "happy", "sad", "angry", "fearful")


class Simulation:
    """Calls in which somebody speaks now and then, the same for the same seed.

    Args:
        count: How many calls.
        began: When the first one began, in seconds since 1970.
    """

    def __init__(self, count: int, began: float, *, seed: int = 1) -> None:
        self._random = random.Random(seed)  # noqa: S311 - for pictures, not for secrets
        self._began = began
        self.ids = [f"c-{1001 + i}" for i in range(count)]
        self._at = dict.fromkeys(self.ids, 0.0)
        self._number = dict.fromkeys(self.ids, 0)
        self._mood = {(i, c): 0.1 for i in self.ids for c in ("customer", "agent")}

    def begin(self) -> Iterator[Event]:
        """All calls begin, some seconds apart."""
        for i, call in enumerate(self.ids):
            at = self._began + 3 * i % 400
            yield {
                "event": "call_begun", "call": call, "server": "s1", "at": at,
                "channels": ["customer", "agent"],
            }  # fmt: skip

    def length(self, call: str) -> float:
        """How long a call is so far, in seconds."""
        return self._at[call]

    def number(self, call: str) -> int:
        """The number of the last utterance of a call."""
        return self._number[call]

    def utterance(self, call: str, channel: str, emotion: str | None = None) -> list[Event]:
        """Somebody says something: its beginning, partial results, its end."""
        rng = self._random
        start = self._at[call] + rng.uniform(0.2, 2)
        end = start + rng.uniform(0.8, 4)
        self._at[call] = end
        self._number[call] += 1
        heard = emotion or rng.choice(EMOTIONS)
        sure = rng.uniform(0.35, 0.97)
        aim = {"angry": -0.9, "sad": -0.7, "fearful": -0.6, "happy": 0.8, "calm": 0.4}.get(heard, 0)
        before = self._mood[call, channel]
        mood = self._mood[call, channel] = 0.7 * before + 0.3 * aim
        said = {
            "call": call, "server": "s1", "channel": channel, "utterance": self._number[call],
            "emotion": heard, "confidence": sure, "uncertain": sure < 0.45, "mood": aim,
            "end_s": end,
        }  # fmt: skip
        speech = {"event": "speech", "call": call, "channel": channel, "start_s": start}
        return [
            speech,
            {"event": "rolling", **said},
            {"event": "utterance", "start_s": start, **said},
            {"event": "mood", **said, "mood": mood, "trend": mood - before},
        ]

    def alert(self, call: str, at: float, rule: str = "angry customer") -> Event:
        """An alert of a call."""
        return {
            "event": "alert", "call": call, "server": "s1", "at": at, "rule": rule,
            "reason": "angry for 3 utterances", "channel": "customer",
            "utterance": self._number[call], "at_s": self._at[call],
        }  # fmt: skip
