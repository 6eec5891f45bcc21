"""Exports logs to the formats of other programs: subtitles, annotation, tables."""
