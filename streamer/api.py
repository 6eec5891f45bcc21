"""The Python API predicts the emotion, or the probabilities of all, of a recording or of PCM."""

import warnings
from collections.abc import Iterator
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, SupportsFloat, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from streamer.audio.level import FULL_SCALE
from streamer.audio.pcm import MAX_CHANNELS, RATES, PeakMeter, to_int16
from streamer.audio.resample import StreamConverter
from streamer.config import Config
from streamer.errors import ConfigError, InputWarning, NoSpeechError
from streamer.model.classifier import Classifier
from streamer.model.priors import Prior
from streamer.pipeline import offline
from streamer.segmentation.vad import fallback_reason
from streamer.sinks.row import Session, columns, row
from streamer.text import one_line
from streamer.types import SAMPLE_RATE, Pcm, Utterance

if TYPE_CHECKING:
    import pandas  # noqa: ICN001 - named in an annotation

Audio: TypeAlias = str | PathLike[str] | NDArray[np.float32] | NDArray[np.int16]
"""The path of a recording, or PCM of shape (samples,) or (samples, channels)."""

WHOLE_S = 30.0
"""Seconds up to which `Predictor.predict` treats a recording as one utterance."""


class Predictor:
    """Names the emotion of recordings.

    >>> Predictor().predict("call.wav")  # doctest: +SKIP
    'happy'

    Args:
        model: A bundle in models/ (``default``, ``open``), or the path of one.
        prior: How common the emotions are: ``even``, ``natural`` (as where people live) or
            probabilities of some. The default is ``even``, because a chosen clip usually has an
            emotion: the question is which.
        config: For the splitting into utterances; None for the defaults.

    Raises:
        ConfigError: The prior names an unknown emotion or an impossible probability.
        ModelError: There is no such bundle, or it is damaged.
    """

    def __init__(
        self,
        model: str | PathLike[str] = "default",
        *,
        prior: Prior = "even",
        config: Config | None = None,
    ) -> None:
        self._classifier = Classifier.load(fspath(model), prior=prior)
        self._config = config or Config()
        if (reason := fallback_reason(self._config.vad)) is not None:
            warnings.warn(reason, RuntimeWarning, stacklevel=2)

    @property
    def labels(self) -> tuple[str, ...]:
        """The emotions that the model knows, in the order of the probabilities."""
        return self._classifier.labels

    @overload
    def predict(
        self, audio: Audio, return_all: Literal[False] = ..., *, sample_rate: int | None = ...
    ) -> str: ...

    @overload
    def predict(
        self, audio: Audio, return_all: Literal[True], *, sample_rate: int | None = ...
    ) -> NDArray[np.float64]: ...

    def predict(
        self,
        audio: Audio,
        return_all: bool = False,  # noqa: FBT001, FBT002 - as the forerunner's callers write it
        *,
        sample_rate: int | None = None,
    ) -> str | NDArray[np.float64]:
        """Classify a recording of up to 30 s as one utterance, a longer one by its utterances.

        Args:
            audio: The path of a recording of any format, rate and channel count; or PCM, float
                (full scale 1.0) or int16, shape (samples,) or (samples, channels).
            return_all: Return all probabilities instead of the likeliest emotion.
            sample_rate: Of the PCM, in Hz; a recording knows its own.

        Returns:
            The likeliest emotion; or the probabilities, shape (len(labels),), in the order of
            `labels`. Of a recording over 30 s, the mean over its utterances, weighted by length.

        Raises:
            InputError: The recording cannot be read.
            NoSpeechError: There is no speech in it.
            TypeError: It is neither a path nor an array of float or int16.
            ValueError: The PCM's shape, full scale or rate is not as described above.
        """
        probabilities = self._probabilities(audio, sample_rate)
        if return_all:
            return probabilities
        return self.labels[int(probabilities.argmax())]

    def predict_proba(self, audio: Audio, *, sample_rate: int | None = None) -> NDArray[np.float64]:
        """Predict the probabilities of all emotions, as ``predict(audio, return_all=True)``.

        Args:
            audio: As for `predict`.
            sample_rate: As for `predict`.

        Returns:
            Calibrated probabilities, shape (len(labels),), in the order of `labels`.

        Raises:
            InputError, NoSpeechError, TypeError, ValueError: As `predict`.
        """
        return self._probabilities(audio, sample_rate)

    def dataframe(self, audio: Audio, *, sample_rate: int | None = None) -> "pandas.DataFrame":
        """Return the utterances of a recording as a table: a row each, with the columns of the CSV.

        Args:
            audio: As for `predict`.
            sample_rate: As for `predict`.

        Raises:
            ConfigError: pandas is not installed.
            InputError: The recording cannot be read, or breaks off.
        """
        try:
            import pandas as pd  # noqa: PLC0415 - optional, and slow to import
        except ImportError:
            raise ConfigError("dataframe needs pandas: pip install pandas") from None
        name = f"PCM of shape {audio.shape}" if isinstance(audio, np.ndarray) else fspath(audio)
        session = Session.begin(source=name, model=self._classifier.name, labels=self.labels)
        found = self.utterances(audio, sample_rate=sample_rate)
        return pd.DataFrame([row(u, session) for u in found], columns=columns(self.labels))

    def utterances(self, audio: Audio, *, sample_rate: int | None = None) -> Iterator[Utterance]:
        """Split a recording into utterances and classify each.

        Args:
            audio: As for `predict`.
            sample_rate: As for `predict`.

        Yields:
            One `Utterance` each, as soon as it is classified.

        Raises:
            InputError: The recording cannot be read, or breaks off; what came before was yielded.
            TypeError: As for `predict`.
            ValueError: As for `predict`.
        """
        if isinstance(audio, np.ndarray):
            pcm = _stream(audio, sample_rate)
            yield from offline.utterances_of(pcm, self._classifier, self._config)
        else:
            yield from offline.utterances(_path(audio), self._classifier, self._config, warn=_warn)

    def _probabilities(self, audio: Audio, sample_rate: int | None) -> NDArray[np.float64]:
        if isinstance(audio, np.ndarray):
            name = f"PCM of shape {audio.shape}"
            pcm: Pcm | None = _stream(audio, sample_rate)
        else:
            name = one_line(fspath(_path(audio)))
            pcm = offline.whole(_path(audio), WHOLE_S, warn=_warn)
        if pcm is None or len(pcm) > WHOLE_S * SAMPLE_RATE:
            return self._mean(audio, sample_rate, name)
        if offline.has_speech(pcm, self._config):
            prediction = self._classifier.classify(pcm)
            if prediction.is_speech:
                return np.array(prediction.probabilities)
        raise NoSpeechError(f"{name}: no speech in it")

    def _mean(self, audio: Audio, sample_rate: int | None, name: str) -> NDArray[np.float64]:
        total = np.zeros(len(self.labels))
        seconds = 0.0
        for utterance in self.utterances(audio, sample_rate=sample_rate):
            heard = utterance.prediction
            if heard is not None and heard.is_speech:
                total += utterance.duration_s * np.array(heard.probabilities)
                seconds += utterance.duration_s
        if not seconds:
            raise NoSpeechError(f"{name}: no speech in it")
        mean: NDArray[np.float64] = total / seconds
        return mean


