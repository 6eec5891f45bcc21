"""Alert rules decide which utterances raise an alert, as a pure state machine.

Every rule has a state for each channel that it watches. The utterance with which its condition
begins to hold (and has held for ``for_s``) *raises* an alert. Enough utterances that do not match
*clear* it. It is not raised again before it is cleared and has cooled down.
"""

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from streamer.analysis.mood import RunningMood, counted
from streamer.config import AlertRule, Config
from streamer.errors import ConfigError
from streamer.events import Alert, MoodChanged
from streamer.text import quantity
from streamer.types import SAMPLE_RATE, Prediction, Utterance

T = TypeVar("T")


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
        self._condition = _condition(rule)
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
        if heard is None or not self._condition.counts(heard):
            return None
        found = self._condition.add(heard, mood)
        cleared = self._clear(disagrees=found.disagrees)
        if cleared or not found.holds:
            self._held_since = None
        elif self._held_since is None:
            self._held_since = utterance.start
        if self._raised or self._held_since is None or not found.supports:
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
            emotion=found.emotion,
            confidence=found.confidence,
            mood=mood,
            reason=f"{found.reason} for {rule.for_s:g} s" if rule.for_s else found.reason,
            call=utterance.call,
        )

    def _clear(self, *, disagrees: bool) -> bool:
        """Clear the alert after enough disagreeing utterances in a row; whether that was now."""
        self._disagreed = self._disagreed + 1 if disagrees else 0
        if not self._raised or self._disagreed < self._rule.clear:
            return False
        self._raised = False
        self._condition.forget()
        return True


@dataclass(frozen=True, slots=True)
class _Found:
    """What a condition makes of an utterance.

    Attributes:
        holds: Whether the condition holds with it.
        supports: Whether this utterance speaks for it; only such a one raises an alert.
        disagrees: Whether it counts towards clearing the alert.
        emotion: What an alert names.
        confidence: How sure that is.
        reason: The condition, in a few words.
    """

    holds: bool
    supports: bool
    disagrees: bool
    emotion: str
    confidence: float
    reason: str


class _Condition(Protocol):
    """What a rule waits for, on one channel."""

    def counts(self, heard: Prediction) -> bool:
        """Whether the condition looks at such an utterance at all."""

    def add(self, heard: Prediction, mood: float) -> _Found:
        """Look at the next utterance, with the running mood after it."""

    def forget(self) -> None:
        """Forget all but the last utterance: the alert was cleared by it."""


def _condition(rule: AlertRule) -> _Condition:
    if rule.mood_below is not None:
        return _LowMood(rule, rule.mood_below)
    if rule.mean_probability is not None:
        return _MeanProbability(rule, rule.mean_probability)
    return _CertainUtterances(rule)


class _CertainUtterances:
    """Enough of the latest certain utterances have one of the emotions."""

    def __init__(self, rule: AlertRule) -> None:
        self._rule = rule
        self._matches: deque[bool] = deque(maxlen=rule.of)

    def counts(self, heard: Prediction) -> bool:
        return not heard.uncertain

    def add(self, heard: Prediction, mood: float) -> _Found:  # noqa: ARG002 - as the protocol has it
        rule = self._rule
        matches = heard.emotion in rule.emotions and heard.confidence >= rule.confidence
        self._matches.append(matches)
        return _Found(
            holds=sum(self._matches) >= rule.count,
            supports=True,
            disagrees=not matches,
            emotion=heard.emotion,
            confidence=heard.confidence,
            reason=_with_count(" or ".join(rule.emotions), self._matches, rule.of),
        )

    def forget(self) -> None:
        _keep_last(self._matches)


class _LowMood:
    """The running mood was low after enough of the latest utterances."""

    def __init__(self, rule: AlertRule, below: float) -> None:
        self._rule = rule
        self._below = below
        self._clear_above = below if rule.mood_clear is None else rule.mood_clear
        self._matches: deque[bool] = deque(maxlen=rule.of)

    def counts(self, heard: Prediction) -> bool:  # noqa: ARG002 - as the protocol has it
        return True

    def add(self, heard: Prediction, mood: float) -> _Found:
        self._matches.append(mood <= self._below)
        return _Found(
            holds=sum(self._matches) >= self._rule.count,
            supports=True,
            disagrees=mood > self._clear_above,
            emotion=heard.emotion,
            confidence=heard.confidence,
            reason=_with_count(f"mood at most {self._below:+.2f}", self._matches, self._rule.of),
        )

    def forget(self) -> None:
        _keep_last(self._matches)


class _MeanProbability:
    """The emotions are probable enough in the mean of the latest utterances.

    Uncertain utterances count, too: several weak signs are together as good as a strong one. Where
    fewer were heard, the others count 0, so that one utterance alone proves little.
    """

    def __init__(self, rule: AlertRule, least: float) -> None:
        self._rule = rule
        self._least = least
        self._latest: deque[NDArray[np.float64]] = deque(maxlen=rule.of)

    def counts(self, heard: Prediction) -> bool:  # noqa: ARG002 - as the protocol has it
        return True

    def add(self, heard: Prediction, mood: float) -> _Found:  # noqa: ARG002 - as the protocol has it
        rule = self._rule
        by_label = dict(zip(heard.labels, heard.probabilities, strict=True))
        self._latest.append(np.array([by_label.get(emotion, 0.0) for emotion in rule.emotions]))
        means = np.sum(self._latest, axis=0) / rule.of
        mean = float(means.sum())
        what = f"{' or '.join(rule.emotions)} {100 * mean:.0f} %"
        return _Found(
            holds=mean >= self._least,
            supports=float(self._latest[-1].sum()) >= self._least / 2,
            disagrees=mean < self._least,
            emotion=rule.emotions[int(means.argmax())],
            confidence=mean,
            reason=f"{what} over {rule.of} utterances" if rule.of > 1 else what,
        )

    def forget(self) -> None:
        _keep_last(self._latest)


def _keep_last(values: deque[T]) -> None:
    while len(values) > 1:
        values.popleft()


def _with_count(what: str, matches: Collection[bool], of: int) -> str:
    if of == 1:
        return what
    return f"{what} in {sum(matches)} of the last {quantity(len(matches), 'utterance')}"
