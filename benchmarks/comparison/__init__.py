"""This package is the parts of `benchmarks/peers.py`."""
