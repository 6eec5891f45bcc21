"""This package analyses many recordings at once, each exactly once."""
