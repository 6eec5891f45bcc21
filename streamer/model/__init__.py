"""This package turns PCM into calibrated probabilities of the emotions."""
