"""The pipeline uses models through these protocols, so that its tests need no torch."""

from typing import Protocol

from streamer.model.speaker.adaptation import SpeakerAdaptation
from streamer.model.speaker.enrolment import Enrolment
from streamer.types import Excerpt, Pcm, Prediction


class StreamingClassifier(Protocol):
    """Classifies an utterance that is still going on, in one channel."""

    def classify(self, excerpt: Excerpt, adaptation: SpeakerAdaptation | None = None) -> Prediction:
        """Classify the newest excerpt, adapted to a speaker."""


class SegmentClassifier(Protocol):
    """Classifies pieces of speech, as `Classifier` does."""

    def classify(
        self, pcm: Pcm, adaptation: SpeakerAdaptation | None = None, *, learn: bool = False
    ) -> Prediction:
        """Classify ``pcm``, shape (samples,), adapted to a speaker; learn from it afterwards."""

    def embed_ahead(self, pcm: Pcm) -> None:
        """Do what can be done before it is known whether ``pcm`` is to be classified."""

    def open_stream(self) -> StreamingClassifier:
        """Open the streaming classifier of one channel."""

    def new_adaptation(self, enrolment: Enrolment | None = None) -> SpeakerAdaptation | None:
        """Create an adaptation, empty or from an enrolment; None if voices are not learned."""


class Model(SegmentClassifier, Protocol):
    """A classifier with a name, as `Classifier` is."""

    @property
    def name(self) -> str:
        """The bundle's name."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The emotions that it knows."""

    def warm_up(self) -> None:
        """Do everything in advance that is slow the first time."""
