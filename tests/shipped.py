"""The model that ships, loaded once for all tests of a process, and only if one needs it.

It is loaded when a test asks and not where a test file is read: every process of pytest-xdist
reads all of these.
"""

from functools import cache

import torch

from streamer.model import bundle
from streamer.model.bundle import Bundle
from streamer.model.catalog import find_bundle
from streamer.model.classifier import Classifier


@cache
def shipped_bundle() -> Bundle:
    """The weights and the manifest of `default`."""
    torch.set_num_threads(1)  # other tests run beside this one
    return bundle.load(find_bundle("default"))


@cache
def shipped_classifier(*, exact: bool = False) -> Classifier:
    """A classifier of them; an exact one computes in float32 also where integers are quicker."""
    return Classifier(shipped_bundle(), exact=exact)
