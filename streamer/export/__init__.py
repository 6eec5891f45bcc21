"""Logs in the formats of other programs: subtitles, annotation, tables."""
