"""The configuration of alerts: this module defines its rules, defaults and receivers."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator

from streamer.config.section import Emotion, Section
from streamer.text import is_shown_whole

ANY = "any"

CUSTOMER = "customer"

AGENT = "agent"

ALERT_SEPARATOR = "; "
"""Stands between the names of rules where several alerts were raised at once."""


class AlertRule(Section):
    """When to raise an alert. Each channel that a rule watches is watched on its own.

    With ``mean_probability``, the mean probability of the ``emotions`` over the latest utterances
    has to be so high. Else, enough of them have to *match*. An utterance matches if it is certain
    and one of ``emotions`` at ``confidence`` or more; or, with ``mood_below`` instead, if the
    running mood of its channel is no higher after it.
    """

    name: str = Field(min_length=1, max_length=60, description="as it is shown and logged")
    channel: str | None = Field(
        None,
        description="name of a channel; any; null: customer where there is one, else all but agent",
    )
    emotions: tuple[Emotion, ...] = Field((), strict=False, description="any of these, or")
    mood_below: float | None = Field(None, ge=-1, le=1, description="a running mood this low")
    mean_probability: float | None = Field(
        None, gt=0, le=1, description="least mean probability of these in the latest utterances"
    )
    confidence: float = Field(0.0, ge=0, le=1, description="least confidence in the emotion")
    of: int = Field(1, ge=1, le=100, description="how many of the latest utterances count")
    count: int = Field(1, ge=1, description="how many of these have to match")
    for_s: float = Field(0.0, ge=0, le=3600, description="and that has to last so long")
    clear: int = Field(
        2, ge=1, le=100, description="how many in a row have to disagree before it is raised anew"
    )
    mood_clear: float | None = Field(
        None, ge=-1, le=1, description="a mood disagrees only above this; null: above mood_below"
    )
    cooldown_s: float = Field(60.0, ge=0, le=86_400, description="least time between two alerts")

    @field_validator("name")
    @classmethod
    def _is_one_line(cls, name: str) -> str:
        if not is_shown_whole(name) or name != name.strip() or ALERT_SEPARATOR in name:
            raise ValueError(f"a text on one line, without {ALERT_SEPARATOR!r}")
        return name

    @field_validator("count")
    @classmethod
    def _is_possible(cls, count: int, info: ValidationInfo) -> int:
        if count > info.data.get("of", count):
            raise ValueError(f"a whole number from 1 to {info.data['of']} ('of' says how many)")
        return count

    @field_validator("mood_clear")
    @classmethod
    def _is_above(cls, clear: float | None, info: ValidationInfo) -> float | None:
        below = info.data.get("mood_below")
        if clear is not None and (below is None or clear < below):
            raise ValueError("with mood_below, a number from there to 1")
        return clear

    @model_validator(mode="after")
    def _watches_one_thing(self) -> Self:
        if bool(self.emotions) == (self.mood_below is not None):
            raise ValueError("either emotions or mood_below")
        if self.mean_probability is not None:
            if self.mood_below is not None:
                raise ValueError("either mean_probability or mood_below")
            if self.confidence or self.count > 1:
                raise ValueError("either mean_probability or confidence and count")
        return self

    def watches(self, channel: str, channels: Iterable[str]) -> bool:
        """Whether the rule watches a channel, one of ``channels``.

        Without a channel of its own, a rule watches the customer where there is one, else all
        channels but the agent's.
        """
        if self.channel is not None:
            return self.channel in (ANY, channel)
        return channel == CUSTOMER if CUSTOMER in channels else channel != AGENT


MIN_SECRET = 8
"""How many characters a webhook's secret has at least."""

ANGRY_CUSTOMER = AlertRule(name="angry customer", emotions=("angry",), of=3, mean_probability=0.45)

ANGRY_SPEAKER = ANGRY_CUSTOMER.model_copy(update={"name": "angry speaker"})

Sensitivity: TypeAlias = Literal["low", "normal", "high"]
"""How readily the default rule raises an alert."""

SENSITIVITIES: Mapping[Sensitivity, float] = MappingProxyType(
    {"low": 0.6, "normal": 0.45, "high": 0.3}
)
"""The default rule's ``mean_probability``; what each costs and finds is in the models' cards."""


def default_rules(
    streams: Sequence[str], sensitivity: Sensitivity = "normal"
) -> tuple[AlertRule, ...]:
    """Return the default rules, for a configuration without any: they watch for anger.

    Args:
        streams: The channels that are analysed.
        sensitivity: How readily they raise an alert.

    Returns:
        One rule, named after the channel that it watches; none where only the agent is analysed.
    """
    asked = {"mean_probability": SENSITIVITIES[sensitivity]}
    if CUSTOMER in streams:
        return (ANGRY_CUSTOMER.model_copy(update=asked),)
    watched = any(name != AGENT for name in streams)
    return (ANGRY_SPEAKER.model_copy(update=asked),) if watched else ()


class AlertsConfig(Section):
    """When to raise an alert, and where to send it."""

    rules: tuple[AlertRule, ...] = Field(
        (ANGRY_CUSTOMER,), strict=False, description="when to raise an alert; []: never"
    )
    sensitivity: Sensitivity = Field(
        "normal", description="how readily the default rule raises an alert: low, normal, high"
    )
    bell: bool = Field(default=False, description="ring the terminal's bell")
    webhook_url: str | None = Field(None, description="alerts are sent there by HTTP POST, as JSON")
    webhook_secret: SecretStr | None = Field(
        None, description="signs what is sent, with HMAC-SHA256; at least 8 characters"
    )
    command: tuple[str, ...] = Field(
        (), strict=False, description="program and arguments, run for each alert, without a shell"
    )
    timeout_s: float = Field(10.0, ge=0.1, le=300, description="seconds that one attempt may take")
    retry_s: float = Field(
        300.0, ge=0, le=86_400, description="seconds for which a webhook is tried again"
    )
    exit_wait_s: float = Field(
        10.0, ge=0, le=300, description="seconds to wait at the end for what is not delivered yet"
    )

    @field_validator("rules")
    @classmethod
    def _have_names_of_their_own(cls, rules: tuple[AlertRule, ...]) -> tuple[AlertRule, ...]:
        if len({rule.name for rule in rules}) < len(rules):
            raise ValueError("rules with different names")
        return rules

    @field_validator("webhook_url")
    @classmethod
    def _is_a_web_address(cls, url: str | None) -> str | None:
        if url is None:
            return None
        allowed = "http://HOST/PATH or https://HOST/PATH, without user and password"
        try:
            parts = urlsplit(url)
            usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
            usable = usable and "@" not in parts.netloc and " " not in url
        except ValueError:  # a port that is no number
            usable = False
        if not usable or not url.isascii() or not url.isprintable():
            raise ValueError(allowed)
        return url

    @field_validator("webhook_secret")
    @classmethod
    def _is_long_enough(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(secret.get_secret_value()) < MIN_SECRET:
            raise ValueError(f"at least {MIN_SECRET} characters")
        return secret

    @field_validator("command")
    @classmethod
    def _names_a_program(cls, command: tuple[str, ...]) -> tuple[str, ...]:
        if command and not command[0]:
            raise ValueError("a list of texts, the first of them a program")
        return command
