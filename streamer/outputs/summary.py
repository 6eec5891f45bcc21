"""What a session comes to, in a few lines."""

from collections import Counter

from streamer.types import SAMPLE_RATE, Counters, Event, Utterance

UNCERTAIN = "uncertain"


class Summary:
    """Adds up a session's utterances and losses."""

    def __init__(self) -> None:
        self.utterances = 0
        self.no_speech = 0
        self._samples: Counter[str] = Counter()  # of speech, by emotion
        self._counters = Counters()

    def add(self, event: Event) -> None:
        """Count an event in."""
        match event:
            case Utterance() if event.prediction is not None and not event.prediction.is_speech:
                self.no_speech += 1
            case Utterance():
                self.utterances += 1
                heard = event.prediction
                certain = heard is not None and not heard.uncertain
                emotion = heard.emotion if heard is not None and certain else UNCERTAIN
                self._samples[emotion] += event.end - event.start
            case Counters():
                self._counters = event

    def lines(self) -> list[str]:
        """The summary, for people."""
        speech = self._samples.total()
        plural = "" if self.utterances == 1 else "s"
        lines = [f"{self.utterances} utterance{plural}, {speech / SAMPLE_RATE:.1f} s of speech"]
        if speech:
            shares = (f"{name} {n / speech:.0%}" for name, n in self._samples.most_common())
            lines.append("of the speaking time: " + ", ".join(shares))
        if self.no_speech:
            lines.append(f"not counted: {self.no_speech} without speech")
        lost = self._counters
        if lost.gaps or lost.overruns or lost.unjudged:
            lines.append(
                f"lost: {lost.lost_samples / SAMPLE_RATE:.2f} s in {lost.gaps} gaps, "
                f"{lost.overruns} overruns, {lost.unjudged} utterances not judged"
            )
        return lines
