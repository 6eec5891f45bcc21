"""Which emotion is heard, and how sure it is, while somebody speaks."""

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamer.api import Predictor

__all__ = ["Predictor", "__version__"]

try:
    __version__ = version("streamer-emotion")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+unknown"


def __getattr__(name: str) -> Any:  # noqa: ANN401 - PEP 562: the type depends on the name
    """Import `Predictor` when it is asked for: torch takes a second, ``streamer --help`` none."""
    if name == "Predictor":
        from streamer.api import Predictor  # noqa: PLC0415

        return Predictor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
