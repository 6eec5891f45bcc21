"""The dashboard as a whole: when a frame is drawn."""

import io

import pytest
from rich.console import Console
from said import said

from streamer.config import DashboardConfig
from streamer.dashboard import dashboard as module
from streamer.dashboard.dashboard import URGENT_S, Dashboard
from streamer.events import LevelMeasured

ROW = said(1, "angry", channel="mono")
LEVEL = LevelMeasured("mono", 16_000, -20.0, -10.0, clipped=False, speech=True)


class Clock:
    """Time that passes when it is told to."""

    now = 100.0

    def monotonic(self) -> float:
        """Now."""
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    """The dashboard's own."""
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def drawn(monkeypatch, clock) -> list[float]:
    """When frames were drawn."""
    times: list[float] = []
    monkeypatch.setattr(module.Screen, "show", lambda *_: times.append(clock.now))
    return times


@pytest.mark.parametrize(("event", "due"), [(ROW, 100 + URGENT_S), (LEVEL, 101.0)])
def test_a_row_does_not_wait_for_the_next_frame(clock, drawn, event, due):
    """Levels do; but rows that come by the dozen make no more frames than can be drawn."""
    console = Console(file=io.StringIO(), force_terminal=True)
    with Dashboard(console, DashboardConfig(fps=1), ["mono"], bell=False) as dashboard:
        dashboard.draw()
        for step in range(110):
            clock.now = 100 + step / 100
            dashboard.add(event)
            dashboard.draw()
    assert drawn[:2] == pytest.approx([100.0, due])
    assert len(drawn) <= 1 + 1.1 / (due - 100)
