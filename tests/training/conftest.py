"""Fixtures: an encoder and corpora to train with."""

from corpora import encoder, manifest

__all__ = ["encoder", "manifest"]
