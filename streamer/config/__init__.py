"""This package describes the configuration (schema) and reads it (loader)."""

from streamer.config.alert_rules import AlertRule, AlertsConfig
from streamer.config.loader import LoadedConfig, Setting, load
from streamer.config.schema import (
    AudioConfig,
    Config,
    DashboardConfig,
    Language,
    PartialResultsConfig,
    SegmenterConfig,
    VadConfig,
)

__all__ = [
    "AlertRule",
    "AlertsConfig",
    "AudioConfig",
    "Config",
    "DashboardConfig",
    "Language",
    "LoadedConfig",
    "PartialResultsConfig",
    "SegmenterConfig",
    "Setting",
    "VadConfig",
    "load",
]
