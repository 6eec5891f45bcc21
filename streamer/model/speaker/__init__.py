"""This package adapts to speakers, tells them apart, and keeps enrolled ones."""
