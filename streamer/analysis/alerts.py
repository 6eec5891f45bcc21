"""Alert rules decide which utterances raise an alert, as a pure state machine.

Every rule has a state for each channel that it watches. The utterance with which its condition
begins to hold (and has held for ``for_s``) *raises* an alert. Enough utterances that do not match
*clear* it. It is not raised again before it is cleared and has cooled down.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace

from streamer.analysis.mood import RunningMood, counted
from streamer.config import AlertRule, Config
from streamer.errors import ConfigError
from streamer.events import Alert, MoodChanged
from streamer.text import quantity
from streamer.types import SAMPLE_RATE, Utterance


class AlertEngine:
    """Computes mood and alerts from the utterances of one session.

    Args:
        config: For the channels, their mood and the rules.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self.begin_call(1)

    def begin_call(self, number: int) -> None:
        """Reset moods and rules: earlier calls no longer count."""
        channels = self._config.audio.streams
        self._call = number
        self._moods = {name: RunningMood(self._config.mood.half_life_s) for name in channels}
        self._rule_states = {
            name: [RuleState(r) for r in self._config.alerts.rules if r.watches(name, channels)]
            for name in channels
        }

    def add(self, utterance: Utterance) -> list[Utterance | MoodChanged | Alert]:
        """Return the utterance with the names of its alerts, the mood after it, and the alerts."""
        if utterance.call > self._call:
            self.begin_call(utterance.call)
        mood = self._moods[utterance.channel].add(utterance)
        if mood is None:
            return [utterance]
        raised = [state.add(utterance, mood.mood) for state in self._rule_states[utterance.channel]]
        alerts = [alert for alert in raised if alert is not None]
        utterance = replace(utterance, alerts=tuple(alert.rule for alert in alerts))
        return [utterance, mood, *alerts]


def check_rules(rules: Iterable[AlertRule], labels: Sequence[str], model: str) -> None:
    """Check that the model knows the emotions that the rules wait for.

    Args:
        rules: The alert rules.
        labels: The emotions that the model knows.
        model: Its name.

    Raises:
        ConfigError: A rule waits for an emotion that the model does not know.
    """
    for rule in rules:
        if unknown := [emotion for emotion in rule.emotions if emotion not in labels]:
            raise ConfigError(
                f"alerts.rules: rule {rule.name!r}: got {', '.join(unknown)}, "
                f"allowed with the model {model}: {', '.join(labels)}"
            )


class RuleState:
    """The state of one rule on one channel.

    Args:
        rule: When to raise an alert.
    """

    def __init__(self, rule: AlertRule) -> None:
        self._rule = rule
        self._matches: deque[bool] = deque(maxlen=rule.of)
        self._held_since: int | None = None  # in samples, as the next
        self._cool_at: float = 0.0
        self._raised = False
        self._disagreed = 0

    def add(self, utterance: Utterance, mood: float) -> Alert | None:
        """Return the alert that an utterance raises, or None.

        Args:
            utterance: The next one of the channel.
            mood: The running mood of the channel after it.
        """
        rule = self._rule
        heard = counted(utterance)
        if heard is None or (rule.emotions and heard.uncertain):
            return None
        if rule.mood_below is None:
            matches = heard.emotion in rule.emotions and heard.confidence >= rule.confidence
            disagrees = not matches
        else:
            matches = mood <= rule.mood_below
            disagrees = mood > (rule.mood_below if rule.mood_clear is None else rule.mood_clear)
        self._clear(disagrees=disagrees)
        self._matches.append(matches)
        if sum(self._matches) < rule.count:
            self._held_since = None
        elif self._held_since is None:
            self._held_since = utterance.start
        if self._raised or self._held_since is None:
            return None
        held_s = (utterance.end - self._held_since) / SAMPLE_RATE
        if held_s < rule.for_s or utterance.end < self._cool_at:
            return None
        self._raised = True
        self._cool_at = utterance.end + rule.cooldown_s * SAMPLE_RATE
        return Alert(
            rule=rule.name,
            channel=utterance.channel,
            utterance=utterance.number,
            position=utterance.end,
            emotion=heard.emotion,
            confidence=heard.confidence,
            mood=mood,
            reason=self._reason(),
            call=utterance.call,
        )

    def _clear(self, *, disagrees: bool) -> None:
        """Clear the alert after enough disagreeing utterances in a row."""
        self._disagreed = self._disagreed + 1 if disagrees else 0
        if self._raised and self._disagreed >= self._rule.clear:
            self._raised = False
            self._matches.clear()

    def _reason(self) -> str:
        """The condition that raised the alert, in a few words."""
        rule = self._rule
        if rule.mood_below is None:
            what = " or ".join(rule.emotions)
        else:
            what = f"mood at most {rule.mood_below:+.2f}"
        if rule.of > 1:
            what += (
                f" in {sum(self._matches)} of the last {quantity(len(self._matches), 'utterance')}"
            )
        return f"{what} for {rule.for_s:g} s" if rule.for_s else what
