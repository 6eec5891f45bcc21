"""Where results go: CSV, lines, saved audio, summaries, notifications."""
