"""Mood over time: a running mean with its trend for each channel, and the share of each emotion.

All of it is weighted by *speaking time*: pauses change nothing, and long utterances count more.
The running mood is an exponentially weighted mean of the moods of the utterances. The weight of an
utterance is its length times its confidence; it halves with every half-life of later speech.
"""

from collections import Counter

from streamer.events import MoodChanged
from streamer.types import SAMPLE_RATE, UNCERTAIN, Prediction, Utterance

SLOW = 4
"""The trend is the running mood less the mood with a half-life this many times as long."""


def counted(utterance: Utterance) -> Prediction | None:
    """The prediction, if it counts for mood, shares and alerts; else None."""
    heard = utterance.prediction
    return heard if heard is not None and heard.is_speech else None


class _WeightedMean:
    """An exponentially weighted mean, in [-1, 1] as long as its values are."""

    def __init__(self, half_life_s: float) -> None:
        self._half_life_s = half_life_s
        self._sum = 0.0
        self._weight = 0.0

    def add(self, value: float, weight: float, duration_s: float) -> float:
        """Add a value with its weight and duration; return the mean."""
        kept = 0.5 ** (duration_s / self._half_life_s)
        self._sum = kept * self._sum + weight * value
        self._weight = kept * self._weight + weight
        return self._sum / self._weight


class RunningMood:
    """The running mood of one channel.

    Args:
        half_life_s: Speaking time in which the weight of an utterance halves.
    """

    def __init__(self, half_life_s: float) -> None:
        self._fast = _WeightedMean(half_life_s)
        self._slow = _WeightedMean(SLOW * half_life_s)

    def add(self, utterance: Utterance) -> MoodChanged | None:
        """Update the mood with an utterance; None if the utterance does not count."""
        heard = counted(utterance)
        if heard is None or utterance.duration_s <= 0:
            return None
        weight = heard.confidence * utterance.duration_s
        mood = self._fast.add(heard.mood, weight, utterance.duration_s)
        slow = self._slow.add(heard.mood, weight, utterance.duration_s)
        return MoodChanged(utterance.channel, utterance.number, mood, mood - slow)


class ChannelStats:
    """Statistics of one channel over a session."""

    def __init__(self) -> None:
        self.utterances = 0
        self.alerts = 0
        self.no_speech = 0
        self._samples: Counter[str] = Counter()  # of speech, by emotion
        self._mood_sum = 0.0
        self._mood_weight = 0.0

    def add(self, utterance: Utterance) -> None:
        """Add an utterance to the statistics."""
        if utterance.prediction is not None and not utterance.prediction.is_speech:
            self.no_speech += 1
            return
        heard = counted(utterance)
        certain = heard is not None and not heard.uncertain
        emotion = heard.emotion if heard is not None and certain else UNCERTAIN
        self.utterances += 1
        self._samples[emotion] += utterance.end - utterance.start
        if heard is not None:
            weight = heard.confidence * utterance.duration_s
            self._mood_sum += weight * heard.mood
            self._mood_weight += weight

    @property
    def speech_s(self) -> float:
        """Speaking time, in seconds."""
        return self._samples.total() / SAMPLE_RATE

    @property
    def mood(self) -> float | None:
        """Mean of the session, weighted by length and confidence; None without speech."""
        return self._mood_sum / self._mood_weight if self._mood_weight else None

    def shares(self) -> dict[str, float]:
        """Shares of the speaking time, largest first; what is not certain is `UNCERTAIN`."""
        speech = self._samples.total()
        return {name: n / speech for name, n in self._samples.most_common() if n}
