"""Decoders of recordings implement this protocol: libsndfile and ffmpeg."""

from typing import Protocol

from streamer.audio.pcm import FloatPcm


class UnreadableError(Exception):
    """A decoder cannot read this; the message says why."""


class Reader(Protocol):
    """Decodes a recording from beginning to end."""

    @property
    def sample_rate(self) -> int:
        """In Hz."""

    @property
    def channels(self) -> int:
        """How many there are."""

    @property
    def samples(self) -> int | None:
        """Per channel, as the recording itself claims; None where it does not say."""

    @property
    def slack_s(self) -> float:
        """How much shorter than claimed it may be without having been cut."""

    @property
    def floating(self) -> bool:
        """Whether samples may have any value at all."""

    @property
    def notes(self) -> list[str]:
        """Remarks about the recording, for people."""

    def read(self, samples: int) -> FloatPcm:
        """The next samples, shape (samples, channels); fewer at the end, or before a fault."""

    def fault(self) -> str:
        """Why it could not be read on, where nothing more comes; empty at its proper end."""

    def rewind(self) -> None:
        """Begin anew, where `floating`."""

    def close(self) -> None:
        """Close it. Never raises."""
