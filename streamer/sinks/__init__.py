"""Sinks write results: CSV, lines, saved audio, summaries, notifications."""
