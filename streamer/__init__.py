"""streamer says which emotion is heard in speech, and how sure it is, while somebody speaks.

The public names are those of this module, `streamer.events`, `streamer.types` (results) and
`streamer.errors`. Everything else is internal and may change with any version.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamer.api import Predictor
    from streamer.config import Config
    from streamer.errors import StreamerError
    from streamer.events import Alert
    from streamer.stream import Stream, listen
    from streamer.types import Prediction, Utterance

__all__ = [
    "Alert",
    "Config",
    "Prediction",
    "Predictor",
    "Stream",
    "StreamerError",
    "Utterance",
    "__version__",
    "listen",
]

_HOMES = {
    "Alert": "events",
    "Config": "config",
    "Prediction": "types",
    "Predictor": "api",
    "Stream": "stream",
    "StreamerError": "errors",
    "Utterance": "types",
    "listen": "stream",
}
"""Where each public name lives."""

try:
    __version__ = version("streamer-emotion")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+unknown"


def __getattr__(name: str) -> Any:  # noqa: ANN401 - PEP 562: the type depends on the name
    """Import a public name when it is asked for: torch takes a second, ``streamer --help`` none."""
    if name in _HOMES:
        return getattr(import_module(f"streamer.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