def _stream(pcm: NDArray[Any], sample_rate: int | None) -> Pcm:
    """PCM of any rate and channel count as one stream at 16 kHz, shape (samples,)."""
    rate = _rate(sample_rate)
    _check_shape(pcm)
    channels = np.atleast_2d(_int16(pcm).T).T
    converter = StreamConverter(rate, channels.shape[1])
    stream = np.concatenate((converter.convert(channels), converter.flush()))[:, 0]
    for text in converter.drain_warnings():
        _warn(f"PCM of shape {pcm.shape}: {text}")
    return stream


def _path(audio: object) -> Path:
    if isinstance(audio, str | PathLike):
        return Path(audio)
    kind = f"{type(audio).__module__}.{type(audio).__qualname__}".removeprefix("builtins.")
    cure = "its .numpy()" if hasattr(audio, "numpy") else "numpy.asarray(...) of it"
    raise TypeError(
        f"got a {kind}, expected the path of a recording or a NumPy array with its sample_rate"
        f"{f' ({cure})' if hasattr(audio, '__len__') else ''}"
    )


def _rate(sample_rate: object) -> int:
    least, most = RATES
    expected = f"expected the rate of the PCM in Hz, a number from {least} to {most}"
    if isinstance(sample_rate, bool) or not isinstance(sample_rate, SupportsFloat):
        raise ValueError(f"got sample_rate={sample_rate!r}, {expected}")  # noqa: TRY004 - None, too
    if not least <= float(sample_rate) <= most:  # false for NaN
        raise ValueError(f"got sample_rate={sample_rate}, {expected}")
    return round(float(sample_rate))


def _check_shape(pcm: NDArray[Any]) -> None:
    got = f"got PCM of shape {pcm.shape}, expected (samples,) or (samples, channels)"
    if pcm.ndim not in {1, 2} or pcm.size == 0:
        raise ValueError(got)
    if pcm.ndim == 1:
        return
    samples, channels = pcm.shape
    if channels > samples and channels > 1:
        raise ValueError(f"{got}: transpose it (pcm.T)")
    if channels > MAX_CHANNELS:
        raise ValueError(f"{got}, with up to {MAX_CHANNELS} channels")


def _int16(pcm: NDArray[Any]) -> Pcm:
    if pcm.dtype.kind == "i" and pcm.dtype.itemsize == np.dtype(np.int16).itemsize:
        return pcm.astype(np.int16)  # of either byte order
    if pcm.dtype.kind != "f":
        raise TypeError(f"got PCM of type {pcm.dtype}, expected float32 (full scale 1.0) or int16")
    meter = PeakMeter()
    meter.add(pcm)
    if meter.scale != 1.0:
        raise ValueError(
            f"got float PCM with samples up to {meter.peak:.5g}, expected full scale 1.0 "
            f"(values of int16 divided by {FULL_SCALE:g}, or as int16)"
        )
    return to_int16(pcm.astype(np.float32), f"PCM of shape {pcm.shape}")


def _warn(text: str) -> None:
    warnings.warn(text, InputWarning, stacklevel=2)
