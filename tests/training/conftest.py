"""Fixtures: an encoder and corpora to train with."""

from pathlib import Path

import pytest
from corpora import encoder, manifest

__all__ = ["cache", "encoder", "manifest"]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Embeddings of these corpora, for tests that do not ask who computed them."""
    return tmp_path_factory.mktemp("cache")
