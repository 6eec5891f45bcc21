"""This is the base class of the sections of the configuration."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Emotion = Literal["neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"]


class Section(BaseModel):
    """A section: unknown keys and values of another type are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
