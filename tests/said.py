"""Makes utterances for tests."""

from streamer.types import EMOTIONS, SAMPLE_RATE, EndReason, Prediction, Utterance


def heard(
    emotion: str, confidence: float = 0.8, *, mood: float = 0.0, uncertain: bool = False
) -> Prediction:
    """A prediction; what is left is shared by the other emotions."""
    rest = (1 - confidence) / (len(EMOTIONS) - 1)
    shares = tuple(confidence if label == emotion else rest for label in EMOTIONS)
    return Prediction(EMOTIONS, shares, mood, uncertain)


def said(  # noqa: PLR0913 - as many as an utterance has that matters
    number: int,
    emotion: str | None,
    *,
    channel: str = "customer",
    at_s: float | None = None,
    length_s: float = 2.0,
    confidence: float = 0.8,
    mood: float = 0.0,
    uncertain: bool = False,
) -> Utterance:
    """An utterance; without a time, ten seconds after the one before; None was not classified."""
    start_s = 10.0 * number if at_s is None else at_s
    prediction = (
        None if emotion is None else heard(emotion, confidence, mood=mood, uncertain=uncertain)
    )
    return Utterance(
        number=number,
        channel=channel,
        start=round(start_s * SAMPLE_RATE),
        end=round((start_s + length_s) * SAMPLE_RATE),
        prediction=prediction,
        level_dbfs=-22.0,
        end_reason=EndReason.SILENCE,
        latency_ms=None,
        compute_ms=1.0,
    )
