"""The classifier turns PCM into calibrated probabilities; the caller keeps the adaptation.

Without a `SpeakerAdaptation`, the same samples always get the same prediction.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from streamer.errors import ModelError
from streamer.model import calibration, features
from streamer.model.bundle import Bundle, load
from streamer.model.catalog import WEIGHTS, find_bundle
from streamer.model.embeddings_ahead import EmbeddingsAhead
from streamer.model.priors import Prior, log_prior
from streamer.model.quantization import is_quicker, quantised
from streamer.model.speaker.adaptation import (
    NEUTRAL,
    Observation,
    Scores,
    SpeakerAdaptation,
    neutral_weight,
)
from streamer.model.speaker.clustering import second_voice
from streamer.model.speaker.enrolment import Enrolment
from streamer.model.streaming import Embedding, StreamingEmbedder, TimedEmbedding
from streamer.types import SAMPLE_RATE, Excerpt, Pcm, Prediction

WARM_UP_S = (0.5, 1.0, 3.0, 8.0)
"""Lengths in seconds that are classified in advance: torch is slow the first time at each size."""


class StreamingClassifier:
    """Classifies the utterances of one channel while they are still going on, on the worker.

    Args:
        embed: Embeds the channel's excerpts.
        classify: Classifies an embedding.
    """

    def __init__(
        self,
        embed: StreamingEmbedder,
        classify: Callable[[TimedEmbedding | None, SpeakerAdaptation | None], Prediction],
    ) -> None:
        self._embed = embed
        self._classify = classify

    def classify(self, excerpt: Excerpt, adaptation: SpeakerAdaptation | None = None) -> Prediction:
        """Classify the newest excerpt; some before it may be missing.

        Args:
            excerpt: Of the utterance that is going on.
            adaptation: As for `Classifier.classify`; it learns nothing.
        """
        return self._classify(self._embed(excerpt), adaptation)


class Classifier:
    """Classifies speech with a model bundle; any number of threads may share one.

    Args:
        bundle: The model.
        prior: How common the emotions are where it is used.
        exact: Calculate in float32 also where the processor is quicker with integers.
    """

    def __init__(self, bundle: Bundle, *, prior: Prior = "natural", exact: bool = False) -> None:
        self._manifest = bundle.manifest
        priors = bundle.manifest.priors
        self._log_trained = log_prior(priors.unadapted, self.labels)
        self._log_natural = log_prior(priors.natural, self.labels)
        self._log_prior = log_prior(prior, self.labels, priors.natural)
        integers = is_quicker() and not exact
        self._network = quantised(bundle.network) if integers else bundle.network
        self._ahead = EmbeddingsAhead()
        self._voices = bundle.voices
        self._speech = bundle.speech
        index = {label: i for i, label in enumerate(self.labels)}
        self._positive = [index[label] for label in bundle.manifest.mood.positive]
        self._negative = [index[label] for label in bundle.manifest.mood.negative]
        self._neutral = [index[label] for label in NEUTRAL if label in index]

    @classmethod
    def load(
        cls,
        name_or_path: str | Path = "default",
        *,
        prior: Prior = "natural",
        threads: int | None = None,
    ) -> Self:
        """Load a bundle.

        Args:
            name_or_path: One that came with streamer (``default``, ``open``), or a folder's path.
            prior: How common the emotions are where it is used.
            threads: Threads that torch may use, in the whole process; None leaves that as it is.

        Raises:
            ConfigError: The prior names an unknown emotion or an impossible probability.
            ModelError: There is no such bundle, or it is damaged or newer than this program.
        """
        if threads is not None:
            torch.set_num_threads(threads)
        return cls(load(find_bundle(name_or_path)), prior=prior)

    @property
    def labels(self) -> tuple[str, ...]:
        """The emotions that it knows, in the order of the probabilities."""
        return self._manifest.labels

    @property
    def name(self) -> str:
        """Name and version of the bundle."""
        return f"{self._manifest.name}-{self._manifest.version}"

    def warm_up(self) -> None:
        """Classify pieces of several lengths, so that the first real one takes no longer."""
        noise = np.random.default_rng(0).standard_normal(round(max(WARM_UP_S) * SAMPLE_RATE))
        for seconds in WARM_UP_S:
            self.classify(noise[: round(seconds * SAMPLE_RATE)].astype(np.float32))

    @property
    def digest(self) -> str:
        """SHA-256 of the bundle's weights; empty for a bundle that was never on disk."""
        return self._manifest.files.get(WEIGHTS, "")

    def new_adaptation(self, enrolment: Enrolment | None = None) -> SpeakerAdaptation | None:
        """Create the adaptation for one channel; None if the bundle learns no voices.

        Args:
            enrolment: A voice that is known from the start.

        Raises:
            ModelError: It was enrolled with another model.
        """
        if enrolment is not None and enrolment.weights != self.digest:
            raise ModelError(
                f"speaker {enrolment.speaker!r} was enrolled with model {enrolment.model} "
                f"({enrolment.weights[:12]}), got {self.name} ({self.digest[:12]}): enrol again"
            )
        if self._voices is None:
            return None
        return SpeakerAdaptation(self._voices, enrolment.observations if enrolment else ())

    def hear(self, pcm: NDArray[np.generic]) -> Observation | None:
        """Observe an utterance in a neutral voice, for enrolment.

        None for silence, or where the bundle learns no voices.

        Args:
            pcm: As for `classify`, with the same errors.
        """
        embedded = self.embed(pcm)
        if embedded is None or self._voices is None:
            return None
        return self._voices.observe(embedded.embedding, neutral=1.0)

    def second_voice(self, heard: Sequence[Observation]) -> NDArray[np.bool_]:
        """Which pieces of speech, from `hear`, are of a second voice; see `clustering`."""
        if self._voices is None or not heard:
            return np.zeros(len(heard), bool)
        return second_voice(np.stack([each.mark for each in heard]))

    def classify(
        self,
        pcm: NDArray[np.generic],
        adaptation: SpeakerAdaptation | None = None,
        *,
        learn: bool = False,
    ) -> Prediction:
        """Classify a piece of speech; its level and silence at its ends do not matter.

        Args:
            pcm: Mono at `SAMPLE_RATE`, shape (samples,), int16 or float32. Of more than 30 s the
                first 30 s are classified. Silence, or an empty array, gets equal probabilities.
            adaptation: Of the voice, from `new_adaptation`; None classifies without adaptation.
            learn: Let the adaptation learn from this piece, a whole utterance, once it is
                classified and if it is speech.

        Raises:
            TypeError: It is no array, or of another dtype.
            ValueError: It is not mono, or holds NaN or infinity.
        """
        try:
            heard = self._ahead.take(pcm)
        except KeyError:
            heard = self.embed(pcm)
        prediction = self._classify(heard, adaptation)
        if learn and heard is not None and adaptation is not None and prediction.is_speech:
            scores = self._scores(heard.embedding)
            neutral = neutral_weight(scores, self._log_natural, self._neutral)
            adaptation.observe(heard.embedding, float(neutral))
        return prediction

    def embed_ahead(self, pcm: Pcm) -> None:
        """Embed a piece that `classify` may get next: its prediction comes sooner and is the same.

        Args:
            pcm: Mono at `SAMPLE_RATE`, shape (samples,), int16.
        """
        self._ahead.keep(pcm, self.embed(pcm))

    def open_stream(self) -> StreamingClassifier:
        """Open the streaming classifier of one channel, for partial results."""
        return StreamingClassifier(StreamingEmbedder(self._network.encoder), self._classify)

    def embed(self, pcm: NDArray[np.generic]) -> TimedEmbedding | None:
        """Embed a piece of speech; None for digital silence.

        Args:
            pcm: As for `classify`, with the same errors.
        """
        wave = features.prepare(pcm)
        if wave is None:
            return None
        with torch.inference_mode():
            embedding: Embedding = self._network.embed(features.log_mel(wave)[None])[0].numpy()
        return TimedEmbedding(embedding, len(wave) / SAMPLE_RATE)

    def _classify(
        self, heard: TimedEmbedding | None, adaptation: SpeakerAdaptation | None
    ) -> Prediction:
        """Classify an embedding; silence (None) gets equal probabilities."""
        if heard is None:
            return self._prediction(np.full(len(self.labels), 1 / len(self.labels)), uncertain=True)
        fitted = self._manifest.calibration
        scores = self._scores(heard.embedding)
        if adaptation is not None:
            scores = adaptation.adapt(heard.embedding, scores)
        probabilities = calibration.probabilities(
            scores, heard.seconds, fitted.brevity, self._log_prior
        )
        uncertain = bool(probabilities.max() < fitted.threshold)
        prediction = self._prediction(probabilities, uncertain=uncertain)
        if self._speech is None:
            return prediction
        speech = float(self._speech(heard.embedding))
        is_speech = speech >= self._speech.threshold
        return replace(
            prediction, speech=speech, is_speech=is_speech, uncertain=uncertain or not is_speech
        )

    def _scores(self, embedding: Embedding) -> Scores:
        """Scores of the unadapted head, shape (labels,)."""
        with torch.inference_mode():
            logits: Scores = self._network.head(torch.from_numpy(embedding)).double().numpy()
        temperature = self._manifest.calibration.temperature
        return calibration.log_likelihoods(logits, temperature, self._log_trained)

    def _prediction(self, probabilities: NDArray[np.float64], *, uncertain: bool) -> Prediction:
        positive, negative = (probabilities[i].sum() for i in (self._positive, self._negative))
        return Prediction(
            labels=self.labels,
            probabilities=tuple(probabilities.tolist()),
            mood=float(positive - negative),
            uncertain=uncertain,
        )
