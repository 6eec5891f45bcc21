"""Degraded copies of recordings: rooms, noise, telephones, codecs."""
