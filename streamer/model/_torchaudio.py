"""Imports torchaudio's transforms even where its compiled extension does not load.

The Linux wheel on PyPI links its extension to CUDA, so that beside a CPU build of torch even
``import torchaudio`` raises OSError. The transforms are plain PyTorch and need no extension, and
torchaudio knows the state "no extension" (a build without one): we put it into that state. Here,
rather than in an installation step, so that ``pip install`` alone gives a program that runs.
"""

import importlib
import sys
from types import ModuleType
from typing import Any

_EXTENSION = "torchaudio._extension"


def _import_transforms() -> Any:  # noqa: ANN401 - torchaudio ships no types
    try:
        return importlib.import_module("torchaudio.transforms")
    except OSError:
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchaudio"]:
            del sys.modules[name]  # the half-imported rest of the failed attempt
        sys.modules[_EXTENSION] = _no_extension()
        return importlib.import_module("torchaudio.transforms")


def _no_extension() -> ModuleType:
    """What torchaudio imports from its extension module, for a build that has none."""

    def fail_if_no_align(function: object) -> object:
        return function  # only guards `forced_align`, which would then miss its operator anyway

    stub = ModuleType(_EXTENSION, "Stands in for a compiled extension that does not load here.")
    vars(stub).update(_IS_TORCHAUDIO_EXT_AVAILABLE=False, fail_if_no_align=fail_if_no_align)
    return stub


transforms = _import_transforms()
