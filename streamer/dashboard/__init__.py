"""The dashboard draws events on a terminal."""
