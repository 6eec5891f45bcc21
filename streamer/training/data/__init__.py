"""Reads manifests and recordings, and computes features from them."""
