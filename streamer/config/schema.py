"""The configuration schema defines the sections and keys: types, bounds, defaults, meaning."""

from typing import Literal, Self

from pydantic import (
    Field,
    ValidationInfo,
    field_validator,
)

from streamer.config.alert_rules import ANGRY_CUSTOMER, ANY, AlertsConfig, default_rules
from streamer.config.section import Emotion, Section
from streamer.text import is_shown_whole

MONO = "mono"
UNNAMED = (MONO, "left", "right")
"""What channels are called that nobody named: all in one, or the two of a stereo recording."""

MAX_CHANNELS = 64
"""Maximum number of independent channels of a device: the crosstalk of these takes half a core."""

CALLS_NAME_CHANNELS = "calls_name_channels"
"""Key of the validation context: whether each call brings the names of its channels."""

REMOVED_KEYS = {
    "vad.min_snr_db": "is gone: no engine needs it any more; delete it",
}
"""Keys of earlier versions, and what to do about them."""


def _calls_name_channels(info: ValidationInfo) -> bool:
    """Whether channels that the configuration does not name may be there all the same."""
    return bool(info.context and info.context.get(CALLS_NAME_CHANNELS))


# strict: a text is no number; lists are turned into tuples all the same (strict=False)


class AudioConfig(Section):
    """Where the sound comes from, and which channels it has."""

    device: str | int | None = Field(
        None,
        union_mode="left_to_right",
        description="input device: its index, or an unambiguous part of its name",
    )
    channels: tuple[str, ...] = Field(
        (),
        strict=False,
        max_length=MAX_CHANNELS,
        description="names of independent channels; none: all are mixed to one stream",
    )
    analyse: tuple[str, ...] | None = Field(
        None, min_length=1, strict=False, description="the channels that are analysed; null: all"
    )
    crosstalk: bool = Field(
        default=True, description="what one channel picks up of another is no speech"
    )
    block_ms: int = Field(20, ge=5, le=200, description="how much is read from a device at once")
    ring_s: float = Field(
        30.0, ge=1, le=600, description="how far the analysis may fall behind, in seconds"
    )

    @field_validator("channels")
    @classmethod
    def _are_different(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        fine = all(name and is_shown_whole(name) and name != ANY for name in names)
        if len(set(names)) < len(names) or not fine:
            raise ValueError(f"a list of different names on one line, none of them {ANY!r}")
        return names

    @field_validator("analyse")
    @classmethod
    def _are_channels(
        cls, names: tuple[str, ...] | None, info: ValidationInfo
    ) -> tuple[str, ...] | None:
        known = info.data.get("channels")
        if (
            known is not None
            and names is not None
            and not (_calls_name_channels(info) and not known)
            and (not set(names) <= set(known) or len(set(names)) < len(names))
        ):
            allowed = f", each once: {', '.join(known)}" if known else ", which names none"
            raise ValueError(f"names from audio.channels{allowed}")
        return names

    @property
    def streams(self) -> tuple[str, ...]:
        """Names of the channels that are analysed, in the order in which they are delivered."""
        if not self.channels:
            return (MONO,)
        return tuple(name for name in self.channels if self.analyse is None or name in self.analyse)


class VadConfig(Section):
    """Frame -> speech or not."""

    engine: Literal["silero", "webrtc"] = Field(
        "silero", description="silero: Silero behind webrtcvad; webrtc: webrtcvad alone"
    )
    frame_ms: Literal[10, 20, 30] = Field(20, description="length of a frame")
    aggressiveness: int = Field(
        2, ge=0, le=3, description="webrtc: webrtcvad's mode, 3 rejects the most"
    )
    floor_dbfs: float = Field(
        -72.0, ge=-96, le=-20, description="nothing quieter than this is speech"
    )

    @field_validator("engine", mode="before")
    @classmethod
    def _is_not_removed(cls, engine: object) -> object:
        if engine == "builtin":
            raise ValueError("silero, webrtc; the engine builtin is gone, silero replaces it")
        return engine


class SegmenterConfig(Section):
    """Frames -> utterances."""

    min_speech_ms: int = Field(200, ge=20, le=2000, description="less speech is no utterance")
    hangover_ms: int = Field(400, ge=50, le=5000, description="silence that ends an utterance")
    preroll_ms: int = Field(300, ge=0, le=2000, description="kept from before the onset")
    max_length_s: float = Field(
        12.0, ge=2, le=30, description="longer speech is cut into several utterances"
    )


class PartialResultsConfig(Section):
    """Partial results while an utterance is still going on."""

    first_ms: int = Field(
        500, ge=100, le=5000, description="speech before the first partial result"
    )
    interval_ms: int = Field(250, ge=50, le=5000, description="from one partial result to the next")
    window_s: float = Field(
        3.0, ge=0.5, le=30, description="the newest seconds, which are classified"
    )


class ModelConfig(Section):
    """Which model predicts the emotions."""

    name: str = Field("default", description="a bundle in models/, or the path of one")
    prior: Literal["natural", "even"] | dict[Emotion, float] = Field(
        "natural",
        description="how common each emotion is: natural, as where people live; even; "
        "or {neutral: 0.7, angry: 0.1}, where the others share the rest",
    )
    threads: int = Field(1, ge=1, le=64, description="torch threads; 1 keeps the screen smooth")


class AdaptationConfig(Section):
    """Speaker adaptation: what a voice sounds like in general."""

    enabled: bool = Field(
        default=True, description="learn the voices on each channel, to separate mood from voice"
    )
    speakers: tuple[str, ...] = Field(
        (), strict=False, description="enrolled voices: a name; with channels, as agent=NAME"
    )


class MoodConfig(Section):
    """How quickly the running mood of a channel follows what is heard."""

    half_life_s: float = Field(
        30.0, ge=1, le=3600, description="speaking time after which an utterance counts half"
    )


class CallsConfig(Section):
    """Where one call ends and the next begins."""

    gap_s: float | None = Field(
        None,
        ge=1,
        le=86_400,
        description="so long a silence ends a call; null: only the key n does",
    )


Label = Literal[Emotion, "uncertain", "no_speech"]
"""What has a label on the screen: an emotion, or what stands in its place."""

Language = Literal["en", "de", "es", "fr", "pl", "zh"]

MAX_LABEL = 16


class OutputConfig(Section):
    """Where the rows go."""

    csv: str | None = Field(
        "emotions.csv",
        min_length=1,
        description="one row per utterance is appended here; null: no CSV",
    )
    excel: bool = Field(
        default=False,
        description="CSV as Excel opens it where the decimal sign is a comma: ; and a BOM",
    )


class DashboardConfig(Section):
    """The screen."""

    fps: int = Field(6, ge=1, le=30, description="frames per second; 4 to 8 are enough")
    smoothing_s: float = Field(0.4, ge=0, le=5, description="time constant of the bars")
    ascii: bool = Field(default=False, description="draw with nothing but ASCII")
    language: Language = Field(
        "en", description="of the labels on the screen: en, de, es, fr, pl, zh"
    )
    labels: dict[Label, str] = Field({}, description="labels of your own, as {angry: livid}")

    @field_validator("labels")
    @classmethod
    def _fit(cls, labels: dict[Label, str]) -> dict[Label, str]:
        for name, text in labels.items():
            if not text.strip() or not is_shown_whole(text) or len(text) > MAX_LABEL:
                raise ValueError(f"for {name}, a text on one line of 1 to {MAX_LABEL} letters")
        return labels


class Config(Section):
    """Everything that can be set; each section is handed to the module that needs it."""

    audio: AudioConfig = AudioConfig()
    vad: VadConfig = VadConfig()
    segmenter: SegmenterConfig = SegmenterConfig()
    rolling: PartialResultsConfig = PartialResultsConfig()
    model: ModelConfig = ModelConfig()
    baseline: AdaptationConfig = AdaptationConfig()
    mood: MoodConfig = MoodConfig()
    calls: CallsConfig = CallsConfig()
    alerts: AlertsConfig = Field(AlertsConfig(), validate_default=True)
    output: OutputConfig = OutputConfig()
    dashboard: DashboardConfig = DashboardConfig()

    def one_stream(self) -> Self:
        """The same, but all channels mixed to one."""
        return self.with_channels(())

    def with_channels(self, channels: tuple[str, ...]) -> Self:
        """The same with other channels, all of them analysed."""
        audio = self.audio.model_copy(update={"channels": channels, "analyse": None})
        alerts = self.alerts
        if alerts.rules == default_rules(self.audio.streams, alerts.sensitivity):
            alerts = alerts.model_copy(
                update={"rules": default_rules(audio.streams, alerts.sensitivity)}
            )
        return self.model_copy(update={"audio": audio, "alerts": alerts})

    @field_validator("alerts")
    @classmethod
    def _watch_channels_that_are_there(
        cls, alerts: AlertsConfig, info: ValidationInfo
    ) -> AlertsConfig:
        audio: AudioConfig = info.data.get("audio", AudioConfig())
        if alerts.rules == (ANGRY_CUSTOMER,):
            return alerts.model_copy(
                update={"rules": default_rules(audio.streams, alerts.sensitivity)}
            )
        if _calls_name_channels(info) and not audio.channels:
            return alerts
        known = (*(audio.streams if audio.channels else UNNAMED), ANY)
        for index, rule in enumerate(alerts.rules):
            if rule.channel is not None and rule.channel not in known:
                raise ValueError(
                    f"alerts.rules[{index}].channel: got {rule.channel!r}, "
                    f"allowed: {', '.join(known)}"
                )
        return alerts
