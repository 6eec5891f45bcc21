"""Reads, writes, averages and fine-tunes encoders."""
